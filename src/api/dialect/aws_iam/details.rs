//! GetAccountAuthorizationDetails: users, groups and policies with everything that gives them rights, in pages.
//!
//! Not here: roles, of which there are none.

use super::call::{Answer, Call};
use super::error::IamError;
use super::form::Shape;
use super::group;
use super::names::{AnyPolicy, in_every_org};
use super::page::Paging;
use super::policy;
use super::user;
use super::user_policy::{attached, write_attached};
use super::xml::Xml;
use crate::model::PolicyUid;
use crate::model::text::percent_encoded;
use crate::state::{GroupRecord, PolicyText, UserRecord};
use compact_str::CompactString;
use std::collections::{BTreeMap, BTreeSet};

const KINDS: [&str; 5] = ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];

enum Entity<'a> {
    User(&'a UserRecord),
    Group(&'a GroupRecord),
    Policy(AnyPolicy),
}

/// Where an entity stands among all: by kind, then by name.
fn place(entity: &Entity<'_>) -> String {
    match entity {
        Entity::User(user) => format!("1/{}", user.name),
        Entity::Group(group) => format!("2/{}", group.name),
        Entity::Policy(AnyPolicy::Own(policy)) => format!("3/{}", policy.name),
        Entity::Policy(AnyPolicy::Managed(managed)) => format!("4/{}", managed.policy.name),
    }
}

pub fn answer(call: &Call<'_>) -> Answer {
    let filter = call.form.list("Filter", Shape::RESOURCE)?.unwrap_or_default();
    if let Some(bad) = filter.iter().find(|kind| !KINDS.contains(kind)) {
        let what = format!("Member must satisfy enum value set: [{}]", KINDS.join(", "));
        return Err(super::form::invalid("Filter", bad, &what));
    }
    let wants = |kind: &str| filter.is_empty() || filter.contains(&kind);
    let paging = Paging::read(&call.form)?;
    call.authorize("*")?;
    let (at, name) = match paging.after.as_deref().map(|after| after.split_once('/')) {
        None => (1, None),
        Some(Some((kind, name))) => {
            (kind.parse::<u8>().map_err(|_| IamError::validation("Invalid Marker."))?, Some(name))
        }
        Some(None) => return Err(IamError::validation("Invalid Marker.")),
    };
    // Kinds before the marker's are over, its own goes on behind the name, those after it begin.
    let from = |kind: u8, word: &str| (wants(word) && kind >= at).then(|| name.filter(|_| kind == at));
    let state = call.state();
    let users = from(1, "User").into_iter().flat_map(|after| state.users(call.org, after));
    let groups = from(2, "Group").into_iter().flat_map(|after| state.groups(call.org, after));
    let own = from(3, "LocalManagedPolicy").into_iter().flat_map(|after| state.policies(call.org, after));
    let aws = from(4, "AWSManagedPolicy")
        .into_iter()
        .flat_map(|after| in_every_org().filter(move |managed| after.is_none_or(|after| managed.policy.name > after)));
    let all = users.map(|user| Entity::User(user));
    let all = all.chain(groups.map(|group| Entity::Group(group)));
    let all = all.chain(own.map(|policy| Entity::Policy(AnyPolicy::Own(policy.clone()))));
    let page = paging.page(all.chain(aws.map(|managed| Entity::Policy(AnyPolicy::Managed(managed)))), place);
    let mut xml = Xml::default();
    let users = page.items.iter().filter_map(|it| if let Entity::User(user) = it { Some(*user) } else { None });
    xml.list("UserDetailList", users, |xml, user| write_user(call, xml, user));
    let groups = page.items.iter().filter_map(|it| if let Entity::Group(group) = it { Some(*group) } else { None });
    xml.list("GroupDetailList", groups, |xml, group| {
        group::write(xml, call.account, group);
        write_policies(call, xml, "GroupPolicyList", &group.inline, &group.attached);
    });
    xml.element("RoleDetailList", |_| {});
    let boundaries = policy::boundaries(call);
    let policies = page.items.iter().filter_map(|it| if let Entity::Policy(policy) = it { Some(policy) } else { None });
    xml.list("Policies", policies, |xml, policy| {
        let used = boundaries.get(&policy.uid()).copied().unwrap_or_default();
        policy::write(xml, state, call.account, policy, used);
        write_versions(xml, policy);
    });
    page.write_end(&mut xml);
    Ok(Some(xml))
}

fn write_user(call: &Call<'_>, xml: &mut Xml, user: &UserRecord) {
    user::write(xml, call.account, user);
    let mut groups: Vec<_> = user.groups.iter().filter_map(|group| call.state().group(*group)).collect();
    groups.sort_by_key(|group| group.name.to_ascii_lowercase());
    xml.texts("GroupList", groups.iter().map(|group| group.name.as_str()));
    write_policies(call, xml, "UserPolicyList", &user.inline, &user.attached);
    user::write_more(xml, call.state(), call.account, user);
}

fn write_policies(
    call: &Call<'_>,
    xml: &mut Xml,
    list: &str,
    inline: &BTreeMap<CompactString, PolicyText>,
    uids: &BTreeSet<PolicyUid>,
) {
    xml.list(list, inline, |xml, (name, document)| {
        xml.text("PolicyName", name);
        xml.text("PolicyDocument", &percent_encoded(document));
    });
    xml.list("AttachedManagedPolicies", &attached(call.state(), uids), |xml, policy| {
        write_attached(xml, call.account, policy);
    });
}

fn write_versions(xml: &mut Xml, policy: &AnyPolicy) {
    match policy {
        AnyPolicy::Own(policy) => xml.list("PolicyVersionList", policy.versions.iter().rev(), |xml, version| {
            xml.text("Document", &percent_encoded(&version.document));
            xml.text("VersionId", &format!("v{}", version.version));
            xml.flag("IsDefaultVersion", version.version == policy.default_version);
            if let Some(at) = version.created_at {
                xml.date("CreateDate", at);
            }
        }),
        AnyPolicy::Managed(managed) => xml.list("PolicyVersionList", [managed], |xml, managed| {
            xml.text("Document", &percent_encoded(managed.policy.document.unwrap_or_default()));
            xml.text("VersionId", "v1");
            xml.flag("IsDefaultVersion", true);
        }),
    }
}
