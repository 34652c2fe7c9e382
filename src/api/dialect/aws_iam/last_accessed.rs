//! When an entity's keys were last used, service by service: a job in AWS's API, answered at once here.
//!
//! What is known of a key is its newest use; of an entity, the newest of each service among its keys.
//!
//! Not here: which actions; the audit answers that from the log.

use super::call::{Answer, Call};
use super::error::IamError;
use super::form::Shape;
use super::names::{AnyPolicy, group_by_arn, user_arn, user_by_arn};
use super::page::Paging;
use super::xml::Xml;
use crate::model::{Holder, OrgUid, Time};
use crate::state::{LastUsed, OwnerRef, UserRecord};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Jobs that are remembered; older ones are NoSuchEntity.
const JOBS_MAX: usize = 1_024;

/// Services that can be used here, with AWS's names for them.
const SERVICES: [(&str, &str); 4] = [
    ("cloudtrail", "AWS CloudTrail"),
    ("iam", "AWS Identity and Access Management"),
    ("lightsail", "Amazon Lightsail"),
    ("s3", "Amazon S3"),
];

#[derive(Debug, Clone)]
struct Job {
    id: String,
    org: OrgUid,
    arn: String,
    asked: Time,
    granularity: &'static str,
}

/// Jobs by id, the oldest first.
#[derive(Debug, Default)]
pub struct Jobs(Mutex<VecDeque<Job>>);

pub fn generate(call: &Call<'_>) -> Answer {
    let arn = call.form.required("Arn", Shape::ARN)?;
    let granularity = call.form.one_of("Granularity", &["SERVICE_LEVEL", "ACTION_LEVEL"])?;
    if !arn.starts_with("arn:") {
        return Err(IamError::bad_arn(arn));
    }
    call.authorize(arn)?;
    users_of(call, arn)?;
    let mut jobs = call.api.iam.jobs.0.lock().unwrap_or_else(PoisonError::into_inner);
    // The request's id is unique, and so is what is derived from it.
    let request = call.signed.caller.request_id.as_deref().unwrap_or_default();
    let hash = blake3::derive_key("keyledger 2026-11 last accessed job", request.as_bytes());
    let hex = crate::model::bytes::Hex(&hash[..16]).to_string();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    let id = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-");
    if jobs.len() >= JOBS_MAX {
        jobs.pop_front();
    }
    let granularity = granularity.unwrap_or("SERVICE_LEVEL");
    jobs.push_back(Job { id: id.clone(), org: call.org, arn: arn.to_owned(), asked: call.now(), granularity });
    drop(jobs);
    let mut xml = Xml::default();
    xml.text("JobId", &id);
    Ok(Some(xml))
}

pub fn get(call: &Call<'_>) -> Answer {
    let id = call.form.required("JobId", Shape::JOB)?;
    let paging = Paging::read(&call.form)?;
    call.authorize("*")?;
    let jobs = call.api.iam.jobs.0.lock().unwrap_or_else(PoisonError::into_inner);
    let job = jobs.iter().find(|job| job.id == id && job.org == call.org).cloned();
    drop(jobs);
    let none = || IamError::no_such(format!("The job {} cannot be found.", crate::model::text::excerpt(id, 64)));
    let job = job.ok_or_else(none)?;
    let mut uses: BTreeMap<&str, Vec<(LastUsed, String)>> = BTreeMap::new();
    for user in users_of(call, &job.arn)? {
        let arn = user_arn(call.account, &user.path, &user.name);
        for key in call.state().keys_after(&OwnerRef::User(user.user), None).into_iter().flatten() {
            let Some(used) = key.more().last_used.clone() else { continue };
            let Some((namespace, _)) = SERVICES.iter().find(|(namespace, _)| used.service == *namespace) else {
                continue;
            };
            uses.entry(namespace).or_default().push((used, arn.clone()));
        }
    }
    let page = paging.page_of_all(SERVICES, |(namespace, _)| (*namespace).to_owned());
    let mut xml = Xml::default();
    xml.text("JobStatus", "COMPLETED");
    xml.text("JobType", job.granularity);
    xml.date("JobCreationDate", job.asked);
    xml.list("ServicesLastAccessed", &page.items, |xml, (namespace, name)| {
        xml.text("ServiceName", name);
        xml.text("ServiceNamespace", namespace);
        let of = uses.get(namespace).map_or(&[][..], Vec::as_slice);
        if let Some((used, arn)) = of.iter().max_by_key(|(used, _)| used.at) {
            xml.date("LastAuthenticated", used.at);
            xml.text("LastAuthenticatedEntity", arn);
            if *namespace != "s3" {
                xml.text("LastAuthenticatedRegion", &used.region);
            }
        }
        let mut entities: Vec<&str> = of.iter().map(|(_, arn)| arn.as_str()).collect();
        entities.sort_unstable();
        entities.dedup();
        xml.number("TotalAuthenticatedEntities", entities.len());
    });
    xml.date("JobCompletionDate", job.asked);
    page.write_end(&mut xml);
    Ok(Some(xml))
}

/// The users that an ARN stands for: a user, a group's members, the holders of a policy.
fn users_of<'a>(call: &'a Call<'_>, arn: &str) -> Result<Vec<&'a Arc<UserRecord>>, IamError> {
    let (state, org, account) = (call.state(), call.org, call.account);
    if let Some(user) = user_by_arn(state, org, account, arn) {
        return Ok(vec![user]);
    }
    if let Some(group) = group_by_arn(state, org, account, arn) {
        return Ok(group.members.iter().filter_map(|member| state.user(*member)).collect());
    }
    let policy = AnyPolicy::by_arn(state, org, account, arn);
    let policy = policy
        .ok_or_else(|| IamError::no_such(format!("ARN {} cannot be found.", crate::model::text::excerpt(arn, 128))))?;
    let mut users = Vec::new();
    for holder in state.holders(policy.uid()) {
        match holder {
            Holder::User(user) => users.extend(state.user(user)),
            Holder::Group(group) => {
                let members = state.group(group).map(|group| &group.members);
                users.extend(members.into_iter().flatten().filter_map(|member| state.user(*member)));
            }
            Holder::Key(_) => {}
        }
    }
    users.retain(|user| user.org == org);
    users.sort_by_key(|user| user.user);
    users.dedup_by_key(|user| user.user);
    Ok(users)
}
