//! One call, and what all changes need of it: whom and what it speaks of, found in its request, its answer or its caller.
//!
//! Not here: which call changes what (`change`), the fields as they are written (`asked`).

use super::asked::{Answer, Asked, Made, Tag};
use super::fields::Text;
use super::record::{clean, invalid_field};
use super::{Reject, managed};
use crate::model::limits::{self, Invalid};
use crate::model::{
    AccessKeyId, AccountId, BucketName, Event, Grant, GrantRole, GroupUid, Holder, Identity, IdentityKind, KeyCreated,
    KeyOwner, PolicyUid, Tags, UserUid, uids,
};
use compact_str::CompactString;
use std::sync::Arc;

/// Bytes of a policy document that are taken: twice IAM's longest request (131,072 characters).
const DOCUMENT_BYTES_MAX: usize = 256 << 10;

/// Why a call has no changes.
pub(super) enum Without {
    Rejected(Reject),
    /// The record does not say enough.
    Incomplete,
}

impl From<Reject> for Without {
    fn from(reject: Reject) -> Self {
        Without::Rejected(reject)
    }
}

/// A successful call that may have changed something.
pub(super) struct Call<'a> {
    pub(super) account: AccountId,
    pub(super) identity: &'a Identity,
    pub(super) for_group: bool,
    pub(super) asked: &'a Asked<'a>,
    pub(super) answer: Answer<'a>,
}

/// Field names as errors tell them.
pub(super) mod field {
    pub(in super::super) const USER: &str = "requestParameters.userName";
    pub(in super::super) const NEW_USER: &str = "requestParameters.newUserName";
    pub(in super::super) const GROUP: &str = "requestParameters.groupName";
    pub(in super::super) const NEW_GROUP: &str = "requestParameters.newGroupName";
    pub(in super::super) const PATH: &str = "requestParameters.path";
    pub(in super::super) const NEW_PATH: &str = "requestParameters.newPath";
    pub(in super::super) const POLICY: &str = "requestParameters.policyName";
    pub(in super::super) const ARN: &str = "requestParameters.policyArn";
    pub(in super::super) const DOCUMENT: &str = "requestParameters.policyDocument";
    pub(in super::super) const BOUNDARY: &str = "requestParameters.permissionsBoundary";
    pub(in super::super) const VERSION: &str = "requestParameters.versionId";
    pub(in super::super) const KEY: &str = "requestParameters.accessKeyId";
    pub(in super::super) const STATUS: &str = "requestParameters.status";
    pub(in super::super) const BUCKET: &str = "requestParameters.bucketName";
    pub(in super::super) const TAGS: &str = "requestParameters.tags";
    pub(in super::super) const TAG_KEYS: &str = "requestParameters.tagKeys";
}

/// Text that the change cannot do without.
pub(super) fn need<'t>(text: &'t Text<'_>, field: &'static str) -> Result<&'t str, Without> {
    text.get(field)?.ok_or(Without::Incomplete)
}

pub(super) fn valid<'t>(
    text: &'t str,
    field: &'static str,
    check: fn(&str) -> Result<(), Invalid>,
) -> Result<&'t str, Without> {
    check(text).map_err(|invalid| invalid_field(field, &invalid))?;
    Ok(text)
}

impl Call<'_> {
    /// The caller's name, when the caller is a user of this account.
    pub(super) fn caller(&self) -> Option<&str> {
        let here = self.identity.account.is_none_or(|account| account == self.account);
        (self.identity.kind == IdentityKind::User && here && limits::user_name(&self.identity.name).is_ok())
            .then_some(self.identity.name.as_str())
    }

    /// The user the call is about, mentioned.
    pub(super) fn user(&self, events: &mut Vec<Event>) -> Result<(UserUid, &str), Without> {
        let name = match self.asked.user_name.get(field::USER)? {
            Some(name) => valid(name, field::USER, limits::user_name)?,
            None => self.caller().ok_or(Without::Incomplete)?,
        };
        Ok((self.mention_user(name, events), name))
    }

    pub(super) fn mention_user(&self, name: &str, events: &mut Vec<Event>) -> UserUid {
        let user = uids::user(self.account, name);
        events.push(Event::UserRenamed { user, before: name.into(), after: name.into() });
        user
    }

    pub(super) fn group(&self, events: &mut Vec<Event>) -> Result<(GroupUid, &str), Without> {
        let name = valid(need(&self.asked.group_name, field::GROUP)?, field::GROUP, limits::group_name)?;
        let group = uids::group(self.account, name);
        events.push(Event::GroupRenamed { group, before: name.into(), after: name.into() });
        Ok((group, name))
    }

    pub(super) fn holder(&self, events: &mut Vec<Event>) -> Result<Holder, Without> {
        if self.for_group {
            self.group(events).map(|(group, _)| Holder::Group(group))
        } else {
            self.user(events).map(|(user, _)| Holder::User(user))
        }
    }

    /// The policy behind an ARN, mentioned with its document where that is known.
    pub(super) fn policy_of<'t>(
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

    pub(super) fn policy(&self, events: &mut Vec<Event>) -> Result<(PolicyUid, &str), Without> {
        Self::policy_of(&self.asked.policy_arn, field::ARN, events)
    }

    pub(super) fn document(&self) -> Result<Arc<str>, Without> {
        let document = need(&self.asked.policy_document, field::DOCUMENT)?;
        if document.len() > DOCUMENT_BYTES_MAX {
            let reason = format!("`{}` is longer than {DOCUMENT_BYTES_MAX} bytes", field::DOCUMENT);
            return Err(Reject::new(reason).into());
        }
        Ok(Arc::from(document))
    }

    pub(super) fn tags(&self) -> Result<Tags, Without> {
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

    pub(super) fn tag_keys(&self) -> Result<Vec<CompactString>, Without> {
        let raw = self.asked.tag_keys.ok_or(Without::Incomplete)?;
        let shape = |_| Reject::new(format!("`{}` should be a list of text", field::TAG_KEYS));
        let list: Vec<String> = serde_json::from_str(raw.get()).map_err(shape)?;
        Self::not_too_many(list.len(), field::TAG_KEYS)?;
        Ok(list.iter().map(|key| clean(key, 128)).collect())
    }

    pub(super) fn not_too_many(count: usize, field: &str) -> Result<(), Without> {
        if count <= limits::TAGS_MAX {
            return Ok(());
        }
        Err(Reject::new(format!("`{field}` holds {count} tags, more than {}", limits::TAGS_MAX)).into())
    }

    pub(super) fn path(
        text: &Text<'_>,
        field: &'static str,
        answered: Option<&Made<'_>>,
    ) -> Result<CompactString, Without> {
        let answered = answered.and_then(|made| made.path.some());
        Ok(clean(text.get(field)?.or(answered).unwrap_or("/"), 512))
    }

    /// The owner of the key the call is about; `None` when the record does not say.
    pub(super) fn owner(&self, events: &mut Vec<Event>) -> Result<KeyOwner, Without> {
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

    pub(super) fn key(text: &str, field: &'static str) -> Result<AccessKeyId, Without> {
        Ok(AccessKeyId::parse(text).map_err(|invalid| invalid_field(field, &invalid))?)
    }

    pub(super) fn made_key(&self) -> Result<AccessKeyId, Without> {
        let made = self.answer.access_key.get("responseElements.accessKey")?.ok_or(Without::Incomplete)?;
        let field = "responseElements.accessKey.accessKeyId";
        Self::key(need(&made.access_key_id, field)?, field)
    }

    pub(super) fn new_key(id: AccessKeyId, owner: KeyOwner) -> KeyCreated {
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

    pub(super) fn created(&self, id: AccessKeyId, owner: KeyOwner) -> Event {
        let made_by = self.identity.key.as_ref().map(uids::key);
        Event::KeyCreated(Box::new(KeyCreated { made_by, ..Self::new_key(id, owner) }))
    }

    /// Mentions a key and its owner, as far as the record knows the owner.
    pub(super) fn mention_key(&self, id: &AccessKeyId, events: &mut Vec<Event>) -> Result<Option<KeyOwner>, Reject> {
        match self.owner(events) {
            Ok(owner) => {
                events.push(Event::KeyImported(Box::new(Self::new_key(id.clone(), owner.clone()))));
                Ok(Some(owner))
            }
            Err(Without::Incomplete) => Ok(None),
            Err(Without::Rejected(reject)) => Err(reject),
        }
    }

    pub(super) fn bucket(&self) -> Result<BucketName, Without> {
        // Names older than today's rules exist; such a call is observed.
        BucketName::parse(need(&self.asked.bucket_name, field::BUCKET)?).map_err(|_| Without::Incomplete)
    }

    pub(super) fn version(text: &Text<'_>, field: &'static str) -> Result<u32, Without> {
        let text = need(text, field)?;
        let number = text.strip_prefix('v').and_then(|number| number.parse().ok());
        Ok(number.ok_or_else(|| invalid_field(field, &Invalid::new("policy version", text, "v and a number")))?)
    }
}
