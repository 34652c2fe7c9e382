//! `key`: access keys, from their making to what stays of them.
//!
//! Not here: what a key did and who did what to it (`audit key`), bringing many at once (`import keys`).

mod change;
mod create;
pub mod list;
pub mod row;

pub use crate::api::OnceShown;
pub use row::none_found;

use super::{Context, Done};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key; its secret is shown this once
    #[command(after_help = "Examples:  keyledger key create --user alice --label laptop\n           \
                            keyledger key create --grant logs=ReadOnly --expires-in 90d\n           \
                            keyledger key create --bucket backups --json")]
    Create(create::Create),
    /// List keys
    #[command(after_help = "Example:  keyledger key list --all --json")]
    List(list::List),
    /// Show one key
    Show(list::Show),
    /// Set the label
    Label(change::Label),
    /// Set the description
    Describe(change::Describe),
    /// Set tags
    Tag(change::Tag),
    /// Remove tags
    Untag(change::Untag),
    /// Set the bucket grants, all at once
    #[command(after_help = "Example:  keyledger key grant NQAK7Q2M4T8XW1PC5DRE logs=ReadOnly backups=Editor")]
    Grant(change::Grants),
    /// Attach a policy to the key
    Attach(change::Attach),
    /// Detach a policy from the key
    Detach(change::Attach),
    /// Let it create and list buckets without a policy that says so
    DefaultAllow(change::DefaultAllow),
    /// Set when it ends
    Expire(change::Expire),
    /// Make it unusable until it is resumed
    Suspend(change::Which),
    /// Make it usable again
    Resume(change::Which),
    /// Make it unusable for ever; it stays in lists
    Revoke(change::Which),
    /// Delete it and destroy its secret; its history stays
    Delete(change::Which),
    /// Replace it by a new key, or its secret by a new one
    #[command(after_help = "Examples:  keyledger key rotate NQAK7Q2M4T8XW1PC5DRE --grace 24h\n           \
                            keyledger key rotate NQAK7Q2M4T8XW1PC5DRE --in-place --grace 1h")]
    Rotate(change::Rotate),
    /// Stop one of two live secrets now
    Retire(change::Retire),
    /// Flag it as compromised
    #[command(
        after_help = "Example:  keyledger key flag NQAK7Q2M4T8XW1PC5DRE --quarantine --note 'seen on a paste site'"
    )]
    Flag(change::FlagArgs),
    /// Take the flag away
    Clear(change::Which),
}

impl Key {
    pub fn run(self, cx: &mut Context) -> Done {
        match self {
            Key::Create(create) => create.run(cx),
            Key::List(list) => list.run(cx),
            Key::Show(show) => show.run(cx),
            Key::Label(label) => label.run(cx),
            Key::Describe(describe) => describe.run(cx),
            Key::Tag(tag) => tag.run(cx),
            Key::Untag(untag) => untag.run(cx),
            Key::Grant(grants) => grants.run(cx),
            Key::Attach(attach) => attach.run(cx, true),
            Key::Detach(attach) => attach.run(cx, false),
            Key::DefaultAllow(allow) => allow.run(cx),
            Key::Expire(expire) => expire.run(cx),
            Key::Suspend(which) => which.suspend(cx),
            Key::Resume(which) => which.resume(cx),
            Key::Revoke(which) => which.revoke(cx),
            Key::Delete(which) => which.delete(cx),
            Key::Rotate(rotate) => rotate.run(cx),
            Key::Retire(retire) => retire.run(cx),
            Key::Flag(flag) => flag.run(cx),
            Key::Clear(which) => which.clear(cx),
        }
    }
}
