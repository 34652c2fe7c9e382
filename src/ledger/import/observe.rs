//! The details of a call that changed nothing we keep: its bucket, its object, the temporary key it gave out, its bytes.
//!
//! Services name things in many ways, so nothing here is an error: a parameter of another type is another service's.
//!
//! Not here: calls that changed users, groups, keys, policies or buckets (`change`).

use super::Reject;
use super::asked::{Answer, Asked, Named};
use super::fields::{Obj, Text};
use super::record::{RawRecord, clean};
use crate::model::{AccessKeyId, BucketName, Identity};
use compact_str::CompactString;

#[derive(Debug, Default)]
pub(super) struct Details {
    pub bucket: Option<BucketName>,
    pub resource: Option<CompactString>,
    pub issued_key: Option<AccessKeyId>,
    pub issued_for: Option<CompactString>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// A sign-in tells its failure in its answer alone.
    pub sign_in_failed: bool,
}

pub(super) fn details(source: &str, identity: &Identity, raw: &RawRecord<'_>) -> Result<Details, Reject> {
    let nothing = Asked::default();
    let asked = raw.request_parameters.some().unwrap_or(&nothing);
    let mut found = Details::default();
    let storage = source.starts_with("s3");

    if let Some(name) = asked.bucket_name.some() {
        found.bucket = BucketName::parse(name).ok();
    }
    let of_storage = || asked.key.some().or_else(|| asked.prefix.some());
    let about = match source {
        _ if storage => of_storage(),
        "sts.amazonaws.com" => [&asked.role_arn, &asked.name].into_iter().find_map(Text::some),
        _ => [
            &asked.user_name,
            &asked.group_name,
            &asked.role_name,
            &asked.policy_arn,
            &asked.access_key_id,
            &asked.secret_id,
            &asked.function_name,
            &asked.role_arn,
            &asked.name,
        ]
        .into_iter()
        .find_map(Text::some),
    };
    found.resource = about.map(|text| clean(text, 256));
    if if storage { found.bucket.is_none() } else { found.resource.is_none() } {
        from_resources(raw, storage, &mut found);
    }
    if storage && let Some(more) = raw.additional_event_data.some() {
        found.bytes_in = more.bytes_transferred_in.0;
        found.bytes_out = more.bytes_transferred_out.0;
    }
    if matches!(source, "sts.amazonaws.com" | "signin.amazonaws.com") {
        answered(asked, identity, raw, &mut found)?;
    }
    Ok(found)
}

fn from_resources(raw: &RawRecord<'_>, storage: bool, found: &mut Details) {
    let Some(resources) = raw.resources else { return };
    let Ok(resources) = serde_json::from_str::<Vec<Obj<Named<'_>>>>(resources.get()) else { return };
    for arn in resources.iter().filter_map(Obj::some).filter_map(|named| named.arn.some()) {
        if storage && let Some(path) = arn.strip_prefix("arn:aws:s3:::") {
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            if found.bucket.is_none() {
                found.bucket = BucketName::parse(bucket).ok();
            }
            if found.resource.is_none() && !key.is_empty() {
                found.resource = Some(clean(key, 256));
            }
        } else if found.resource.is_none() && !storage {
            found.resource = Some(clean(arn, 256));
        }
    }
}

/// AssumeRole and its kin, GetFederationToken, GetSessionToken: who gets a temporary key, and as whom.
fn answered(asked: &Asked<'_>, identity: &Identity, raw: &RawRecord<'_>, found: &mut Details) -> Result<(), Reject> {
    let answer = Answer::of(raw.response_elements)?;
    found.sign_in_failed = answer.console_login.some() == Some("Failure");
    let Some(credentials) = answer.credentials.some() else { return Ok(()) };
    let Some(id) = credentials.access_key_id.get("responseElements.credentials.accessKeyId")? else { return Ok(()) };
    let id = AccessKeyId::parse(id)
        .map_err(|invalid| super::record::invalid_field("responseElements.credentials.accessKeyId", &invalid))?;
    found.issued_key = Some(id);
    let arn_of = |named: &Obj<Named<'_>>| named.some().and_then(|named| named.arn.some().map(|arn| clean(arn, 256)));
    found.issued_for = asked
        .role_arn
        .some()
        .map(|arn| clean(arn, 256))
        .or_else(|| arn_of(&answer.federated_user))
        .or_else(|| arn_of(&answer.assumed_role_user))
        .or_else(|| identity.arn.clone())
        .or_else(|| Some(identity.name.clone()));
    Ok(())
}
