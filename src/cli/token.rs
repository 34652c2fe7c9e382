//! `token`: API tokens, for clients that cannot sign; each stands for one access key and dies with it.
//!
//! The ledger keeps only a hash of a token. One that shall be closed comes by standard input, never by the command line.
//!
//! Not here: which requests a token is taken for (`api`).

use super::args::span;
use super::key::OnceShown;
use super::remote::Remote;
use super::{Context, Done, Exit, Failure, Wrote};
use crate::api::{draw_token, token_hash};
use crate::ledger::Command as Order;
use crate::model::AccessKeyId;
use crate::vault::SecretKey;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token; it is shown this once
    #[command(after_help = "Example:  keyledger token create --key NQAK7Q2M4T8XW1PC5DRE --ttl 1h")]
    Create(Create),
    /// Close a token, read from standard input: it is refused from now on
    #[command(visible_alias = "revoke")]
    Close,
}

#[derive(Debug, Args)]
pub struct Create {
    /// The access key it stands for
    #[arg(long, value_name = "ID")]
    key: String,
    /// How long it lives, at most 30d and no longer than its key
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "1h")]
    ttl: i64,
}

#[derive(Serialize)]
struct Made<'a> {
    access_key_id: &'a str,
    token: OnceShown<'a>,
    expires_at: String,
    seq: Option<u64>,
}

#[derive(Serialize)]
struct Closed<'a> {
    access_key_id: &'a str,
    changed: bool,
    seq: Option<u64>,
}

impl Token {
    pub fn run(self, cx: &mut Context) -> Done {
        match self {
            Token::Create(create) => create.run(cx),
            Token::Close => close(cx),
        }
    }
}

impl Create {
    fn run(self, cx: &mut Context) -> Done {
        let key = AccessKeyId::parse(&self.key)?;
        if let Some(endpoint) = cx.endpoint() {
            return self.run_there(cx, &key, &endpoint);
        }
        let token = draw_token().map_err(|error| Failure::of(Exit::Usage, &error))?;
        let token_hash = token_hash(token.expose_secret());
        let writing = cx.writing()?;
        let order = Order::OpenToken { key: key.clone(), token_hash, lifetime_ns: self.ttl };
        let wrote = writing.execute(order)?;
        let expires_at = writing.state().api_token(&token_hash).map(|token| token.expires_at.to_string());
        say(cx, &key, &token, expires_at.unwrap_or_default(), wrote.seq())
    }

    /// The same by a server, which draws the token itself.
    fn run_there(self, cx: &mut Context, key: &AccessKeyId, endpoint: &str) -> Done {
        let body = json!({ "access_key_id": key.as_str(), "lifetime_seconds": self.ttl / 1_000_000_000 });
        let mut wrote = Remote::open(cx, endpoint)?.send("POST", "/tokens", Some(body))?;
        let Opened { expires_at } = wrote.told()?;
        let Some(token) = wrote.take_secret() else {
            return Err(Failure::new(Exit::Indeterminate, "a token was made and its answer lost; nobody has it"));
        };
        say(cx, key, &token, expires_at.unwrap_or_default(), wrote.seq())
    }
}

#[derive(Deserialize)]
struct Opened {
    expires_at: Option<String>,
}

fn say(cx: &mut Context, key: &AccessKeyId, token: &SecretKey, expires_at: String, seq: Option<u64>) -> Done {
    if cx.out.json {
        let (access_key_id, token) = (key.as_str(), OnceShown(token));
        cx.out.json_once(&Made { access_key_id, token, expires_at, seq })?;
        return Ok(Exit::Done);
    }
    cx.out.line(format!("for access key  {key}"))?;
    cx.out.line(format!("expires         {expires_at}"))?;
    cx.out.secret_line("token           ", token.expose_secret())?;
    cx.note("the token is shown this once; whoever has it may do what the key may");
    Ok(Exit::Done)
}

fn close(cx: &mut Context) -> Done {
    let text = Zeroizing::new(super::input::text_of(cx.io.as_ref(), "-", 4 << 10)?);
    if let Some(endpoint) = cx.endpoint() {
        let body = json!({ "token": text.trim() });
        let wrote = Remote::open(cx, &endpoint)?.send("POST", "/tokens/close", Some(body))?;
        let Closing { access_key_id } = wrote.told()?;
        return say_closed(cx, &access_key_id, &wrote);
    }
    let token_hash = token_hash(text.trim());
    let writing = cx.writing()?;
    let state = writing.state();
    let key = state.api_token(&token_hash).and_then(|token| state.key_by_uid(token.key));
    let Some(key) = key.map(|key| key.id) else { return Err(Failure::nothing("there is no such token that is open")) };
    let wrote = writing.execute(Order::CloseToken { key: key.clone(), token_hash })?;
    say_closed(cx, key.as_str(), &wrote)
}

#[derive(Deserialize)]
struct Closing {
    access_key_id: String,
}

fn say_closed(cx: &mut Context, access_key_id: &str, wrote: &Wrote) -> Done {
    if cx.out.json {
        cx.out.json(&Closed { access_key_id, changed: wrote.changed(), seq: wrote.seq() })?;
    } else {
        cx.out.line(format!("a token of {access_key_id} is closed"))?;
    }
    Ok(Exit::Done)
}
