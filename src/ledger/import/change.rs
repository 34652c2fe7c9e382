//! Successful calls that changed users, groups, keys, policies or buckets, as the events a command makes.
//!
//! A record tells the request and the answer, not what stood before. Where an event wants a value before
//! (`UserMoved`, `PolicyDefaultSet`, `UserBoundarySet`, `InlinePolicyPut`, …) it is empty here, 0 or `None`; the fold knows
//! better. Before the change come the mentions of `model::uids`: nouns the change speaks of, by name.
//!
//! - A call without `userName` is about the caller: a user's own, or the account root's key (`KeyOwner::Org`).
//! - UpdateAccessKey Inactive is a suspension (`by_admin`: of another's key), Active a resumption.
//! - A Lightsail key is Editor on its bucket and owned by it.
//! - An AWS-managed policy of `managed` brings its document; any other policy that is only attached has an empty one.
//! - A call with too little in it to say what changed (CloudTrail leaves out what is too large) is observed instead. A name
//!   out of bounds is an error: AWS makes none.
//!
//! Not here: role, federation and sign-in calls, which change no noun of ours (`observe`).

use super::asked::{Answer, Asked, Made, Tag};
use super::fields::Text;
use super::record::{RawRecord, clean, invalid_field};
use super::{Reject, managed};
use crate::model::limits::{self, Invalid};
use crate::model::{
    AccessKeyId, AccountId, BucketName, Event, Grant, GrantRole, Holder, Identity, IdentityKind, KeyCreated, KeyOwner,
    PolicyUid, Rank, Tags, UserUid, uids,
};
use compact_str::CompactString;
use std::sync::Arc;

/// Bytes of a policy document that are taken: twice IAM's longest request (131,072 characters).
const DOCUMENT_BYTES_MAX: usize = 256 << 10;

/// Why a call has no changes.
enum Without {
    Rejected(Reject),
    /// The record does not say enough.
    Incomplete,
}

impl From<Reject> for Without {
    fn from(reject: Reject) -> Self {
        Without::Rejected(reject)
    }
}

type Changes = Result<(Rank, Vec<Event>), Without>;

/// The changes of a successful call, or `None` when it is one that changes no noun of ours.
pub(super) fn changes(
    account: AccountId,
    source: &str,
    name: &str,
    identity: &Identity,
    raw: &RawRecord<'_>,
) -> Result<Option<(Rank, Vec<Event>)>, Reject> {
    type Maker<'c> = fn(&Call<'c>) -> Changes;
    let make: Maker<'_> = match (source, name) {
        ("iam.amazonaws.com", "CreateUser") => Call::create_user,
        ("iam.amazonaws.com", "UpdateUser") => Call::update_user,
        ("iam.amazonaws.com", "DeleteUser") => Call::delete_user,
        ("iam.amazonaws.com", "TagUser") => Call::tag_user,
        ("iam.amazonaws.com", "UntagUser") => Call::untag_user,
        ("iam.amazonaws.com", "PutUserPermissionsBoundary") => Call::put_boundary,
        ("iam.amazonaws.com", "DeleteUserPermissionsBoundary") => Call::delete_boundary,
        ("iam.amazonaws.com", "CreateGroup") => Call::create_group,
        ("iam.amazonaws.com", "UpdateGroup") => Call::update_group,
        ("iam.amazonaws.com", "DeleteGroup") => Call::delete_group,
        ("iam.amazonaws.com", "AddUserToGroup") => |call| call.member(true),
        ("iam.amazonaws.com", "RemoveUserFromGroup") => |call| call.member(false),
        ("iam.amazonaws.com", "CreateAccessKey") => Call::create_key,
        ("iam.amazonaws.com", "UpdateAccessKey") => Call::update_key,
        ("iam.amazonaws.com", "DeleteAccessKey") => Call::delete_key,
        ("iam.amazonaws.com", "CreatePolicy") => Call::create_policy,
        ("iam.amazonaws.com", "CreatePolicyVersion") => Call::create_version,
        ("iam.amazonaws.com", "SetDefaultPolicyVersion") => Call::set_default_version,
        ("iam.amazonaws.com", "DeletePolicyVersion") => Call::delete_version,
        ("iam.amazonaws.com", "DeletePolicy") => Call::delete_policy,
        ("iam.amazonaws.com", "TagPolicy") => Call::tag_policy,
        ("iam.amazonaws.com", "UntagPolicy") => Call::untag_policy,
        ("iam.amazonaws.com", "AttachUserPolicy" | "AttachGroupPolicy") => |call| call.attach(true),
        ("iam.amazonaws.com", "DetachUserPolicy" | "DetachGroupPolicy") => |call| call.attach(false),
        ("iam.amazonaws.com", "PutUserPolicy" | "PutGroupPolicy") => Call::put_inline,
        ("iam.amazonaws.com", "DeleteUserPolicy" | "DeleteGroupPolicy") => Call::delete_inline,
        ("lightsail.amazonaws.com", "CreateBucketAccessKey") => Call::create_bucket_key,
        ("lightsail.amazonaws.com", "DeleteBucketAccessKey") => Call::delete_bucket_key,
        ("s3.amazonaws.com" | "lightsail.amazonaws.com", "CreateBucket") => Call::create_bucket,
        ("s3.amazonaws.com" | "lightsail.amazonaws.com", "DeleteBucket") => Call::delete_bucket,
        _ => return Ok(None),
    };
    let nothing = Asked::default();
    let call = Call {
        account,
        identity,
        for_group: name.ends_with("GroupPolicy"),
        asked: raw.request_parameters.get("requestParameters")?.unwrap_or(&nothing),
        answer: Answer::of(raw.response_elements)?,
    };
    match make(&call) {
        Ok(changes) => Ok(Some(changes)),
        Err(Without::Incomplete) => Ok(None),
        Err(Without::Rejected(reject)) => Err(reject),
    }
}

/// One call, with what its makers below lean on.
struct Call<'a> {
    account: AccountId,
    identity: &'a Identity,
    for_group: bool,
    asked: &'a Asked<'a>,
    answer: Answer<'a>,
}

/// Field names as errors tell them.
mod field {
    pub(super) const USER: &str = "requestParameters.userName";
    pub(super) const NEW_USER: &str = "requestParameters.newUserName";
    pub(super) const GROUP: &str = "requestParameters.groupName";
    pub(super) const NEW_GROUP: &str = "requestParameters.newGroupName";
    pub(super) const PATH: &str = "requestParameters.path";
    pub(super) const NEW_PATH: &str = "requestParameters.newPath";
    pub(super) const POLICY: &str = "requestParameters.policyName";
    pub(super) const ARN: &str = "requestParameters.policyArn";
    pub(super) const DOCUMENT: &str = "requestParameters.policyDocument";
    pub(super) const BOUNDARY: &str = "requestParameters.permissionsBoundary";
    pub(super) const VERSION: &str = "requestParameters.versionId";
    pub(super) const KEY: &str = "requestParameters.accessKeyId";
    pub(super) const STATUS: &str = "requestParameters.status";
    pub(super) const BUCKET: &str = "requestParameters.bucketName";
    pub(super) const TAGS: &str = "requestParameters.tags";
    pub(super) const TAG_KEYS: &str = "requestParameters.tagKeys";
}

/// Text that the change cannot do without.
fn need<'t>(text: &'t Text<'_>, field: &'static str) -> Result<&'t str, Without> {
    text.get(field)?.ok_or(Without::Incomplete)
}

fn valid<'t>(text: &'t str, field: &'static str, check: fn(&str) -> Result<(), Invalid>) -> Result<&'t str, Without> {
    check(text).map_err(|invalid| invalid_field(field, &invalid))?;
    Ok(text)
}

impl Call<'_> {
    /// The caller's name, when the caller is a user of this account.
    fn caller(&self) -> Option<&str> {
        let here = self.identity.account.is_none_or(|account| account == self.account);
        (self.identity.kind == IdentityKind::User && here && limits::user_name(&self.identity.name).is_ok())
            .then_some(self.identity.name.as_str())
    }

    /// The user the call is about, mentioned.
    fn user(&self, events: &mut Vec<Event>) -> Result<(UserUid, &str), Without> {
        let name = match self.asked.user_name.get(field::USER)? {
            Some(name) => valid(name, field::USER, limits::user_name)?,
            None => self.caller().ok_or(Without::Incomplete)?,
        };
        Ok((self.mention_user(name, events), name))
    }

    fn mention_user(&self, name: &str, events: &mut Vec<Event>) -> UserUid {
        let user = uids::user(self.account, name);
        events.push(Event::UserRenamed { user, before: name.into(), after: name.into() });
        user
    }

    fn group(&self, events: &mut Vec<Event>) -> Result<(crate::model::GroupUid, &str), Without> {
        let name = valid(need(&self.asked.group_name, field::GROUP)?, field::GROUP, limits::group_name)?;
        let group = uids::group(self.account, name);
        events.push(Event::GroupRenamed { group, before: name.into(), after: name.into() });
        Ok((group, name))
    }

    fn holder(&self, events: &mut Vec<Event>) -> Result<Holder, Without> {
        if self.for_group {
            self.group(events).map(|(group, _)| Holder::Group(group))
        } else {
            self.user(events).map(|(user, _)| Holder::User(user))
        }
    }

    /// The policy behind an ARN, mentioned with its document where that is known.
    fn policy_of<'t>(
        text: &'t Text<'_>,
        field: &'static str,
        events: &mut Vec<Event>,
    ) -> Result<(PolicyUid, &'t str), Without> {
        let arn = need(text, field)?;
        let Some((_, resource)) = arn.split_once(":policy/") else {
            return Err(Reject::new(format!("`{field}` is not a policy's ARN")).into());
        };
        let (folder, name) = resource.rsplit_once('/').unwrap_or(("", resource));
        let name = valid(name, field, limits::policy_name)?;
        let path = if folder.is_empty() { "/".to_owned() } else { format!("/{folder}/") };
        let policy = uids::policy(arn);
        let (document, description) = managed::document(arn).unwrap_or(("", ""));
        events.push(Event::PolicyCreated {
            policy,
            name: name.into(),
            path: clean(&path, 512),
            description: description.into(),
            tags: Tags::new(),
            document: Arc::from(document),
        });
        Ok((policy, name))
    }

    fn policy(&self, events: &mut Vec<Event>) -> Result<(PolicyUid, &str), Without> {
        Self::policy_of(&self.asked.policy_arn, field::ARN, events)
    }

    fn document(&self) -> Result<Arc<str>, Without> {
        let document = need(&self.asked.policy_document, field::DOCUMENT)?;
        if document.len() > DOCUMENT_BYTES_MAX {
            let reason = format!("`{}` is longer than {DOCUMENT_BYTES_MAX} bytes", field::DOCUMENT);
            return Err(Reject::new(reason).into());
        }
        Ok(Arc::from(document))
    }

    fn tags(&self) -> Result<Tags, Without> {
        let Some(raw) = self.asked.tags else { return Ok(Tags::new()) };
        let shape = |_| Reject::new(format!("`{}` should be a list of keys and values", field::TAGS));
        let list: Vec<Tag<'_>> = serde_json::from_str(raw.get()).map_err(shape)?;
        Self::not_too_many(list.len(), field::TAGS)?;
        let mut tags = Tags::new();
        for tag in &list {
            let key = tag.key.need("requestParameters.tags.key")?;
            let value = tag.value.get("requestParameters.tags.value")?.unwrap_or_default();
            tags.insert(clean(key, 128), clean(value, 256));
        }
        Ok(tags)
    }

    fn tag_keys(&self) -> Result<Vec<CompactString>, Without> {
        let raw = self.asked.tag_keys.ok_or(Without::Incomplete)?;
        let shape = |_| Reject::new(format!("`{}` should be a list of text", field::TAG_KEYS));
        let list: Vec<String> = serde_json::from_str(raw.get()).map_err(shape)?;
        Self::not_too_many(list.len(), field::TAG_KEYS)?;
        Ok(list.iter().map(|key| clean(key, 128)).collect())
    }

    fn not_too_many(count: usize, field: &str) -> Result<(), Without> {
        if count <= limits::TAGS_MAX {
            return Ok(());
        }
        Err(Reject::new(format!("`{field}` holds {count} tags, more than {}", limits::TAGS_MAX)).into())
    }

    fn path(text: &Text<'_>, field: &'static str, answered: Option<&Made<'_>>) -> Result<CompactString, Without> {
        let answered = answered.and_then(|made| made.path.some());
        Ok(clean(text.get(field)?.or(answered).unwrap_or("/"), 512))
    }

    // Users

    fn create_user(&self) -> Changes {
        let name = valid(need(&self.asked.user_name, field::USER)?, field::USER, limits::user_name)?;
        let user = uids::user(self.account, name);
        let path = Self::path(&self.asked.path, field::PATH, self.answer.user.some())?;
        let mut events = Vec::with_capacity(1);
        events.push(Event::UserCreated { user, name: name.into(), path, external_id: None, tags: self.tags()? });
        if self.asked.permissions_boundary.get(field::BOUNDARY)?.is_some() {
            let (policy, _) = Self::policy_of(&self.asked.permissions_boundary, field::BOUNDARY, &mut events)?;
            events.push(Event::UserBoundarySet { user, before: None, after: Some(policy) });
        }
        Ok((Rank::CreateNoun, events))
    }

    fn update_user(&self) -> Changes {
        let mut events = Vec::new();
        let (user, name) = self.user(&mut events)?;
        if let Some(path) = self.asked.new_path.get(field::NEW_PATH)? {
            events.push(Event::UserMoved { user, before: CompactString::default(), after: clean(path, 512) });
        }
        if let Some(after) = self.asked.new_user_name.get(field::NEW_USER)? {
            let after = valid(after, field::NEW_USER, limits::user_name)?;
            events.push(Event::UserRenamed { user, before: name.into(), after: after.into() });
        }
        Ok((Rank::Update, events))
    }

    fn delete_user(&self) -> Changes {
        let mut events = Vec::new();
        let (user, name) = self.user(&mut events)?;
        events.push(Event::UserDeleted { user, name: name.into() });
        Ok((Rank::Delete, events))
    }

    fn tag_user(&self) -> Changes {
        let mut events = Vec::new();
        let (user, _) = self.user(&mut events)?;
        events.push(Event::UserTagged { user, set: self.tags()?, removed: Vec::new() });
        Ok((Rank::PutOrAttach, events))
    }

    fn untag_user(&self) -> Changes {
        let mut events = Vec::new();
        let (user, _) = self.user(&mut events)?;
        events.push(Event::UserTagged { user, set: Tags::new(), removed: self.tag_keys()? });
        Ok((Rank::Detach, events))
    }

    fn put_boundary(&self) -> Changes {
        let mut events = Vec::new();
        let (user, _) = self.user(&mut events)?;
        let (policy, _) = Self::policy_of(&self.asked.permissions_boundary, field::BOUNDARY, &mut events)?;
        events.push(Event::UserBoundarySet { user, before: None, after: Some(policy) });
        Ok((Rank::PutOrAttach, events))
    }

    fn delete_boundary(&self) -> Changes {
        let mut events = Vec::new();
        let (user, _) = self.user(&mut events)?;
        events.push(Event::UserBoundarySet { user, before: None, after: None });
        Ok((Rank::Detach, events))
    }

    // Groups

    fn create_group(&self) -> Changes {
        let name = valid(need(&self.asked.group_name, field::GROUP)?, field::GROUP, limits::group_name)?;
        let path = Self::path(&self.asked.path, field::PATH, self.answer.group.some())?;
        let group = uids::group(self.account, name);
        Ok((Rank::CreateNoun, vec![Event::GroupCreated { group, name: name.into(), path }]))
    }

    fn update_group(&self) -> Changes {
        let mut events = Vec::new();
        let (group, name) = self.group(&mut events)?;
        if let Some(path) = self.asked.new_path.get(field::NEW_PATH)? {
            events.push(Event::GroupMoved { group, before: CompactString::default(), after: clean(path, 512) });
        }
        if let Some(after) = self.asked.new_group_name.get(field::NEW_GROUP)? {
            let after = valid(after, field::NEW_GROUP, limits::group_name)?;
            events.push(Event::GroupRenamed { group, before: name.into(), after: after.into() });
        }
        Ok((Rank::Update, events))
    }

    fn delete_group(&self) -> Changes {
        let mut events = Vec::new();
        let (group, name) = self.group(&mut events)?;
        events.push(Event::GroupDeleted { group, name: name.into() });
        Ok((Rank::Delete, events))
    }

    fn member(&self, added: bool) -> Changes {
        let mut events = Vec::new();
        let (group, _) = self.group(&mut events)?;
        let (user, _) = self.user(&mut events)?;
        Ok(if added {
            events.push(Event::GroupMemberAdded { group, user });
            (Rank::PutOrAttach, events)
        } else {
            events.push(Event::GroupMemberRemoved { group, user });
            (Rank::Detach, events)
        })
    }

    // Keys

    /// The owner of the key the call is about; `None` when the record does not say.
    fn owner(&self, events: &mut Vec<Event>) -> Result<KeyOwner, Without> {
        let answered = self.answer.access_key.some().and_then(|made| made.user_name.some());
        match self.asked.user_name.get(field::USER)?.or(answered).or_else(|| self.caller()) {
            Some(name) => {
                let name = valid(name, field::USER, limits::user_name)?;
                Ok(KeyOwner::User(self.mention_user(name, events)))
            }
            None if self.identity.kind == IdentityKind::Root => Ok(KeyOwner::Org),
            None => Err(Without::Incomplete),
        }
    }

    fn key(text: &str, field: &'static str) -> Result<AccessKeyId, Without> {
        Ok(AccessKeyId::parse(text).map_err(|invalid| invalid_field(field, &invalid))?)
    }

    fn made_key(&self) -> Result<AccessKeyId, Without> {
        let made = self.answer.access_key.get("responseElements.accessKey")?.ok_or(Without::Incomplete)?;
        let field = "responseElements.accessKey.accessKeyId";
        Self::key(need(&made.access_key_id, field)?, field)
    }

    fn new_key(id: AccessKeyId, owner: KeyOwner) -> KeyCreated {
        let grants = match &owner {
            KeyOwner::Bucket(bucket) => vec![Grant { bucket: Some(bucket.clone()), role: GrantRole::Editor }],
            KeyOwner::Org | KeyOwner::User(_) => Vec::new(),
        };
        KeyCreated {
            key: uids::key(&id),
            access_key_id: id,
            owner,
            label: CompactString::default(),
            description: CompactString::default(),
            tags: Tags::new(),
            grants,
            default_allow: false,
            expires_at: None,
            secret: None,
            made_by: None,
        }
    }

    fn created(&self, id: AccessKeyId, owner: KeyOwner) -> Event {
        let made_by = self.identity.key.as_ref().map(uids::key);
        Event::KeyCreated(Box::new(KeyCreated { made_by, ..Self::new_key(id, owner) }))
    }

    /// Mentions a key and its owner, as far as the record knows the owner.
    fn mention_key(&self, id: &AccessKeyId, events: &mut Vec<Event>) -> Result<Option<KeyOwner>, Reject> {
        match self.owner(events) {
            Ok(owner) => {
                events.push(Event::KeyImported(Box::new(Self::new_key(id.clone(), owner.clone()))));
                Ok(Some(owner))
            }
            Err(Without::Incomplete) => Ok(None),
            Err(Without::Rejected(reject)) => Err(reject),
        }
    }

    fn create_key(&self) -> Changes {
        let id = self.made_key()?;
        let mut events = Vec::new();
        let owner = self.owner(&mut events)?;
        events.push(self.created(id, owner));
        Ok((Rank::CreateKey, events))
    }

    fn update_key(&self) -> Changes {
        let id = Self::key(need(&self.asked.access_key_id, field::KEY)?, field::KEY)?;
        let key = uids::key(&id);
        let mut events = Vec::new();
        let owner = self.mention_key(&id, &mut events)?;
        let own = self.caller().map(|name| KeyOwner::User(uids::user(self.account, name)));
        let by_admin = own.is_none() || own != owner;
        events.push(match need(&self.asked.status, field::STATUS)? {
            "Inactive" => Event::KeySuspended { key, by_admin },
            "Active" => Event::KeyResumed { key },
            _ => return Err(Without::Incomplete),
        });
        Ok((Rank::Update, events))
    }

    fn delete_key(&self) -> Changes {
        let id = Self::key(need(&self.asked.access_key_id, field::KEY)?, field::KEY)?;
        let mut events = Vec::new();
        self.mention_key(&id, &mut events)?;
        // IAM knows no revoke, so whether it was usable until now is the fold's to say.
        events.push(Event::KeyDeleted { key: uids::key(&id), access_key_id: id, unrevoked: false });
        Ok((Rank::Delete, events))
    }

    fn bucket(&self) -> Result<BucketName, Without> {
        // Names older than today's rules exist; such a call is observed.
        BucketName::parse(need(&self.asked.bucket_name, field::BUCKET)?).map_err(|_| Without::Incomplete)
    }

    fn create_bucket_key(&self) -> Changes {
        let id = self.made_key()?;
        Ok((Rank::CreateKey, vec![self.created(id, KeyOwner::Bucket(self.bucket()?))]))
    }

    fn delete_bucket_key(&self) -> Changes {
        let id = Self::key(need(&self.asked.access_key_id, field::KEY)?, field::KEY)?;
        let mut events = Vec::new();
        let mention = Self::new_key(id.clone(), KeyOwner::Bucket(self.bucket()?));
        events.push(Event::KeyImported(Box::new(mention)));
        events.push(Event::KeyDeleted { key: uids::key(&id), access_key_id: id, unrevoked: false });
        Ok((Rank::Delete, events))
    }

    // Policies

    fn create_policy(&self) -> Changes {
        let name = valid(need(&self.asked.policy_name, field::POLICY)?, field::POLICY, limits::policy_name)?;
        let made = self.answer.policy.some();
        let path = Self::path(&self.asked.path, field::PATH, made)?;
        let arn = match made.and_then(|made| made.arn.some()) {
            Some(arn) => arn.to_owned(),
            None => format!("arn:aws:iam::{}:policy{path}{name}", self.account),
        };
        let event = Event::PolicyCreated {
            policy: uids::policy(&arn),
            name: name.into(),
            path,
            description: clean(self.asked.description.get("requestParameters.description")?.unwrap_or_default(), 1_000),
            tags: self.tags()?,
            document: self.document()?,
        };
        Ok((Rank::CreateNoun, vec![event]))
    }

    fn version(text: &Text<'_>, field: &'static str) -> Result<u32, Without> {
        let text = need(text, field)?;
        let number = text.strip_prefix('v').and_then(|number| number.parse().ok());
        Ok(number.ok_or_else(|| invalid_field(field, &Invalid::new("policy version", text, "v and a number")))?)
    }

    fn create_version(&self) -> Changes {
        let mut events = Vec::new();
        let (policy, _) = self.policy(&mut events)?;
        let made = self.answer.policy_version.some().ok_or(Without::Incomplete)?;
        let version = Self::version(&made.version_id, "responseElements.policyVersion.versionId")?;
        let asked = self.asked.set_as_default.get("requestParameters.setAsDefault")?;
        let answered = made.is_default_version.get("responseElements.policyVersion.isDefaultVersion")?;
        let is_default = asked.or(answered).unwrap_or(false);
        events.push(Event::PolicyVersionCreated { policy, version, document: self.document()?, is_default });
        Ok((Rank::PutOrAttach, events))
    }

    fn set_default_version(&self) -> Changes {
        let mut events = Vec::new();
        let (policy, _) = self.policy(&mut events)?;
        let after = Self::version(&self.asked.version_id, field::VERSION)?;
        events.push(Event::PolicyDefaultSet { policy, before: 0, after });
        Ok((Rank::Update, events))
    }

    fn delete_version(&self) -> Changes {
        let mut events = Vec::new();
        let (policy, _) = self.policy(&mut events)?;
        let version = Self::version(&self.asked.version_id, field::VERSION)?;
        events.push(Event::PolicyVersionDeleted { policy, version });
        Ok((Rank::Detach, events))
    }

    fn delete_policy(&self) -> Changes {
        let mut events = Vec::new();
        let (policy, name) = self.policy(&mut events)?;
        events.push(Event::PolicyDeleted { policy, name: name.into(), forced: false });
        Ok((Rank::Delete, events))
    }

    fn tag_policy(&self) -> Changes {
        let mut events = Vec::new();
        let (policy, _) = self.policy(&mut events)?;
        events.push(Event::PolicyTagged { policy, set: self.tags()?, removed: Vec::new() });
        Ok((Rank::PutOrAttach, events))
    }

    fn untag_policy(&self) -> Changes {
        let mut events = Vec::new();
        let (policy, _) = self.policy(&mut events)?;
        events.push(Event::PolicyTagged { policy, set: Tags::new(), removed: self.tag_keys()? });
        Ok((Rank::Detach, events))
    }

    fn attach(&self, attached: bool) -> Changes {
        let mut events = Vec::new();
        let holder = self.holder(&mut events)?;
        let (policy, _) = self.policy(&mut events)?;
        Ok(if attached {
            events.push(Event::PolicyAttached { policy, holder });
            (Rank::PutOrAttach, events)
        } else {
            events.push(Event::PolicyDetached { policy, holder });
            (Rank::Detach, events)
        })
    }

    fn put_inline(&self) -> Changes {
        let mut events = Vec::new();
        let holder = self.holder(&mut events)?;
        let name = valid(need(&self.asked.policy_name, field::POLICY)?, field::POLICY, limits::policy_name)?;
        events.push(Event::InlinePolicyPut { holder, name: name.into(), before: None, document: self.document()? });
        Ok((Rank::PutOrAttach, events))
    }

    fn delete_inline(&self) -> Changes {
        let mut events = Vec::new();
        let holder = self.holder(&mut events)?;
        let name = valid(need(&self.asked.policy_name, field::POLICY)?, field::POLICY, limits::policy_name)?;
        events.push(Event::InlinePolicyDeleted { holder, name: name.into(), before: Arc::from("") });
        Ok((Rank::Detach, events))
    }

    // Buckets

    fn create_bucket(&self) -> Changes {
        Ok((Rank::CreateNoun, vec![Event::BucketRegistered { bucket: self.bucket()? }]))
    }

    fn delete_bucket(&self) -> Changes {
        Ok((Rank::Delete, vec![Event::BucketForgotten { bucket: self.bucket()? }]))
    }
}
