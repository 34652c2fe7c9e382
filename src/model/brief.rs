//! Commits as far as a state needs them, read straight from their bytes: for replays, which decode millions.
//!
//! The few kinds that make up nearly all of a log are read by hand, without copying a string; whatever else stands there, and
//! whatever looks wrong, goes through `codec`, which reads everything and says what is wrong. The two agree: `tests/codec.rs`.
//!
//! Invariants
//! - What is read here is what `codec` would have read: the same bytes are refused.
//!
//! Not here: who and how beyond what a state keeps (`commit`), and the encoding's rules (`codec`).

use super::codec::{self, CodecError, PART_SALT_BYTES, SCHEMA};
use super::commit::{ActorBrief, EnvelopeBrief, TokenBrief};
use super::cursor::Cursor;
use super::event::{Event, EventKind};
use super::id::{BucketName, GroupUid, KeyUid, OrgUid, PolicyUid, Seq, UserUid};
use super::noun::{Grant, KeyOwner, Tags};
use super::time::Time;
use super::{ActorKind, Dialect, Holder, KeyCreated};
use std::borrow::Cow;

/// An event as far as a state needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventBrief<'a> {
    /// `imported`: id and secret were brought from elsewhere.
    KeyCreated {
        key: KeyBrief<'a>,
        imported: bool,
    },
    KeyLabelled {
        key: KeyUid,
        after: &'a str,
    },
    KeyRevoked {
        key: KeyUid,
    },
    KeyDeleted {
        key: KeyUid,
        unrevoked: bool,
    },
    PolicyAttached {
        policy: PolicyUid,
        holder: Holder,
        on: bool,
    },
    Other(Cow<'a, Event>),
}

/// A new key as far as a state needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyBrief<'a> {
    pub key: KeyUid,
    pub access_key_id: &'a str,
    pub owner: OwnerBrief<'a>,
    pub label: &'a str,
    pub description: &'a str,
    pub tags: Cow<'a, Tags>,
    pub grants: Cow<'a, [Grant]>,
    pub default_allow: bool,
    pub expires_at: Option<Time>,
    /// Version and when it was set.
    pub secret: Option<(u32, Time)>,
    pub made_by: Option<KeyUid>,
}

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerBrief<'a> {
    Org,
    User(UserUid),
    Bucket(&'a str),
}

impl OwnerBrief<'_> {
    /// The owner, owned.
    #[must_use]
    pub fn to_owner(self) -> KeyOwner {
        match self {
            OwnerBrief::Org => KeyOwner::Org,
            OwnerBrief::User(user) => KeyOwner::User(user),
            OwnerBrief::Bucket(bucket) => KeyOwner::Bucket(BucketName(bucket.into())),
        }
    }
}

impl<'a> EventBrief<'a> {
    /// Of an event that is there whole.
    #[must_use]
    pub fn of(event: &'a Event) -> Self {
        match event {
            Event::KeyCreated(key) => EventBrief::KeyCreated { key: KeyBrief::of(key), imported: false },
            Event::KeyImported(key) => EventBrief::KeyCreated { key: KeyBrief::of(key), imported: true },
            Event::KeyLabelled { key, after, .. } => EventBrief::KeyLabelled { key: *key, after },
            Event::KeyRevoked { key } => EventBrief::KeyRevoked { key: *key },
            Event::KeyDeleted { key, unrevoked, .. } => EventBrief::KeyDeleted { key: *key, unrevoked: *unrevoked },
            Event::PolicyAttached { policy, holder } => {
                EventBrief::PolicyAttached { policy: *policy, holder: *holder, on: true }
            }
            Event::PolicyDetached { policy, holder } => {
                EventBrief::PolicyAttached { policy: *policy, holder: *holder, on: false }
            }
            other => EventBrief::Other(Cow::Borrowed(other)),
        }
    }

    /// The key it is about, if it is one of the kinds read by hand.
    #[must_use]
    pub fn key(&self) -> Option<KeyUid> {
        match self {
            EventBrief::KeyCreated { key, .. } => Some(key.key),
            EventBrief::KeyLabelled { key, .. }
            | EventBrief::KeyRevoked { key }
            | EventBrief::KeyDeleted { key, .. }
            | EventBrief::PolicyAttached { holder: Holder::Key(key), .. } => Some(*key),
            EventBrief::PolicyAttached { .. } | EventBrief::Other(_) => None,
        }
    }
}

impl<'a> KeyBrief<'a> {
    fn of(key: &'a KeyCreated) -> Self {
        Self {
            key: key.key,
            access_key_id: key.access_key_id.as_str(),
            owner: match &key.owner {
                KeyOwner::Org => OwnerBrief::Org,
                KeyOwner::User(user) => OwnerBrief::User(*user),
                KeyOwner::Bucket(bucket) => OwnerBrief::Bucket(bucket.as_str()),
            },
            label: &key.label,
            description: &key.description,
            tags: Cow::Borrowed(&key.tags),
            grants: Cow::Borrowed(&key.grants),
            default_allow: key.default_allow,
            expires_at: key.expires_at,
            secret: key.secret.as_ref().map(|secret| (secret.version, secret.set_at)),
            made_by: key.made_by,
        }
    }
}

/// Decodes a payload as far as a state needs it; the events are added to `events`.
///
/// # Errors
/// As [`codec::decode_whole`]; `events` may then hold some of the commit's.
pub fn decode<'a>(
    schema: u16,
    mut parts: impl Iterator<Item = &'a [u8]>,
    whole: bool,
    events: &mut Vec<EventBrief<'a>>,
) -> Result<EnvelopeBrief<'a>, CodecError> {
    if schema != SCHEMA {
        return Err(CodecError::UnknownSchema { found: schema });
    }
    let first = parts.next().unwrap_or_default();
    if whole {
        let (envelope, rest) = envelope(first)?;
        events.push(event(rest)?);
        return Ok(envelope);
    }
    let salted = |part: &'a [u8]| {
        part.get(PART_SALT_BYTES..).ok_or_else(|| CodecError::Malformed { why: "a part has no salt".to_owned() })
    };
    let (envelope, rest) = envelope(salted(first)?)?;
    if !rest.is_empty() {
        return Err(CodecError::TrailingBytes { extra: rest.len() });
    }
    for part in parts {
        events.push(event(salted(part)?)?);
    }
    Ok(envelope)
}

fn envelope(bytes: &[u8]) -> Result<(EnvelopeBrief<'_>, &[u8]), CodecError> {
    let mut input = Cursor(bytes);
    match input.envelope() {
        Some(envelope) => Ok((envelope, input.0)),
        None => codec::envelope_brief(bytes),
    }
}

fn event(bytes: &[u8]) -> Result<EventBrief<'_>, CodecError> {
    let mut input = Cursor(bytes);
    match input.event() {
        Some(event) if input.0.is_empty() => Ok(event),
        _ => codec::event(bytes).map(|event| EventBrief::Other(Cow::Owned(event))),
    }
}

impl<'a> Cursor<'a> {
    fn envelope(&mut self) -> Option<EnvelopeBrief<'a>> {
        Some(EnvelopeBrief {
            org: self.option(Self::exactly)?.map(OrgUid),
            actor: ActorBrief {
                kind: *ActorKind::ALL.get(self.number32()? as usize)?,
                name: self.text()?,
                user: self.option(Self::exactly)?.map(UserUid),
                key: self.option(Self::text)?,
            },
            dialect: *Dialect::ALL.get(self.number32()? as usize)?,
            request_id: self.option(Self::text)?,
            source_ip: self.option(Self::text)?,
            user_agent: self.option(Self::text)?,
            reason: self.option(Self::text)?,
            causation: self.option(Self::number)?.map(Seq),
            token: self.option(|input| Some(TokenBrief { token: input.text()?, body_hash: input.exactly()? }))?,
        })
    }

    fn event(&mut self) -> Option<EventBrief<'a>> {
        Some(match EventKind::ALL.get(self.number32()? as usize)? {
            EventKind::KeyCreated => EventBrief::KeyCreated { key: self.key()?, imported: false },
            EventKind::KeyImported => EventBrief::KeyCreated { key: self.key()?, imported: true },
            EventKind::KeyLabelled => {
                let (key, _before) = (KeyUid(self.exactly()?), self.text()?);
                EventBrief::KeyLabelled { key, after: self.text()? }
            }
            EventKind::KeyRevoked => EventBrief::KeyRevoked { key: KeyUid(self.exactly()?) },
            EventKind::KeyDeleted => {
                let (key, _id) = (KeyUid(self.exactly()?), self.access_key_id()?);
                EventBrief::KeyDeleted { key, unrevoked: self.flag()? }
            }
            EventKind::PolicyAttached => self.attached(true)?,
            EventKind::PolicyDetached => self.attached(false)?,
            _ => return None,
        })
    }

    fn attached(&mut self, on: bool) -> Option<EventBrief<'a>> {
        let policy = PolicyUid(self.exactly()?);
        let holder = match self.number32()? {
            0 => Holder::User(UserUid(self.exactly()?)),
            1 => Holder::Group(GroupUid(self.exactly()?)),
            2 => Holder::Key(KeyUid(self.exactly()?)),
            _ => return None,
        };
        Some(EventBrief::PolicyAttached { policy, holder, on })
    }

    fn key(&mut self) -> Option<KeyBrief<'a>> {
        let (key, access_key_id) = (KeyUid(self.exactly()?), self.access_key_id()?);
        let owner = self.owner()?;
        let (label, description) = (self.text()?, self.text()?);
        let mut tags = Tags::new();
        for _ in 0..self.number()? {
            tags.insert(self.text()?.into(), self.text()?.into());
        }
        let grants = self.grants()?;
        Some(KeyBrief {
            key,
            access_key_id,
            owner,
            label,
            description,
            tags: Cow::Owned(tags),
            grants: Cow::Owned(grants),
            default_allow: self.flag()?,
            expires_at: self.option(Self::time)?,
            secret: self.option(|input| {
                let (version, _commitment) = (input.number32()?, input.exactly::<32>()?);
                let _fingerprint = input.option(Self::exactly::<16>)?;
                Some((version, input.time()?))
            })?,
            made_by: self.option(Self::exactly)?.map(KeyUid),
        })
    }
}
