//! Orgs of a provider, provisioning, and an org's buckets.
//!
//! Provisioning makes what is missing of an org, a bucket, a user and its key for that bucket, and may be asked again: the key is made
//! once, and its secret shown once. What the ledger does not keep (quotas, options of buckets) is named in `not_applied`; a bucket that
//! shall begin as a copy of another is refused.
//!
//! Not here: the bucket itself, which the storage node makes.

use super::super::super::OnceShown;
use super::body;
use super::call::{Call, Claim, OrgNotMade};
use super::pages::{Paging, bad_token};
use super::refused::Refused;
use super::{Answer, json};
use crate::ledger::{Command, CreateAccessKey, CreateKeyWith, Outcome, OwnerName};
use crate::model::{AccessKeyId, BucketName, Grant, GrantRole, OrgOwner};
use crate::state::{OrgRecord, OwnerRef, State};
use crate::vault::SecretKey;
use serde::Serialize;

#[derive(Serialize)]
struct Org<'a> {
    id: &'a str,
    name: &'a str,
    active: bool,
    account_id: String,
    created_at: String,
}

impl<'a> Org<'a> {
    fn of(org: &'a OrgRecord) -> Self {
        Self {
            id: external_id(org),
            name: &org.name,
            active: !org.suspended,
            account_id: org.account.to_string(),
            created_at: org.created_at.to_string(),
        }
    }
}

fn external_id(org: &OrgRecord) -> &str {
    match &org.owner {
        OrgOwner::Provider { external_id, .. } => external_id,
        OrgOwner::Operator => "",
    }
}

#[derive(Serialize)]
struct Orgs<'a> {
    organizations: Vec<Org<'a>>,
    next_continuation_token: String,
}

#[derive(Serialize)]
struct Bucket<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Buckets<'a> {
    buckets: Vec<Bucket<'a>>,
    next_continuation_token: String,
}

#[derive(Serialize)]
struct Provisioned<'a> {
    id: &'a str,
    /// Null when the key was there already.
    secret_key: Option<OnceShown<'a>>,
    name: &'a str,
    bucket_name: &'a str,
    org_id: &'a str,
    not_applied: &'a [&'static str],
}

pub async fn create(call: &Call<'_>, id: &str) -> Answer {
    let asked: body::CreateOrg = body::read_or_default(call.incoming)?;
    match call.make_org(id, asked.name.as_deref()).await {
        Ok(org) => json(&Org::of(&org)),
        Err(OrgNotMade::IsThere) => Err(Refused::new(409, "There is an organization of this id already.")),
        Err(OrgNotMade::Refused(refused)) => Err(refused),
    }
}

pub fn get(call: &Call<'_>, id: &str) -> Answer {
    body::query(call.incoming, &[])?;
    json(&Org::of(&*call.org(&call.state(), id)?))
}

/// `active: false` makes every key of the org unusable at once, and `true` those usable again that were.
pub async fn update(call: &Call<'_>, id: &str) -> Answer {
    let asked: body::UpdateOrg = body::read(call.incoming)?;
    let org = call.org(&call.state(), id)?.org;
    let command = if asked.active { Command::ResumeOrg { org } } else { Command::SuspendOrg { org } };
    call.execute(None, command).await?;
    json(&Org::of(&*call.org(&call.state(), id)?))
}

pub fn list(call: &Call<'_>) -> Answer {
    let query = body::query(call.incoming, &["include_inactive", "limit", "continuation_token"])?;
    let all_too = match query.get("include_inactive").map(String::as_str) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refused::input("include_inactive is not valid: expected true or false.")),
    };
    let paging = Paging::of_query(&query, 1_000, 5_000)?;
    let state = call.state();
    let orgs = state.orgs_of_provider(&call.provider, paging.after.as_deref());
    let (page, next_continuation_token) =
        paging.page(orgs.filter(|org| all_too || !org.suspended), |org| external_id(org));
    json(&Orgs { organizations: page.into_iter().map(|org| Org::of(org)).collect(), next_continuation_token })
}

pub fn buckets(call: &Call<'_>, id: &str) -> Answer {
    let query = body::query(call.incoming, &["limit", "continuation_token"])?;
    let paging = Paging::of_query(&query, 500, 5_000)?;
    let state = call.state();
    let org = call.org(&state, id)?;
    let after = match &paging.after {
        None => None,
        Some(name) => Some(BucketName::parse(name).map_err(|_| bad_token())?),
    };
    let (page, next_continuation_token) =
        paging.page(state.buckets_of(org.org, after.as_ref()), |bucket| bucket.as_str());
    let buckets = page.into_iter().map(|bucket| Bucket { name: bucket.as_str() }).collect();
    json(&Buckets { buckets, next_continuation_token })
}

pub async fn provision(call: &Call<'_>, id: &str) -> Answer {
    let asked: body::Provision = body::read(call.incoming)?;
    let claim = Claim::new(&asked.user_id, asked.user_role)?;
    if asked.fork_of.is_some() || asked.source_snapshot.is_some() {
        return Err(Refused::input("fork_of and source_snapshot are not offered: a bucket begins empty here."));
    }
    let mut not_applied = Vec::new();
    if asked.org_quota.is_some() {
        not_applied.push("org_quota");
    }
    if asked.bucket_options.is_some() {
        not_applied.push("bucket_options");
    }
    let bucket = BucketName::parse(&asked.bucket_name).map_err(|error| Refused::input(error.to_string()))?;
    let grants = vec![Grant { bucket: Some(bucket.clone()), role: GrantRole::Editor }];
    let with = CreateKeyWith {
        key: CreateAccessKey {
            owner: OwnerName::External(claim.user_id.clone()),
            label: bucket.as_str().into(),
            grants: grants.clone(),
            default_allow: asked.access_key_scope.unwrap_or(body::Scope::Standard).default_allow(),
            ..CreateAccessKey::default()
        },
        policies: Vec::new(),
        bucket: Some(bucket.clone()),
        once: true,
    };
    let org = call.org_or_new(id, Some(&asked.org_name)).await?;
    let done = call.execute(Some(&claim), Command::CreateKeyWith { org: org.org, with: Box::new(with) }).await?;
    let answer = |key: &AccessKeyId, secret: Option<&SecretKey>| {
        json(&Provisioned {
            id: key.as_str(),
            secret_key: secret.map(OnceShown),
            name: bucket.as_str(),
            bucket_name: bucket.as_str(),
            org_id: id,
            not_applied: &not_applied,
        })
    };
    if let Outcome::KeyCreated(made) = &done.outcome {
        return answer(&made.access_key_id, made.secret.as_ref());
    }
    let state = call.state();
    let key = key_there(&state, &org, &claim, &bucket, &grants).ok_or_else(Refused::no_key)?;
    answer(&key, None)
}

/// The key that provisioning made before.
fn key_there(
    state: &State,
    org: &OrgRecord,
    claim: &Claim,
    label: &BucketName,
    grants: &[Grant],
) -> Option<AccessKeyId> {
    let user = state.user_by_external_id(org.org, &claim.user_id)?;
    let keys = state.keys_of(&OwnerRef::User(user.user));
    let mut keys = keys.into_iter().filter_map(|key| state.key_by_uid(key));
    keys.find(|key| key.label == label.as_str() && key.rights().grants == grants).map(|key| key.id)
}
