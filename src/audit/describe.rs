//! An event in words: what it is about, one sentence, and what changed from what to what.
//!
//! Not here: who did it, when and whence; every row has that beside it.

use super::mention::{Mention, is_made, subjects};
use super::names::Worlds;
use crate::model::text::excerpt;
use crate::model::{Event, Grant, KeyCreated, OrgSettings, Role, Tags};
use crate::state::Fact;
use compact_str::CompactString;
use serde::Serialize;

/// What something is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Subject {
    /// `key`, `user`, `group`, `policy`, `bucket`.
    pub noun: &'static str,
    /// An access key id or a name.
    pub name: String,
}

/// One value that changed. `None`: there was, or is, none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Change {
    pub field: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl Change {
    pub(super) fn new(field: &str, before: Option<String>, after: Option<String>) -> Self {
        Self { field: field.to_owned(), before, after }
    }
}

/// An event in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    pub summary: String,
    pub changes: Vec<Change>,
}

/// What an event is about, each thing once, by name.
#[must_use]
pub fn object_of(event: &Event, worlds: &Worlds) -> Vec<Subject> {
    let mut about = Vec::new();
    subjects(event, &mut |mention| {
        let (noun, name) = match mention {
            Mention::Key(uid) => ("key", key_name(event, uid, worlds)),
            Mention::User(uid) => ("user", user_name(event, uid, worlds)),
            Mention::Group(uid) => ("group", worlds.group_name(uid)),
            Mention::Policy(uid) => ("policy", worlds.policy_name(uid)),
            Mention::Bucket(name) => ("bucket", name.to_owned()),
            _ => return,
        };
        let subject = Subject { noun, name };
        if !about.contains(&subject) {
            about.push(subject);
        }
    });
    about
}

/// A key's id: from the event where it says so, since the worlds may be of another moment.
fn key_name(event: &Event, uid: crate::model::KeyUid, worlds: &Worlds) -> String {
    match event {
        Event::KeyCreated(created) | Event::KeyImported(created) if created.key == uid => {
            created.access_key_id.to_string()
        }
        Event::KeyDeleted { access_key_id, .. } => access_key_id.to_string(),
        Event::EvidenceObserved(observed) if observed.issued_key.is_some() => {
            observed.issued_key.as_ref().map_or_else(String::new, ToString::to_string)
        }
        _ => worlds.key_name(uid),
    }
}

fn user_name(event: &Event, uid: crate::model::UserUid, worlds: &Worlds) -> String {
    match event {
        Event::UserCreated { name, .. } | Event::UserDeleted { name, .. } => name.to_string(),
        _ => worlds.user_name(uid),
    }
}

/// What an event says.
#[must_use]
pub fn describe(fact: &Fact<'_>, worlds: &Worlds) -> Described {
    let mut changes = Vec::new();
    let mut change = |field: &str, before: Option<String>, after: Option<String>| {
        changes.push(Change::new(field, before, after));
    };
    let key = |uid| format!("key `{}`", key_name(fact.event, uid, worlds));
    let user = |uid| format!("user `{}`", worlds.user_name(uid));
    let group = |uid| format!("group `{}`", worlds.group_name(uid));
    let policy = |uid| format!("policy `{}`", worlds.policy_name(uid));
    let created = if is_made(fact) { "created" } else { "mentioned" };
    let summary = match fact.event {
        Event::OrgCreated { account, name, .. } => format!("created org {account} `{name}`"),
        Event::OrgSuspended {} => {
            change("org suspended", Some(yes(false)), Some(yes(true)));
            "suspended the org: none of its keys is usable".to_owned()
        }
        Event::OrgResumed {} => {
            change("org suspended", Some(yes(true)), Some(yes(false)));
            "resumed the org".to_owned()
        }
        Event::OrgSettingsSet { before, after } => {
            settings_changes(before, after, &mut change);
            "changed the org's settings".to_owned()
        }
        Event::OrgAliasSet { before, after } => {
            change("alias", text(before.as_ref()), text(after.as_ref()));
            "changed the org's alias".to_owned()
        }
        Event::ProviderCreated { provider, .. } => format!("created provider `{provider}`"),
        Event::ProviderKeyChanged { provider, .. } => format!("changed the key of provider `{provider}`"),
        Event::UserCreated { name, path, .. } => format!("{created} user `{name}` in {path}"),
        Event::UserRenamed { before, after, .. } => {
            change("user name", Some(before.to_string()), Some(after.to_string()));
            format!("renamed user `{before}` to `{after}`")
        }
        Event::UserMoved { user: uid, before, after } => {
            change("path", Some(before.to_string()), Some(after.to_string()));
            format!("moved {} to {after}", user(*uid))
        }
        Event::UserRoleSet { user: uid, before, after } => {
            change("role", Some(role(*before)), Some(role(*after)));
            format!("made {} {}", user(*uid), after.as_str())
        }
        Event::UserTagged { user: uid, set, removed } => {
            tag_changes(set, removed, &mut change);
            format!("changed tags of {}", user(*uid))
        }
        Event::UserBoundarySet { user: uid, before, after } => {
            change("boundary", before.map(policy), after.map(policy));
            format!("changed the permissions boundary of {}", user(*uid))
        }
        Event::UserDeleted { name, .. } => format!("deleted user `{name}`"),
        Event::GroupCreated { name, .. } => format!("{created} group `{name}`"),
        Event::GroupRenamed { before, after, .. } => {
            change("group name", Some(before.to_string()), Some(after.to_string()));
            format!("renamed group `{before}` to `{after}`")
        }
        Event::GroupMoved { group: uid, before, after } => {
            change("path", Some(before.to_string()), Some(after.to_string()));
            format!("moved {} to {after}", group(*uid))
        }
        Event::GroupDeleted { name, .. } => format!("deleted group `{name}`"),
        Event::GroupMemberAdded { group: g, user: u } => {
            change("member", None, Some(user(*u)));
            format!("added {} to {}", user(*u), group(*g))
        }
        Event::GroupMemberRemoved { group: g, user: u } => {
            change("member", Some(user(*u)), None);
            format!("removed {} from {}", user(*u), group(*g))
        }
        Event::BucketRegistered { bucket } => format!("registered bucket `{bucket}`"),
        Event::BucketForgotten { bucket } => format!("forgot bucket `{bucket}`"),
        Event::KeyCreated(key_created) => {
            creation_changes(key_created, worlds, &mut change);
            format!("{created} key `{}` of {}", key_created.access_key_id, worlds.owner_name(&key_created.owner))
        }
        Event::KeyImported(created) => {
            creation_changes(created, worlds, &mut change);
            format!("imported key `{}` of {}", created.access_key_id, worlds.owner_name(&created.owner))
        }
        Event::KeyLabelled { key: uid, before, after } => {
            change("label", some(before), some(after));
            format!("labelled {} `{after}`", key(*uid))
        }
        Event::KeyDescribed { key: uid, before, after } => {
            change("description", some(before), some(after));
            format!("described {}", key(*uid))
        }
        Event::KeyTagged { key: uid, set, removed } => {
            tag_changes(set, removed, &mut change);
            format!("changed tags of {}", key(*uid))
        }
        Event::KeyGrantsSet { key: uid, before, after } => {
            change("grants", Some(grants(before)), Some(grants(after)));
            format!("set grants of {} to {}", key(*uid), grants(after))
        }
        Event::KeyDefaultAllowSet { key: uid, before, after } => {
            change("default_allow", Some(yes(*before)), Some(yes(*after)));
            format!("set default_allow of {} to {}", key(*uid), yes(*after))
        }
        Event::KeyExpirySet { key: uid, before, after } => {
            change("expires_at", before.map(|t| t.to_string()), after.map(|t| t.to_string()));
            match after {
                Some(at) => format!("{} expires at {at}", key(*uid)),
                None => format!("{} no longer expires", key(*uid)),
            }
        }
        Event::KeySuspended { key: uid, by_admin } => {
            change("suspended", Some(yes(false)), Some(yes(true)));
            format!("suspended {}{}", key(*uid), if *by_admin { " as Admin" } else { "" })
        }
        Event::KeyResumed { key: uid } => {
            change("suspended", Some(yes(true)), Some(yes(false)));
            format!("resumed {}", key(*uid))
        }
        Event::KeyRevoked { key: uid } => {
            change("revoked", Some(yes(false)), Some(yes(true)));
            format!("revoked {}", key(*uid))
        }
        Event::KeyDeleted { access_key_id, unrevoked, .. } => {
            change("deleted", Some(yes(false)), Some(yes(true)));
            format!("deleted key `{access_key_id}`{}", if *unrevoked { " without revoking it first" } else { "" })
        }
        Event::KeyRotated { old, new, deadline } => {
            change("successor", None, Some(key(*new)));
            format!("rotated {} to {}; the old one stops at {deadline}", key(*old), key(*new))
        }
        Event::KeySecretRotated { key: uid, secret, old_version, old_deadline } => {
            change("secret version", Some(old_version.to_string()), Some(secret.version.to_string()));
            format!("rotated the secret of {} in place; version {old_version} stops at {old_deadline}", key(*uid))
        }
        Event::KeySecretRetired { key: uid, version } => {
            change("secret retired", None, Some(version.to_string()));
            format!("retired secret version {version} of {}", key(*uid))
        }
        Event::KeySecretShredded { key: uid, versions, level } => {
            let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
            format!("shredded secret {} of {} ({})", versions.join(", "), key(*uid), level.as_str())
        }
        Event::KeyFlagged { key: uid, quarantine, note } => {
            change("flag", None, Some(if *quarantine { "quarantine" } else { "note" }.to_owned()));
            let quarantine = if *quarantine { " and quarantined it" } else { "" };
            format!("flagged {}{quarantine}: {}", key(*uid), excerpt(note, 200))
        }
        Event::KeyCleared { key: uid } => format!("cleared the flag of {}", key(*uid)),
        Event::PolicyCreated { name, document, .. } => {
            change("document", None, Some(document.to_string()));
            format!("{created} policy `{name}`")
        }
        Event::PolicyTagged { policy: uid, set, removed } => {
            tag_changes(set, removed, &mut change);
            format!("changed tags of {}", policy(*uid))
        }
        Event::PolicyDescribed { policy: uid, before, after } => {
            change("description", some(before), some(after));
            format!("changed the description of {}", policy(*uid))
        }
        Event::PolicyVersionCreated { policy: uid, version, document, is_default } => {
            change("document", None, Some(document.to_string()));
            let default = if *is_default { " and made it the default" } else { "" };
            format!("created version v{version} of {}{default}", policy(*uid))
        }
        Event::PolicyDefaultSet { policy: uid, before, after } => {
            change("default version", Some(format!("v{before}")), Some(format!("v{after}")));
            format!("made v{after} the default of {}", policy(*uid))
        }
        Event::PolicyVersionDeleted { policy: uid, version } => {
            format!("deleted version v{version} of {}", policy(*uid))
        }
        Event::PolicyDeleted { name, forced, .. } => {
            format!("deleted policy `{name}`{}", if *forced { " although it was attached" } else { "" })
        }
        Event::PolicyAttached { policy: uid, holder } => {
            change("attached", None, Some(policy(*uid)));
            format!("attached {} to {}", policy(*uid), worlds.holder_name(*holder))
        }
        Event::PolicyDetached { policy: uid, holder } => {
            change("attached", Some(policy(*uid)), None);
            format!("detached {} from {}", policy(*uid), worlds.holder_name(*holder))
        }
        Event::PolicyDetachedFromAll { policy: uid, holders } => {
            change("attached", Some(policy(*uid)), None);
            format!("detached {} from its {} holders", policy(*uid), holders.len())
        }
        Event::InlinePolicyPut { holder, name, before, document } => {
            change(&format!("inline policy {name}"), before.as_deref().map(str::to_owned), Some(document.to_string()));
            format!("put inline policy `{name}` of {}", worlds.holder_name(*holder))
        }
        Event::InlinePolicyDeleted { holder, name, before } => {
            change(&format!("inline policy {name}"), Some(before.to_string()), None);
            format!("deleted inline policy `{name}` of {}", worlds.holder_name(*holder))
        }
        Event::TokenOpened { key: uid, expires_at, .. } => {
            format!("opened an API token for {} until {expires_at}", key(*uid))
        }
        Event::TokenClosed { .. } => "closed an API token".to_owned(),
        Event::SessionOpened { key: uid, .. } => format!("signed in to the console with {}", key(*uid)),
        Event::SessionClosed { why, .. } => format!("console session ended: {}", excerpt(why, 100)),
        Event::SignInRefused { access_key_id, source_ip } => {
            format!("refused a sign-in with `{}` from {}", excerpt(access_key_id, 128), excerpt(source_ip, 64))
        }
        Event::UsageRolledUp { keys, dropped } => {
            let uses: u64 = keys.iter().map(uses_of).sum();
            format!("{uses} uses of {}{}", count(keys.len(), "key"), dropped_text(*dropped))
        }
        Event::AttemptsRolledUp { attempts, dropped } => {
            let total: u64 = attempts.iter().fold(0, |sum, attempt| sum.saturating_add(attempt.count));
            format!("{total} attempts with unusable keys{}", dropped_text(*dropped))
        }
        Event::EvidenceBatchImported { source, records, imported, duplicates, rejected } => format!(
            "imported {imported} of {records} records from `{}` ({duplicates} duplicates, {rejected} rejected)",
            excerpt(source, 200)
        ),
        Event::EvidenceChanged(change) => format!("imported {}", excerpt(&change.record.event_name, 128)),
        Event::EvidenceObserved(observed) => {
            let record = &observed.record;
            let mut text = format!("called {}:{}", record.service(), excerpt(&record.event_name, 128));
            if let Some(what) =
                observed.resource.as_deref().or(observed.bucket.as_ref().map(crate::model::BucketName::as_str))
            {
                text = format!("{text} on `{}`", excerpt(what, 128));
            }
            if let Some(issued) = &observed.issued_key {
                text = format!("{text}, which gave out temporary key `{issued}`");
            }
            text
        }
        Event::FindingRaised { finding, detail, .. } => {
            format!("raised finding `{finding}`: {}", excerpt(detail, 200))
        }
        Event::FindingClosed { finding, why, .. } => format!("closed finding `{finding}`: {}", excerpt(why, 200)),
        Event::AuditDone { question, exported, .. } => {
            format!("{} `{}`", if *exported { "exported" } else { "asked" }, excerpt(question, 200))
        }
        Event::ClockAccepted { before, after } => format!("accepted the clock's jump from {before} to {after}"),
        Event::TailAccepted { durable_seq_lost, .. } => match durable_seq_lost {
            Some(seq) => format!("accepted a log whose tail is lost; it once reached commit {seq}"),
            None => "accepted a log whose tail witness is lost".to_owned(),
        },
        Event::LedgerRestored { from, backup_seq } => {
            format!("restored from `{}`, taken at commit {backup_seq}", excerpt(from, 200))
        }
        Event::RestoreAccepted {} => "accepted the restore".to_owned(),
        Event::StateAttested { at, .. } => format!("attested the state at commit {at}"),
        Event::CheckpointPublished { tree_size, .. } => format!("published a checkpoint of {tree_size} commits"),
    };
    Described { summary, changes }
}

/// `Editor on photos, ReadOnly on *`.
#[must_use]
pub fn grants(grants: &[Grant]) -> String {
    if grants.is_empty() {
        return "none".to_owned();
    }
    let one = |grant: &Grant| {
        let bucket = grant.bucket.as_ref().map_or("*", |bucket| bucket.as_str());
        format!("{} on {bucket}", grant.role.as_str())
    };
    grants.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Uses in a rollup of one key.
pub(super) fn uses_of(usage: &crate::model::usage::KeyUsage) -> u64 {
    usage.tuples.iter().fold(usage.other, |sum, tuple| sum.saturating_add(tuple.count))
}

/// `1 key`, `2 keys`.
pub(super) fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

fn dropped_text(dropped: u64) -> String {
    if dropped == 0 { String::new() } else { format!(", {dropped} dropped by the budget") }
}

fn yes(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn role(role: Role) -> String {
    role.as_str().to_owned()
}

fn text(text: Option<&CompactString>) -> Option<String> {
    text.map(ToString::to_string)
}

fn some(text: &CompactString) -> Option<String> {
    (!text.is_empty()).then(|| text.to_string())
}

fn creation_changes(
    created: &KeyCreated,
    worlds: &Worlds,
    change: &mut impl FnMut(&str, Option<String>, Option<String>),
) {
    change("owner", None, Some(worlds.owner_name(&created.owner)));
    if !created.label.is_empty() {
        change("label", None, some(&created.label));
    }
    if !created.grants.is_empty() {
        change("grants", None, Some(grants(&created.grants)));
    }
    if created.default_allow {
        change("default_allow", None, Some(yes(true)));
    }
    if let Some(at) = created.expires_at {
        change("expires_at", None, Some(at.to_string()));
    }
    if let Some(secret) = &created.secret {
        change("secret version", None, Some(secret.version.to_string()));
    }
}

fn tag_changes(set: &Tags, removed: &[CompactString], change: &mut impl FnMut(&str, Option<String>, Option<String>)) {
    for key in removed {
        change(&format!("tag {key}"), Some("set".to_owned()), None);
    }
    for (key, value) in set {
        change(&format!("tag {key}"), None, Some(value.to_string()));
    }
}

fn settings_changes(
    before: &OrgSettings,
    after: &OrgSettings,
    change: &mut impl FnMut(&str, Option<String>, Option<String>),
) {
    // The settings' own serialized names, so that a setting added later is shown without a line here.
    let (Ok(serde_json::Value::Object(before)), Ok(serde_json::Value::Object(after))) =
        (serde_json::to_value(before), serde_json::to_value(after))
    else {
        return;
    };
    for (name, value) in &after {
        let was = before.get(name);
        if was != Some(value) {
            let shown = |value: &serde_json::Value| (!value.is_null()).then(|| value.to_string());
            change(name, was.and_then(shown), shown(value));
        }
    }
}
