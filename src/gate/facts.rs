//! What a request brings that policies ask for, kept as long as the request lasts.
//!
//! Invariants
//! - The address is the peer's unless a trusted proxy speaks; a trusted proxy that says nothing readable is refused, because its own
//!   address could be one that a policy trusts.
//!
//! Not here: what is answered for which key (`context`).

use super::{Denied, RequestView};
use crate::policy::Cidr;
use crate::sigv4::{query_pairs, query_text};
use compact_str::CompactString;
use std::net::{IpAddr, SocketAddr};

/// Tags of an object (Amazon S3 User Guide, "Categorizing your storage using tags").
const OBJECT_TAGS_MAX: usize = 10;
/// Proxies that a request may have come through.
const PROXIES_MAX: usize = 32;

/// What of a request outlives its bytes.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub source_ip: IpAddr,
    pub tls: Option<CompactString>,
    pub user_agent: Option<CompactString>,
    pub referer: Option<CompactString>,
    /// By name, in small letters.
    pub headers: Vec<(&'static str, CompactString)>,
    pub prefix: Option<CompactString>,
    pub delimiter: Option<CompactString>,
    pub max_keys: Option<i64>,
    /// Of `x-amz-tagging`.
    pub tags: Vec<(String, String)>,
    /// A form's field has tags, in XML.
    pub tags_in_body: bool,
    pub bypasses_governance: bool,
    pub locks_bucket: bool,
    /// CopyObject: the source's tags go along.
    pub copies_tags: bool,
}

impl Facts {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.header(name).is_some()
    }

    pub fn has_grants(&self) -> bool {
        self.headers.iter().any(|(name, _)| name.starts_with("x-amz-grant-"))
    }
}

/// Where a request comes from.
///
/// # Errors
/// [`Denied`] when a trusted proxy gives no address that can be read.
pub(super) fn source_ip(view: &RequestView<'_>, trusted: &[Cidr]) -> Result<IpAddr, Denied> {
    let peer = view.peer.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    if trusted.is_empty() || !is_trusted(peer) {
        return Ok(peer);
    }
    let forwarded = view.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-for"));
    let mut address = peer;
    // The last entry is the one that our own proxy has written; what a client wrote stands before it.
    let entries = forwarded.rev().flat_map(|(_, value)| value.rsplit(|byte| *byte == b','));
    for (count, entry) in entries.enumerate() {
        let read = std::str::from_utf8(entry.trim_ascii()).ok().and_then(read_address);
        address = match read {
            Some(address) if count < PROXIES_MAX => address,
            _ => return Err(Denied::new("InvalidRequest", 400, "X-Forwarded-For has an entry that is no address")),
        };
        if !is_trusted(address) {
            break;
        }
    }
    Ok(address)
}

fn read_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(address.to_canonical())
}

/// Reads `x-amz-tagging`: `key=value&…`, encoded as a query.
///
/// # Errors
/// [`Denied`]: `InvalidArgument`, `BadRequest` for more than 10.
pub(super) fn tags(header: &str) -> Result<Vec<(String, String)>, Denied> {
    let mut tags: Vec<(String, String)> = Vec::new();
    let malformed = || {
        Denied::invalid_argument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name \
             duplicates.",
        )
    };
    for (key, value) in query_pairs(header.as_bytes()) {
        let (Some(key), Some(value)) = (query_text(key), query_text(value)) else { return Err(malformed()) };
        if key.is_empty() || tags.iter().any(|(given, _)| *given == key) {
            return Err(malformed());
        }
        if tags.len() == OBJECT_TAGS_MAX {
            return Err(Denied::new("BadRequest", 400, "Object tags cannot be greater than 10"));
        }
        tags.push((key.into_owned(), value.into_owned()));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, forwarded: &[&str], trusted: &[&str]) -> Option<String> {
        let headers: Vec<(&str, &[u8])> = forwarded.iter().map(|value| ("X-Forwarded-For", value.as_bytes())).collect();
        let trusted: Vec<Cidr> = trusted.iter().map(|range| Cidr::parse(range).unwrap()).collect();
        let view =
            RequestView { method: "GET", target: b"/", headers: &headers, peer: peer.parse().unwrap(), tls: None };
        source_ip(&view, &trusted).ok().map(|address| address.to_string())
    }

    #[test]
    fn an_address_is_the_peers_unless_a_trusted_proxy_speaks() {
        let is = |found: Option<String>, expected: &str| assert_eq!(found.as_deref(), Some(expected));
        is(from("192.0.2.1", &["10.0.0.1"], &[]), "192.0.2.1");
        is(from("192.0.2.1", &["10.0.0.1"], &["10.0.0.0/8"]), "192.0.2.1");
        is(from("10.0.0.9", &["192.0.2.1"], &["10.0.0.0/8"]), "192.0.2.1");
        is(from("10.0.0.9", &["10.0.0.1, 192.0.2.1, 10.0.0.7"], &["10.0.0.0/8"]), "192.0.2.1");
        is(from("10.0.0.9", &["10.1.1.1", "192.0.2.1:443"], &["10.0.0.0/8"]), "192.0.2.1");
        is(from("::ffff:10.0.0.9", &["[2001:db8::1]:443"], &["10.0.0.0/8"]), "2001:db8::1");
        is(from("10.0.0.9", &[], &["10.0.0.0/8"]), "10.0.0.9");
        for unreadable in ["", "unknown", "192.0.2.1, _hidden", "192.0.2"] {
            assert_eq!(from("10.0.0.9", &[unreadable], &["10.0.0.0/8"]), None, "{unreadable}");
        }
    }

    #[test]
    fn tags_are_encoded_and_each_there_once() {
        assert_eq!(
            tags("team=red+blue&a%26b=").unwrap(),
            [("team".into(), "red blue".into()), ("a&b".into(), String::new())]
        );
        assert!(tags("").unwrap().is_empty());
        assert!(tags("a=1&a=2").is_err() && tags("=1").is_err() && tags("a=%ff").is_err());
        let eleven: Vec<String> = (0..11).map(|n| format!("k{n}=v")).collect();
        assert_eq!(tags(&eleven.join("&")).unwrap_err().code(), "BadRequest");
    }
}
