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

use super::Reject;
use super::asked::{Answer, Asked};
use super::call::{Call, Without, field, need, valid};
use super::record::{RawRecord, clean};
use crate::model::limits;
use crate::model::{AccountId, Event, Identity, KeyOwner, Rank, Tags, uids};
use compact_str::CompactString;
use std::sync::Arc;

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
    let make: Maker<'_> = match source {
        "iam.amazonaws.com" => match name {
            "CreateUser" => Call::create_user,
            "UpdateUser" => Call::update_user,
            "DeleteUser" => Call::delete_user,
            "TagUser" => Call::tag_user,
            "UntagUser" => Call::untag_user,
            "PutUserPermissionsBoundary" => Call::put_boundary,
            "DeleteUserPermissionsBoundary" => Call::delete_boundary,
            "CreateGroup" => Call::create_group,
            "UpdateGroup" => Call::update_group,
            "DeleteGroup" => Call::delete_group,
            "AddUserToGroup" => |call| call.member(true),
            "RemoveUserFromGroup" => |call| call.member(false),
            "CreateAccessKey" => Call::create_key,
            "UpdateAccessKey" => Call::update_key,
            "DeleteAccessKey" => Call::delete_key,
            "CreatePolicy" => Call::create_policy,
            "CreatePolicyVersion" => Call::create_version,
            "SetDefaultPolicyVersion" => Call::set_default_version,
            "DeletePolicyVersion" => Call::delete_version,
            "DeletePolicy" => Call::delete_policy,
            "TagPolicy" => Call::tag_policy,
            "UntagPolicy" => Call::untag_policy,
            "AttachUserPolicy" | "AttachGroupPolicy" => |call| call.attach(true),
            "DetachUserPolicy" | "DetachGroupPolicy" => |call| call.attach(false),
            "PutUserPolicy" | "PutGroupPolicy" => Call::put_inline,
            "DeleteUserPolicy" | "DeleteGroupPolicy" => Call::delete_inline,
            _ => return Ok(None),
        },
        "s3.amazonaws.com" | "lightsail.amazonaws.com" => match name {
            "CreateBucket" => Call::create_bucket,
            "DeleteBucket" => Call::delete_bucket,
            // S3 has no such calls.
            "CreateBucketAccessKey" => Call::create_bucket_key,
            "DeleteBucketAccessKey" => Call::delete_bucket_key,
            _ => return Ok(None),
        },
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

impl Call<'_> {
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
