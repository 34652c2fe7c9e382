//! A request as dialects get it, and what they give back: no framework's types beyond `http`'s own.
//!
//! Not here: reading it from a connection (`server`), whose it is (`route`).

use crate::gate::RequestView;
use crate::model::text::is_deceptive;
use crate::model::{Caller, Dialect, Principal};
use bytes::Bytes;
use compact_str::{CompactString, ToCompactString as _};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

/// Characters of a user agent that go into an event.
const AGENT_CHARS_MAX: usize = 256;

/// A reply; its body may be a stream.
pub type Reply = Response<BoxBody<Bytes, Infallible>>;

/// A whole request.
#[derive(Debug)]
pub struct Incoming {
    pub method: Method,
    /// Path and query as sent, still percent-encoded.
    pub target: String,
    /// As they arrived; `:authority` of HTTP/2 stands here as `host`.
    pub headers: HeaderMap,
    pub body: Bytes,
    pub peer: SocketAddr,
    /// On the reply, in the events and in diagnostics.
    pub request_id: CompactString,
    /// The version of TLS, as policies write it (`1.2`, `1.3`); `None` without TLS.
    pub tls: Option<&'static str>,
    /// What became of it, for diagnostics and metrics: the operation, once a dialect knows it.
    pub operation: OnceLock<CompactString>,
}

impl Incoming {
    /// The path as sent, without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The query as sent, without its `?`.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The first header of that name, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Names and values, as the verifier takes them.
    pub fn header_pairs(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
    }

    /// The request as the gate takes it; `headers` are [`Incoming::header_pairs`].
    pub fn view<'a>(&'a self, headers: &'a [(&'a str, &'a [u8])]) -> RequestView<'a> {
        RequestView {
            method: self.method.as_str(),
            target: self.target.as_bytes(),
            headers,
            peer: self.peer.ip(),
            tls: self.tls,
        }
    }

    /// Whoever was proved to have sent it, with what an event remembers of the request: its id, its address, its agent.
    pub fn caller(&self, principal: Principal, dialect: Dialect, source_ip: IpAddr) -> Caller {
        let mut caller = Caller::new(principal, dialect);
        caller.request_id = Some(self.request_id.clone());
        caller.source_ip = Some(source_ip.to_compact_string());
        let agent = self.headers.get("user-agent").map(HeaderValue::as_bytes).unwrap_or_default();
        let agent = String::from_utf8_lossy(agent);
        let agent = agent.chars().filter(|c| !is_deceptive(*c)).take(AGENT_CHARS_MAX);
        caller.user_agent = Some(agent.collect()).filter(|agent: &CompactString| !agent.is_empty());
        caller
    }

    pub fn body_sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.body).into()
    }

    /// Says which operation this is, for diagnostics. A name of the dialect's own, never the client's text.
    pub fn is_about(&self, operation: &'static str) {
        let _ = self.operation.set(CompactString::const_new(operation));
    }
}

/// What the server refuses before a dialect is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The body is longer than is taken.
    TooLarge,
    /// The body did not come in time.
    TooSlow,
    /// The body broke off.
    Broken,
    /// As much is under way as may be: try again in a moment.
    Busy,
    /// A dialect failed inside.
    Failed,
}

impl Fault {
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Fault::TooLarge => 413,
            Fault::TooSlow => 408,
            Fault::Broken => 400,
            Fault::Busy => 503,
            Fault::Failed => 500,
        }
    }

    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Fault::TooLarge => "The request's body is larger than is taken.",
            Fault::TooSlow => "The request's body did not arrive in time.",
            Fault::Broken => "The request's body could not be read.",
            Fault::Busy => "The server is busy; try again in a moment.",
            Fault::Failed => "The request could not be answered because of a failure inside.",
        }
    }
}

/// A reply with a whole body. A status that is none is a 500.
#[must_use]
pub fn reply(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()).boxed());
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !content_type.is_empty() {
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    reply
}

/// Adds a header; a value that cannot stand in one is left out.
pub fn set_header(reply: &mut Reply, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
