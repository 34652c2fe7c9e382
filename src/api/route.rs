//! Which dialect owns a request: decided by its head alone, before the body is read (`product.md` §10).
//!
//! | head | dialect |
//! |---|---|
//! | `X-Amz-Target: Lightsail_…` | Lightsail |
//! | `X-Amz-Target: …CloudTrail_…` | CloudTrail |
//! | any other `X-Amz-Target` | nobody, told in JSON 1.1 |
//! | `/v1/providers/…` | Partner |
//! | `/api/v1/…` | native |
//! | `/console…` | console |
//! | `/healthz`, `/readyz` | the server itself |
//! | `/` with `Accept: application/json`, scope `auto/s3` or `…/iam`, or a token and no signature | Tigris IAM |
//! | any other request to `/` | AWS IAM |
//!
//! Not here: what the dialects do.

use super::dialect::{aws_iam, cloudtrail, json_rpc, lightsail, missing, partner, tigris_iam};
use super::health::Writer;
use super::{Api, Fault, Incoming, Reply, console, native, reply};
use crate::sigv4::{Request, scope_of};
use hyper::header::HeaderMap;

/// Whose a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    AwsIam,
    Lightsail,
    CloudTrail,
    Partner,
    TigrisIam,
    Native,
    Console,
    /// `/healthz` and `/readyz`.
    Health,
    /// A service of JSON 1.1 that nobody has.
    NoService,
    /// A path that nobody has.
    Nobody,
}

impl Owner {
    pub const ALL: [Owner; 10] = [
        Owner::AwsIam,
        Owner::Lightsail,
        Owner::CloudTrail,
        Owner::Partner,
        Owner::TigrisIam,
        Owner::Native,
        Owner::Console,
        Owner::Health,
        Owner::NoService,
        Owner::Nobody,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Owner::AwsIam => "aws-iam",
            Owner::Lightsail => "lightsail",
            Owner::CloudTrail => "cloudtrail",
            Owner::Partner => "partner",
            Owner::TigrisIam => "tigris-iam",
            Owner::Native => "native",
            Owner::Console => "console",
            Owner::Health => "health",
            Owner::NoService => "no-service",
            Owner::Nobody => "nobody",
        }
    }
}

/// Whose the request with this head is.
#[must_use]
pub fn owner_of(method: &str, target: &str, headers: &HeaderMap) -> Owner {
    let path = target.split('?').next().unwrap_or_default();
    let is_below =
        |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(amz) = header("x-amz-target") {
        return match amz.rsplit_once('.').map_or(amz, |(service, _)| service) {
            service if service.starts_with("Lightsail_") => Owner::Lightsail,
            service if service.contains("CloudTrail_") => Owner::CloudTrail,
            _ => Owner::NoService,
        };
    }
    match path {
        "/healthz" | "/readyz" => return Owner::Health,
        _ if is_below("/v1/providers") => return Owner::Partner,
        _ if is_below("/api/v1") => return Owner::Native,
        _ if is_below("/console") => return Owner::Console,
        "" | "/" => {}
        _ => return Owner::Nobody,
    }
    let wants_json = header("accept").is_some_and(|accept| {
        accept.split(',').any(|part| part.split(';').next().is_some_and(|kind| kind.trim() == "application/json"))
    });
    if !wants_json {
        return Owner::AwsIam;
    }
    let pairs: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = Request { method, target: target.as_bytes(), headers: &pairs };
    match scope_of(&request) {
        Some((region, service)) if (region == "auto" && service == "s3") || service == "iam" => Owner::TigrisIam,
        None if headers.contains_key("x-amz-security-token") => Owner::TigrisIam,
        _ => Owner::AwsIam,
    }
}

/// Hands a request to its dialect.
pub async fn answer(api: &Api, owner: Owner, incoming: &Incoming) -> Reply {
    match owner {
        Owner::AwsIam => aws_iam::answer(api, incoming).await,
        Owner::Lightsail => lightsail::answer(api, incoming).await,
        Owner::Health => health(api, incoming),
        Owner::CloudTrail => cloudtrail::answer(api, incoming),
        Owner::TigrisIam => tigris_iam::answer(api, incoming).await,
        Owner::Partner => partner::answer(api, incoming).await,
        Owner::Native => native::answer(api, incoming).await,
        Owner::Console => console::answer(api, incoming).await,
        Owner::NoService => json_rpc::RpcError::unknown_service().reply(),
        Owner::Nobody => missing::page(incoming),
    }
}

/// What the server refuses, in the words of the dialect whose request it is.
#[must_use]
pub fn fault(owner: Owner, fault: Fault, request_id: &str) -> Reply {
    match owner {
        Owner::AwsIam => aws_iam::fault(fault, request_id),
        Owner::Lightsail => lightsail::fault(fault),
        Owner::CloudTrail => cloudtrail::fault(fault),
        Owner::TigrisIam => tigris_iam::fault(fault),
        Owner::Partner => partner::fault(fault),
        Owner::Native => native::fault(fault),
        Owner::Console => console::fault(fault),
        Owner::NoService => json_rpc::RpcError::of_fault(fault, "InternalFailure").reply(),
        Owner::Health | Owner::Nobody => missing::text_fault(fault),
    }
}

/// Alive: the process answers. Ready: what is sent in would be written.
fn health(api: &Api, incoming: &Incoming) -> Reply {
    if incoming.method != "GET" && incoming.method != "HEAD" {
        return reply(405, "text/plain; charset=utf-8", "method not allowed\n");
    }
    let trouble = Writer::of(&api.ledger).trouble().filter(|_| incoming.path() == "/readyz");
    match trouble {
        Some(trouble) => reply(503, "text/plain; charset=utf-8", format!("{trouble}\n")),
        None => reply(200, "text/plain; charset=utf-8", "ok\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    fn owner(target: &str, headers: &[(&'static str, &str)]) -> Owner {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        owner_of("POST", target, &map)
    }

    fn signed_for(scope: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=NQAKXXXXXXXXXXXXXXXX/20261126/{scope}/aws4_request, SignedHeaders=host, Signature=ab"
        )
    }

    #[test]
    fn a_head_alone_says_whose_a_request_is() {
        assert_eq!(owner("/", &[]), Owner::AwsIam);
        assert_eq!(owner("/?Action=ListUsers", &[("accept", "*/*")]), Owner::AwsIam);
        assert_eq!(owner("/", &[("x-amz-target", "Lightsail_20161128.GetBuckets")]), Owner::Lightsail);
        let cloudtrail = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
        assert_eq!(owner("/", &[("x-amz-target", cloudtrail)]), Owner::CloudTrail);
        for target in ["DynamoDB_20120810.GetItem", "GetBuckets", "", "."] {
            assert_eq!(owner("/", &[("x-amz-target", target)]), Owner::NoService, "{target}");
        }
        assert_eq!(owner("/v1/providers/acme/orgs", &[]), Owner::Partner);
        assert_eq!(owner("/v1/providersx", &[]), Owner::Nobody);
        assert_eq!(owner("/api/v1/keys", &[]), Owner::Native);
        assert_eq!(owner("/console", &[]), Owner::Console);
        assert_eq!(owner("/readyz?verbose", &[]), Owner::Health);
        assert_eq!(owner("/favicon.ico", &[]), Owner::Nobody);
    }

    #[test]
    fn json_is_tigris_only_with_a_scope_of_its_own_or_a_token_alone() {
        let json = ("accept", "application/json");
        let (auto, iam, s3) = (signed_for("auto/s3"), signed_for("us-east-1/iam"), signed_for("us-east-1/s3"));
        assert_eq!(owner("/", &[json, ("authorization", &auto)]), Owner::TigrisIam);
        assert_eq!(owner("/", &[json, ("authorization", &iam)]), Owner::TigrisIam);
        assert_eq!(owner("/", &[json, ("authorization", &s3)]), Owner::AwsIam);
        assert_eq!(owner("/", &[("authorization", &auto)]), Owner::AwsIam);
        assert_eq!(owner("/", &[json, ("x-amz-security-token", "klt_x")]), Owner::TigrisIam);
        assert_eq!(owner("/", &[json]), Owner::AwsIam);
    }
}
