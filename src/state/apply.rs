//! The one `match` over [`Event`]: what each does to a state.
//!
//! Total and deterministic: an event that makes no sense (a change of a noun that is not there) changes nothing, on every machine
//! alike. Whether it should have been written was `ledger::decide`'s question.
//!
//! Not here: the small nouns (`nouns`), and evidence, which is collected now and folded when it is asked for (`evidence`).

use super::record::{Flag, KeyRecord, LastUsed, Marks, OwnerRef, SecretRecord, TokenSeen, key_record};
use super::{Arc, State, token_scope};
use crate::model::commit::EnvelopeBrief;
use crate::model::limits::TOKEN_KEPT_NS;
use crate::model::{Commit, Event, Holder, KeyCreated, KeyUid, OrgUid, PolicyUid, Seq, Tags, Time};
use compact_str::CompactString;

/// Where and when an event stands.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub seq: Seq,
    pub index: u16,
    /// The time the event is effective: the commit's, or an evidence record's.
    pub time: Time,
    pub org: Option<OrgUid>,
}

/// An idempotency token to remember.
pub(super) struct TokenNoted {
    scope: CompactString,
    token: CompactString,
    body_hash: [u8; 16],
}

impl TokenNoted {
    pub(super) fn of(envelope: &EnvelopeBrief<'_>) -> Option<Self> {
        let used = envelope.token?;
        let scope = token_scope(envelope.org, &envelope.actor);
        Some(Self { scope, token: used.token.into(), body_hash: used.body_hash })
    }
}

impl State {
    /// Applies the next commit.
    ///
    /// `seq` must be one more than [`State::seq`]: the caller reads them from a log that guarantees it.
    pub fn apply(&mut self, seq: Seq, recorded_at: Time, commit: &Commit) {
        let token = commit.envelope.token.is_some().then(|| TokenNoted::of(&commit.envelope.brief())).flatten();
        self.apply_events(seq, recorded_at, commit.envelope.org, token, &commit.events);
    }

    /// Applies the events of the next commit.
    pub(super) fn apply_events(
        &mut self,
        seq: Seq,
        recorded_at: Time,
        org: Option<OrgUid>,
        token: Option<TokenNoted>,
        events: &[Event],
    ) {
        let root = Arc::make_mut(&mut self.root);
        root.seq = seq;
        root.recorded_at = recorded_at;
        root.forget_tokens(recorded_at);
        if let Some(noted) = token {
            let seen = TokenSeen { seq, body_hash: noted.body_hash, forget_at: recorded_at.plus_ns(TOKEN_KEPT_NS) };
            root.remember_token(noted.scope, noted.token, seen);
        }
        let mut at = At { seq, index: 0, time: recorded_at, org };
        for event in events {
            self.apply_event(at, event);
            at.index = at.index.saturating_add(1);
        }
    }

    /// Applies one event; `at.org` is the org it belongs to.
    pub(super) fn apply_event(&mut self, at: At, event: &Event) {
        match event {
            Event::KeyCreated(created) | Event::KeyImported(created) => {
                self.create_key(at, created, matches!(event, Event::KeyImported(_)));
            }
            Event::KeyLabelled { key, after, .. } => self.change_key(at, *key, |k| k.label = after.clone()),
            Event::KeyDescribed { key, after, .. } => {
                self.change_key(at, *key, |k| k.more_mut().description = after.clone());
            }
            Event::KeyTagged { key, set, removed } => {
                self.change_key(at, *key, |k| retag(&mut k.more_mut().tags, set, removed));
            }
            Event::KeyGrantsSet { key, after, .. } => {
                self.change_key(at, *key, |k| k.rights_mut().grants.clone_from(after));
            }
            Event::KeyDefaultAllowSet { key, after, .. } => {
                self.change_key(at, *key, |k| k.marks.set(Marks::DEFAULT_ALLOW, *after));
            }
            Event::KeyExpirySet { key, after, .. } => {
                self.change_key(at, *key, |k| k.expires_at = after.unwrap_or(Time::MAX));
            }
            Event::KeySuspended { key, by_admin } => self.change_key(at, *key, |k| {
                k.marks.set(Marks::SUSPENDED, true);
                k.marks.set(Marks::SUSPENDED_BY_ADMIN, *by_admin);
                k.more_mut().suspended_at = Some(at.time);
            }),
            Event::KeyResumed { key } => self.change_key(at, *key, |k| {
                k.marks.set(Marks::SUSPENDED | Marks::SUSPENDED_BY_ADMIN, false);
                k.more_mut().suspended_at = None;
            }),
            Event::KeyRevoked { key } => self.change_key(at, *key, |k| {
                k.marks.set(Marks::REVOKED, true);
                k.revoked_at = at.time;
            }),
            Event::KeyDeleted { key, unrevoked, .. } => self.delete_key(at, *key, *unrevoked),
            Event::KeyRotated { old, new, deadline } => {
                self.change_key(at, *old, |k| {
                    k.expires_at = k.expires_at.min(*deadline);
                    k.more_mut().links.replaced_by = Some(*new);
                });
                self.change_key(at, *new, |k| k.more_mut().links.replaces = Some(*old));
            }
            Event::KeySecretRotated { key, secret, old_deadline, .. } => self.change_key(at, *key, |k| {
                if k.secret_version > 0 {
                    let old = SecretRecord {
                        version: k.secret_version,
                        set_at: k.secret_set_at,
                        deadline: *old_deadline,
                        retired: k.marks.has(Marks::SECRET_RETIRED),
                        shredded: k.marks.has(Marks::SECRET_SHREDDED),
                    };
                    k.more_mut().older_secrets.push(old);
                }
                k.marks.set(Marks::SECRET_RETIRED | Marks::SECRET_SHREDDED, false);
                k.secret_version = secret.version;
                k.secret_set_at = secret.set_at;
            }),
            Event::KeySecretRetired { key, version } => {
                self.change_secret(at, *key, *version, Marks::SECRET_RETIRED, |s| s.retired = true);
            }
            Event::KeySecretShredded { key, versions, .. } => {
                for version in versions {
                    self.change_secret(at, *key, *version, Marks::SECRET_SHREDDED, |s| s.shredded = true);
                }
            }
            Event::KeyFlagged { key, quarantine, note } => self.change_key(at, *key, |k| {
                k.marks.set(Marks::QUARANTINED, *quarantine);
                k.more_mut().flag = Some(Flag { quarantine: *quarantine, note: note.clone(), at: at.time });
            }),
            Event::KeyCleared { key } => self.change_key(at, *key, |k| {
                k.marks.set(Marks::QUARANTINED, false);
                k.more_mut().flag = None;
            }),
            Event::PolicyAttached { policy, holder } => self.attach(at, *policy, *holder, true),
            Event::PolicyDetached { policy, holder } => self.attach(at, *policy, *holder, false),
            Event::PolicyDetachedFromAll { policy, holders } => {
                for holder in holders {
                    self.attach(at, *policy, *holder, false);
                }
            }
            Event::PolicyDeleted { policy, .. } => {
                // A forced delete named its holders before this; evidence may not have.
                for holder in &self.holders(*policy) {
                    self.attach(at, *policy, *holder, false);
                }
                Arc::make_mut(&mut self.root).apply(at, event);
            }
            Event::InlinePolicyPut { holder, name, document, .. } => {
                self.inline(at, *holder, |inline| drop(inline.insert(name.clone(), Arc::clone(document))));
            }
            Event::InlinePolicyDeleted { holder, name, .. } => {
                self.inline(at, *holder, |inline| drop(inline.remove(name)));
            }
            Event::UsageRolledUp { keys, .. } => {
                for usage in keys {
                    let newest = usage.tuples.iter().max_by_key(|tuple| tuple.last_at);
                    let oldest = usage.tuples.iter().map(|tuple| tuple.first_at).min();
                    if let (Some(newest), Some(oldest)) = (newest, oldest) {
                        let used = LastUsed {
                            at: newest.last_at,
                            service: newest.service.clone(),
                            region: newest.region.clone(),
                        };
                        self.change_key(at, usage.key, |k| note_use(k, oldest, used));
                    }
                }
            }
            other => Arc::make_mut(&mut self.root).apply(at, other),
        }
    }

    fn create_key(&mut self, at: At, created: &KeyCreated, imported: bool) {
        let Some(org) = at.org else { return };
        let mut record = key_record(org, created, at.time, at.seq);
        record.marks.set(Marks::IMPORTED, imported);
        if self.keys.insert(created.key, at.seq, record) {
            let owner = OwnerRef::of(org, &created.owner);
            Arc::make_mut(&mut self.root).owned.entry(owner).or_default().insert(created.key);
        }
    }

    fn delete_key(&mut self, at: At, uid: KeyUid, unrevoked: bool) {
        let Some(key) = self.key_by_newest(uid) else { return };
        if key.is_deleted() {
            return;
        }
        let root = Arc::make_mut(&mut self.root);
        let owner = OwnerRef::of(key.org, &key.owner);
        if let Some(owned) = root.owned.get_mut(&owner) {
            owned.remove(&uid);
            if owned.is_empty() {
                root.owned.remove(&owner);
            }
        }
        for policy in &key.rights().attached {
            root.hold(*policy, Holder::Key(uid), false);
        }
        self.change_key(at, uid, |k| {
            k.marks.set(Marks::DELETED, true);
            k.marks.set(Marks::DELETED_UNREVOKED, unrevoked);
            k.deleted_at = at.time;
            if k.rights.is_some() {
                k.rights_mut().attached.clear();
            }
        });
    }

    /// The newest installed record, whatever is published: the writer's own view.
    pub(super) fn key_by_newest(&self, uid: KeyUid) -> Option<KeyRecord> {
        self.keys.with(uid, Seq(u64::MAX), Clone::clone)
    }

    pub(super) fn change_key(&mut self, at: At, uid: KeyUid, f: impl FnOnce(&mut KeyRecord)) {
        self.keys.change(uid, at.seq, |key| {
            f(key);
            key.changed = at.seq;
        });
    }

    fn change_secret(&mut self, at: At, uid: KeyUid, version: u32, mark: u16, f: impl FnOnce(&mut SecretRecord)) {
        self.change_key(at, uid, |key| {
            if key.secret_version == version {
                key.marks.set(mark, true);
            } else if let Some(secret) = key.more_mut().older_secrets.iter_mut().find(|s| s.version == version) {
                f(secret);
            }
        });
    }

    fn attach(&mut self, at: At, policy: PolicyUid, holder: Holder, on: bool) {
        fn set(attached: &mut std::collections::BTreeSet<PolicyUid>, policy: PolicyUid, on: bool) {
            if on {
                attached.insert(policy)
            } else {
                attached.remove(&policy)
            };
        }
        let root = Arc::make_mut(&mut self.root);
        root.hold(policy, holder, on);
        match holder {
            Holder::User(user) => root.change_user(at, user, |u| set(&mut u.attached, policy, on)),
            Holder::Group(group) => root.change_group(at, group, |g| set(&mut g.attached, policy, on)),
            Holder::Key(key) => self.change_key(at, key, |k| {
                let attached = &mut k.rights_mut().attached;
                match (attached.binary_search(&policy), on) {
                    (Err(place), true) => {
                        attached.reserve_exact(1);
                        attached.insert(place, policy);
                    }
                    (Ok(place), false) => _ = attached.remove(place),
                    _ => {}
                }
            }),
        }
    }

    fn inline(
        &mut self,
        at: At,
        holder: Holder,
        f: impl FnOnce(&mut std::collections::BTreeMap<CompactString, Arc<str>>),
    ) {
        let root = Arc::make_mut(&mut self.root);
        match holder {
            Holder::User(user) => root.change_user(at, user, |u| f(&mut u.inline)),
            Holder::Group(group) => root.change_group(at, group, |g| f(&mut g.inline)),
            Holder::Key(key) => self.change_key(at, key, |k| f(&mut k.rights_mut().inline)),
        }
    }
}

/// Notes a use between `oldest` and `used.at`; the answer is the same in whatever order uses arrive.
pub(super) fn note_use(key: &mut KeyRecord, oldest: Time, used: LastUsed) {
    let more = key.more_mut();
    more.first_used = Some(more.first_used.map_or(oldest, |first| first.min(oldest)));
    if more.last_used.as_ref().is_none_or(|last| *last < used) {
        more.last_used = Some(used);
    }
}

pub(super) fn retag(tags: &mut Tags, set: &Tags, removed: &[CompactString]) {
    for key in removed {
        tags.remove(key);
    }
    for (key, value) in set {
        tags.insert(key.clone(), value.clone());
    }
}
