//! Paths: which operation a method and a path name (Tigris Partner API; `/access-keys` is its prose's word for `/key`).
//!
//! Not here: whose org it is (`call`).

use super::super::super::Incoming;
use super::refused::Refused;
use crate::sigv4::path_text;

/// Before the provider's name.
pub const PREFIX: &str = "/v1/providers/";

/// What is asked. `org` is the provider's own id of one.
#[derive(Debug, PartialEq, Eq)]
pub enum Operation {
    CreateKey { org: String },
    UpdateKey { org: String },
    DeleteKey { org: String },
    GetKey { org: String },
    RotateKey { org: String },
    ListKeys { org: String },
    CreatePolicy { org: String },
    ListPolicies { org: String },
    GetPolicy { org: String, policy: String },
    UpdatePolicy { org: String, policy: String },
    DeletePolicy { org: String, policy: String },
    Provision { org: String },
    CreateOrg { org: String },
    GetOrg { org: String },
    UpdateOrg { org: String },
    ListOrgs,
    ListBuckets { org: String },
}

impl Operation {
    /// Its name in the API's description.
    pub fn name(&self) -> &'static str {
        match self {
            Operation::CreateKey { .. } => "CreateAccessKey",
            Operation::UpdateKey { .. } => "UpdateAccessKey",
            Operation::DeleteKey { .. } => "DeleteAccessKey",
            Operation::GetKey { .. } => "GetAccessKey",
            Operation::RotateKey { .. } => "RotateAccessKey",
            Operation::ListKeys { .. } => "ListAccessKeys",
            Operation::CreatePolicy { .. } => "CreatePolicy",
            Operation::ListPolicies { .. } => "ListPolicies",
            Operation::GetPolicy { .. } => "GetPolicy",
            Operation::UpdatePolicy { .. } => "UpdatePolicy",
            Operation::DeletePolicy { .. } => "DeletePolicy",
            Operation::Provision { .. } => "Provisioning",
            Operation::CreateOrg { .. } => "CreateOrganization",
            Operation::GetOrg { .. } => "GetOrganization",
            Operation::UpdateOrg { .. } => "UpdateOrganization",
            Operation::ListOrgs => "ListOrganizations",
            Operation::ListBuckets { .. } => "ListBuckets",
        }
    }
}

/// The provider that a path names, decoded.
pub fn provider_of(path: &str) -> Option<String> {
    let name = path.strip_prefix(PREFIX)?.split('/').next().filter(|name| !name.is_empty())?;
    path_text(name.as_bytes()).map(|name| name.into_owned())
}

/// # Errors
/// 404 for a path that nobody has, 405 for a method that the path has not.
pub fn operation_of(incoming: &Incoming) -> Result<Operation, Refused> {
    find(incoming.method.as_str(), incoming.path())
}

fn find(method: &str, path: &str) -> Result<Operation, Refused> {
    let nowhere = || Refused::new(404, "There is nothing at this path.");
    let decoded = |segment: &str| path_text(segment.as_bytes()).map(|text| text.into_owned()).ok_or_else(nowhere);
    let below = path.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/')).map(|(_, below)| below);
    let segments = below.ok_or_else(nowhere)?.split('/').map(decoded).collect::<Result<Vec<_>, _>>()?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let here = |org: &str| org.to_owned();
    let found = match (segments.as_slice(), method) {
        ([.., ""], _) => return Err(nowhere()),
        (["orgs"], "GET") => Operation::ListOrgs,
        (["orgs", org], "POST") => Operation::CreateOrg { org: here(org) },
        (["orgs", org], "GET") => Operation::GetOrg { org: here(org) },
        (["orgs", org], "PUT") => Operation::UpdateOrg { org: here(org) },
        (["orgs", org, "key" | "access-keys"], "POST") => Operation::CreateKey { org: here(org) },
        (["orgs", org, "key" | "access-keys"], "PUT") => Operation::UpdateKey { org: here(org) },
        (["orgs", org, "key" | "access-keys"], "DELETE") => Operation::DeleteKey { org: here(org) },
        (["orgs", org, "key" | "access-keys", "get"], "POST") => Operation::GetKey { org: here(org) },
        (["orgs", org, "key" | "access-keys", "rotate"], "POST") => Operation::RotateKey { org: here(org) },
        (["orgs", org, "keys"] | ["orgs", org, "access-keys", "list"], "POST") => {
            Operation::ListKeys { org: here(org) }
        }
        (["orgs", org, "policies"], "POST") => Operation::CreatePolicy { org: here(org) },
        (["orgs", org, "policies"], "GET") => Operation::ListPolicies { org: here(org) },
        (["orgs", org, "policies", policy], "GET") => Operation::GetPolicy { org: here(org), policy: here(policy) },
        (["orgs", org, "policies", policy], "PUT") => Operation::UpdatePolicy { org: here(org), policy: here(policy) },
        (["orgs", org, "policies", policy], "DELETE") => {
            Operation::DeletePolicy { org: here(org), policy: here(policy) }
        }
        (["orgs", org, "provision"], "POST") => Operation::Provision { org: here(org) },
        (["orgs", org, "buckets"], "GET") => Operation::ListBuckets { org: here(org) },
        (
            ["orgs"]
            | ["orgs", _]
            | ["orgs", _, "key" | "access-keys" | "keys" | "policies" | "provision" | "buckets"]
            | ["orgs", _, "key" | "access-keys", "get" | "rotate"]
            | ["orgs", _, "access-keys", "list"]
            | ["orgs", _, "policies", _],
            _,
        ) => return Err(Refused::new(405, "This path has no such method.")),
        _ => return Err(nowhere()),
    };
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: &str, path: &str) -> u16 {
        find(method, path).map_or_else(|refused| refused.status, |_| 200)
    }

    #[test]
    fn a_method_and_a_path_name_one_operation() {
        let org = || "o 1".to_owned();
        let at = |method: &str, rest: &str| find(method, &format!("/v1/providers/tig/orgs/o%201{rest}")).unwrap();
        assert_eq!(at("POST", "/key"), Operation::CreateKey { org: org() });
        assert_eq!(at("POST", "/access-keys"), Operation::CreateKey { org: org() });
        assert_eq!(at("DELETE", "/key"), Operation::DeleteKey { org: org() });
        assert_eq!(at("POST", "/access-keys/rotate"), Operation::RotateKey { org: org() });
        assert_eq!(at("PUT", "/policies/a%2Bb"), Operation::UpdatePolicy { org: org(), policy: "a+b".into() });
        assert_eq!(at("GET", ""), Operation::GetOrg { org: org() });
        assert_eq!(find("GET", "/v1/providers/tig/orgs").unwrap(), Operation::ListOrgs);
    }

    #[test]
    fn other_paths_are_404_and_other_methods_405() {
        for path in [
            "/v1/providers/tig",
            "/v1/providers/tig/",
            "/v1/providers/tig/orgs/",
            "/v1/providers/tig/orgs/o/",
            "/v1/providers/tig/orgs/o/none",
            "/v1/providers/tig/orgs/o/key/",
            "/v1/providers/tig/orgs/%ff/key",
            "/v1/providers/tig/orgs/%zz/key",
            "/v1/providers/tig/orgs/o/key/get/more",
        ] {
            assert_eq!(status("POST", path), 404, "{path}");
        }
        assert_eq!(status("DELETE", "/v1/providers/tig/orgs"), 405);
        assert_eq!(status("PATCH", "/v1/providers/tig/orgs/o/key"), 405);
        assert_eq!(status("GET", "/v1/providers/tig/orgs/o/keys"), 405);
    }

    #[test]
    fn the_provider_stands_in_the_path() {
        assert_eq!(provider_of("/v1/providers/a%20b/orgs").as_deref(), Some("a b"));
        assert_eq!(provider_of("/v1/providers//orgs"), None);
        assert_eq!(provider_of("/v1/providers"), None);
    }
}
