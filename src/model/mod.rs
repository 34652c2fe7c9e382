//! The nouns: ids, times, events, commits and their bytes.
//!
//! Values only: nothing here reads a file, a clock or a die, and nothing decides. What an event *does* is in
//! `state::apply`, whether it may happen in `ledger::decide`.

pub mod brief;
pub mod bytes;
pub mod caller;
pub mod codec;
pub mod commit;
pub(crate) mod cursor;
pub mod event;
pub mod evidence;
pub mod id;
pub mod limits;
pub mod noun;
pub mod sealed;
pub mod text;
pub mod time;
pub mod uids;
pub mod usage;

pub use caller::{Actor, ActorKind, Caller, Dialect, Principal};
pub use codec::{CodecError, SCHEMA};
pub use commit::{Commit, Envelope, EventId};
pub use event::{Event, EventKind, KeyCreated};
pub use evidence::{EvidenceRecord, Identity, IdentityKind, Observed, Outcome, Rank};
pub use id::{AccessKeyId, AccountId, BucketName, GroupUid, KeyUid, OrgUid, PolicyUid, Seq, UserUid};
pub use limits::Invalid;
pub use noun::{Grant, GrantRole, Holder, KeyOrigin, KeyOwner, OrgKind, OrgOwner, OrgSettings, Role, Tags};
pub use sealed::{SecretVersion, ShredLevel};
pub use time::{Time, When};
pub use usage::{KeyUsage, Rejected, UsageTuple};
