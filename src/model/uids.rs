//! The uids of nouns that are known from evidence alone.
//!
//! A CloudTrail record names users and groups by name and policies by ARN, never by an id of ours, and records arrive in
//! any order. So the uid of such a noun follows from its account and name: every record, whenever it is imported, gives
//! the same noun the same uid.
//!
//! Invariants
//! - A uid names a *name*, not a life: a user who was deleted and made again has the uid it had. Where a record renames a
//!   user (`UserRenamed { user, before, after }`), `user` is the uid of the name before, later records speak of
//!   [`user`]`(account, after)`, and the fold carries over what the old uid had.
//! - Names count without regard to case, as IAM holds them unique.
//! - A change that speaks of a noun is preceded by a *mention* of it ([`is_mention`]), because a uid tells no name and
//!   the record that made the noun may be missing: a user or group by a renaming to its own name, a key by `KeyImported`,
//!   a policy by `PolicyCreated`. A mention makes an unknown noun known, as older than the evidence, and else changes
//!   nothing; only a policy's document, when it is still empty, is filled in.
//! - An empty policy document means: not in evidence.
//!
//! Not here: the fold (`state::evidence`), and reading records (`ledger::import`).

use super::event::Event;
use super::evidence::EvidenceRecord;
use super::id::{AccessKeyId, AccountId, GroupUid, KeyUid, PolicyUid, UserUid, World};

/// The uid of the user of this name.
#[must_use]
pub fn user(account: AccountId, name: &str) -> UserUid {
    UserUid::derived(&[b"evidence", &account.0.to_le_bytes(), name.to_ascii_lowercase().as_bytes()])
}

/// The uid of the group of this name.
#[must_use]
pub fn group(account: AccountId, name: &str) -> GroupUid {
    GroupUid::derived(&[b"evidence", &account.0.to_le_bytes(), name.to_ascii_lowercase().as_bytes()])
}

/// The uid of the policy of this ARN, one of AWS's own or an account's (the ARN holds the account).
#[must_use]
pub fn policy(arn: &str) -> PolicyUid {
    PolicyUid::derived(&[b"evidence", arn.to_ascii_lowercase().as_bytes()])
}

/// The uid of the key of this id.
#[must_use]
pub fn key(id: &AccessKeyId) -> KeyUid {
    id.uid(World::Evidence)
}

/// Whether `event`, among the changes of `record`, only says that a noun exists and how it is called.
#[must_use]
pub fn is_mention(record: &EvidenceRecord, event: &Event) -> bool {
    match event {
        Event::UserRenamed { before, after, .. } | Event::GroupRenamed { before, after, .. } => before == after,
        Event::KeyImported(_) => true,
        Event::PolicyCreated { .. } => record.event_name != "CreatePolicy",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_uid_whatever_its_case_and_another_in_each_account() {
        assert_eq!(user(AccountId(1), "Alice"), user(AccountId(1), "alice"));
        assert_ne!(user(AccountId(1), "alice"), user(AccountId(2), "alice"));
        assert_ne!(user(AccountId(1), "alice").0, group(AccountId(1), "alice").0);
    }
}
