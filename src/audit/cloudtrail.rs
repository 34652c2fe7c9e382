//! What happened, as AWS CloudTrail would have written it: one record a fact, for clients and tools that read those.
//!
//! Names are AWS's where AWS has the call (`CreateAccessKey`); what only keyledger knows has the source `keyledger` and its kind's name
//! (`KeyRevoked`). The event's own name, `seq.index`, stands in `additionalEventData` with the sentence that `audit log` prints.
//!
//! Source: CloudTrail User Guide, "CloudTrail record contents", version 1.11.
//!
//! Not here: choosing facts (`query`); imported records, which were CloudTrail's to begin with.

use super::describe::{Change, describe, object_of};
use super::names::Worlds;
use super::report::EventRef;
use crate::model::bytes::Hex;
use crate::model::{Dialect, Event, EventId, Holder, Seq, Time};
use crate::state::Fact;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrailRecord {
    pub event_version: &'static str,
    pub user_identity: Identity,
    pub event_time: String,
    pub event_source: &'static str,
    pub event_name: String,
    pub aws_region: String,
    #[serde(rename = "sourceIPAddress")]
    pub source_ip_address: String,
    pub user_agent: String,
    pub request_parameters: Option<Value>,
    pub response_elements: Option<Value>,
    pub additional_event_data: Additional,
    #[serde(rename = "requestID")]
    pub request_id: Option<String>,
    #[serde(rename = "eventID")]
    pub event_id: String,
    pub read_only: bool,
    pub resources: Vec<Resource>,
    pub event_type: &'static str,
    pub management_event: bool,
    pub recipient_account_id: String,
    pub event_category: &'static str,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    pub r#type: &'static str,
    pub arn: Option<String>,
    pub account_id: String,
    pub access_key_id: Option<String>,
    pub user_name: Option<String>,
}

/// What keyledger says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Additional {
    pub event: EventRef,
    pub summary: String,
    pub changes: Vec<Change>,
    pub reason: Option<String>,
    pub dialect: Option<&'static str>,
}

/// What it was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resource {
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// A name, or an access key id.
    #[serde(rename = "resourceName")]
    pub name: String,
}

/// The id that a record has for ever: a UUID (RFC 9562, version 8) that names ledger, commit and event.
#[must_use]
pub fn event_uuid(ledger_id: &[u8; 16], event: EventId) -> String {
    let tag = ledger_tag(ledger_id);
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&event.seq.0.to_be_bytes()[2..]);
    bytes[6] = tag[0] & 0x0f | 0x80;
    bytes[7] = tag[1];
    bytes[8] = tag[2] & 0x3f | 0x80;
    bytes[9] = tag[3];
    bytes[10..12].copy_from_slice(&event.index.to_be_bytes());
    bytes[12..].copy_from_slice(&tag[4..]);
    let hex = Hex(&bytes).to_string();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The event that [`event_uuid`] gave this id; `None`: none of this ledger.
#[must_use]
pub fn event_of_uuid(ledger_id: &[u8; 16], uuid: &str) -> Option<EventId> {
    let digits: String = uuid.chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&digits, 16).ok()?.to_be_bytes();
    let mut seq = [0; 8];
    seq[2..].copy_from_slice(&number[..6]);
    let index = u16::from_be_bytes([number[10], number[11]]);
    let event = EventId { seq: Seq(u64::from_be_bytes(seq)), index };
    (event_uuid(ledger_id, event) == uuid).then_some(event)
}

fn ledger_tag(ledger_id: &[u8; 16]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new_derive_key("keyledger 2026-11 cloudtrail event id");
    hasher.update(ledger_id);
    let mut tag = [0; 8];
    hasher.finalize_xof().fill(&mut tag);
    tag
}

impl TrailRecord {
    /// A fact of a live org as a record. `region`: where the ledger says it is.
    #[must_use]
    pub fn of(fact: &Fact<'_>, worlds: &Worlds, ledger_id: &[u8; 16], region: &str) -> Self {
        let account = fact.org.map(|org| worlds.account(org)).unwrap_or_default();
        let (event_source, event_name) = name_of(fact.event, fact.dialect);
        let resources = object_of(fact.event, worlds).into_iter().map(|about| Resource {
            kind: match about.noun {
                "key" => "AWS::IAM::AccessKey",
                "user" => "AWS::IAM::User",
                "group" => "AWS::IAM::Group",
                "policy" => "AWS::IAM::Policy",
                "bucket" => "AWS::S3::Bucket",
                _ => "AWS::Organizations::Account",
            },
            name: about.name,
        });
        let described = describe(fact, worlds);
        let resources: Vec<Resource> = resources.collect();
        Self {
            event_version: "1.11",
            user_identity: identity(fact, &account),
            event_time: seconds(fact.effective_at),
            event_source,
            event_name,
            aws_region: region.to_owned(),
            source_ip_address: fact.source_ip.unwrap_or("keyledger").to_owned(),
            user_agent: fact.user_agent.unwrap_or("keyledger").to_owned(),
            request_parameters: parameters(fact.event, &resources),
            response_elements: response(fact, worlds),
            additional_event_data: Additional {
                event: EventRef(fact.id),
                summary: described.summary,
                reason: fact.reason.map(str::to_owned),
                changes: described.changes,
                dialect: fact.dialect.map(Dialect::as_str),
            },
            request_id: fact.request_id.map(str::to_owned),
            event_id: event_uuid(ledger_id, fact.id),
            read_only: false,
            resources,
            event_type: "AwsApiCall",
            management_event: true,
            recipient_account_id: account,
            event_category: "Management",
        }
    }
}

/// What was asked for, as far as the event says: names, and the new status.
fn parameters(event: &Event, resources: &[Resource]) -> Option<Value> {
    let mut members = Map::new();
    for resource in resources {
        let member = match resource.kind {
            "AWS::IAM::AccessKey" if matches!(event, Event::KeyCreated(_)) => continue,
            "AWS::IAM::AccessKey" => "accessKeyId",
            "AWS::IAM::User" => "userName",
            "AWS::IAM::Group" => "groupName",
            "AWS::IAM::Policy" => "policyName",
            _ => "bucketName",
        };
        members.entry(member).or_insert_with(|| resource.name.clone().into());
    }
    let status = match event {
        Event::KeySuspended { .. } => Some("Inactive"),
        Event::KeyResumed { .. } => Some("Active"),
        _ => None,
    };
    members.extend(status.map(|status| ("status".to_owned(), status.into())));
    (!members.is_empty()).then_some(members.into())
}

/// What was answered, without what is secret.
fn response(fact: &Fact<'_>, worlds: &Worlds) -> Option<Value> {
    let Event::KeyCreated(made) = fact.event else { return None };
    let mut key = json!({
        "accessKeyId": made.access_key_id.as_str(),
        "status": "Active",
        "createDate": create_date(fact.effective_at),
    });
    if let (Some(user), Value::Object(members)) = (worlds.owner_user(&made.owner), &mut key) {
        members.insert("userName".to_owned(), user.into());
    }
    Some(json!({ "accessKey": key }))
}

/// `Jul 30, 2024 9:53:13 PM`, as IAM's answers stand in CloudTrail.
fn create_date(time: Time) -> String {
    let seconds = jiff::Timestamp::from_second(time.0.div_euclid(1_000_000_000));
    seconds.map(|at| at.strftime("%b %-d, %Y %-I:%M:%S %p").to_string()).unwrap_or_default()
}

/// RFC 3339 to the second, as CloudTrail writes it.
fn seconds(time: Time) -> String {
    Time::from_seconds(time.0.div_euclid(1_000_000_000)).to_string()
}

fn identity(fact: &Fact<'_>, account: &str) -> Identity {
    let (r#type, user_name, arn) = match fact.actor.kind {
        "user" => ("IAMUser", Some(fact.actor.name), Some(format!("arn:aws:iam::{account}:user/{}", fact.actor.name))),
        "root" => ("Root", None, Some(format!("arn:aws:iam::{account}:root"))),
        "node" | "system" => ("AWSService", Some(fact.actor.name), None),
        _ => ("Unknown", Some(fact.actor.name), None),
    };
    Identity {
        r#type,
        arn,
        account_id: account.to_owned(),
        access_key_id: fact.actor.key.map(ToString::to_string),
        user_name: user_name.map(str::to_owned),
    }
}

const IAM: &str = "iam.amazonaws.com";
const S3: &str = "s3.amazonaws.com";
const LIGHTSAIL: &str = "lightsail.amazonaws.com";
const OWN: &str = "keyledger";

/// The source and name of the call that an event stands for.
#[must_use]
pub fn name_of(event: &Event, dialect: Option<Dialect>) -> (&'static str, String) {
    let in_lightsail = dialect == Some(Dialect::Lightsail);
    let held = |holder: &Holder, user: &'static str, group: &'static str, key: &'static str| match holder {
        Holder::User(_) => (IAM, user),
        Holder::Group(_) => (IAM, group),
        Holder::Key(_) => (OWN, key),
    };
    let (source, name) = match event {
        Event::UserCreated { .. } => (IAM, "CreateUser"),
        Event::UserRenamed { .. } | Event::UserMoved { .. } => (IAM, "UpdateUser"),
        Event::UserTagged { set, .. } if set.is_empty() => (IAM, "UntagUser"),
        Event::UserTagged { .. } => (IAM, "TagUser"),
        Event::UserBoundarySet { after: Some(_), .. } => (IAM, "PutUserPermissionsBoundary"),
        Event::UserBoundarySet { after: None, .. } => (IAM, "DeleteUserPermissionsBoundary"),
        Event::UserDeleted { .. } => (IAM, "DeleteUser"),
        Event::GroupCreated { .. } => (IAM, "CreateGroup"),
        Event::GroupRenamed { .. } | Event::GroupMoved { .. } => (IAM, "UpdateGroup"),
        Event::GroupDeleted { .. } => (IAM, "DeleteGroup"),
        Event::GroupMemberAdded { .. } => (IAM, "AddUserToGroup"),
        Event::GroupMemberRemoved { .. } => (IAM, "RemoveUserFromGroup"),
        Event::BucketRegistered { .. } if in_lightsail => (LIGHTSAIL, "CreateBucket"),
        Event::BucketForgotten { .. } if in_lightsail => (LIGHTSAIL, "DeleteBucket"),
        Event::BucketRegistered { .. } => (S3, "CreateBucket"),
        Event::BucketForgotten { .. } => (S3, "DeleteBucket"),
        Event::KeyCreated(_) if in_lightsail => (LIGHTSAIL, "CreateBucketAccessKey"),
        Event::KeyDeleted { .. } if in_lightsail => (LIGHTSAIL, "DeleteBucketAccessKey"),
        Event::KeyCreated(_) => (IAM, "CreateAccessKey"),
        Event::KeySuspended { .. } | Event::KeyResumed { .. } => (IAM, "UpdateAccessKey"),
        Event::KeyDeleted { .. } => (IAM, "DeleteAccessKey"),
        Event::PolicyCreated { .. } => (IAM, "CreatePolicy"),
        Event::PolicyTagged { set, .. } if set.is_empty() => (IAM, "UntagPolicy"),
        Event::PolicyTagged { .. } => (IAM, "TagPolicy"),
        Event::PolicyVersionCreated { .. } => (IAM, "CreatePolicyVersion"),
        Event::PolicyDefaultSet { .. } => (IAM, "SetDefaultPolicyVersion"),
        Event::PolicyVersionDeleted { .. } => (IAM, "DeletePolicyVersion"),
        Event::PolicyDeleted { .. } => (IAM, "DeletePolicy"),
        Event::PolicyAttached { holder, .. } => {
            held(holder, "AttachUserPolicy", "AttachGroupPolicy", "AttachKeyPolicy")
        }
        Event::PolicyDetached { holder, .. } => {
            held(holder, "DetachUserPolicy", "DetachGroupPolicy", "DetachKeyPolicy")
        }
        Event::InlinePolicyPut { holder, .. } => held(holder, "PutUserPolicy", "PutGroupPolicy", "PutKeyPolicy"),
        Event::InlinePolicyDeleted { holder, .. } => {
            held(holder, "DeleteUserPolicy", "DeleteGroupPolicy", "DeleteKeyPolicy")
        }
        other => return (OWN, camel(other.kind().as_str())),
    };
    (source, name.to_owned())
}

/// `key-revoked` → `KeyRevoked`
fn camel(kind: &str) -> String {
    kind.split('-')
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_ascii_uppercase(), rest.to_owned()]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KeyUid;

    #[test]
    fn an_event_has_one_uuid_for_ever_and_in_each_ledger_another() {
        let event = EventId { seq: Seq(7), index: 1 };
        let uuid = event_uuid(&[1; 16], event);
        assert_eq!(uuid, event_uuid(&[1; 16], event));
        assert_ne!(uuid, event_uuid(&[2; 16], event));
        assert_ne!(uuid, event_uuid(&[1; 16], EventId { index: 0, ..event }));
        assert_eq!(event_of_uuid(&[1; 16], &uuid), Some(event));
        assert_eq!(event_of_uuid(&[2; 16], &uuid), None, "another ledger's");
        for other in ["", "-", "7", "not-a-uuid", &uuid.replace('-', ""), &uuid.to_uppercase()] {
            assert_eq!(event_of_uuid(&[1; 16], other), None, "{other}");
        }
        assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'8'));
    }

    #[test]
    fn calls_that_aws_has_are_called_as_aws_calls_them() {
        let revoked = Event::KeyRevoked { key: KeyUid([1; 16]) };
        assert_eq!(name_of(&revoked, None), (OWN, "KeyRevoked".to_owned()));
        let deleted = Event::KeyResumed { key: KeyUid([1; 16]) };
        assert_eq!(name_of(&deleted, Some(Dialect::AwsIam)), (IAM, "UpdateAccessKey".to_owned()));
    }
}
