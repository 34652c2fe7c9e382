//! The one `match` over [`Event`]: what each does to a state.
//!
//! Total and deterministic: an event that makes no sense (a change of a noun that is not there) changes nothing, on every machine
//! alike. Whether it should have been written was `ledger::decide`'s question.
//!
//! Not here: the small nouns (`nouns`), and evidence, which is collected now and folded when it is asked for (`evidence`).

use super::document::PolicyText;
use super::key::{Flag, LastUsed, Marks, SecretRecord};
use super::packed::{KeyDraft, KeyWords, Packed};
use super::record::TokenSeen;
use super::{Arc, State, token_scope};
use crate::model::brief::{EventBrief, KeyBrief};
use crate::model::commit::EnvelopeBrief;
use crate::model::limits::TOKEN_KEPT_NS;
use crate::model::{Commit, Event, Holder, KeyUid, OrgUid, PolicyUid, Seq, Tags, Time};
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
        let at = self.begin(seq, recorded_at, commit.envelope.org, token);
        for (event, index) in commit.events.iter().zip(0..) {
            self.apply_brief(At { index, ..at }, &EventBrief::of(event));
        }
    }

    /// Begins the next commit; its events follow.
    pub(super) fn begin(&mut self, seq: Seq, recorded_at: Time, org: Option<OrgUid>, token: Option<TokenNoted>) -> At {
        self.keys.make_own();
        self.own_index.take();
        let root = Arc::make_mut(&mut self.root);
        root.seq = seq;
        root.recorded_at = recorded_at;
        root.forget_tokens(recorded_at);
        if let Some(noted) = token {
            let seen = TokenSeen { seq, body_hash: noted.body_hash, forget_at: recorded_at.plus_ns(TOKEN_KEPT_NS) };
            root.remember_token(noted.scope, noted.token, seen);
        }
        At { seq, index: 0, time: recorded_at, org }
    }

    /// Loads what these events will change, all at once, so that their cache misses overlap.
    pub(super) fn approach(&self, events: &[EventBrief<'_>]) {
        let table = self.keys.table();
        let mut numbers = [None; 64];
        for events in events.chunks(numbers.len()) {
            for (event, number) in events.iter().zip(&mut numbers) {
                *number = event.key().and_then(|key| table.approach(table.hash(key)));
            }
            let touched = numbers.iter().take(events.len()).flatten().map(|number| table.touch(*number));
            std::hint::black_box(touched.fold(0, |all, word| all ^ word));
        }
    }

    /// Applies one event of a fold; `at.org` is the org it belongs to.
    pub(super) fn apply_event(&mut self, at: At, event: &Event) {
        self.keys.make_own();
        self.own_index.take();
        self.apply_brief(at, &EventBrief::of(event));
    }

    /// Applies one event.
    pub(super) fn apply_brief(&mut self, at: At, event: &EventBrief<'_>) {
        match event {
            EventBrief::KeyCreated { key, imported } => self.create_key(at, key, *imported),
            EventBrief::KeyLabelled { key, after } => self.change_key(at, *key, |k| k.set_label(after)),
            EventBrief::KeyRevoked { key } => self.change_words(at, *key, |k| {
                k.set_mark(Marks::REVOKED, true);
                k.set_revoked_at(at.time);
            }),
            EventBrief::KeyDeleted { key, unrevoked } => self.delete_key(at, *key, *unrevoked),
            EventBrief::PolicyAttached { policy, holder, on } => self.attach(at, *policy, *holder, *on),
            EventBrief::Other(event) => self.apply_other(at, event),
        }
    }

    fn apply_other(&mut self, at: At, event: &Event) {
        match event {
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
                self.change_words(at, *key, |k| k.set_mark(Marks::DEFAULT_ALLOW, *after));
            }
            Event::KeyExpirySet { key, after, .. } => {
                self.change_words(at, *key, |k| k.set_expires_at(after.unwrap_or(Time::MAX)));
            }
            Event::KeySuspended { key, by_admin } => self.change_key(at, *key, |k| {
                k.packed.set_mark(Marks::SUSPENDED, true);
                k.packed.set_mark(Marks::SUSPENDED_BY_ADMIN, *by_admin);
                k.more_mut().suspended_at = Some(at.time);
            }),
            Event::KeyResumed { key } => self.change_key(at, *key, |k| {
                k.packed.set_mark(Marks::SUSPENDED | Marks::SUSPENDED_BY_ADMIN, false);
                k.more_mut().suspended_at = None;
            }),
            Event::KeyRotated { old, new, deadline } => {
                self.change_key(at, *old, |k| {
                    k.packed.set_expires_at(k.packed.expires_at().min(*deadline));
                    k.more_mut().links.replaced_by = Some(*new);
                });
                self.change_key(at, *new, |k| k.more_mut().links.replaces = Some(*old));
            }
            Event::KeySecretRotated { key, secret, old_deadline, .. } => self.change_key(at, *key, |k| {
                let (version, marks) = (k.packed.secret_version(), k.packed.marks());
                if version > 0 {
                    let old = SecretRecord {
                        version,
                        set_at: k.packed.secret_set_at(),
                        deadline: *old_deadline,
                        retired: marks.has(Marks::SECRET_RETIRED),
                        shredded: marks.has(Marks::SECRET_SHREDDED),
                    };
                    k.more_mut().older_secrets.push(old);
                }
                k.packed.set_mark(Marks::SECRET_RETIRED | Marks::SECRET_SHREDDED, false);
                k.packed.set_secret_version(secret.version);
                k.packed.set_secret_set_at(secret.set_at);
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
                k.packed.set_mark(Marks::QUARANTINED, *quarantine);
                k.more_mut().flag = Some(Flag { quarantine: *quarantine, note: note.clone(), at: at.time });
            }),
            Event::KeyCleared { key } => self.change_key(at, *key, |k| {
                k.packed.set_mark(Marks::QUARANTINED, false);
                k.more_mut().flag = None;
            }),
            Event::PolicyDetachedFromAll { policy, holders } => {
                for holder in holders {
                    self.attach(at, *policy, *holder, false);
                }
            }
            Event::PolicyDeleted { policy, .. } => {
                // A forced delete named its holders before this; evidence may not have.
                let by_keys = self.root.numbers.of_policy(*policy).is_some_and(|policy| self.keys.is_held(policy));
                let holders = if by_keys { self.holders(*policy) } else { self.few_holders(*policy) };
                for holder in holders {
                    self.attach(at, *policy, holder, false);
                }
                self.own_index.take();
                Arc::make_mut(&mut self.root).apply(at, event);
            }
            Event::InlinePolicyPut { holder, name, document, .. } => {
                self.inline(at, *holder, |inline| drop(inline.insert(name.clone(), Arc::clone(document).into())));
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

    fn create_key(&mut self, at: At, created: &KeyBrief<'_>, imported: bool) {
        let Some(org) = at.org else { return };
        let root = Arc::make_mut(&mut self.root);
        let owner = self.keys.owner(&mut root.numbers, org, created.owner);
        let number = self.keys.insert(created.key, new_key(at, owner, created, imported));
        if let (Some(number), Some(index)) = (number, &mut root.index) {
            index.owned.insert(owner, number);
        }
    }

    fn delete_key(&mut self, at: At, uid: KeyUid, unrevoked: bool) {
        let Some(number) = self.keys.number(uid) else { return };
        let Some(key) = self.keys.table().draft(number) else { return };
        if key.packed.marks().has(Marks::DELETED) {
            return;
        }
        let root = Arc::make_mut(&mut self.root);
        if let Some(index) = &mut root.index {
            index.owned.remove(key.packed.owner(), number);
        }
        for policy in &key.cold().rights.attached {
            let Some(policy) = root.numbers.of_policy(*policy) else { continue };
            self.keys.count_held(policy, false);
            if let Some(index) = &mut root.index {
                index.holding.remove(policy, number);
            }
        }
        let has_attached = !key.cold().rights.attached.is_empty();
        let words = |k: &mut Packed| {
            k.set_mark(Marks::DELETED, true);
            k.set_mark(Marks::DELETED_UNREVOKED, unrevoked);
            k.set_deleted_at(at.time);
        };
        if has_attached {
            self.keys.change(number, at.seq, |k| {
                words(&mut k.packed);
                k.rights_mut().attached = Vec::new();
            });
        } else {
            self.keys.change_words(number, at.seq, words);
        }
    }

    pub(super) fn change_key(&mut self, at: At, uid: KeyUid, f: impl FnOnce(&mut KeyDraft)) {
        if let Some(number) = self.keys.number(uid) {
            self.keys.change(number, at.seq, f);
        }
    }

    pub(super) fn change_words(&mut self, at: At, uid: KeyUid, f: impl FnOnce(&mut Packed)) {
        if let Some(number) = self.keys.number(uid) {
            self.keys.change_words(number, at.seq, f);
        }
    }

    fn change_secret(&mut self, at: At, uid: KeyUid, version: u32, mark: u16, f: impl FnOnce(&mut SecretRecord)) {
        self.change_key(at, uid, |key| {
            if key.packed.secret_version() == version {
                key.packed.set_mark(mark, true);
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
        match holder {
            Holder::User(user) => {
                root.hold(policy, holder, on);
                root.change_user(at, user, |u| set(&mut u.attached, policy, on));
            }
            Holder::Group(group) => {
                root.hold(policy, holder, on);
                root.change_group(at, group, |g| set(&mut g.attached, policy, on));
            }
            Holder::Key(key) => {
                let Some(number) = self.keys.number(key) else { return };
                let changed = self.keys.change(number, at.seq, |k| {
                    let attached = &mut k.rights_mut().attached;
                    let changed = match (attached.binary_search(&policy), on) {
                        (Err(place), true) => {
                            attached.reserve_exact(1);
                            attached.insert(place, policy);
                            true
                        }
                        (Ok(place), false) => {
                            attached.remove(place);
                            true
                        }
                        _ => false,
                    };
                    changed && !k.packed.marks().has(Marks::DELETED)
                });
                if changed == Some(true) {
                    let policy = root.numbers.policy(policy);
                    self.keys.count_held(policy, on);
                    match (&mut root.index, on) {
                        (Some(index), true) => _ = index.holding.insert(policy, number),
                        (Some(index), false) => _ = index.holding.remove(policy, number),
                        (None, _) => {}
                    }
                }
            }
        }
    }

    fn inline(
        &mut self,
        at: At,
        holder: Holder,
        f: impl FnOnce(&mut std::collections::BTreeMap<CompactString, PolicyText>),
    ) {
        let root = Arc::make_mut(&mut self.root);
        match holder {
            Holder::User(user) => root.change_user(at, user, |u| f(&mut u.inline)),
            Holder::Group(group) => root.change_group(at, group, |g| f(&mut g.inline)),
            Holder::Key(key) => self.change_key(at, key, |k| f(&mut k.rights_mut().inline)),
        }
    }
}

/// Makes a key's record from the event that made it.
fn new_key(at: At, owner: u32, created: &KeyBrief<'_>, imported: bool) -> KeyDraft {
    let mut key = KeyDraft::new(Packed::new(at.seq, owner, at.time));
    key.set_id(created.access_key_id, created.key);
    key.set_label(created.label);
    key.packed.set_mark(Marks::DEFAULT_ALLOW, created.default_allow);
    key.packed.set_mark(Marks::IMPORTED, imported);
    key.packed.set_expires_at(created.expires_at.unwrap_or(Time::MAX));
    if let Some((version, set_at)) = created.secret {
        key.packed.set_secret_version(version);
        key.packed.set_secret_set_at(set_at);
    }
    if !created.description.is_empty() || !created.tags.is_empty() || created.made_by.is_some() {
        let more = key.more_mut();
        more.description = created.description.into();
        more.tags = created.tags.clone().into_owned();
        more.made_by = created.made_by;
    }
    if !created.grants.is_empty() {
        key.rights_mut().grants = created.grants.to_vec();
    }
    key
}

/// Notes a use between `oldest` and `used.at`; the answer is the same in whatever order uses arrive.
pub(super) fn note_use(key: &mut KeyDraft, oldest: Time, used: LastUsed) {
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
