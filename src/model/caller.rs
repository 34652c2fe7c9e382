//! Who caused a commit, and by which surface it came.
//!
//! A [`Caller`] is somebody whose identity is proved, asking now; an [`Actor`] is how the log remembers it.
//!
//! Not here: proving who a caller is (`gate::authenticate`), and what it may do (`ledger::decide`, `state::access`).

use super::id::{AccessKeyId, Seq, UserUid};
use super::noun::Role;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// What kind of somebody acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ActorKind {
    /// A person at the machine: name is `user@host`.
    Operator,
    /// A user, by one of its keys.
    User,
    /// An org's own key: the account root.
    Root,
    /// A partner provider, by its signing key.
    Provider,
    /// A storage node.
    Node,
    /// keyledger itself: recovery, rollups.
    System,
}

impl ActorKind {
    /// In the order of their numbers.
    pub const ALL: [ActorKind; 6] = [
        ActorKind::Operator,
        ActorKind::User,
        ActorKind::Root,
        ActorKind::Provider,
        ActorKind::Node,
        ActorKind::System,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            ActorKind::Operator => "operator",
            ActorKind::User => "user",
            ActorKind::Root => "root",
            ActorKind::Provider => "provider",
            ActorKind::Node => "node",
            ActorKind::System => "system",
        }
    }
}

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub kind: ActorKind,
    /// The user's name at that time, `user@host` of an operator, a provider's name.
    pub name: CompactString,
    pub user: Option<UserUid>,
    /// The key that signed.
    pub key: Option<AccessKeyId>,
}

impl Actor {
    #[must_use]
    pub fn operator(name: &str) -> Self {
        Self { kind: ActorKind::Operator, name: name.into(), user: None, key: None }
    }

    #[must_use]
    pub fn system(name: &str) -> Self {
        Self { kind: ActorKind::System, name: name.into(), user: None, key: None }
    }
}

/// The surface a command came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Dialect {
    /// The command line, at the machine.
    Cli,
    /// The embedding program.
    Library,
    Native,
    Console,
    AwsIam,
    Lightsail,
    Partner,
    TigrisIam,
    CloudTrail,
    /// A storage node's S3 side.
    S3,
}

impl Dialect {
    pub const ALL: [Dialect; 10] = [
        Dialect::Cli,
        Dialect::Library,
        Dialect::Native,
        Dialect::Console,
        Dialect::AwsIam,
        Dialect::Lightsail,
        Dialect::Partner,
        Dialect::TigrisIam,
        Dialect::CloudTrail,
        Dialect::S3,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Dialect::Cli => "cli",
            Dialect::Library => "library",
            Dialect::Native => "native",
            Dialect::Console => "console",
            Dialect::AwsIam => "aws-iam",
            Dialect::Lightsail => "lightsail",
            Dialect::Partner => "partner",
            Dialect::TigrisIam => "tigris-iam",
            Dialect::CloudTrail => "cloudtrail",
            Dialect::S3 => "s3",
        }
    }
}

/// Whose authority a command stands on. A key's rights are not in here: they follow from the state at the moment of the
/// decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A person at the machine (`user@host`), or the program that embeds the ledger: may do everything.
    Operator { name: CompactString },
    /// keyledger itself: recovery, rollups, shredding.
    System { name: CompactString },
    /// Whoever signed with this key.
    Key { id: AccessKeyId },
    /// A partner provider. `role` and `user` (an external id) are its claims for this one call, never stored.
    Provider { provider: CompactString, role: Role, user: Option<CompactString> },
    /// A storage node: registers and forgets buckets.
    Node { name: CompactString },
}

/// Somebody proved, and the request it makes. Texts from the request are bounded by whoever read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub principal: Principal,
    pub dialect: Dialect,
    pub request_id: Option<CompactString>,
    pub source_ip: Option<CompactString>,
    pub user_agent: Option<CompactString>,
    /// A reason or ticket, as [`super::limits::reason`] bounds it.
    pub reason: Option<CompactString>,
    /// The commit that caused this one.
    pub causation: Option<Seq>,
}

impl Caller {
    #[must_use]
    pub fn new(principal: Principal, dialect: Dialect) -> Self {
        Self { principal, dialect, request_id: None, source_ip: None, user_agent: None, reason: None, causation: None }
    }

    /// A person at the machine, by the command line.
    #[must_use]
    pub fn operator(name: &str) -> Self {
        Self::new(Principal::Operator { name: name.into() }, Dialect::Cli)
    }

    /// keyledger itself.
    #[must_use]
    pub fn system(name: &str) -> Self {
        Self::new(Principal::System { name: name.into() }, Dialect::Library)
    }

    /// Whoever signed with this key.
    #[must_use]
    pub fn key(id: AccessKeyId, dialect: Dialect) -> Self {
        Self::new(Principal::Key { id }, dialect)
    }
}
