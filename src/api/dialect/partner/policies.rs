//! Policies of an org: create, get, update, delete, list. An update is in force for every key at once; a delete takes the policy from
//! all of them first.
//!
//! Not here: documents (`document`), attaching (`keys`).

use super::body;
use super::call::Call;
use super::document;
use super::pages::Paging;
use super::refused::Refused;
use super::{Answer, json};
use crate::ledger::Command;
use crate::model::Tags;
use crate::state::{PolicyRecord, State};
use compact_str::CompactString;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

#[derive(Serialize)]
struct PolicyInfo {
    name: CompactString,
    description: CompactString,
    attachment_count: usize,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct Policy {
    document: Box<RawValue>,
    #[serde(flatten)]
    info: PolicyInfo,
}

#[derive(Serialize)]
struct Policies {
    policies: Vec<PolicyInfo>,
    next_continuation_token: String,
}

impl PolicyInfo {
    fn of(state: &State, policy: &PolicyRecord) -> Self {
        let time = |at: Option<crate::model::Time>| at.map(|at| at.to_string()).unwrap_or_default();
        Self {
            name: policy.name.clone(),
            description: policy.description.clone(),
            attachment_count: state.holder_count(policy.policy),
            created_at: time(policy.created_at),
            updated_at: time(policy.updated_at),
        }
    }
}

fn whole(state: &State, policy: &PolicyRecord) -> Answer {
    let text = policy.document().map_or("", |text| text);
    let document =
        RawValue::from_string(text.to_owned()).map_err(|_| Refused::new(500, "The document cannot be read."))?;
    json(&Policy { document, info: PolicyInfo::of(state, policy) })
}

fn find<'a>(state: &'a State, org: crate::model::OrgUid, name: &str) -> Result<&'a Arc<PolicyRecord>, Refused> {
    state.policy_by_name(org, name).ok_or_else(Refused::no_policy)
}

pub async fn create(call: &Call<'_>, org: &str) -> Answer {
    let asked: body::PolicyToCreate = body::read(call.incoming)?;
    let new = asked.checked()?;
    let org = call.org(&call.state(), org)?.org;
    let name = new.name.clone();
    let command = Command::CreatePolicy {
        org,
        name: new.name,
        path: CompactString::default(),
        description: new.description,
        tags: Tags::new(),
        document: new.document,
    };
    call.execute(None, command).await?;
    let state = call.state();
    whole(&state, find(&state, org, &name)?)
}

pub fn get(call: &Call<'_>, org: &str, name: &str) -> Answer {
    body::query(call.incoming, &[])?;
    let state = call.state();
    let org = call.org(&state, org)?.org;
    whole(&state, find(&state, org, name)?)
}

pub async fn update(call: &Call<'_>, org: &str, name: &str) -> Answer {
    let asked: body::UpdatePolicy = body::read(call.incoming)?;
    let text = document::text_of(&asked.document).map_err(Refused::input)?;
    let document = document::checked(&text).map_err(Refused::input)?;
    let state = call.state();
    let org = call.org(&state, org)?.org;
    let policy = find(&state, org, name)?.name.clone();
    let description = asked.description.as_deref().map(Into::into);
    call.execute(None, Command::UpdatePolicy { org, policy, document, description }).await?;
    let state = call.state();
    whole(&state, find(&state, org, name)?)
}

pub async fn delete(call: &Call<'_>, org: &str, name: &str) -> Answer {
    body::query(call.incoming, &[])?;
    let state = call.state();
    let org = call.org(&state, org)?.org;
    let policy = find(&state, org, name)?.name.clone();
    call.execute(None, Command::DeletePolicy { org, policy, force: true }).await?;
    json(&serde_json::json!({}))
}

pub fn list(call: &Call<'_>, org: &str) -> Answer {
    let query = body::query(call.incoming, &["limit", "continuation_token"])?;
    let paging = Paging::of_query(&query, 100, 1_000)?;
    let state = call.state();
    let org = call.org(&state, org)?;
    let all = state.policies(org.org, paging.after.as_deref());
    let (page, next_continuation_token) = paging.page(all, |policy| &policy.name);
    let policies = page.into_iter().map(|policy| PolicyInfo::of(&state, policy)).collect();
    json(&Policies { policies, next_continuation_token })
}
