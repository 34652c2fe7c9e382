//! H5: the console's pages of a key with ten thousand events: when the first byte is there, and how much there is.
//!
//! Not here: what stands on them (`tests/api_console.rs`).

use crate::Result;
use crate::http::{Root, api, begin, in_groups, local};
use crate::plan::Plan;
use crate::table::{Bound, Report, median};
use keyledger::api::{Server, ServerOptions};
use keyledger::ledger::{Command, CreateAccessKey, Outcome};
use keyledger::model::Caller;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

const EVENTS: u32 = 10_000;
/// How often each page is asked for.
const TIMES: usize = 21;

/// Runs the stage.
pub fn run(plan: &Plan, report: &mut Report) -> Result<()> {
    if !plan.wants(&["H5"]) {
        return Ok(());
    }
    let folder = plan.folder.join("console");
    let (ledger, org, root) = begin(&folder)?;
    let create = Command::CreateKey { org, key: CreateAccessKey::default().into() };
    let made = ledger.execute_blocking(&Caller::operator("root@bench"), create, None)?.outcome;
    let Outcome::KeyCreated(key) = made else { return Err("no key was made".into()) };
    let id = key.access_key_id;
    in_groups(&ledger, 0..EVENTS, |n| Command::TagKey {
        key: id.clone(),
        set: BTreeMap::from([("n".into(), n.to_string().as_str().into())]),
        remove: Vec::new(),
    })?;
    ledger.close()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let options = ServerOptions { listen: local(), metrics_listen: None, ..ServerOptions::default() };
    let server = runtime.block_on(Server::bind(api(&folder)?, options))?;
    let address = server.address()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = runtime.spawn(server.run(async {
        let _ = stopped.await;
    }));
    let cookies = sign_in(address, &root)?;
    for (what, tail) in [("key page", ""), ("investigation page", "/investigation")] {
        let path = format!("/console/keys/{id}{tail}");
        let (mut times, mut bytes) = (Vec::new(), 0);
        for _ in 0..TIMES {
            let page = ask(address, "GET", &path, &cookies, "")?;
            crate::replay::same("the page's status", page.status(), "200")?;
            bytes = page.text.len();
            times.push(page.first_byte_ms);
        }
        let time = Some(median(times.into_iter()));
        let first = format!("{what}, first byte");
        report.number("H5", &first, "ms", time, "50 ms", Some(50.0), Bound::AtMost(1.0));
        let size = Some(f64::from(u32::try_from(bytes)?) / 1e3);
        report.number("H5", what, "kB", size, "200 kB", Some(200.0), Bound::AtMost(1.0));
    }
    let _ = stop.send(());
    runtime.block_on(serving)?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

struct Page {
    text: String,
    first_byte_ms: f64,
}

impl Page {
    fn status(&self) -> &str {
        self.text.split(' ').nth(1).unwrap_or_default()
    }

    /// `name=value` of each cookie that it sets.
    fn cookies(&self) -> impl Iterator<Item = &str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let set = head.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
        set.filter_map(|cookie| cookie.split(';').next())
    }
}

/// One request over a connection of its own; a `body` is a form of the console's own.
fn ask(address: SocketAddr, method: &str, path: &str, cookies: &str, body: &str) -> Result<Page> {
    let mut stream = TcpStream::connect(address)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncookie: {cookies}\r\nsec-fetch-site: same-origin\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let began = Instant::now();
    stream.write_all(request.as_bytes())?;
    let mut bytes = vec![0];
    stream.read_exact(&mut bytes)?;
    let first_byte_ms = began.elapsed().as_secs_f64() * 1e3;
    stream.read_to_end(&mut bytes)?;
    Ok(Page { text: String::from_utf8(bytes)?, first_byte_ms })
}

/// The session's cookies.
fn sign_in(address: SocketAddr, root: &Root) -> Result<String> {
    let form = ask(address, "GET", "/console/sign-in", "", "")?;
    let csrf = form.text.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let csrf = csrf.ok_or("the form has its token")?;
    let before: Vec<&str> = form.cookies().collect();
    let secret: String = root.secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let body = format!("csrf={csrf}&id={}&secret={secret}", root.id);
    let reply = ask(address, "POST", "/console/sign-in", &before.join("; "), &body)?;
    crate::replay::same("the sign-in's status", reply.status(), "303")?;
    Ok(reply.cookies().collect::<Vec<_>>().join("; "))
}
