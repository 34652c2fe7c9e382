//! The operations on buckets and their keys.
//!
//! Not here: the words for what went wrong (`error`).

use super::super::super::authenticate::Signed;
use super::super::super::{Api, Incoming};
use super::super::json_rpc::{RpcError, parse};
use super::error::{input, not_found, of_execute};
use super::operations::{Operation, PAGE, seconds};
use crate::ledger::{Command, CreateAccessKey, Done, Outcome, OwnerName, Token};
use crate::model::bytes::Hex;
use crate::model::{AccessKeyId, BucketName, KeyOwner, OrgUid};
use crate::state::{KeyRecord, OwnerRef, State};
use serde::Deserialize;
use serde_json::{Value, json};

pub const OPERATIONS: &[&str] = &[
    "CreateBucketAccessKey",
    "GetBucketAccessKeys",
    "DeleteBucketAccessKey",
    "CreateBucket",
    "GetBuckets",
    "DeleteBucket",
    "GetOperation",
    "GetOperations",
    "GetOperationsForResource",
];

/// The bundle that is told of every bucket: storage is not sold by it here.
const BUNDLE: &str = "small_1_0";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    bucket_name: Option<String>,
    access_key_id: Option<String>,
    bundle_id: Option<String>,
    #[serde(default)]
    force_delete: bool,
    operation_id: Option<String>,
    resource_name: Option<String>,
    page_token: Option<String>,
}

/// One call.
pub struct Call<'a> {
    api: &'a Api,
    incoming: &'a Incoming,
    signed: &'a Signed,
    pub operation: &'static str,
    org: OrgUid,
    token: Option<Token>,
}

type Answer = Result<Value, RpcError>;

impl<'a> Call<'a> {
    /// `None`: there is no such operation.
    pub fn of(api: &'a Api, incoming: &'a Incoming, signed: &'a Signed) -> Option<Self> {
        let operation = super::known(incoming)?;
        // The same in every attempt of one call (AWS SDKs, "retry behavior").
        let token = incoming.header("amz-sdk-invocation-id").and_then(|id| Token::parse(id).ok());
        Some(Self { api, incoming, signed, operation, org: signed.key.org, token })
    }

    pub async fn answer(&self) -> Answer {
        let asked: Asked = parse(self.incoming)?;
        match self.operation {
            "CreateBucketAccessKey" => self.create_key(&asked).await,
            "GetBucketAccessKeys" => self.keys(&asked),
            "DeleteBucketAccessKey" => self.delete_key(&asked).await,
            "CreateBucket" => self.create_bucket(&asked).await,
            "GetBuckets" => self.buckets(&asked),
            "DeleteBucket" => self.delete_bucket(&asked).await,
            "GetOperation" => self.operation(&asked),
            "GetOperations" => self.operations(&asked, None),
            "GetOperationsForResource" => {
                let name = asked.resource_name.as_deref().ok_or_else(|| missing("resourceName"))?;
                self.operations(&asked, Some(name))
            }
            _ => Err(RpcError::unknown_operation()),
        }
    }

    fn state(&self) -> &State {
        &self.signed.state
    }

    /// Whether the caller may do this to `resource`.
    fn authorize(&self, resource: &str) -> Result<(), RpcError> {
        let action = format!("lightsail:{}", self.operation);
        if self.signed.may(&action, resource, &[]).is_allow() {
            return Ok(());
        }
        let text =
            format!("You are not authorized to perform {action} on {}", crate::model::text::excerpt(resource, 128));
        Err(RpcError::new(400, "AccessDeniedException", text))
    }

    /// The bucket, for whoever may know of it: one of another org does not exist.
    fn own_bucket(&self, asked: &Asked) -> Result<BucketName, RpcError> {
        let bucket = bucket_name(asked)?;
        match self.state().bucket_org(&bucket) {
            Some(org) if org == self.org => {
                self.authorize(&arn(&bucket))?;
                Ok(bucket)
            }
            _ => {
                self.authorize("*")?;
                Err(not_found("bucket", bucket.as_str()))
            }
        }
    }

    async fn execute(&self, command: Command) -> Result<Done, RpcError> {
        self.api.ledger.execute(&self.signed.caller, command, self.token.clone()).await.map_err(of_execute)
    }

    /// Remembers what was done, and tells it.
    fn done(&self, kind: &'static str, bucket: &BucketName, details: String, done: &Done) -> Value {
        // One command is one commit, and a retry of it tells the same id.
        let mut hasher = blake3::Hasher::new_derive_key("keyledger 2026-11 lightsail operation");
        hasher.update(&self.org.0).update(&done.seq.0.to_le_bytes()).update(kind.as_bytes()).update(details.as_bytes());
        let hex = Hex(&hasher.finalize().as_bytes()[..16]).to_string();
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        let id = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-");
        let operation = Operation {
            id,
            org: self.org,
            bucket: bucket.to_string(),
            kind,
            details,
            at: self.signed.now,
            region: self.api.options.region.clone(),
        };
        let told = operation.json();
        self.api.lightsail.keep(operation);
        told
    }

    async fn create_key(&self, asked: &Asked) -> Answer {
        let bucket = bucket_name(asked)?;
        let key = CreateAccessKey { owner: OwnerName::Bucket(bucket.clone()), ..CreateAccessKey::default() };
        let done = self.execute(Command::CreateKey { org: self.org, key: Box::new(key) }).await?;
        let Outcome::KeyCreated(made) = &done.outcome else {
            return Err(RpcError::new(500, "ServiceException", "The key was made, and cannot be told."));
        };
        let Some(secret) = &made.secret else {
            let text = format!(
                "An earlier attempt of this call made the access key {}, whose secret is not shown again; delete it and \
                 create another.",
                made.access_key_id
            );
            return Err(RpcError::new(409, "InvalidInputException", text));
        };
        let state = self.api.ledger.state();
        let created = state.key(made.access_key_id.as_str()).map_or(self.signed.now, |key| key.created_at);
        let operation = self.done("CreateBucketAccessKey", &bucket, made.access_key_id.to_string(), &done);
        Ok(json!({
            "accessKey": {
                "accessKeyId": made.access_key_id.as_str(),
                "secretAccessKey": secret.expose_secret(),
                "status": "Active",
                "createdAt": seconds(created),
                "lastUsed": never_used(),
            },
            "operations": [operation],
        }))
    }

    fn keys(&self, asked: &Asked) -> Answer {
        let bucket = self.own_bucket(asked)?;
        let owner = OwnerRef::Bucket(self.org, bucket);
        let keys: Vec<Value> =
            self.state().keys_after(&owner, None).into_iter().flatten().map(|key| self.key_json(&key)).collect();
        Ok(json!({ "accessKeys": keys }))
    }

    fn key_json(&self, key: &KeyRecord) -> Value {
        let is_usable = self.state().status(key, self.signed.now).is_usable();
        let last_used = key.more().last_used.as_ref().map_or_else(
            never_used,
            |used| json!({ "lastUsedDate": seconds(used.at), "region": used.region, "serviceName": used.service }),
        );
        json!({
            "accessKeyId": key.id.as_str(),
            "status": if is_usable { "Active" } else { "Inactive" },
            "createdAt": seconds(key.created_at),
            "lastUsed": last_used,
        })
    }

    async fn delete_key(&self, asked: &Asked) -> Answer {
        let bucket = self.own_bucket(asked)?;
        let text = asked.access_key_id.as_deref().filter(|id| !id.trim().is_empty());
        let text = text.ok_or_else(|| missing("accessKeyId"))?;
        let id = AccessKeyId::parse(text).map_err(|_| not_found("access key", text))?;
        // A deleted one is the writer's to refuse, so that a retry of a delete finds its first outcome.
        let own = |key: &KeyRecord| key.org == self.org && key.owner == KeyOwner::Bucket(bucket.clone());
        self.state().key(id.as_str()).filter(own).ok_or_else(|| not_found("access key", text))?;
        let done = self.execute(Command::DeleteKey { key: id.clone() }).await?;
        let operation = self.done("DeleteBucketAccessKey", &bucket, id.to_string(), &done);
        Ok(json!({ "operations": [operation] }))
    }

    async fn create_bucket(&self, asked: &Asked) -> Answer {
        let bucket = bucket_name(asked)?;
        let bundle = asked.bundle_id.as_deref().filter(|id| !id.trim().is_empty());
        let bundle = bundle.ok_or_else(|| missing("bundleId"))?;
        let done = self.execute(Command::RegisterBucket { org: self.org, bucket: bucket.clone() }).await?;
        if matches!(done.outcome, Outcome::Nothing) && !done.replayed {
            return Err(input(format!("Some names are already in use: {bucket}")));
        }
        let operation = self.done("CreateBucket", &bucket, String::new(), &done);
        Ok(json!({ "bucket": self.bucket_json(&bucket, bundle), "operations": [operation] }))
    }

    fn bucket_json(&self, bucket: &BucketName, bundle: &str) -> Value {
        let region = &self.api.options.region;
        json!({
            "resourceType": "Bucket",
            "accessRules": { "getObject": "private", "allowPublicOverrides": false },
            "arn": arn(bucket),
            "bundleId": bundle,
            "location": { "availabilityZone": "all", "regionName": region },
            "name": bucket.as_str(),
            "tags": [],
            "objectVersioning": "NeverEnabled",
            "ableToUpdateBundle": false,
            "readonlyAccessAccounts": [],
            "state": { "code": "OK" },
            "accessLogConfig": { "enabled": false },
        })
    }

    fn buckets(&self, asked: &Asked) -> Answer {
        if asked.bucket_name.is_some() {
            let bucket = self.own_bucket(asked)?;
            return Ok(json!({ "buckets": [self.bucket_json(&bucket, BUNDLE)] }));
        }
        self.authorize("*")?;
        let after = asked.page_token.as_deref().unwrap_or_default();
        let mut own = self.state().buckets().filter(|(name, org)| *org == self.org && name.as_str() > after);
        let page: Vec<&BucketName> = own.by_ref().take(PAGE).map(|(name, _)| name).collect();
        let next = own.next().and_then(|_| page.last().map(|name| name.as_str()));
        let buckets: Vec<Value> = page.iter().map(|bucket| self.bucket_json(bucket, BUNDLE)).collect();
        Ok(with_next(json!({ "buckets": buckets }), next))
    }

    async fn delete_bucket(&self, asked: &Asked) -> Answer {
        // A retry of a delete that was done finds its outcome, and no bucket.
        let is_retry = self.signed.was_done(self.api, self.org, self.token.as_ref());
        let bucket = if is_retry { bucket_name(asked)? } else { self.own_bucket(asked)? };
        let owner = OwnerRef::Bucket(self.org, bucket.clone());
        let keys: Vec<AccessKeyId> =
            self.state().keys_after(&owner, None).into_iter().flatten().map(|key| key.id).collect();
        if !keys.is_empty() && !asked.force_delete {
            return Err(input(format!("Bucket {bucket} has access keys; delete them first, or use forceDelete.")));
        }
        for key in keys {
            // Without the token, which stands for the whole call.
            let command = Command::DeleteKey { key };
            self.api.ledger.execute(&self.signed.caller, command, None).await.map_err(of_execute)?;
        }
        let done = self.execute(Command::ForgetBucket { org: self.org, bucket: bucket.clone() }).await?;
        let operation = self.done("DeleteBucket", &bucket, String::new(), &done);
        Ok(json!({ "operations": [operation] }))
    }

    fn operation(&self, asked: &Asked) -> Answer {
        let id = asked.operation_id.as_deref().ok_or_else(|| missing("operationId"))?;
        self.authorize("*")?;
        let found = self.api.lightsail.find(self.org, id).ok_or_else(|| not_found("operation", id))?;
        Ok(json!({ "operation": found.json() }))
    }

    fn operations(&self, asked: &Asked, bucket: Option<&str>) -> Answer {
        self.authorize("*")?;
        let page = self.api.lightsail.page(self.org, bucket, asked.page_token.as_deref());
        let (page, more) = page.ok_or_else(|| input("The page token is not one of ours."))?;
        if let Some(name) = bucket.filter(|_| page.is_empty() && asked.page_token.is_none())
            && BucketName::parse(name).ok().and_then(|bucket| self.state().bucket_org(&bucket)) != Some(self.org)
        {
            return Err(not_found("resource", name));
        }
        let next = page.last().filter(|_| more).map(|operation| operation.id.as_str());
        let operations: Vec<Value> = page.iter().map(Operation::json).collect();
        Ok(with_next(json!({ "operations": operations }), next))
    }
}

fn arn(bucket: &BucketName) -> String {
    format!("arn:aws:s3:::{bucket}")
}

fn missing(name: &str) -> RpcError {
    input(format!("{name} is required."))
}

fn with_next(mut body: Value, next: Option<&str>) -> Value {
    if let (Value::Object(members), Some(next)) = (&mut body, next) {
        members.insert("nextPageToken".to_owned(), next.into());
    }
    body
}

/// A key that was never used (Lightsail API Reference, AccessKeyLastUsed).
fn never_used() -> Value {
    json!({ "region": "N/A", "serviceName": "N/A" })
}

/// 3 to 54 of `[a-z0-9-]` (botocore 1.44.5, lightsail `BucketName`).
fn bucket_name(asked: &Asked) -> Result<BucketName, RpcError> {
    let name = asked.bucket_name.as_deref().ok_or_else(|| missing("bucketName"))?;
    let fits = (3..=54).contains(&name.len()) && !name.contains('.');
    let parsed = BucketName::parse(name).ok().filter(|_| fits);
    parsed.ok_or_else(|| {
        let name = crate::model::text::excerpt(name, 64);
        input(format!("Invalid bucket name: {name}. Use 3 to 54 lower-case letters, digits and hyphens."))
    })
}
