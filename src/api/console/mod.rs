//! The console: pages for people, drawn whole by the server.
//!
//! ```text
//!   Incoming ──loopback or TLS?──▶ asset │ sign-in │ session ▶ Visitor ──▶ a page, or a form's command ──▶ Reply
//! ```
//!
//! A person signs in with the id and secret of a key; from then on a cookie stands for that key until the session ends. What a form asks
//! for goes to the ledger as a command of that key, by the surface `console`; what a page shows comes from the published state and,
//! of the past, from the log cut to the key's org.
//!
//! Invariants
//! - Text is escaped by the templates (`maud`), everywhere; nothing here marks text of others as markup.
//! - Pages work without JavaScript. No style and no script stands in a page: the policy sent with each forbids both.
//! - A form changes something only with the session's token in it and from the console's own origin.
//! - What belongs to another org is answered as what nobody has.
//!
//! Not here: rules and rights (`ledger::decide`, `state::access`).

mod asset;
mod attempts;
mod audit;
mod change;
mod create;
mod draft;
mod evidence;
mod form;
mod guard;
mod health;
mod investigation;
mod key;
mod keys;
mod once;
mod page;
mod past;
mod picture;
mod policies;
mod policy;
mod refused;
mod rotation;
mod session;
mod show;
mod sign_in;
mod simulate;
mod tree;
mod usage;
mod visitor;

use super::{Api, Fault, Incoming, Reply};
use form::Form;
use refused::Refused;
use std::sync::OnceLock;
use visitor::Visitor;

/// What the console keeps in memory: who is signed in, and who tried.
#[derive(Debug, Default)]
pub struct Kept {
    sessions: session::Sessions,
    attempts: attempts::Attempts,
    s3_endpoint: OnceLock<String>,
}

impl Kept {
    /// Says where the storage is, for the snippets beside a new key; by default where the console is. Counts once.
    pub fn s3_is_at(&self, endpoint: &str) {
        let _ = self.s3_endpoint.set(endpoint.to_owned());
    }
}

/// One call of somebody who is signed in.
struct Call<'a> {
    api: &'a Api,
    incoming: &'a Incoming,
    visitor: Visitor,
    /// The query's parameters.
    query: Form,
}

/// Answers one request.
pub async fn answer(api: &Api, incoming: &Incoming) -> Reply {
    match answered(api, incoming).await {
        Ok(reply) => reply,
        Err(refused) => refused.reply(None),
    }
}

/// What the server refuses.
pub fn fault(fault: Fault) -> Reply {
    page::bare(fault.status(), "Not answered", fault.message())
}

async fn answered(api: &Api, incoming: &Incoming) -> Result<Reply, Refused> {
    let path = incoming.path().strip_prefix("/console").unwrap_or_default().trim_end_matches('/');
    if let Some(reply) = asset::answer(incoming, path) {
        return Ok(reply);
    }
    guard::is_near(incoming)?;
    let is_post = incoming.method == "POST";
    if !is_post && incoming.method != "GET" && incoming.method != "HEAD" {
        return Err(Refused::method());
    }
    if is_post {
        guard::is_own_origin(incoming)?;
    }
    if path == "/sign-in" {
        incoming.is_about("SignIn");
        return if is_post { sign_in::post(api, incoming).await } else { Ok(sign_in::page(api, incoming)) };
    }
    let Some(visitor) = Visitor::of(api, incoming).await else { return Ok(page::go("/console/sign-in")) };
    let query = Form::parse(incoming.query().as_bytes())?;
    let call = Call { api, incoming, visitor, query };
    let (done, is_write) = if is_post {
        let form = Form::parse(&incoming.body)?;
        guard::is_meant(&call.visitor, &form)?;
        (post(&call, path, &form).await, true)
    } else {
        (get(&call, path), false)
    };
    let (reply, outcome) = match done {
        Ok(reply) => (reply, "ok"),
        Err(refused) => (refused.reply(Some(&call.visitor)), refused.code()),
    };
    call.visitor.used(api, incoming, is_write, outcome);
    Ok(reply)
}

/// The pages. `path` is below `/console`.
fn get(call: &Call<'_>, path: &str) -> Result<Reply, Refused> {
    let incoming = call.incoming;
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        [] => Ok(page::go("/console/keys")),
        ["keys"] => {
            incoming.is_about("ListKeys");
            keys::page(call)
        }
        ["keys", "new"] => {
            incoming.is_about("NewKey");
            create::page(call)
        }
        ["keys", id] => {
            incoming.is_about("ShowKey");
            key::page(call, id)
        }
        ["keys", id, "investigation"] => {
            incoming.is_about("Investigate");
            investigation::page(call, id)
        }
        ["usage"] => {
            incoming.is_about("ShowUsage");
            usage::page(call)
        }
        ["policies"] => {
            incoming.is_about("ListPolicies");
            policies::page(call)
        }
        ["policies", "new"] => {
            incoming.is_about("NewPolicy");
            policy::new(call)
        }
        ["policies", name] => {
            incoming.is_about("ShowPolicy");
            policy::page(call, name)
        }
        ["simulate"] => {
            incoming.is_about("Simulate");
            simulate::page(call)
        }
        ["audit"] => {
            incoming.is_about("SearchAudit");
            audit::page(call)
        }
        ["rotation"] => {
            incoming.is_about("AuditRotation");
            rotation::page(call)
        }
        ["health"] => {
            incoming.is_about("ShowHealth");
            health::page(call)
        }
        _ => Err(Refused::missing()),
    }
}

/// The forms.
async fn post(call: &Call<'_>, path: &str, form: &Form) -> Result<Reply, Refused> {
    let incoming = call.incoming;
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        ["sign-out"] => {
            incoming.is_about("SignOut");
            sign_in::out(call).await
        }
        ["keys", "new"] => {
            incoming.is_about("CreateKey");
            create::post(call, form).await
        }
        ["health", "verify"] => {
            incoming.is_about("Verify");
            health::verify(call)
        }
        ["keys", id, act] => {
            incoming.is_about("ChangeKey");
            change::post(call, id, act, form).await
        }
        ["policies", "new"] => {
            incoming.is_about("CreatePolicy");
            policy::create(call, form).await
        }
        ["policies", name, act] => {
            incoming.is_about("ChangePolicy");
            policy::change(call, name, act, form).await
        }
        _ => Err(Refused::missing()),
    }
}
