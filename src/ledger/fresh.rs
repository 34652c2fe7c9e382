//! Ids and secrets, drawn before a command is decided, so that deciding is pure.
//!
//! Invariants
//! - Every character of an id or secret is equally likely: bytes that would favour some are drawn again.
//!
//! Not here: random bytes (`dice`), the time (`guarded_clock`), what is done with what was drawn (`decide`), how a secret is
//! sealed (`vault`).

use super::command::Command;
use super::dice::Dice;
use super::guarded_clock::{Leap, Stamp};
use crate::model::id::World;
use crate::model::{AccessKeyId, AccountId, Caller, Dialect, OrgUid, Time};
use crate::state::State;
use crate::vault::{SealedSlot, Sealer, SecretKey};

/// Letters before a generated access key id, where the org does not say otherwise.
pub const KEY_PREFIX: &str = "NQAK";
/// The same for keys made by the AWS IAM dialect, whose clients look for it.
pub const IAM_KEY_PREFIX: &str = "AKIA";
/// Characters behind the prefix.
const ID_CHARS: usize = 16;
const ID_ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// What a command needs drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// For a user, group or policy.
    Uid,
    /// Org uid and account id.
    OrgIds,
    KeyAndSecret,
    /// Both, for a key that is made together with users or policies.
    KeyAndUid,
    Secret,
    /// A sealed slot for the secret that the command brings.
    BroughtSecret,
}

impl Need {
    /// Whether a secret goes into the keystore.
    #[must_use]
    pub fn is_a_secret(self) -> bool {
        matches!(self, Need::KeyAndSecret | Need::KeyAndUid | Need::Secret | Need::BroughtSecret)
    }
}

/// Commitment to a secret, and its fingerprint when it was generated here: what an event may say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreshSecret {
    pub commitment: [u8; 32],
    pub fingerprint: Option<[u8; 16]>,
}

/// What a decision gets from the world: the time, and what its command needs of the dice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    /// The guarded time the commit will be recorded at.
    pub now: Time,
    /// Set while the clock is in doubt.
    pub leap: Option<Leap>,
    pub uid: [u8; 16],
    /// For a new org that named none.
    pub account: AccountId,
    /// For a new key; never in use in the state it was drawn for.
    pub key_id: Option<AccessKeyId>,
    pub secret: Option<FreshSecret>,
}

impl Fresh {
    /// Nothing but the time.
    #[must_use]
    pub fn at(now: Time) -> Self {
        Self { now, leap: None, uid: [0; 16], account: AccountId(0), key_id: None, secret: None }
    }
}

/// A secret on its way to the keystore.
#[derive(Debug)]
pub struct Drawn {
    /// `None`: it was brought by the command.
    pub secret: Option<SecretKey>,
    pub sealed: SealedSlot,
}

/// Id and secret of a new key, sealed: all that its event needs of the dice. Half of what a create costs is in here and depends on
/// nothing but the org's prefix, so whoever hands the command in draws it, beside the writer and beside each other.
#[derive(Debug)]
pub(super) struct DrawnKey {
    id: AccessKeyId,
    secret: FreshSecret,
    drawn: Drawn,
}

impl DrawnKey {
    /// For a command that makes a key and its secret; `None` for any other.
    pub(super) fn ahead(
        dice: &mut dyn Dice,
        sealer: &Sealer,
        state: &State,
        caller: &Caller,
        command: &Command,
    ) -> Option<Box<Self>> {
        let is_for_a_key = command.need() == Need::KeyAndSecret;
        is_for_a_key.then(|| Box::new(Self::draw(dice, sealer, state, caller, command)))
    }

    fn draw(dice: &mut dyn Dice, sealer: &Sealer, state: &State, caller: &Caller, command: &Command) -> Self {
        let prefix = prefix(state, caller, command);
        let id = key_id(dice, prefix, |id| !state.has_key(id.uid(World::Live)));
        let mut pour = |bytes: &mut [u8]| dice.fill(bytes);
        let secret = SecretKey::generate(&mut pour);
        let sealed = sealer.seal(id.uid(World::Live), &id, 1, &secret, &mut pour);
        let fresh = FreshSecret { commitment: sealed.commitment, fingerprint: Some(secret.fingerprint()) };
        Self { id, secret: fresh, drawn: Drawn { secret: Some(secret), sealed } }
    }

    /// Whether it is still what would be drawn now: sealed for this generation, of the org's prefix, and of nobody else's id.
    pub(super) fn holds(&self, sealer: &Sealer, state: &State, caller: &Caller, command: &Command) -> bool {
        let chars = self.id.as_str().strip_prefix(prefix(state, caller, command));
        self.drawn.sealed.generation() == sealer.generation()
            && chars.is_some_and(|chars| chars.len() == ID_CHARS)
            && state.with_key(self.id.as_str(), |_| ()).is_none()
    }

    /// At its turn.
    pub(super) fn at(self, stamp: &Stamp) -> (Fresh, Option<Drawn>) {
        let fresh = Fresh { leap: stamp.leap, key_id: Some(self.id), secret: Some(self.secret), ..Fresh::at(stamp.at) };
        (fresh, Some(self.drawn))
    }
}

/// Draws what `command` needs: for a key also a secret, sealed for the very key and version it is for.
pub fn draw(
    dice: &mut dyn Dice,
    sealer: &Sealer,
    state: &State,
    caller: &Caller,
    command: &Command,
    stamp: &Stamp,
) -> (Fresh, Option<Drawn>) {
    let mut fresh = Fresh { leap: stamp.leap, ..Fresh::at(stamp.at) };
    let (id, version) = match (command.need(), command.bare()) {
        (Need::Uid, _) => {
            dice.fill(&mut fresh.uid);
            return (fresh, None);
        }
        (Need::OrgIds, _) => {
            dice.fill(&mut fresh.uid);
            fresh.account = account(dice, |account| state.org_by_account(account).is_none());
            return (fresh, None);
        }
        (Need::KeyAndSecret, _) => return DrawnKey::draw(dice, sealer, state, caller, command).at(stamp),
        (Need::KeyAndUid, _) => {
            let (mut fresh, drawn) = DrawnKey::draw(dice, sealer, state, caller, command).at(stamp);
            dice.fill(&mut fresh.uid);
            return (fresh, drawn);
        }
        (Need::Secret, Command::RotateSecret { key, .. }) => {
            // Of a key that is not there nothing is drawn: the command will be refused.
            let Some(version) = state.with_key(key.as_str(), |key| key.secret_version()) else { return (fresh, None) };
            (key.clone(), version.saturating_add(1))
        }
        (Need::BroughtSecret, Command::ImportKey { key, .. }) => (key.access_key_id.clone(), 1),
        _ => return (fresh, None),
    };
    let uid = id.uid(World::Live);
    let mut pour = |bytes: &mut [u8]| dice.fill(bytes);
    if let Command::ImportKey { key, .. } = command.bare() {
        // A brought secret may be weak, so it has no fingerprint to guess it by.
        let sealed = sealer.seal(uid, &id, version, &key.secret, &mut pour);
        fresh.secret = Some(FreshSecret { commitment: sealed.commitment, fingerprint: None });
        return (fresh, Some(Drawn { secret: None, sealed }));
    }
    let secret = SecretKey::generate(&mut pour);
    let sealed = sealer.seal(uid, &id, version, &secret, &mut pour);
    let fingerprint = Some(secret.fingerprint());
    fresh.secret = Some(FreshSecret { commitment: sealed.commitment, fingerprint });
    (fresh, Some(Drawn { secret: Some(secret), sealed }))
}

/// The four letters of the org the command is about, for the surface it came by.
fn prefix<'a>(state: &'a State, caller: &Caller, command: &Command) -> &'a str {
    let org: Option<OrgUid> = match command.bare() {
        Command::CreateKey { org, .. } | Command::CreateKeyWith { org, .. } => Some(*org),
        Command::RotateKey { key, .. } => state.with_key(key.as_str(), |key| key.org()),
        _ => None,
    };
    let own = org.and_then(|org| state.org(org)).and_then(|org| org.settings.key_prefix.as_deref());
    own.unwrap_or(if caller.dialect == Dialect::AwsIam { IAM_KEY_PREFIX } else { KEY_PREFIX })
}

/// An access key id that nobody has: `prefix` and 16 of `[A-Z0-9]`.
pub fn key_id(dice: &mut dyn Dice, prefix: &str, mut is_free: impl FnMut(&AccessKeyId) -> bool) -> AccessKeyId {
    let mut text = String::with_capacity(prefix.len() + ID_CHARS);
    loop {
        text.clear();
        text.push_str(prefix);
        let mut bytes = [0; 32];
        while text.len() < prefix.len() + ID_CHARS {
            dice.fill(&mut bytes);
            // 252 is the largest multiple of 36 that a byte holds.
            let fair = bytes.iter().filter(|byte| **byte < 252);
            for byte in fair.take(prefix.len() + ID_CHARS - text.len()) {
                text.push(char::from(ID_ALPHABET[usize::from(byte % 36)]));
            }
        }
        // A prefix out of bounds was refused when it was set, so this parses.
        if let Ok(id) = AccessKeyId::parse(&text)
            && is_free(&id)
        {
            return id;
        }
    }
}

/// A 12-digit account id that no org has.
fn account(dice: &mut dyn Dice, is_free: impl Fn(AccountId) -> bool) -> AccountId {
    // 100_000_000_000 to 999_999_999_999: no leading zero, which people and spreadsheets lose.
    const SPAN: u64 = 900_000_000_000;
    loop {
        let mut bytes = [0; 8];
        dice.fill(&mut bytes);
        let drawn = u64::from_le_bytes(bytes);
        if drawn < u64::MAX - u64::MAX % SPAN {
            let account = AccountId(100_000_000_000 + drawn % SPAN);
            if is_free(account) {
                return account;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::SeededDice;

    #[test]
    fn ids_have_the_shape_every_dialect_takes_and_taken_ones_are_drawn_again() {
        let mut dice = SeededDice::new(1);
        let first = key_id(&mut dice, "NQAK", |_| true);
        assert!(first.as_str().len() == 20 && first.as_str().starts_with("NQAK"));
        let mut again = SeededDice::new(1);
        assert_ne!(key_id(&mut again, "NQAK", |id| *id != first), first);
        assert!((100_000_000_000..=999_999_999_999).contains(&account(&mut dice, |_| true).0));
    }
}
