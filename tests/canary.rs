//! tests/canary.rs: a secret shows itself once, in the one answer that may show it, and leaves no trace anywhere else.
//!
//! Every command of the program is run, with diagnostics at their loudest, over a ledger that holds a secret whose text is known.
//! Then every byte that was said or stored is searched for it.
#![cfg(feature = "cli")]
#![allow(clippy::disallowed_methods, reason = "a test stands outside and spoils real files")]

mod common;

use common::{Ledger, Ran, files_below, program, ran, text};
use keyledger::log::LogReader;
use keyledger::model::AccessKeyId;
use keyledger::model::id::World;
use keyledger::sys::RealIo;
use keyledger::vault::{KeystoreReader, VaultError, VaultKey, VaultKeySource};
use std::collections::BTreeSet;
use std::io::{BufRead, Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

const CANARY: &str = "CaNaRyQ7m2Zp9Lk4Vt8Rw3Ys6Bn1Cd5Fg0HjKeEp";
const IMPORTED: &str = "AKIACANARYEXAMPLE001";
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;

/// The forms a secret might hide in.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    let hex = secret.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let wide = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let reversed: Vec<u8> = secret.bytes().rev().collect();
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD_NO_PAD.encode(text).into_bytes();
    // A part is as bad as the whole: the first and the last 16 characters.
    let parts = [&secret[..16], &secret[secret.len() - 16..]].map(|part| part.as_bytes().to_vec());
    let mut forms = vec![hex.clone().into_bytes(), hex.to_uppercase().into_bytes(), wide, reversed];
    // Base64 of a text within other text depends on where it begins; these are its middles at each of the three places.
    forms.extend((0..3).map(|skip| base64(&secret[skip..])[4..24].to_vec()));
    forms.extend(parts);
    forms
}

fn holds(bytes: &[u8], forms: &[Vec<u8>]) -> bool {
    forms.iter().any(|form| bytes.windows(form.len()).any(|window| window == form))
}

struct Watch {
    ledger: Ledger,
    forms: Vec<Vec<u8>>,
    commands: BTreeSet<String>,
}

impl Watch {
    /// Runs a command with everything said aloud; nothing it says may hold the canary.
    fn run(&mut self, name: &str, arguments: &[&str], input: Option<&str>) -> Ran {
        self.commands.insert(name.to_owned());
        let words: Vec<&str> = name.split(' ').collect();
        let all = [&words[..], arguments, &["--log", "trace"]].concat();
        let ran = match input {
            Some(input) => self.ledger.run_with(&all, input),
            None => self.ledger.run(&all),
        };
        assert!(!holds(ran.stdout.as_bytes(), &self.forms), "{name} says the canary on stdout");
        assert!(!holds(ran.stderr.as_bytes(), &self.forms), "{name} says the canary on stderr:\n{}", ran.stderr);
        ran
    }

    #[track_caller]
    fn done(&mut self, name: &str, arguments: &[&str]) -> Ran {
        let ran = self.run(name, arguments, None);
        assert!(matches!(ran.code, 0 | 1), "{name} {arguments:?}: {}\n{}", ran.code, ran.stderr);
        ran
    }

    fn no_file_holds_it(&self, folder: &Path) {
        for (path, bytes) in files_below(folder) {
            assert!(!holds(&bytes, &self.forms), "{} holds the canary", path.display());
        }
    }
}

#[test]
fn a_canary_secret_is_in_no_answer_no_file_and_no_diagnostic() {
    let mut watch = Watch { ledger: Ledger::none(), forms: forms(CANARY), commands: BTreeSet::new() };
    watch.done("init", &[]);
    watch.done("user create", &["alice"]);
    let list = watch.ledger.file("keys.csv", &format!("access_key_id,secret_access_key\n{IMPORTED},{CANARY}\n"));
    let imported = watch.done("import keys", &[&list, "--user", "alice"]);
    assert!(imported.stdout.contains("1 imported"), "{}", imported.stdout);

    // What is wrong with a list is said without what stands in it.
    for broken in [
        format!("{IMPORTED}X,{CANARY}"),
        format!("access_key_id,secret_access_key\n{CANARY},{IMPORTED}"),
        format!("access_key_id,secret_access_key\nAKIACANARYEXAMPLE002,{CANARY} {CANARY}"),
        format!("access_key_id,secret_access_key\nAKIACANARYEXAMPLE002,\"{CANARY}"),
        format!("access_key_id,secret_access_key\nAKIACANARYEXAMPLE002,x,{CANARY}"),
        format!("{{\"access_key_id\":\"AKIACANARYEXAMPLE002\",\"secret_access_key\":{CANARY}}}"),
        format!("{{\"access_key_id\":\"{IMPORTED}\",\"secret_access_key\":\"{CANARY}-not\"}}"),
        format!("{{\"secret_access_key\":\"{CANARY}\"}}"),
    ] {
        // An id is no secret: a list with its columns swapped names ids, so only that one may repeat what stands there.
        if !broken.contains(&format!("\n{CANARY},")) {
            let ran = watch.run("import keys", &["-"], Some(&broken));
            assert_ne!(ran.code, 0, "{broken}");
        }
    }
    let known = watch.run("audit identify", &["--json"], Some(CANARY));
    assert_eq!(known.code, 0, "{}", known.stderr);
    watch.run("audit identify", &[], Some(&format!("{CANARY} {CANARY}")));

    signed_requests(&mut watch);
    every_other_command(&mut watch);
    watch.no_file_holds_it(&watch.ledger.dir());
    watch.no_file_holds_it(&watch.ledger.path("copy"));
    assert!(matches!(stored(&watch.ledger), Ok(true)), "the keystore holds it, sealed");
    watch.done("key delete", &[IMPORTED, "--yes"]);
    assert!(stored(&watch.ledger).is_err(), "after delete the live keystore has nothing to open");
    watch.no_file_holds_it(&watch.ledger.dir());

    let leaves = leaves(&[]);
    let missing: Vec<_> = leaves.difference(&watch.commands).collect();
    assert!(missing.is_empty(), "no canary went through {missing:?}");
}

/// Requests whose signatures are checked with the canary, good and bad.
fn signed_requests(watch: &mut Watch) {
    let secret = watch.ledger.file("secret.txt", CANARY);
    let request = "GET /key HTTP/1.1\r\nHost: logs.example.com\r\nx-amz-date: 20261101T000000Z\r\n\
        x-amz-content-sha256: UNSIGNED-PAYLOAD\r\nAuthorization: AWS4-HMAC-SHA256 \
        Credential=AKIACANARYEXAMPLE001/20261101/us-east-1/s3/aws4_request, \
        SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
        Signature=0000000000000000000000000000000000000000000000000000000000000000\r\n\r\n";
    for arguments in [&["--json"][..], &[]] {
        let arguments = [&["-", "--secret-file", &secret, "--now", "2026-11-01T00:00:00Z"], arguments].concat();
        let ran = watch.run("sigv4 verify", &arguments, Some(request));
        assert_eq!(ran.code, 4, "{}", ran.stderr);
    }
    let case = |secret: &str, more: &str| {
        format!(
            "{{\"id\":1,\"method\":\"GET\",\"target\":\"/\",\"headers\":[],\"body\":\"\",\"access_key\":\"AKIACANARYEXAMPLE001\",\
             \"secret_key\":{secret},\"region\":\"us-east-1\",\"service\":\"s3\",\"now\":\"2026-11-01T00:00:00Z\"{more}}}"
        )
    };
    for (secret, more) in
        [(format!("\"{CANARY}\""), ""), (CANARY.to_owned(), ""), (format!("\"{CANARY}\""), ",\"more\":")]
    {
        watch.run("sigv4 verify", &["--cases", "-", "--json"], Some(&case(&secret, more)));
    }
}

/// Every command once, over a ledger that holds the canary.
fn every_other_command(watch: &mut Watch) {
    let document = watch.ledger.file("policy.json", POLICY);
    let made = watch.done("key create", &["--user", "alice", "--json"]).lines().remove(0);
    let (id, secret) = (text(&made, "access_key_id"), text(&made, "secret_access_key"));
    let id = id.as_str();
    watch.done("completions", &["bash"]);
    watch.done("org list", &[]);
    watch.done("org show", &["--json"]);
    watch.done("org create", &["210987654321"]);
    watch.done("org update", &["210987654321", "--alias", "other"]);
    watch.done("org suspend", &["210987654321"]);
    watch.done("org resume", &["210987654321"]);
    let org = ["--org", "123456789012"];
    let run = |watch: &mut Watch, name: &str, arguments: &[&str]| {
        watch.done(name, &[arguments, &org[..]].concat());
    };
    run(watch, "user list", &["--json"]);
    run(watch, "user show", &["alice"]);
    run(watch, "user update", &["alice", "--path", "/apps/"]);
    run(watch, "user set-role", &["alice", "Admin"]);
    run(watch, "user tag", &["alice", "team=x"]);
    run(watch, "user untag", &["alice", "team"]);
    run(watch, "user put-policy", &["alice", "inline", "--document", &document]);
    run(watch, "user delete-policy", &["alice", "inline"]);
    run(watch, "user create", &["bob"]);
    run(watch, "user delete", &["bob", "--yes"]);
    run(watch, "group create", &["readers"]);
    run(watch, "group list", &[]);
    run(watch, "group show", &["readers"]);
    run(watch, "group update", &["readers", "--path", "/apps/"]);
    run(watch, "group add-member", &["readers", "alice"]);
    run(watch, "group remove-member", &["readers", "alice"]);
    run(watch, "group put-policy", &["readers", "inline", "--document", &document]);
    run(watch, "group delete-policy", &["readers", "inline"]);
    run(watch, "group delete", &["readers", "--yes"]);
    run(watch, "policy check", &[&document]);
    let asked = ["--action", "s3:GetObject", "--resource", "arn:aws:s3:::logs/a"];
    run(watch, "policy simulate", &[&["--document", document.as_str()][..], &asked].concat());
    run(watch, "policy create", &["all", "--document", &document]);
    run(watch, "policy list", &["--managed"]);
    run(watch, "policy show", &["all"]);
    run(watch, "policy new-version", &["all", "--document", &document]);
    run(watch, "policy versions", &["all", "v2"]);
    run(watch, "policy set-default", &["all", "v2"]);
    run(watch, "policy delete-version", &["all", "v1", "--yes"]);
    run(watch, "policy tag", &["all", "a=b"]);
    run(watch, "policy untag", &["all", "a"]);
    run(watch, "policy attach", &["all", "--user", "alice"]);
    run(watch, "policy detach", &["all", "--user", "alice"]);
    run(watch, "user boundary", &["alice", "all"]);
    run(watch, "user boundary", &["alice", "--none"]);
    run(watch, "bucket create", &["logs"]);
    run(watch, "bucket list", &[]);
    run(watch, "bucket show", &["logs"]);
    run(watch, "bucket delete", &["logs"]);
    watch.done("partner create", &["tig"]);
    watch.done("partner list", &["--json"]);
    watch.done("partner rotate", &["tig", "--json"]);
    let opened = watch.done("token create", &["--key", IMPORTED, "--ttl", "1h", "--json"]).lines().remove(0);
    let closed = watch.run("token close", &[], Some(&text(&opened, "token")));
    assert_eq!(closed.code, 0, "{}", closed.stderr);
    for key in [id, IMPORTED] {
        run(watch, "key show", &[key, "--json"]);
        run(watch, "key show", &[key]);
        run(watch, "key label", &[key, "a label"]);
        run(watch, "key describe", &[key, "a description"]);
        run(watch, "key tag", &[key, "a=b"]);
        run(watch, "key untag", &[key, "a"]);
        run(watch, "key grant", &[key, "logs=ReadOnly"]);
        run(watch, "key attach", &[key, "all"]);
        run(watch, "key detach", &[key, "all"]);
        run(watch, "key default-allow", &[key, "yes"]);
        run(watch, "key expire", &[key, "--in", "90d"]);
        run(watch, "key suspend", &[key]);
        run(watch, "key resume", &[key]);
        run(watch, "key flag", &[key, "--quarantine"]);
        run(watch, "key clear", &[key]);
        run(watch, "audit key", &[key]);
        run(watch, "audit compromise", &[key]);
        run(watch, "audit rights", &[key]);
        run(watch, "audit blast-radius", &[key]);
    }
    run(watch, "policy delete", &["all", "--force", "--yes"]);
    run(watch, "key list", &["--all", "--json"]);
    // The old secret, which is the canary, goes on beside the new one for a while.
    run(watch, "key rotate", &[IMPORTED, "--in-place"]);
    run(watch, "key retire", &[IMPORTED, "--version", "2"]);
    run(watch, "key revoke", &[id]);
    run(watch, "audit log", &["--json"]);
    run(watch, "audit rotation", &["--attribution"]);
    run(watch, "audit who-could", &["--action", "s3:GetObject", "--resource", "arn:aws:s3:::photos/a"]);
    run(watch, "audit diff", &["seq:1"]);
    run(watch, "state", &["--full"]);
    let evidence = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/cloudtrail");
    watch.done("import cloudtrail", &[evidence, "--json"]);
    watch.done("clock accept", &["--yes"]);
    watch.done("vault rekey", &["--yes"]);
    watch.done("verify", &[]);
    let copy = watch.ledger.path("copy");
    watch.done("backup", &[copy.to_str().expect("a path"), "--with-vault-key"]);
    let before = watch.commands.clone();
    // Restoring, repairing and the demo are for other folders.
    let mut other = Watch { ledger: Ledger::none(), forms: watch.forms.clone(), commands: before };
    other.done("restore", &[copy.to_str().expect("a path")]);
    other.done("restore accept", &["--yes"]);
    let witness = other.ledger.dir().join("tail.wit");
    std::fs::write(witness, [0; 8192]).expect("a spoiled witness");
    other.done("repair", &["--accept-tail", "--yes"]);
    other.no_file_holds_it(&other.ledger.dir());
    watch.commands = other.commands;
    watch.commands.insert("demo".to_owned());
    a_server_says_its_root_secret_nowhere(&watch.forms);
    watch.commands.insert("serve".to_owned());

    // The secret that was made here stood in its one answer, and is in no file either.
    let forms = forms(&secret);
    for (path, bytes) in watch.ledger.files() {
        assert!(!holds(&bytes, &forms), "{} holds a secret that was made here", path.display());
    }
}

/// The canary is the root's secret, and stands in a request.
fn a_server_says_its_root_secret_nowhere(forms: &[Vec<u8>]) {
    let ledger = Ledger::none();
    // Not a pipe, which would fill up.
    let spoken = ledger.path("diagnostics");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log", "trace"];
    let mut server = ledger
        .command(&arguments)
        .env("KEYLEDGER_ROOT_ACCESS_KEY_ID", IMPORTED)
        .env("KEYLEDGER_ROOT_SECRET_ACCESS_KEY", CANARY)
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&spoken).expect("a file"))
        .spawn()
        .expect("the server starts");
    let mut said = String::new();
    let mut stdout = std::io::BufReader::new(server.stdout.take().expect("piped"));
    while !said.contains("endpoint") && stdout.read_line(&mut said).expect("it speaks") > 0 {}
    let endpoint = said.lines().find_map(|line| line.strip_prefix("endpoint")).expect("an endpoint").trim().to_owned();
    let address = endpoint.trim_start_matches("http://");
    let mut client = std::net::TcpStream::connect(address).expect("it listens");
    let body = format!("Action=ListUsers&SecretAccessKey={CANARY}");
    let length = body.len();
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\nconnection: close\r\n";
    write!(client, "{head}content-length: {length}\r\n\r\n{body}").expect("it reads");
    client.read_to_string(&mut said).expect("it answers");
    assert!(said.contains("MissingAuthenticationToken"), "{said}");
    let stop = std::process::Command::new("kill").args(["-TERM", &server.id().to_string()]).status();
    assert!(stop.expect("kill runs").success());
    stdout.read_to_string(&mut said).expect("it ends");
    assert!(server.wait().expect("it ends").success());
    let diagnostics = std::fs::read(&spoken).expect("what it said");
    assert!(!diagnostics.is_empty(), "diagnostics are at their loudest");
    assert!(!holds(said.as_bytes(), forms) && !holds(&diagnostics, forms), "{said}");
    for (path, bytes) in ledger.files() {
        assert!(!holds(&bytes, forms), "{} holds the canary", path.display());
    }
}

/// Whether the keystore still opens the canary.
fn stored(ledger: &Ledger) -> Result<bool, VaultError> {
    let dir = ledger.dir();
    let log = LogReader::open(Arc::new(RealIo), &dir).expect("a log");
    let key = VaultKey::read(&RealIo, &VaultKeySource::File(dir.join("vault.key"))).expect("a vault key");
    let mut keystore = KeystoreReader::open(Arc::new(RealIo), &dir.join("keys"), log.meta().ledger_id, Arc::new(key))?;
    let id = AccessKeyId::parse(IMPORTED).expect("an id");
    Ok(keystore.secret(id.uid(World::Live), 1, &id)?.expose_secret() == CANARY)
}

/// Every command that has no commands below it, as the program's own help tells.
fn leaves(above: &[&str]) -> BTreeSet<String> {
    let help = ran(program().args(above).arg("--help").stdin(Stdio::null()).output().expect("the program starts"));
    let commands = help.stdout.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands =
        commands.take_while(|line| !line.is_empty()).filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> =
        commands.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    if names.is_empty() {
        return BTreeSet::from([above.join(" ")]);
    }
    names.into_iter().flat_map(|name| leaves(&[above, &[name]].concat())).collect()
}
