//! Reports on the account: the credential report, and the summary.
//!
//! A report is made when it is asked for, from one state; it is kept for four hours, as AWS keeps it.
//!
//! Not here: authorization details (`details`).

use super::call::{Answer, Call};
use super::error::IamError;
use super::key::{last_rotated, region_word, status_word};
use super::last_accessed::Jobs;
use super::names::{root_arn, user_arn};
use super::xml::{Xml, date};
use crate::model::{OrgUid, Time, limits};
use crate::state::{KeyRecord, OwnerRef};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How long a report is answered: 4 h (IAM User Guide, "Getting credential reports").
const KEPT_NS: i64 = 4 * 3_600 * 1_000_000_000;
/// Reports of as many orgs are kept.
const ORGS_MAX: usize = 64;

/// Columns in AWS's order (IAM User Guide, "Understanding the report format").
const COLUMNS: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,\
access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,\
access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,\
cert_1_last_rotated,cert_2_active,cert_2_last_rotated";

/// What is made and answered for a while.
#[derive(Debug)]
pub struct Kept {
    reports: Mutex<HashMap<OrgUid, (Time, Arc<str>)>>,
    pub(super) jobs: Jobs,
    /// Sets this process's markers apart.
    epoch: String,
}

impl Kept {
    /// `started`: when this process began.
    pub fn new(started: Time) -> Self {
        let hash = blake3::hash(&started.0.to_le_bytes());
        let epoch = crate::model::bytes::Hex(&hash.as_bytes()[..4]).to_string();
        Self { reports: Mutex::default(), jobs: Jobs::default(), epoch }
    }

    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }
}

pub fn generate(call: &Call<'_>) -> Answer {
    call.authorize("*")?;
    let report: Arc<str> = credentials(call).into();
    let mut reports = call.api.iam.reports.lock().unwrap_or_else(PoisonError::into_inner);
    if reports.len() >= ORGS_MAX && !reports.contains_key(&call.org) {
        let oldest = reports.iter().min_by_key(|(_, (at, _))| *at).map(|(org, _)| *org);
        oldest.map(|org| reports.remove(&org));
    }
    let was_there = reports.insert(call.org, (call.now(), report)).is_some();
    drop(reports);
    let mut xml = Xml::default();
    if was_there {
        xml.text("State", "COMPLETE");
    } else {
        xml.text("State", "STARTED");
        xml.text("Description", "No report exists. Starting a new report generation task");
    }
    Ok(Some(xml))
}

pub fn get(call: &Call<'_>) -> Answer {
    call.authorize("*")?;
    let reports = call.api.iam.reports.lock().unwrap_or_else(PoisonError::into_inner);
    let found = reports.get(&call.org).cloned();
    drop(reports);
    let Some((made, report)) = found else {
        return Err(IamError::new(
            410,
            "ReportNotPresent",
            "No report exists. Ask for one with GenerateCredentialReport.",
        ));
    };
    if call.now().ns_since(made) > KEPT_NS {
        return Err(IamError::new(410, "ReportExpired", "The report has expired. Ask for a new one."));
    }
    let mut xml = Xml::default();
    xml.text("Content", &STANDARD.encode(report.as_bytes()));
    xml.text("ReportFormat", "text/csv");
    xml.date("GeneratedTime", made);
    Ok(Some(xml))
}

/// The report itself: a row for the root, then one for each user.
fn credentials(call: &Call<'_>) -> String {
    let state = call.state();
    let mut out = String::with_capacity(1024);
    out.push_str(COLUMNS);
    out.push('\n');
    let created = state.org(call.org).map(|org| org.created_at);
    let root = OwnerRef::Org(call.org);
    row(call, &mut out, "<root_account>", &root_arn(call.account), created, "not_supported", &root);
    for user in state.users(call.org, None) {
        let arn = user_arn(call.account, &user.path, &user.name);
        row(call, &mut out, &user.name, &arn, user.created_at, "false", &OwnerRef::User(user.user));
    }
    out
}

fn row(
    call: &Call<'_>,
    out: &mut String,
    name: &str,
    arn: &str,
    created: Option<Time>,
    password: &str,
    owner: &OwnerRef,
) {
    // The report has room for two keys; those that were revoked are over.
    let all = call.state().keys_after(owner, None).into_iter().flatten();
    let keys: Vec<KeyRecord> = all.take(2).collect();
    let mut cells: Vec<String> = Vec::with_capacity(22);
    cells.push(quoted(name));
    cells.push(quoted(arn));
    cells.push(created.map_or_else(|| "no_information".to_owned(), stamp));
    cells.push(password.to_owned());
    let never = if password == "not_supported" { "not_supported" } else { "N/A" };
    cells.extend([never, never, never].map(str::to_owned));
    cells.push("false".to_owned());
    for place in 0..2 {
        match keys.get(place) {
            Some(key) => {
                let is_active = status_word(call.state().status(key, call.now())) == "Active";
                cells.push(is_active.to_string());
                cells.push(stamp(last_rotated(key)));
                match &key.more().last_used {
                    Some(used) => {
                        cells.push(stamp(used.at));
                        cells.push(quoted(region_word(&used.service, &used.region)));
                        cells.push(quoted(&used.service));
                    }
                    None => cells.extend(["N/A", "N/A", "N/A"].map(str::to_owned)),
                }
            }
            None => cells.extend(["false", "N/A", "N/A", "N/A", "N/A"].map(str::to_owned)),
        }
    }
    cells.extend(["false", "N/A", "false", "N/A"].map(str::to_owned));
    out.push_str(&cells.join(","));
    out.push('\n');
}

/// As AWS writes times in reports: `2026-11-26T02:40:04+00:00`.
fn stamp(time: Time) -> String {
    date(time).replace('Z', "+00:00")
}

/// User names and paths may hold commas and what spreadsheets take for a formula.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

pub fn summary(call: &Call<'_>) -> Answer {
    call.authorize("*")?;
    let state = call.state();
    let settings = state.org(call.org).map(|org| &org.settings);
    let policies: Vec<_> = state.policies(call.org, None).collect();
    let versions: usize = policies.iter().map(|policy| policy.versions.len()).sum();
    let keys_max =
        settings.and_then(|settings| settings.iam_keys_per_user_max).unwrap_or(limits::IAM_KEYS_PER_USER_MAX);
    let keys_max = usize::try_from(keys_max).unwrap_or(usize::MAX);
    let has_root_key = state.count_of(&OwnerRef::Org(call.org)) > 0;
    let attached = limits::ATTACHED_POLICIES_MAX;
    let entries = [
        ("Users", state.users(call.org, None).count()),
        ("UsersQuota", limits::USERS_PER_ORG_MAX),
        ("Groups", state.groups(call.org, None).count()),
        ("GroupsQuota", limits::GROUPS_PER_ORG_MAX),
        ("GroupsPerUserQuota", limits::GROUPS_PER_USER_MAX),
        ("Policies", policies.len()),
        ("PoliciesQuota", limits::POLICIES_PER_ORG_MAX),
        ("PolicySizeQuota", crate::policy::DocumentKind::Managed.chars_max()),
        ("UserPolicySizeQuota", crate::policy::DocumentKind::UserInline.chars_max()),
        ("GroupPolicySizeQuota", crate::policy::DocumentKind::GroupInline.chars_max()),
        ("PolicyVersionsInUse", versions),
        ("PolicyVersionsInUseQuota", limits::POLICIES_PER_ORG_MAX * limits::POLICY_VERSIONS_MAX),
        ("VersionsPerPolicyQuota", limits::POLICY_VERSIONS_MAX),
        ("AttachedPoliciesPerUserQuota", attached),
        ("AttachedPoliciesPerGroupQuota", attached),
        ("AttachedPoliciesPerRoleQuota", attached),
        ("AccessKeysPerUserQuota", keys_max),
        ("AccountAccessKeysPresent", usize::from(has_root_key)),
        ("AccountMFAEnabled", 0),
        ("AccountPasswordPresent", 0),
        ("AccountSigningCertificatesPresent", 0),
        ("MFADevices", 0),
        ("MFADevicesInUse", 0),
        ("Roles", 0),
        ("ServerCertificates", 0),
    ];
    let mut xml = Xml::default();
    xml.element("SummaryMap", |xml| {
        for (key, value) in entries {
            xml.element("entry", |xml| {
                xml.text("key", key);
                xml.number("value", value);
            });
        }
    });
    Ok(Some(xml))
}
