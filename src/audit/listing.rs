//! Every noun of a moment as one row: what `state --at` shows, what `diff` compares and what the digest of a day is taken over.
//!
//! Invariants
//! - A row holds stored facts alone, apart from `status`, which is derived from the moment asked for and left out of the digest: the same
//!   moment gives the same bytes on any machine, whenever it is asked (R14).
//! - No seq and no recorded_at stands in a row.
//!
//! Not here: finding the moment (`at`).

use super::describe::grants;
use super::names::Worlds;
use super::report::org_kind;
use crate::model::{OrgKind, OrgOwner, OrgUid, Tags, Time};
use crate::state::{KeyRecord, Marks, OrgRecord, PolicyText, State};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What kind of noun a row is of; the order rows are listed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Noun {
    Org,
    User,
    Group,
    Policy,
    Bucket,
    Key,
}

impl Noun {
    pub const ALL: [Noun; 6] = [Noun::Org, Noun::User, Noun::Group, Noun::Policy, Noun::Bucket, Noun::Key];

    pub fn as_str(self) -> &'static str {
        match self {
            Noun::Org => "org",
            Noun::User => "user",
            Noun::Group => "group",
            Noun::Policy => "policy",
            Noun::Bucket => "bucket",
            Noun::Key => "key",
        }
    }
}

/// What names a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct RowName {
    pub noun: Noun,
    /// `live` or `evidence`.
    pub org_kind: &'static str,
    /// The account id.
    pub org: String,
    /// An access key id, or the name.
    pub name: String,
    /// A user, group or policy survives its renames by this.
    pub uid: Option<String>,
}

/// One noun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct NounRow {
    #[serde(flatten)]
    pub name: RowName,
    #[serde(flatten)]
    pub fields: BTreeMap<&'static str, serde_json::Value>,
}

/// Which rows are listed.
#[derive(Debug, Clone, Default)]
pub struct ListingOptions {
    /// Empty: all.
    pub nouns: Vec<Noun>,
    /// Only of these orgs; `None`: all.
    pub orgs: Option<std::collections::BTreeSet<OrgUid>>,
    /// Deleted keys, users, groups and policies too.
    pub deleted: bool,
}

/// Every noun, sorted by [`RowName`]; statuses are told at `now`.
#[must_use]
pub fn listing(worlds: &Worlds, now: Time, options: &ListingOptions) -> Vec<NounRow> {
    let mut rows = Vec::new();
    let wants = |noun| options.nouns.is_empty() || options.nouns.contains(&noun);
    for (kind, state) in worlds.states() {
        let lister = Lister { worlds, state, kind, now, deleted: options.deleted };
        for org in state.orgs().filter(|org| org.kind == kind) {
            if options.orgs.as_ref().is_some_and(|orgs| !orgs.contains(&org.org)) {
                continue;
            }
            for noun in Noun::ALL.into_iter().filter(|noun| wants(*noun)) {
                lister.rows(noun, org, &mut rows);
            }
        }
        if wants(Noun::Key) {
            state.for_each_key(|key| {
                let is_listed = (options.deleted || !key.is_deleted())
                    && options.orgs.as_ref().is_none_or(|orgs| orgs.contains(&key.org()));
                if is_listed {
                    rows.push(lister.key(&key.to_record()));
                }
            });
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

/// BLAKE3 over the rows as JSON lines, `status` left out: equal for equal nouns, on any machine and whenever it is taken.
#[must_use]
pub fn digest(rows: &[NounRow]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let mut line = Vec::new();
    for row in rows {
        line.clear();
        let mut row = row.clone();
        row.fields.remove("status");
        // Writing to memory does not fail, and every key is a string.
        if serde_json::to_writer(&mut line, &row).is_ok() {
            line.push(b'\n');
            hasher.update(&line);
        }
    }
    *hasher.finalize().as_bytes()
}

struct Lister<'a> {
    worlds: &'a Worlds,
    state: &'a State,
    kind: OrgKind,
    now: Time,
    deleted: bool,
}

impl Lister<'_> {
    fn row(&self, noun: Noun, org: OrgUid, name: String, uid: Option<String>) -> NounRow {
        let name = RowName { noun, org_kind: org_kind(self.kind), org: self.worlds.account(org), name, uid };
        NounRow { name, fields: BTreeMap::new() }
    }

    fn rows(&self, noun: Noun, org: &Arc<OrgRecord>, rows: &mut Vec<NounRow>) {
        match noun {
            Noun::Org => rows.push(self.org(org)),
            Noun::User => self.users(org.org, rows),
            Noun::Group => self.groups(org.org, rows),
            Noun::Policy => self.policies(org.org, rows),
            Noun::Bucket => {
                for (bucket, _) in self.state.buckets().filter(|(_, owner)| *owner == org.org) {
                    rows.push(self.row(Noun::Bucket, org.org, bucket.to_string(), None));
                }
            }
            // Keys are listed in one pass over all of them.
            Noun::Key => {}
        }
    }

    fn org(&self, org: &OrgRecord) -> NounRow {
        let mut row = self.row(Noun::Org, org.org, org.name.to_string(), Some(org.org.to_string()));
        let fields = &mut row.fields;
        set(fields, "alias", &org.alias);
        set(fields, "suspended", &org.suspended);
        if self.kind == OrgKind::Live {
            set(fields, "created_at", &org.created_at.to_string());
        }
        if let OrgOwner::Provider { provider, external_id } = &org.owner {
            set(fields, "provider", provider);
            set(fields, "external_id", external_id);
        }
        set(fields, "settings", &org.settings);
        row
    }

    fn users(&self, org: OrgUid, rows: &mut Vec<NounRow>) {
        let listed = self.state.all_users().filter(|u| u.org == org && (self.deleted || u.deleted_at.is_none()));
        for user in listed {
            let mut row = self.row(Noun::User, org, user.name.to_string(), Some(user.user.to_string()));
            let fields = &mut row.fields;
            set(fields, "path", &user.path);
            set(fields, "role", &user.role.as_str());
            set(fields, "external_id", &user.external_id);
            tags(fields, &user.tags);
            set(fields, "groups", &sorted(user.groups.iter().map(|group| self.worlds.group_name(*group))));
            self.rights(fields, user.attached.iter().copied(), &user.inline);
            set(fields, "boundary", &user.boundary.map(|policy| self.worlds.policy_name(policy)));
            times(fields, user.created_at, user.deleted_at);
            rows.push(row);
        }
    }

    fn groups(&self, org: OrgUid, rows: &mut Vec<NounRow>) {
        for group in self.state.groups(org, None) {
            let mut row = self.row(Noun::Group, org, group.name.to_string(), Some(group.group.to_string()));
            let fields = &mut row.fields;
            set(fields, "path", &group.path);
            set(fields, "members", &sorted(group.members.iter().map(|user| self.worlds.user_name(*user))));
            self.rights(fields, group.attached.iter().copied(), &group.inline);
            times(fields, group.created_at, group.deleted_at);
            rows.push(row);
        }
    }

    fn policies(&self, org: OrgUid, rows: &mut Vec<NounRow>) {
        for policy in self.state.policies(org, None) {
            let mut row = self.row(Noun::Policy, org, policy.name.to_string(), Some(policy.policy.to_string()));
            let fields = &mut row.fields;
            set(fields, "path", &policy.path);
            set(fields, "description", &policy.description);
            tags(fields, &policy.tags);
            set(fields, "default_version", &format!("v{}", policy.default_version));
            let versions: BTreeMap<String, &str> =
                policy.versions.iter().map(|v| (format!("v{}", v.version), &*v.document)).collect();
            set(fields, "versions", &versions);
            let holders = self.state.holders(policy.policy);
            set(fields, "attached_to", &sorted(holders.iter().map(|holder| self.worlds.holder_name(*holder))));
            times(fields, policy.created_at, policy.deleted_at);
            rows.push(row);
        }
    }

    fn key(&self, key: &KeyRecord) -> NounRow {
        let mut row = self.row(Noun::Key, key.org, key.id.to_string(), None);
        let fields = &mut row.fields;
        let more = key.more();
        set(fields, "access_key_id", &key.id);
        set(fields, "owner", &self.worlds.owner_name(&key.owner));
        set(fields, "user_name", &self.worlds.owner_user(&key.owner));
        set(fields, "status", &self.state.status(key, self.now).as_str());
        set(fields, "origin", &key.origin().as_str());
        set(fields, "label", &key.label);
        set(fields, "description", &more.description);
        tags(fields, &more.tags);
        set(fields, "grants", &grants(&key.rights().grants));
        self.rights(fields, key.rights().attached.iter().copied(), &key.rights().inline);
        set(fields, "default_allow", &key.marks.has(Marks::DEFAULT_ALLOW));
        set(fields, "created_at", &key.created_at().map(|t| t.to_string()));
        set(fields, "expires_at", &key.expires_at().map(|t| t.to_string()));
        set(fields, "secret_version", &key.secret_version);
        let set_at = (key.secret_set_at != Time::MIN).then(|| key.secret_set_at.to_string());
        set(fields, "secret_set_at", &set_at);
        set(fields, "suspended", &key.marks.has(Marks::SUSPENDED));
        set(fields, "revoked_at", &key.revoked_at().map(|t| t.to_string()));
        set(fields, "deleted_at", &key.deleted_at().map(|t| t.to_string()));
        set(fields, "quarantined", &key.marks.has(Marks::QUARANTINED));
        set(fields, "replaces", &more.links.replaces.map(|uid| self.worlds.key_name(uid)));
        set(fields, "replaced_by", &more.links.replaced_by.map(|uid| self.worlds.key_name(uid)));
        set(fields, "made_by", &more.made_by.map(|uid| self.worlds.key_name(uid)));
        let used = more.last_used.as_ref().map(|used| {
            serde_json::json!({
                "date": used.at.to_string(), "service": used.service.as_str(), "region": used.region.as_str()
            })
        });
        set(fields, "last_used", &used);
        row
    }

    fn rights(
        &self,
        fields: &mut BTreeMap<&'static str, serde_json::Value>,
        attached: impl Iterator<Item = crate::model::PolicyUid>,
        inline: &BTreeMap<compact_str::CompactString, PolicyText>,
    ) {
        set(fields, "attached_policies", &sorted(attached.map(|policy| self.worlds.policy_name(policy))));
        let inline: BTreeMap<&str, &str> = inline.iter().map(|(name, document)| (name.as_str(), &**document)).collect();
        set(fields, "inline_policies", &inline);
    }
}

fn set<T: Serialize + ?Sized>(fields: &mut BTreeMap<&'static str, serde_json::Value>, name: &'static str, value: &T) {
    fields.insert(name, serde_json::to_value(value).unwrap_or_default());
}

fn tags(fields: &mut BTreeMap<&'static str, serde_json::Value>, tags: &Tags) {
    set(fields, "tags", tags);
}

fn times(fields: &mut BTreeMap<&'static str, serde_json::Value>, created: Option<Time>, deleted: Option<Time>) {
    set(fields, "created_at", &created.map(|t| t.to_string()));
    if let Some(deleted) = deleted {
        set(fields, "deleted_at", &deleted.to_string());
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
