//! Who may send a form, and from where: against requests that another site makes a browser send.
//!
//! Not here: who is signed in (`visitor`).

use super::form::Form;
use super::refused::Refused;
use super::visitor::Visitor;
use crate::api::Incoming;
use subtle::ConstantTimeEq as _;

/// Without TLS the console is for this machine alone.
///
/// # Errors
/// 403.
pub fn is_near(incoming: &Incoming) -> Result<(), Refused> {
    let peer = incoming.peer.ip().to_canonical();
    if incoming.tls.is_some() || peer.is_loopback() {
        return Ok(());
    }
    Err(Refused::forbidden(
        "Over plain HTTP the console is answered on the server's own machine alone. Serve it over TLS.",
    ))
}

/// A form comes from a page of the console's own origin. Browsers say so in `Sec-Fetch-Site`; where they do not, `Origin` names the
/// host that was asked. (Under our referrer policy `Origin` of a form is `null`, which says nothing.)
///
/// # Errors
/// 403.
pub fn is_own_origin(incoming: &Incoming) -> Result<(), Refused> {
    let foreign = || Refused::forbidden("This form did not come from the console's own pages.");
    let says = |name| incoming.headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let origin = says("origin");
    let is_host = |origin: &str| {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        host.is_some() && host == incoming.header("host")
    };
    match (says("sec-fetch-site"), origin) {
        (Some("same-origin"), None | Some("null")) | (None, None) => Ok(()),
        (Some("same-origin") | None, Some(origin)) if is_host(origin) => Ok(()),
        _ => Err(foreign()),
    }
}

/// The form carries the session's token: whoever made it has read a page of this session.
///
/// # Errors
/// 403.
pub fn is_meant(visitor: &Visitor, form: &Form) -> Result<(), Refused> {
    is_token(visitor.form_token(), form)
}

/// # Errors
/// 403 unless the form carries this token.
pub fn is_token(token: &str, form: &Form) -> Result<(), Refused> {
    if bool::from(form.text("csrf").as_bytes().ct_eq(token.as_bytes())) {
        return Ok(());
    }
    Err(Refused::forbidden(
        "This form is from an earlier session. Go back, load the page again, and send it once more.",
    ))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use hyper::header::{HeaderMap, HeaderName, HeaderValue};
    use std::net::SocketAddr;

    pub fn incoming(peer: &str, tls: Option<&'static str>, headers: &[(&'static str, &str)]) -> Incoming {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        Incoming {
            method: hyper::Method::POST,
            target: "/console".to_owned(),
            headers: map,
            body: bytes::Bytes::new(),
            peer: SocketAddr::new(peer.parse().unwrap(), 1),
            request_id: "r".into(),
            tls,
            operation: std::sync::OnceLock::new(),
        }
    }

    #[test]
    fn without_tls_the_console_is_for_its_own_machine() {
        for (peer, tls, is_answered) in [
            ("127.0.0.1", None, true),
            ("::1", None, true),
            ("::ffff:127.0.0.1", None, true),
            ("192.0.2.7", None, false),
            ("::ffff:192.0.2.7", None, false),
            ("192.0.2.7", Some("1.3"), true),
        ] {
            assert_eq!(is_near(&incoming(peer, tls, &[])).is_ok(), is_answered, "{peer}");
        }
    }

    #[test]
    fn a_form_is_from_the_host_that_is_asked() {
        let host = ("host", "keys.example.com:9400");
        for (headers, is_own) in [
            (vec![], true),
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "same-origin"), ("origin", "null")], true),
            (vec![("sec-fetch-site", "same-origin"), ("origin", "https://keys.example.com:9400")], true),
            (vec![("origin", "http://keys.example.com:9400")], true),
            (vec![("origin", "null")], false),
            (vec![("origin", "https://keys.example.com")], false),
            (vec![("origin", "https://keys.example.com:9400.evil.example")], false),
            (vec![("origin", "ftp://keys.example.com:9400")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("sec-fetch-site", "same-site"), ("origin", "https://keys.example.com:9400")], false),
        ] {
            let headers = [vec![host], headers].concat();
            assert_eq!(is_own_origin(&incoming("127.0.0.1", None, &headers)).is_ok(), is_own, "{headers:?}");
        }
    }
}
