//! Bodies and queries: the API's schemas, read strictly (Tigris Partner API: `additionalProperties: false`).
//!
//! Not here: bounds of single fields, which are the ledger's (`model::limits`).

use super::super::super::Incoming;
use super::document;
use super::refused::Refused;
use crate::ledger::NewPolicy;
use crate::model::text::excerpt;
use crate::model::{BucketName, Grant, GrantRole, Role};
use crate::sigv4::{query_pairs, query_text};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Items of any one list of a body.
const LIST_MAX: usize = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum UserRole {
    Admin,
    #[default]
    Member,
}

impl UserRole {
    pub fn role(self) -> Role {
        match self {
            UserRole::Admin => Role::Admin,
            UserRole::Member => Role::Member,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Create and list buckets without a policy that says so.
    Standard,
    NoDefaultAllow,
}

impl Scope {
    pub fn default_allow(self) -> bool {
        self == Scope::Standard
    }

    pub fn of(default_allow: bool) -> Self {
        if default_allow { Scope::Standard } else { Scope::NoDefaultAllow }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum BucketRole {
    ReadOnly,
    Editor,
    Admin,
}

/// A grant in the API's words; `*` is every bucket.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BucketsRole {
    pub bucket_name: String,
    pub role: BucketRole,
}

impl BucketsRole {
    pub fn of(grant: &Grant) -> Self {
        let bucket_name = grant.bucket.as_ref().map_or("*", BucketName::as_str).to_owned();
        let role = match grant.role {
            GrantRole::ReadOnly => BucketRole::ReadOnly,
            GrantRole::Editor => BucketRole::Editor,
            GrantRole::Admin => BucketRole::Admin,
        };
        Self { bucket_name, role }
    }
}

/// # Errors
/// 400 for a name that no bucket can have.
pub fn grants(roles: &[BucketsRole]) -> Result<Vec<Grant>, Refused> {
    let grant = |asked: &BucketsRole| {
        let bucket = match asked.bucket_name.as_str() {
            "*" => None,
            name => Some(BucketName::parse(name).map_err(|error| Refused::input(error.to_string()))?),
        };
        let role = match asked.role {
            BucketRole::ReadOnly => GrantRole::ReadOnly,
            BucketRole::Editor => GrantRole::Editor,
            BucketRole::Admin => GrantRole::Admin,
        };
        Ok(Grant { bucket, role })
    };
    roles.iter().map(grant).collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyToCreate {
    pub name: String,
    pub document: Box<RawValue>,
    #[serde(default)]
    pub description: Option<String>,
}

impl PolicyToCreate {
    /// # Errors
    /// 400 for a document that is none.
    pub fn checked(&self) -> Result<NewPolicy, Refused> {
        let wrong = |what: String| Refused::input(format!("policy `{}`: {what}", excerpt(&self.name, 128)));
        let text = document::text_of(&self.document).map_err(wrong)?;
        let document = document::checked(&text).map_err(wrong)?;
        let description = self.description.as_deref().unwrap_or_default().into();
        Ok(NewPolicy { name: self.name.as_str().into(), description, document })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    pub user_id: String,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub user_role: Option<UserRole>,
    #[serde(default)]
    pub buckets_roles: Option<Vec<BucketsRole>>,
    #[serde(default)]
    pub attach_policies: Option<Vec<String>>,
    #[serde(default)]
    pub create_policies: Option<Vec<PolicyToCreate>>,
    #[serde(default)]
    pub access_key_scope: Option<Scope>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateKey {
    pub user_id: String,
    pub id: String,
    #[serde(default)]
    pub user_role: Option<UserRole>,
    #[serde(default)]
    pub buckets_roles: Option<Vec<BucketsRole>>,
    #[serde(default)]
    pub add_policies: Option<Vec<String>>,
    #[serde(default)]
    pub remove_policies: Option<Vec<String>>,
    #[serde(default)]
    pub access_key_scope: Option<Scope>,
}

/// One key: to get, rotate or delete.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneKey {
    pub user_id: String,
    pub id: String,
    #[serde(default)]
    pub user_role: Option<UserRole>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListKeys {
    pub user_id: String,
    #[serde(default)]
    pub user_role: Option<UserRole>,
    #[serde(default)]
    pub limit: Option<u64>,
    #[serde(default)]
    pub continuation_token: Option<String>,
    #[serde(default)]
    pub key_id_prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdatePolicy {
    pub document: Box<RawValue>,
    #[serde(default)]
    pub description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    #[serde(default)]
    #[expect(dead_code, reason = "read so that what is no number is refused")]
    pub limit_bytes: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provision {
    pub bucket_name: String,
    pub org_name: String,
    pub user_id: String,
    #[serde(default)]
    pub org_quota: Option<Quota>,
    #[serde(default)]
    pub bucket_options: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(default)]
    pub user_role: Option<UserRole>,
    #[serde(default)]
    pub fork_of: Option<String>,
    #[serde(default)]
    pub source_snapshot: Option<String>,
    #[serde(default)]
    pub access_key_scope: Option<Scope>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateOrg {
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateOrg {
    pub active: bool,
}

/// The body as this schema.
///
/// # Errors
/// 415 for another kind of body, 400 for what does not fit.
pub fn read<T: DeserializeOwned>(incoming: &Incoming) -> Result<T, Refused> {
    if let Some(kind) = incoming.header("content-type") {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Refused::new(415, "Content-Type is not application/json."));
        }
    }
    if !incoming.query().is_empty() {
        return Err(Refused::input("This operation takes no query parameters."));
    }
    parse(&incoming.body)
}

/// The same, where the body may be left out.
pub fn read_or_default<T: DeserializeOwned + Default>(incoming: &Incoming) -> Result<T, Refused> {
    if incoming.body.is_empty() { Ok(T::default()) } else { read(incoming) }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(bytes)
        .map_err(|error| Refused::input(format!("The body does not fit: {}.", excerpt(&error.to_string(), 300))))
}

/// # Errors
/// 400 for a list that is longer than any need.
pub fn bounded<T>(list: Option<Vec<T>>, name: &str) -> Result<Vec<T>, Refused> {
    let list = list.unwrap_or_default();
    if list.len() > LIST_MAX {
        return Err(Refused::input(format!("{name} has more than {LIST_MAX} items.")));
    }
    Ok(list)
}

/// Query parameters, each of `known` and each once.
///
/// # Errors
/// 400 for any other.
pub fn query(incoming: &Incoming, known: &[&str]) -> Result<BTreeMap<String, String>, Refused> {
    if !incoming.body.is_empty() {
        return Err(Refused::input("This operation takes no body."));
    }
    let mut found = BTreeMap::new();
    for (name, value) in query_pairs(incoming.query().as_bytes()) {
        let (Some(name), Some(value)) = (query_text(name), query_text(value)) else {
            return Err(Refused::input("The query is not UTF-8."));
        };
        if !known.contains(&&*name) {
            return Err(Refused::input(format!("The query parameter `{}` is not known.", excerpt(&name, 64))));
        }
        if found.insert(name.clone().into_owned(), value.into_owned()).is_some() {
            return Err(Refused::input(format!("The query parameter `{name}` is given more than once.")));
        }
    }
    Ok(found)
}

pub fn reads_any(bytes: &[u8]) -> bool {
    [
        parse::<CreateKey>(bytes).is_ok_and(|body| {
            let _ = grants(body.buckets_roles.as_deref().unwrap_or_default());
            body.create_policies.unwrap_or_default().iter().for_each(|policy| drop(policy.checked()));
            true
        }),
        parse::<UpdateKey>(bytes).is_ok(),
        parse::<OneKey>(bytes).is_ok(),
        parse::<ListKeys>(bytes).is_ok(),
        parse::<UpdatePolicy>(bytes).is_ok(),
        parse::<Provision>(bytes).is_ok(),
        parse::<CreateOrg>(bytes).is_ok(),
        parse::<UpdateOrg>(bytes).is_ok(),
    ]
    .contains(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<T: DeserializeOwned>(text: &str) -> String {
        match parse::<T>(text.as_bytes()) {
            Ok(_) => panic!("{text} was read"),
            Err(refused) => {
                assert_eq!(refused.status, 400);
                refused.message.into_owned()
            }
        }
    }

    #[test]
    fn what_is_not_in_the_schema_is_refused() {
        let key =
            parse::<CreateKey>(br#"{"user_id":"u","buckets_roles":[{"bucket_name":"*","role":"Admin"}]}"#).unwrap();
        let all = Grant { bucket: None, role: GrantRole::Admin };
        assert_eq!(grants(&key.buckets_roles.unwrap()).unwrap(), [all]);
        assert!(refusal::<CreateKey>(r#"{"user_id":"u","more":1}"#).contains("more"));
        assert!(refusal::<CreateKey>(r#"{"name":"n"}"#).contains("user_id"));
        assert!(refusal::<CreateKey>(r#"{"user_id":"u","user_id":"v"}"#).contains("duplicate"));
        refusal::<CreateKey>(r#"{"user_id":"u","user_role":"admin"}"#);
        refusal::<CreateKey>(r#"{"user_id":"u","buckets_roles":[{"bucket_name":"b","role":"Owner"}]}"#);
        refusal::<CreateKey>(r#"{"user_id":"u","buckets_roles":[{"bucket_name":"b","role":"Editor","x":1}]}"#);
        refusal::<CreateKey>(r#"{"user_id":7}"#);
        refusal::<UpdateOrg>("{}");
        refusal::<CreateKey>("");
        refusal::<CreateKey>(&"[".repeat(100_000));
        refusal::<Provision>(&format!(r#"{{"bucket_options":{}"#, r#"{"a":"#.repeat(100_000)));
    }

    #[test]
    fn a_document_is_an_object_or_a_text_that_holds_one() {
        let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
        let as_object = format!(r#"{{"name":"p","document":{document}}}"#);
        let as_text = format!(r#"{{"name":"p","document":{}}}"#, serde_json::to_string(document).unwrap());
        for body in [as_object, as_text] {
            let policy = parse::<PolicyToCreate>(body.as_bytes()).unwrap().checked().unwrap();
            assert_eq!(&*policy.document, document);
        }
        let bad = parse::<PolicyToCreate>(br#"{"name":"p","document":{"Version":"2012-10-17"}}"#).unwrap();
        assert!(bad.checked().unwrap_err().message.starts_with("policy `p`: "));
    }
}
