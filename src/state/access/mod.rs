//! Rights: may this key do that, at this state, now? The one function that answers it, for the writer, the gate and the audit.
//!
//! Order, and the first that speaks decides (`product.md` §8): the key is usable → the bucket belongs to the key's org →
//! quarantine → Admin on `*` allows → an explicit Deny in any policy of the key, its owner or the owner's groups denies → the
//! owner's permissions boundary must allow → a bucket role or an Allow allows → what `default_allow` keys may do by default →
//! denied implicitly.
//!
//! Invariants
//! - Not denied is never allowed: every way to [`Reason::allows`] stands in [`Standing::decide`], and what none allows is denied.
//! - Of a *scoped* key (grants or policies of its own) only these allow; what its owner and the owner's groups have can only deny.
//! - In a live org a document that cannot be read denies; in evidence the answer says that a document is missing.
//! - Nothing is allocated, unless a policy asks for the caller's ARN.
//!
//! Not here: who signed (`gate`), the documents' language (`policy`), and what a management call is called (`ledger::decide`).

mod principal;
mod role;

use super::document::{PolicyText, managed_text};
use super::key::{KeyRights, KeyStatus, KeyView, Marks};
use super::root::Root;
use super::{KeyRecord, OrgRecord, State, StateHandle, UserRecord};
use crate::model::{AccessKeyId, Event, GroupUid, Holder, KeyOwner, KeyUid, OrgKind, OrgUid, PolicyUid, Seq, Time};
use crate::policy::{
    Condition, Context, Decision, Effect, KnownKey, Request, Statement, Verdict, evaluate, first_deny,
};
use compact_str::CompactString;
use principal::WithPrincipal;
pub use role::role_document;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A key and the state it stands in: everything its rights follow from.
#[derive(Clone, Copy)]
pub struct Standing<'a> {
    pub(super) root: &'a Root,
    key: Looked<'a>,
}

/// A key, borrowed from the table or copied out of it.
#[derive(Clone, Copy)]
enum Looked<'a> {
    View(&'a KeyView<'a>),
    Record(&'a KeyRecord),
}

/// What came of a question of rights, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Access {
    /// The state it was decided by.
    pub seq: Seq,
    pub reason: Reason,
    /// A document that bears on the caller and is not in evidence, or not understood. Never of a live org, where it denies.
    pub unread: Option<Origin>,
}

/// Why it is allowed or denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Reason {
    /// Revoked, suspended, expired, deleted, or its org is suspended.
    Unusable { status: KeyStatus },
    /// The bucket is another org's, or nobody's.
    OtherBucket,
    /// The key, or a ledger that was restored, may only read.
    Quarantined,
    /// Admin on `*`.
    Admin,
    /// A Deny of this statement.
    Denied { by: By },
    /// The owner's boundary does not allow it. `by`: its Deny, if one says so.
    Boundary { by: Option<By> },
    /// A bucket role: the place among the key's grants.
    Role { grant: u32 },
    /// An Allow of this statement.
    Allowed { by: By },
    /// Creating or listing buckets, by default.
    Default,
    /// A document that bears on the key cannot be read.
    Unreadable { document: Origin },
    /// Nothing allows it.
    Implicit,
}

/// A statement: whose document, and its place in there, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct By {
    #[serde(flatten)]
    pub document: Origin,
    pub statement: u32,
}

/// Where a document that bears on a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Origin {
    pub holder: Bearer,
    pub document: Held,
}

/// Whose document it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bearer {
    Key,
    /// The user that owns the key.
    Owner,
    /// A group the owner is in.
    Group(GroupUid),
    /// The owner's permissions boundary.
    Boundary,
}

/// Which of its holder's documents it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    Attached(PolicyUid),
    /// The place among its holder's inline policies, by name.
    Inline(u32),
}

impl Reason {
    #[must_use]
    pub fn allows(self) -> bool {
        matches!(self, Reason::Admin | Reason::Role { .. } | Reason::Allowed { .. } | Reason::Default)
    }

    /// In the words of a policy: a refusal that does not come from what nobody says is explicit.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            reason if reason.allows() => Verdict::Allow,
            Reason::Denied { .. } | Reason::Quarantined | Reason::Boundary { by: Some(_) } => Verdict::ExplicitDeny,
            _ => Verdict::ImplicitDeny,
        }
    }

    /// The statement that decided, where one did.
    #[must_use]
    pub fn by(self) -> Option<By> {
        match self {
            Reason::Denied { by } | Reason::Allowed { by } | Reason::Boundary { by: Some(by) } => Some(by),
            _ => None,
        }
    }
}

impl Access {
    #[must_use]
    pub fn is_allow(&self) -> bool {
        self.reason.allows()
    }
}

/// A document that bears on a key.
#[derive(Clone, Copy)]
pub struct Bearing<'a> {
    pub origin: Origin,
    /// None: not in evidence.
    pub text: Option<&'a PolicyText>,
}

/// The bucket that an S3 ARN is about: `arn:aws:s3:::bucket` or `arn:aws:s3:::bucket/key`, in any partition. `arn:aws:s3:::*` is about
/// none in particular.
#[must_use]
pub fn bucket_of(resource: &str) -> Option<&str> {
    let rest = resource.strip_prefix("arn:")?;
    let (_, rest) = rest.split_once(':')?;
    let path = rest.strip_prefix("s3:::")?;
    let bucket = path.split_once('/').map_or(path, |(bucket, _)| bucket);
    (bucket != "*").then_some(bucket)
}

impl<'a> Standing<'a> {
    pub(super) fn of_view(root: &'a Root, key: &'a KeyView<'a>) -> Self {
        Self { root, key: Looked::View(key) }
    }

    pub(super) fn of_record(root: &'a Root, key: &'a KeyRecord) -> Self {
        Self { root, key: Looked::Record(key) }
    }

    /// The state's seq.
    pub fn seq(&self) -> Seq {
        self.root.seq
    }

    /// The later of `now` and the newest commit's time: a clock set back revives nothing.
    #[inline]
    pub fn guarded(&self, now: Time) -> Time {
        now.max(self.root.recorded_at)
    }

    pub fn id(&self) -> AccessKeyId {
        match self.key {
            Looked::View(key) => key.id(),
            Looked::Record(key) => key.id.clone(),
        }
    }

    pub fn uid(&self) -> KeyUid {
        match self.key {
            Looked::View(key) => key.uid(),
            Looked::Record(key) => key.uid(),
        }
    }

    #[inline]
    pub fn org(&self) -> OrgUid {
        match self.key {
            Looked::View(key) => key.org(),
            Looked::Record(key) => key.org,
        }
    }

    pub fn owner(&self) -> &'a KeyOwner {
        match self.key {
            Looked::View(key) => key.owner(),
            Looked::Record(key) => &key.owner,
        }
    }

    /// Grants, attached and inline policies of its own.
    pub fn rights(&self) -> &'a KeyRights {
        match self.key {
            Looked::View(key) => key.rights(),
            Looked::Record(key) => key.rights(),
        }
    }

    #[inline]
    pub fn marks(&self) -> Marks {
        match self.key {
            Looked::View(key) => key.marks(),
            Looked::Record(key) => key.marks,
        }
    }

    /// The secret versions that may sign at `now`, the newest first: at most two.
    pub fn live_secrets(&self, now: Time) -> impl Iterator<Item = super::SecretRecord> + 'a {
        let now = self.guarded(now);
        let (view, record) = match self.key {
            Looked::View(key) => (Some(key), None),
            Looked::Record(key) => (None, Some(key)),
        };
        let view = view.map(|key| key.live_secrets(now)).into_iter().flatten();
        view.chain(record.map(|key| key.live_secrets(now)).into_iter().flatten())
    }

    /// The org it belongs to.
    pub fn org_record(&self) -> Option<&'a Arc<OrgRecord>> {
        self.root.orgs.get(&self.org())
    }

    /// The user that owns it, if one does.
    pub fn user(&self) -> Option<&'a Arc<UserRecord>> {
        match self.owner() {
            KeyOwner::User(user) => self.root.users.get(user),
            KeyOwner::Org | KeyOwner::Bucket(_) => None,
        }
    }

    /// The status at `now`, or at the newest commit where that is later.
    pub fn status(&self, now: Time) -> KeyStatus {
        self.status_in(self.org_record(), now)
    }

    fn status_in(&self, org: Option<&Arc<OrgRecord>>, now: Time) -> KeyStatus {
        let (now, suspended) = (self.guarded(now), org.is_some_and(|org| org.suspended));
        match self.key {
            Looked::View(key) => key.status(now, suspended),
            Looked::Record(key) => key.status(now, suspended),
        }
    }

    /// Whether the key, or the whole ledger with it, may only read.
    pub fn is_quarantined(&self) -> bool {
        self.marks().has(Marks::QUARANTINED) || self.root.restored.is_some()
    }

    /// Whether only its own grants and policies allow.
    pub fn is_scoped(&self) -> bool {
        !self.rights().is_empty()
    }

    /// Whether it may do what `request` asks at `now`. `now` is guarded: see [`Standing::guarded`].
    ///
    /// The bucket is the one that the resource's ARN names. `request.context` is asked for what the request brings; who the caller
    /// is (`aws:username`, `aws:PrincipalArn`, …) and what time it is are answered here.
    pub fn decide<C: Context + ?Sized>(&self, request: &Request<'_, C>, now: Time) -> Access {
        let is_new = request.action.as_str().eq_ignore_ascii_case("s3:CreateBucket");
        self.decide_in(request, now, is_new)
    }

    /// As [`Standing::decide`], of what is done with a bucket in the call that creates it: it is nobody's yet.
    pub fn decide_of_new_bucket<C: Context + ?Sized>(&self, request: &Request<'_, C>, now: Time) -> Access {
        self.decide_in(request, now, true)
    }

    fn decide_in<C: Context + ?Sized>(&self, request: &Request<'_, C>, now: Time, is_new: bool) -> Access {
        let (reason, unread) = self.reason(request, now, is_new);
        Access { seq: self.root.seq, reason, unread }
    }

    fn reason<C: Context + ?Sized>(
        &self,
        request: &Request<'_, C>,
        now: Time,
        is_new: bool,
    ) -> (Reason, Option<Origin>) {
        let org = self.org_record();
        let status = self.status_in(org, now);
        if !status.is_usable() {
            return (Reason::Unusable { status }, None);
        }
        let Some(org) = org else { return (Reason::OtherBucket, None) };
        let action = request.action.as_str();
        let bucket = bucket_of(request.resource);
        if let Some(bucket) = bucket
            && !is_new
            && !self.owns(org, bucket)
        {
            return (Reason::OtherBucket, None);
        }
        if self.is_quarantined() && !role::is_plain_read(action) {
            return (Reason::Quarantined, None);
        }
        let rights = self.rights();
        if role::is_admin(&rights.grants) && (role::is_of_s3(action) || *self.owner() == KeyOwner::Org) {
            return (Reason::Admin, None);
        }
        let context = WithPrincipal::new(self, request.context, self.guarded(now));
        let request = Request { action: request.action, resource: request.resource, context: &context };
        let scoped = !rights.is_empty();
        let mut found = Met::default();
        self.each_document(&mut |bearing| {
            let may_allow = !scoped || bearing.origin.holder == Bearer::Key;
            found.meet(bearing, &request, may_allow);
        });
        if let Some(document) = found.unread.filter(|_| org.kind == OrgKind::Live) {
            return (Reason::Unreadable { document }, None);
        }
        if let Some(by) = found.deny {
            return (Reason::Denied { by }, found.unread);
        }
        if let Some(boundary) = self.boundary() {
            let Some(document) = boundary.text.and_then(|text| text.document()) else {
                let unread = (org.kind == OrgKind::Evidence).then_some(boundary.origin);
                return (Reason::Unreadable { document: boundary.origin }, unread);
            };
            let Decision { verdict, by } = evaluate([document], &request);
            if !verdict.is_allow() {
                let by = by.map(|at| By { document: boundary.origin, statement: at.statement });
                return (Reason::Boundary { by }, found.unread);
            }
        }
        let reason = match (self.by_role(&request), found.allow) {
            (Some(role @ Reason::Role { .. }), _) => role,
            (_, Some(by)) => Reason::Allowed { by },
            (Some(default), None) => default,
            (None, None) => Reason::Implicit,
        };
        (reason, found.unread)
    }

    /// Whether a bucket is the org's: registered to it, or to nobody in an org that has all such.
    fn owns(&self, org: &OrgRecord, bucket: &str) -> bool {
        match self.root.buckets.get(bucket) {
            Some(owner) => *owner == org.org,
            // Evidence knows of no registration.
            None => org.settings.open_buckets || org.kind == OrgKind::Evidence,
        }
    }

    /// Calls `f` with every document that can allow or deny, the key's own first; the boundary is not among them.
    fn each_document(&self, f: &mut dyn FnMut(Bearing<'a>)) {
        let rights = self.rights();
        self.held_by(Bearer::Key, &mut rights.attached.iter(), &mut rights.inline.values(), f);
        let Some(user) = self.user() else { return };
        self.held_by(Bearer::Owner, &mut user.attached.iter(), &mut user.inline.values(), f);
        for uid in &user.groups {
            if let Some(group) = self.root.groups.get(uid) {
                self.held_by(Bearer::Group(*uid), &mut group.attached.iter(), &mut group.inline.values(), f);
            }
        }
    }

    fn held_by(
        &self,
        holder: Bearer,
        attached: &mut dyn Iterator<Item = &PolicyUid>,
        inline: &mut dyn Iterator<Item = &'a PolicyText>,
        f: &mut dyn FnMut(Bearing<'a>),
    ) {
        for policy in attached {
            let origin = Origin { holder, document: Held::Attached(*policy) };
            f(Bearing { origin, text: document_in(self.root, *policy) });
        }
        for (place, text) in (0..).zip(inline) {
            let origin = Origin { holder, document: Held::Inline(place) };
            f(Bearing { origin, text: (!text.is_empty()).then_some(text) });
        }
    }

    /// The owner's permissions boundary.
    pub fn boundary(&self) -> Option<Bearing<'a>> {
        let policy = self.user()?.boundary?;
        let origin = Origin { holder: Bearer::Boundary, document: Held::Attached(policy) };
        Some(Bearing { origin, text: document_in(self.root, policy) })
    }

    /// Whether another request of the same action and resource might be allowed, where this one was not. A quick look: it says yes too often.
    pub fn might<C: Context + ?Sized>(&self, request: &Request<'_, C>, access: &Access, now: Time) -> bool {
        if !matches!(access.reason, Reason::Implicit | Reason::Denied { .. } | Reason::Boundary { .. }) {
            return access.is_allow();
        }
        let context = WithPrincipal::new(self, request.context, self.guarded(now));
        let request = Request { action: request.action, resource: request.resource, context: &context };
        let scoped = self.is_scoped();
        let mut found = self.by_role(&request).is_some();
        self.each_document(&mut |bearing| {
            if !found && (!scoped || bearing.origin.holder == Bearer::Key) {
                let document = bearing.text.and_then(|text| text.document());
                found = document.is_some_and(|it| it.about(&request).any(|(_, it)| it.effect == Effect::Allow));
            }
        });
        found
    }

    /// When the answer to `request` may change by time alone: the key's expiry, and the dates that statements about it name.
    pub fn turning_points<C: Context + ?Sized>(&self, request: &Request<'_, C>, now: Time) -> Vec<Time> {
        let expires_at = match self.key {
            Looked::View(key) => key.expires_at(),
            Looked::Record(key) => key.expires_at,
        };
        let mut points: Vec<Time> = Some(expires_at).filter(|at| *at != Time::MAX).into_iter().collect();
        for about in self.statements_about(request, now) {
            for condition in &about.statement.conditions {
                if matches!(condition.key.known(), Some(KnownKey::CurrentTime | KnownKey::EpochTime)) {
                    // The moment itself, and the first after it: some operators hold only behind it.
                    points.extend(condition.values.moments().flat_map(|at| [at, at.plus_ns(1)]));
                }
            }
        }
        points
    }

    /// The role, or the default, that allows what `request` asks unless something denies it. Without a look at policies.
    pub fn by_role<C: Context + ?Sized>(&self, request: &Request<'_, C>) -> Option<Reason> {
        let action = request.action.as_str();
        match role::grant_for(&self.rights().grants, action, bucket_of(request.resource)) {
            Some(grant) => Some(Reason::Role { grant }),
            None => (self.marks().has(Marks::DEFAULT_ALLOW) && role::is_default(action)).then_some(Reason::Default),
        }
    }

    /// The name of an inline policy, by its place among its holder's.
    pub fn inline_name(&self, holder: Bearer, place: u32) -> Option<&'a str> {
        let inline = match holder {
            Bearer::Key => &self.rights().inline,
            Bearer::Owner => &self.user()?.inline,
            Bearer::Group(group) => &self.root.groups.get(&group)?.inline,
            Bearer::Boundary => return None,
        };
        inline.keys().nth(usize::try_from(place).ok()?).map(CompactString::as_str)
    }

    /// Every statement that is about `request`'s action and resource, whatever its conditions, the key's own first and the
    /// boundary's last: what an answer would be if the request were another one. For people; it allocates.
    pub fn statements_about<C: Context + ?Sized>(&self, request: &Request<'_, C>, now: Time) -> Vec<About<'a>> {
        let context = WithPrincipal::new(self, request.context, self.guarded(now));
        let request = Request { action: request.action, resource: request.resource, context: &context };
        let scoped = self.is_scoped();
        let mut found = Vec::new();
        for bearing in self.documents() {
            let Some(document) = bearing.text.and_then(|text| text.document()) else { continue };
            for (place, statement) in document.about(&request) {
                let is_fixed = |condition: &&Condition| principal::is_answered(&condition.key);
                found.push(About {
                    by: By { document: bearing.origin, statement: place },
                    statement,
                    counts: statement.effect == Effect::Deny || !scoped || bearing.origin.holder == Bearer::Key,
                    of_caller_hold: statement.conditions.iter().filter(is_fixed).all(|it| it.holds(&context)),
                    of_request: statement.conditions.iter().filter(|it| !is_fixed(it)).collect(),
                });
            }
        }
        found
    }

    /// Every document that bears on the key, its own first, the boundary last.
    pub fn documents(&self) -> Vec<Bearing<'a>> {
        let mut documents = Vec::new();
        self.each_document(&mut |bearing| documents.push(bearing));
        documents.extend(self.boundary());
        documents
    }
}

/// A statement that is about an action and a resource.
#[derive(Debug, Clone)]
pub struct About<'a> {
    pub by: By,
    pub statement: &'a Statement,
    /// An Allow of an owner's or a group's does not count for a scoped key.
    pub counts: bool,
    /// What it asks of the caller and the time is so.
    pub of_caller_hold: bool,
    /// What it asks of the request.
    pub of_request: Vec<&'a Condition>,
}

/// What the documents said.
#[derive(Default)]
struct Met {
    allow: Option<By>,
    deny: Option<By>,
    unread: Option<Origin>,
}

impl Met {
    fn meet<C: Context>(&mut self, bearing: Bearing<'_>, request: &Request<'_, C>, may_allow: bool) {
        if self.deny.is_some() {
            return;
        }
        let Some(document) = bearing.text.and_then(|text| text.document()) else {
            self.unread.get_or_insert(bearing.origin);
            return;
        };
        let by = |statement| By { document: bearing.origin, statement };
        if may_allow && self.allow.is_none() {
            match evaluate([document], request) {
                Decision { verdict: Verdict::ExplicitDeny, by: Some(at) } => self.deny = Some(by(at.statement)),
                Decision { verdict: Verdict::Allow, by: Some(at) } => self.allow = Some(by(at.statement)),
                _ => {}
            }
        } else if let Some(at) = first_deny([document], request) {
            self.deny = Some(by(at.statement));
        }
    }
}

/// The document in force of a policy, the org's own or one that exists everywhere. None: not in evidence.
fn document_in(root: &Root, policy: PolicyUid) -> Option<&PolicyText> {
    match root.policies.get(&policy) {
        Some(own) => own.document().filter(|text| !text.is_empty()),
        None => managed_text(policy),
    }
}

impl State {
    /// A key of this state, to be asked about its rights.
    pub fn standing<'a>(&'a self, key: &'a KeyRecord) -> Standing<'a> {
        Standing::of_record(&self.root, key)
    }

    /// [`State::standing`] of a key that is only looked at.
    pub fn standing_of<'a>(&'a self, key: &'a KeyView<'a>) -> Standing<'a> {
        Standing::of_view(&self.root, key)
    }

    /// The document in force of a policy, the org's own or one that exists everywhere. None: not in evidence.
    pub fn document_of(&self, policy: PolicyUid) -> Option<&PolicyText> {
        document_in(&self.root, policy)
    }

    /// Compiles the documents that a commit stored, so that no request has to. The writer's, before it publishes.
    pub fn compile(&self, event: &Event) {
        let inline = |name: &str, inline: Option<&BTreeMap<CompactString, PolicyText>>| {
            inline.and_then(|inline| inline.get(name)).and_then(|text| text.document());
        };
        match event {
            Event::PolicyCreated { policy, .. } | Event::PolicyVersionCreated { policy, .. } => {
                self.document_of(*policy).and_then(|text| text.document());
            }
            Event::InlinePolicyPut { holder: Holder::User(user), name, .. } => {
                inline(name, self.user(*user).map(|user| &user.inline));
            }
            Event::InlinePolicyPut { holder: Holder::Group(group), name, .. } => {
                inline(name, self.group(*group).map(|group| &group.inline));
            }
            Event::InlinePolicyPut { holder: Holder::Key(key), name, .. } => {
                self.keys.with(*key, self.seq(), |key| inline(name, Some(&key.rights().inline)));
            }
            _ => {}
        }
    }
}

impl StateHandle {
    /// Calls `f` with the key of this id in the newest published state: no lock, no copy, no wait.
    ///
    /// As with [`StateHandle::with_key`], `f` may be asked again, so it should look and not act.
    pub fn with_standing<R>(&self, id: &str, mut f: impl FnMut(&Standing<'_>, &KeyView<'_>) -> R) -> Option<R> {
        self.with_root_and_key(id, |root, key| f(&Standing::of_view(root, key), key))
    }
}
