//! Who caused a commit, and by which surface it came.
//!
//! Not here: proving who a caller is (`gate::authenticate`), and what it may do (`ledger::decide`, `state::access`).

use super::id::{AccessKeyId, UserUid};
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
