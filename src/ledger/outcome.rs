//! Outcomes: what a command that was accepted answers.
//!
//! An outcome follows from the events alone, so that a retry with the same token gets the first outcome again from the log;
//! only the secret is never there a second time.
//!
//! Not here: what a dialect makes of it.

use crate::model::{AccessKeyId, AccountId, Event, GroupUid, KeyOwner, KeyUid, OrgUid, PolicyUid, Time, UserUid};
use crate::vault::SecretKey;
use compact_str::CompactString;
use serde::Serialize;

/// A key that was made or got a new secret, with the secret this once.
#[derive(Debug, Serialize)]
pub struct KeyMade {
    pub key: KeyUid,
    pub access_key_id: AccessKeyId,
    /// `None` for an imported key and for a replayed answer.
    #[serde(skip)]
    pub secret: Option<SecretKey>,
    pub owner: KeyOwner,
    pub label: CompactString,
    pub expires_at: Option<Time>,
}

/// What an accepted command did.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub enum Outcome {
    /// Everything already was as asked. Nothing was appended.
    Nothing,
    /// Done; there is no more to tell.
    Changed,
    OrgCreated {
        org: OrgUid,
        account: AccountId,
    },
    UserCreated {
        user: UserUid,
    },
    GroupCreated {
        group: GroupUid,
    },
    PolicyCreated {
        policy: PolicyUid,
    },
    PolicyVersionCreated {
        policy: PolicyUid,
        version: u32,
        is_default: bool,
    },
    KeyCreated(Box<KeyMade>),
    KeyRotated {
        old: KeyUid,
        deadline: Time,
        new: Box<KeyMade>,
    },
    SecretRotated {
        key: KeyUid,
        #[serde(skip)]
        secret: Option<SecretKey>,
        version: u32,
        old_version: u32,
        old_deadline: Time,
    },
    EvidenceImported {
        imported: u64,
        duplicates: u64,
        rejected: u64,
    },
}

impl Outcome {
    /// The outcome of a command that had these events, without a secret.
    #[must_use]
    pub fn of(events: &[Event]) -> Self {
        let Some(first) = events.first() else { return Outcome::Nothing };
        let first = match first {
            // What a key is made with comes before it.
            Event::UserCreated { .. } | Event::PolicyCreated { .. } | Event::BucketRegistered { .. } => {
                events.iter().find(|event| matches!(event, Event::KeyCreated(_))).unwrap_or(first)
            }
            first => first,
        };
        match first {
            Event::OrgCreated { org, account, kind: crate::model::OrgKind::Live, .. } => {
                Outcome::OrgCreated { org: *org, account: *account }
            }
            Event::UserCreated { user, .. } => Outcome::UserCreated { user: *user },
            Event::GroupCreated { group, .. } => Outcome::GroupCreated { group: *group },
            Event::PolicyCreated { policy, .. } => Outcome::PolicyCreated { policy: *policy },
            // A version made room for itself, or not.
            Event::PolicyVersionDeleted { .. } | Event::PolicyVersionCreated { .. } => events
                .iter()
                .find_map(|event| match event {
                    Event::PolicyVersionCreated { policy, version, is_default, .. } => {
                        let (policy, version, is_default) = (*policy, *version, *is_default);
                        Some(Outcome::PolicyVersionCreated { policy, version, is_default })
                    }
                    _ => None,
                })
                .unwrap_or(Outcome::Changed),
            Event::KeyCreated(created) | Event::KeyImported(created) => {
                let new = Box::new(KeyMade {
                    key: created.key,
                    access_key_id: created.access_key_id.clone(),
                    secret: None,
                    owner: created.owner.clone(),
                    label: created.label.clone(),
                    expires_at: created.expires_at,
                });
                let rotated = events.iter().find_map(|event| match event {
                    Event::KeyRotated { old, deadline, .. } => Some((*old, *deadline)),
                    _ => None,
                });
                match rotated {
                    Some((old, deadline)) => Outcome::KeyRotated { old, deadline, new },
                    None => Outcome::KeyCreated(new),
                }
            }
            Event::KeySecretRotated { key, secret, old_version, old_deadline } => Outcome::SecretRotated {
                key: *key,
                secret: None,
                version: secret.version,
                old_version: *old_version,
                old_deadline: *old_deadline,
            },
            _ => events
                .iter()
                .take(2)
                .find_map(|event| match event {
                    Event::EvidenceBatchImported { imported, duplicates, rejected, .. } => {
                        let (imported, duplicates, rejected) = (*imported, *duplicates, *rejected);
                        Some(Outcome::EvidenceImported { imported, duplicates, rejected })
                    }
                    _ => None,
                })
                .unwrap_or(Outcome::Changed),
        }
    }

    /// The same, with the secret that was drawn for it.
    #[must_use]
    pub fn with_secret(mut self, drawn: SecretKey) -> Self {
        match &mut self {
            Outcome::KeyCreated(made) | Outcome::KeyRotated { new: made, .. } => made.secret = Some(drawn),
            Outcome::SecretRotated { secret, .. } => *secret = Some(drawn),
            _ => {}
        }
        self
    }

    /// What a retry gets: the same without the secret.
    #[must_use]
    pub fn without_secret(&self) -> Self {
        let made = |made: &KeyMade| {
            Box::new(KeyMade {
                key: made.key,
                access_key_id: made.access_key_id.clone(),
                secret: None,
                owner: made.owner.clone(),
                label: made.label.clone(),
                expires_at: made.expires_at,
            })
        };
        match self {
            Outcome::Nothing => Outcome::Nothing,
            Outcome::Changed => Outcome::Changed,
            Outcome::OrgCreated { org, account } => Outcome::OrgCreated { org: *org, account: *account },
            Outcome::UserCreated { user } => Outcome::UserCreated { user: *user },
            Outcome::GroupCreated { group } => Outcome::GroupCreated { group: *group },
            Outcome::PolicyCreated { policy } => Outcome::PolicyCreated { policy: *policy },
            Outcome::PolicyVersionCreated { policy, version, is_default } => {
                Outcome::PolicyVersionCreated { policy: *policy, version: *version, is_default: *is_default }
            }
            Outcome::KeyCreated(new) => Outcome::KeyCreated(made(new)),
            Outcome::KeyRotated { old, deadline, new } => {
                Outcome::KeyRotated { old: *old, deadline: *deadline, new: made(new) }
            }
            Outcome::SecretRotated { key, version, old_version, old_deadline, .. } => Outcome::SecretRotated {
                key: *key,
                secret: None,
                version: *version,
                old_version: *old_version,
                old_deadline: *old_deadline,
            },
            Outcome::EvidenceImported { imported, duplicates, rejected } => {
                Outcome::EvidenceImported { imported: *imported, duplicates: *duplicates, rejected: *rejected }
            }
        }
    }

    /// The secret, once.
    pub fn take_secret(&mut self) -> Option<SecretKey> {
        match self {
            Outcome::KeyCreated(made) | Outcome::KeyRotated { new: made, .. } => made.secret.take(),
            Outcome::SecretRotated { secret, .. } => secret.take(),
            _ => None,
        }
    }
}
