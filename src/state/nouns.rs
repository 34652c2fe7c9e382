//! What events do to the small nouns: orgs, providers, users, groups, policies, buckets, tokens, findings.
//!
//! Not here: keys and what is attached to them (`apply`, which comes first and hands the rest on).

use super::apply::{At, retag};
use super::record::{
    FindingRecord, GroupRecord, OrgRecord, PolicyRecord, PolicyVersion, ProviderRecord, TokenRecord, TokenSeen,
    UserRecord,
};
use super::root::{Root, folded};
use crate::model::{Event, EventId, GroupUid, Holder, OrgKind, OrgOwner, PolicyUid, Role, Time, UserUid};
use compact_str::CompactString;
use std::sync::Arc;

impl Root {
    pub(super) fn forget_tokens(&mut self, now: Time) {
        while let Some((until, scope, token)) = self.seen_until.get_min().cloned() {
            if until > now {
                break;
            }
            self.seen.remove(&(scope.clone(), token.clone()));
            self.seen_until.remove(&(until, scope, token));
        }
    }

    pub(super) fn remember_token(&mut self, scope: CompactString, token: CompactString, seen: TokenSeen) {
        self.seen_until.insert((seen.forget_at, scope.clone(), token.clone()));
        if let Some(before) = self.seen.insert((scope.clone(), token.clone()), seen) {
            self.seen_until.remove(&(before.forget_at, scope, token));
        }
    }

    pub(super) fn hold(&mut self, policy: PolicyUid, holder: Holder, on: bool) {
        if on {
            self.attached.entry(policy).or_default().insert(holder);
        } else if let Some(holders) = self.attached.get_mut(&policy) {
            holders.remove(&holder);
            if holders.is_empty() {
                self.attached.remove(&policy);
            }
        }
    }

    pub(super) fn change_org(&mut self, at: At, f: impl FnOnce(&mut OrgRecord)) {
        if let Some(org) = at.org.and_then(|org| self.orgs.get_mut(&org)) {
            let org = Arc::make_mut(org);
            f(org);
            org.changed = at.seq;
        }
    }

    pub(super) fn change_user(&mut self, at: At, user: UserUid, f: impl FnOnce(&mut UserRecord)) {
        if let Some(user) = self.users.get_mut(&user) {
            let user = Arc::make_mut(user);
            f(user);
            user.changed = at.seq;
        }
    }

    pub(super) fn change_group(&mut self, at: At, group: GroupUid, f: impl FnOnce(&mut GroupRecord)) {
        if let Some(group) = self.groups.get_mut(&group) {
            let group = Arc::make_mut(group);
            f(group);
            group.changed = at.seq;
        }
    }

    fn change_policy(&mut self, at: At, policy: PolicyUid, f: impl FnOnce(&mut PolicyRecord)) {
        if let Some(policy) = self.policies.get_mut(&policy) {
            let policy = Arc::make_mut(policy);
            f(policy);
            policy.changed = at.seq;
        }
    }

    pub(super) fn apply(&mut self, at: At, event: &Event) {
        match event {
            Event::OrgCreated { org, account, kind, name, owner, settings } => {
                let record = OrgRecord {
                    org: *org,
                    account: *account,
                    kind: *kind,
                    name: name.clone(),
                    alias: None,
                    owner: owner.clone(),
                    suspended: false,
                    settings: settings.clone(),
                    created_at: at.time,
                    changed: at.seq,
                };
                if *kind == OrgKind::Live {
                    self.accounts.insert(*account, *org);
                }
                if let OrgOwner::Provider { provider, external_id } = owner {
                    self.provider_orgs.insert((provider.clone(), external_id.clone()), *org);
                }
                self.orgs.insert(*org, Arc::new(record));
            }
            Event::OrgSuspended {} => self.change_org(at, |org| org.suspended = true),
            Event::OrgResumed {} => self.change_org(at, |org| org.suspended = false),
            Event::OrgSettingsSet { after, .. } => self.change_org(at, |org| org.settings = (**after).clone()),
            Event::OrgAliasSet { after, .. } => self.change_org(at, |org| org.alias.clone_from(after)),
            Event::ProviderCreated { provider, key_hash, explicit_orgs } => {
                let record = ProviderRecord {
                    provider: provider.clone(),
                    key_hash: *key_hash,
                    explicit_orgs: *explicit_orgs,
                    created_at: at.time,
                };
                self.providers.insert(provider.clone(), Arc::new(record));
            }
            Event::ProviderKeyChanged { provider, key_hash } => {
                if let Some(record) = self.providers.get_mut(provider) {
                    Arc::make_mut(record).key_hash = *key_hash;
                }
            }
            Event::BucketRegistered { bucket } => {
                if let Some(org) = at.org {
                    self.buckets.insert(bucket.clone(), org);
                }
            }
            Event::BucketForgotten { bucket } if self.buckets.get(bucket).copied() == at.org => {
                self.buckets.remove(bucket);
            }
            Event::TokenOpened { token_hash, key, expires_at } => {
                self.tokens.insert(*token_hash, TokenRecord { key: *key, expires_at: *expires_at });
            }
            Event::TokenClosed { token_hash } => drop(self.tokens.remove(token_hash)),
            Event::SessionOpened { session_hash, key, expires_at } => {
                self.sessions.insert(*session_hash, TokenRecord { key: *key, expires_at: *expires_at });
            }
            Event::SessionClosed { session_hash, .. } => drop(self.sessions.remove(session_hash)),
            Event::FindingRaised { finding, key, detail } => {
                let record = FindingRecord {
                    finding: finding.clone(),
                    key: *key,
                    detail: detail.clone(),
                    raised: EventId { seq: at.seq, index: at.index },
                    at: at.time,
                };
                self.findings.insert((finding.clone(), *key), record);
            }
            Event::FindingClosed { finding, key, .. } => drop(self.findings.remove(&(finding.clone(), *key))),
            Event::LedgerRestored { .. } => self.restored = Some(at.seq),
            Event::RestoreAccepted {} => self.restored = None,
            Event::EvidenceBatchImported { .. } | Event::EvidenceChanged(_) | Event::EvidenceObserved(_) => {
                if let Some(org) = at.org {
                    Arc::make_mut(self.evidence.entry(org).or_default()).collect(at.seq, event);
                }
            }
            Event::UserCreated { .. }
            | Event::UserRenamed { .. }
            | Event::UserMoved { .. }
            | Event::UserRoleSet { .. }
            | Event::UserTagged { .. }
            | Event::UserBoundarySet { .. }
            | Event::UserDeleted { .. } => self.apply_user(at, event),
            Event::GroupCreated { .. }
            | Event::GroupRenamed { .. }
            | Event::GroupMoved { .. }
            | Event::GroupDeleted { .. }
            | Event::GroupMemberAdded { .. }
            | Event::GroupMemberRemoved { .. } => self.apply_group(at, event),
            Event::PolicyCreated { .. }
            | Event::PolicyTagged { .. }
            | Event::PolicyDescribed { .. }
            | Event::PolicyVersionCreated { .. }
            | Event::PolicyDefaultSet { .. }
            | Event::PolicyVersionDeleted { .. }
            | Event::PolicyDeleted { .. } => self.apply_policy(at, event),
            // Told by the log alone, or handled with the keys.
            _ => {}
        }
    }

    fn apply_user(&mut self, at: At, event: &Event) {
        match event {
            Event::UserCreated { user, name, path, external_id, tags } => {
                let Some(org) = at.org else { return };
                let record = UserRecord {
                    user: *user,
                    org,
                    name: name.clone(),
                    path: path.clone(),
                    role: Role::Member,
                    external_id: external_id.clone(),
                    tags: tags.clone(),
                    inline: Default::default(),
                    attached: Default::default(),
                    boundary: None,
                    groups: Default::default(),
                    created_at: Some(at.time),
                    deleted_at: None,
                    changed: at.seq,
                };
                self.user_names.insert((org, folded(name)), *user);
                if let Some(external) = external_id {
                    self.external_users.insert((org, external.clone()), *user);
                }
                self.users.insert(*user, Arc::new(record));
            }
            Event::UserRenamed { user, after, .. } => {
                if let Some(record) = self.users.get(user) {
                    self.user_names.remove(&(record.org, folded(&record.name)));
                    self.user_names.insert((record.org, folded(after)), *user);
                }
                self.change_user(at, *user, |u| u.name = after.clone());
            }
            Event::UserMoved { user, after, .. } => self.change_user(at, *user, |u| u.path = after.clone()),
            Event::UserRoleSet { user, after, .. } => self.change_user(at, *user, |u| u.role = *after),
            Event::UserTagged { user, set, removed } => {
                self.change_user(at, *user, |u| retag(&mut u.tags, set, removed));
            }
            Event::UserBoundarySet { user, after, .. } => self.change_user(at, *user, |u| u.boundary = *after),
            Event::UserDeleted { user, .. } => {
                let Some(record) = self.users.get(user).cloned() else { return };
                self.user_names.remove(&(record.org, folded(&record.name)));
                if let Some(external) = &record.external_id {
                    self.external_users.remove(&(record.org, external.clone()));
                }
                for policy in &record.attached {
                    self.hold(*policy, Holder::User(*user), false);
                }
                for group in &record.groups {
                    self.change_group(at, *group, |g| _ = g.members.remove(user));
                }
                self.change_user(at, *user, |u| {
                    u.deleted_at = Some(at.time);
                    u.attached.clear();
                    u.inline.clear();
                    u.groups.clear();
                });
            }
            _ => {}
        }
    }

    fn apply_group(&mut self, at: At, event: &Event) {
        match event {
            Event::GroupCreated { group, name, path } => {
                let Some(org) = at.org else { return };
                let record = GroupRecord {
                    group: *group,
                    org,
                    name: name.clone(),
                    path: path.clone(),
                    members: Default::default(),
                    inline: Default::default(),
                    attached: Default::default(),
                    created_at: Some(at.time),
                    deleted_at: None,
                    changed: at.seq,
                };
                self.group_names.insert((org, folded(name)), *group);
                self.groups.insert(*group, Arc::new(record));
            }
            Event::GroupRenamed { group, after, .. } => {
                if let Some(record) = self.groups.get(group) {
                    self.group_names.remove(&(record.org, folded(&record.name)));
                    self.group_names.insert((record.org, folded(after)), *group);
                }
                self.change_group(at, *group, |g| g.name = after.clone());
            }
            Event::GroupMoved { group, after, .. } => self.change_group(at, *group, |g| g.path = after.clone()),
            Event::GroupDeleted { group, .. } => {
                let Some(record) = self.groups.get(group).cloned() else { return };
                self.group_names.remove(&(record.org, folded(&record.name)));
                for policy in &record.attached {
                    self.hold(*policy, Holder::Group(*group), false);
                }
                for user in &record.members {
                    self.change_user(at, *user, |u| _ = u.groups.remove(group));
                }
                self.change_group(at, *group, |g| {
                    g.deleted_at = Some(at.time);
                    g.attached.clear();
                    g.inline.clear();
                    g.members.clear();
                });
            }
            Event::GroupMemberAdded { group, user } => {
                self.change_group(at, *group, |g| _ = g.members.insert(*user));
                self.change_user(at, *user, |u| _ = u.groups.insert(*group));
            }
            Event::GroupMemberRemoved { group, user } => {
                self.change_group(at, *group, |g| _ = g.members.remove(user));
                self.change_user(at, *user, |u| _ = u.groups.remove(group));
            }
            _ => {}
        }
    }

    fn apply_policy(&mut self, at: At, event: &Event) {
        match event {
            Event::PolicyCreated { policy, name, path, description, tags, document } => {
                let Some(org) = at.org else { return };
                let record = PolicyRecord {
                    policy: *policy,
                    org,
                    name: name.clone(),
                    path: path.clone(),
                    description: description.clone(),
                    tags: tags.clone(),
                    versions: vec![PolicyVersion {
                        version: 1,
                        document: Arc::clone(document).into(),
                        created_at: Some(at.time),
                    }],
                    default_version: 1,
                    next_version: 2,
                    created_at: Some(at.time),
                    updated_at: Some(at.time),
                    deleted_at: None,
                    changed: at.seq,
                };
                self.policy_names.insert((org, folded(name)), *policy);
                self.policies.insert(*policy, Arc::new(record));
            }
            Event::PolicyTagged { policy, set, removed } => {
                self.change_policy(at, *policy, |p| retag(&mut p.tags, set, removed));
            }
            Event::PolicyDescribed { policy, after, .. } => {
                self.change_policy(at, *policy, |p| {
                    p.description.clone_from(after);
                    p.updated_at = Some(at.time);
                });
            }
            Event::PolicyVersionCreated { policy, version, document, is_default } => {
                self.change_policy(at, *policy, |p| {
                    p.versions.retain(|v| v.version != *version);
                    let made = PolicyVersion {
                        version: *version,
                        document: Arc::clone(document).into(),
                        created_at: Some(at.time),
                    };
                    p.versions.push(made);
                    p.versions.sort_by_key(|v| v.version);
                    p.next_version = p.next_version.max(version.saturating_add(1));
                    if *is_default {
                        p.default_version = *version;
                    }
                    p.updated_at = Some(at.time);
                });
            }
            Event::PolicyDefaultSet { policy, after, .. } => self.change_policy(at, *policy, |p| {
                p.default_version = *after;
                p.updated_at = Some(at.time);
            }),
            Event::PolicyVersionDeleted { policy, version } => {
                self.change_policy(at, *policy, |p| {
                    p.versions.retain(|v| v.version != *version);
                    p.updated_at = Some(at.time);
                });
            }
            Event::PolicyDeleted { policy, .. } => {
                if let Some(record) = self.policies.get(policy) {
                    self.policy_names.remove(&(record.org, folded(&record.name)));
                }
                self.change_policy(at, *policy, |p| p.deleted_at = Some(at.time));
            }
            _ => {}
        }
    }
}
