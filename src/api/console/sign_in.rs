//! Signing in and out.
//!
//! Invariants
//! - Whatever is wrong (id, secret, status, role) gets one answer, and none before [`FLOOR`] has passed.
//! - The secret is compared and wiped; it is in no page, log line or event. What was typed as an id is repeated nowhere: people mix
//!   the two up.
//!
//! Not here: the comparison (`gate::secret`), limits (`attempts`).

use super::form::Form;
use super::refused::Refused;
use super::session::{self, COOKIE, LIFETIME_NS, Session};
use super::visitor::{self, Role};
use super::{Call, guard, page};
use crate::api::incoming::set_header;
use crate::api::{Api, Incoming, Reply};
use crate::gate::ServiceDenied;
use crate::ledger::Command;
use crate::model::{AccessKeyId, Caller};
use crate::vault::SecretKey;
use compact_str::ToCompactString as _;
use hyper::header::{HeaderValue, SET_COOKIE};
use maud::{Markup, html};
use std::net::IpAddr;
use std::time::Duration;

/// No sign-in is answered sooner: what is looked up for it takes a different time for keys that are there.
const FLOOR: Duration = Duration::from_millis(100);
/// Remembers which browser a sign-in form was given to.
const VISIT: &str = "keyledger_visit";

const WRONG: &str =
    "That id and secret do not sign in here. They need to be those of the root key, or of a user's own key.";

/// The form.
pub fn page(api: &Api, incoming: &Incoming) -> Reply {
    shown(api, incoming, 200, None)
}

fn shown(api: &Api, incoming: &Incoming, status: u16, wrong: Option<&str>) -> Reply {
    let own = session::cookie(incoming, VISIT).filter(|visit| visit.len() == 43).map(str::to_owned);
    let visit = own.unwrap_or_else(|| api.console.sessions.random());
    let token = api.console.sessions.visit_token(&visit);
    let mut reply = page::framed(status, "Sign in", &form(&token, wrong));
    set_cookie(&mut reply, api, incoming, VISIT, &visit);
    reply
}

fn form(token: &str, wrong: Option<&str>) -> Markup {
    html! {
        main.sign-in id="main" {
            div.brand { (page::mark()) span { "keyledger" } }
            h1 { "Sign in" }
            p.quiet { "With the id and secret of the root key, or of an Admin’s or Member’s own key." }
            @if let Some(wrong) = wrong {
                div.banner.bad role="alert" { p { (wrong) } }
            }
            form method="post" action="/console/sign-in" autocomplete="on" {
                input type="hidden" name="csrf" value=(token);
                label for="id" { "Access key id" }
                input id="id" name="id" type="text" required maxlength="128" autocomplete="username" spellcheck="false"
                    autocapitalize="off" placeholder="NQAK…" autofocus;
                label for="secret" { "Secret access key" }
                input id="secret" name="secret" type="password" required maxlength="128" autocomplete="current-password";
                button.primary.wide type="submit" { "Sign in" }
            }
            p.quiet.small { "The secret is compared and not kept. A session ends 30 minutes after you stop using it." }
        }
    }
}

/// Somebody signs in.
///
/// # Errors
/// 400, 403 for a form that is not ours, 429, 503.
pub async fn post(api: &Api, incoming: &Incoming) -> Result<Reply, Refused> {
    let floor = tokio::time::sleep(FLOOR);
    let form = Form::parse(&incoming.body)?;
    let visit = session::cookie(incoming, VISIT).unwrap_or_default();
    guard::is_token(&api.console.sessions.visit_token(visit), &form)?;
    let headers = incoming.header_pairs();
    let source_ip = api.gate.source_ip(&incoming.view(&headers));
    let source_ip = source_ip.map_err(|_| Refused::input("The proxy gives no address that can be read."))?;
    let id = form.text("id");
    let now = api.now();
    if let Some(seconds) = api.console.attempts.must_wait_s(source_ip, id, now) {
        return Err(Refused::too_often(seconds));
    }
    let signed_in = proven(api, incoming, &form, source_ip).await;
    let reply = match signed_in {
        Ok(Some(cookie)) => {
            let mut reply = page::go("/console/keys");
            set_cookie(&mut reply, api, incoming, COOKIE, &cookie);
            Ok(reply)
        }
        Ok(None) => {
            let is_event = api.console.attempts.failed(source_ip, id, now);
            refused(api, incoming, id, source_ip, is_event).await;
            Ok(shown(api, incoming, 403, Some(WRONG)))
        }
        Err(refused) => Err(refused),
    };
    floor.await;
    reply
}

/// The cookie of a new session; `None` for whoever does not sign in.
async fn proven(api: &Api, incoming: &Incoming, form: &Form, source_ip: IpAddr) -> Result<Option<String>, Refused> {
    let Ok(secret) = SecretKey::import(form.text("secret")) else { return Ok(None) };
    let proof = {
        let headers = incoming.header_pairs();
        let view = incoming.view(&headers);
        api.gate.prove_secret(&view, form.text("id"), &secret, api.now())
    };
    drop(secret);
    let proof = match proof {
        Ok(proof) => proof,
        Err(ServiceDenied::Unavailable) => {
            return Err(Refused::unavailable("The key’s secret cannot be read now; try again in a moment."));
        }
        Err(_) => return Ok(None),
    };
    let state = api.ledger.state();
    let now = api.now().max(state.recorded_at());
    let key = state.key(proof.access_key_id.as_str());
    let Some(role) = key.as_ref().and_then(|key| Role::of(&state, key, source_ip, now)) else { return Ok(None) };
    let cookie = api.console.sessions.random();
    let session_hash = session::hash_of(&cookie);
    let key = proof.access_key_id;
    let command = Command::OpenSession { key: key.clone(), session_hash, lifetime_ns: LIFETIME_NS };
    let opened = api.ledger.execute(&visitor::caller(incoming, &key, source_ip), command, None).await;
    match opened.map_err(Refused::from) {
        Ok(_) => {}
        // What died just now is answered as what was dead before.
        Err(refused) if refused.status() < 500 => return Ok(None),
        Err(refused) => return Err(refused),
    }
    // The session that this browser had before ends: another one takes its cookie's place.
    if let Some(before) = session::cookie(incoming, COOKIE).map(session::hash_of)
        && let Some(session) = api.console.sessions.close(&before)
    {
        visitor::close(api, session.key, before, "signed in anew").await;
    }
    let session = Session { key, secret_version: proof.secret_version, role, opened_at: now, seen_at: now };
    for (hash, gone) in api.console.sessions.open(session_hash, session) {
        visitor::close(api, gone.key, hash, "too many sessions").await;
    }
    Ok(Some(cookie))
}

/// Tells the log, within bounds.
async fn refused(api: &Api, incoming: &Incoming, id: &str, source_ip: IpAddr, is_event: bool) {
    tracing::info!(%source_ip, "a sign-in was refused");
    if !is_event {
        return;
    }
    let mut caller = Caller::system("console");
    let asked = incoming.caller(caller.principal.clone(), crate::model::Dialect::Console, source_ip);
    (caller.dialect, caller.request_id, caller.source_ip, caller.user_agent) =
        (asked.dialect, asked.request_id, asked.source_ip, asked.user_agent);
    let known = api.ledger.state().with_key(id, |key| key.id());
    let key: Option<AccessKeyId> = known;
    let command = Command::RefuseSignIn { key, source_ip: source_ip.to_compact_string() };
    if let Err(error) = api.ledger.execute(&caller, command, None).await {
        tracing::warn!(%error, "a refused sign-in could not be written");
    }
}

/// Somebody signs out.
pub async fn out(call: &Call<'_>) -> Result<Reply, Refused> {
    call.api.console.sessions.close(&call.visitor.hash);
    visitor::close(call.api, call.visitor.key.id.clone(), call.visitor.hash, "signed out").await;
    let mut reply = page::go("/console/sign-in");
    let gone = format!("{COOKIE}=; Path=/console; Max-Age=0; HttpOnly; SameSite=Strict");
    add_cookie(&mut reply, &gone);
    set_header(&mut reply, "clear-site-data", "\"cache\"");
    Ok(reply)
}

/// Gives the browser a cookie for as long as it runs.
fn set_cookie(reply: &mut Reply, api: &Api, incoming: &Incoming, name: &str, value: &str) {
    let is_secure = is_secure(incoming, api.options.public_url.as_deref());
    let secure = if is_secure { "; Secure" } else { "" };
    add_cookie(reply, &format!("{name}={value}; Path=/console; HttpOnly; SameSite=Strict{secure}"));
}

/// Whether the browser speaks TLS: to us, or to the proxy before us.
fn is_secure(incoming: &Incoming, public_url: Option<&str>) -> bool {
    let by_proxy = public_url.and_then(|url| url.strip_prefix("https://"));
    incoming.tls.is_some() || (by_proxy.is_some() && by_proxy == incoming.header("host"))
}

fn add_cookie(reply: &mut Reply, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        reply.headers_mut().append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::guard::tests::incoming;
    use super::*;

    #[test]
    fn a_cookie_is_secure_where_the_browser_speaks_tls() {
        let host = [("host", "keys.example.com")];
        let public = Some("https://keys.example.com");
        assert!(is_secure(&incoming("192.0.2.7", Some("1.3"), &host), None));
        assert!(is_secure(&incoming("127.0.0.1", None, &host), public), "a proxy stands before us");
        assert!(
            !is_secure(&incoming("127.0.0.1", None, &[("host", "127.0.0.1:9400")]), public),
            "asked beside the proxy"
        );
        assert!(!is_secure(&incoming("127.0.0.1", None, &host), Some("http://keys.example.com")));
        assert!(!is_secure(&incoming("127.0.0.1", None, &[]), None));
    }
}
