//! The clock and the dice: time, ids and secrets, drawn before a command is decided, so that deciding is pure.
//!
//! Recorded time never goes back and never leaps: it is the wall clock, or one nanosecond after the time before when the wall
//! clock stands or goes back, and when the wall clock leaps forward it stops until somebody accepts the leap. The
//! boot clock tells a leap from a sleep.
//!
//! Invariants
//! - The only user of `rand` in the crate.
//! - Every character of an id or secret is equally likely: bytes that would favour some are drawn again.
//!
//! Not here: what is done with what was drawn (`decide`), how a secret is sealed (`vault`).

use super::command::Command;
use crate::model::id::World;
use crate::model::{AccessKeyId, AccountId, Caller, Dialect, OrgUid, Time};
use crate::state::State;
use crate::sys::Now;
use crate::vault::{SealedSlot, Sealer, SecretKey};
use rand::rngs::{StdRng, SysRng};
use rand::{Rng as _, SeedableRng as _, TryRng as _};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroize as _;

/// Letters before a generated access key id, where the org does not say otherwise.
pub const KEY_PREFIX: &str = "NQAK";
/// The same for keys made by the AWS IAM dialect, whose clients look for it.
pub const IAM_KEY_PREFIX: &str = "AKIA";
/// A wall clock this far behind is flagged in the frame: 1 s.
pub const REGRESSION_NS: i64 = 1_000_000_000;
/// Ahead of the boot clock by more than this is a leap: 1 h.
pub const JUMP_NS: i64 = 3_600 * 1_000_000_000;
/// So much after the last frame is a leap when a ledger is opened: 30 days.
pub const OPEN_JUMP_NS: i64 = 30 * 24 * 3_600 * 1_000_000_000;
/// Characters behind the prefix.
const ID_CHARS: usize = 16;
const ID_ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/// Bytes asked of the operating system at once.
const POOL_BYTES: usize = 4096;

/// Random bytes.
pub trait Dice: Send {
    /// Fills all of `bytes` with bytes that nobody can foresee.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// The operating system's random source, asked for 4 KiB at a time; what was given out is wiped.
pub struct OsDice {
    pool: Box<[u8; POOL_BYTES]>,
    used: usize,
}

impl std::fmt::Debug for OsDice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OsDice")
    }
}

impl Default for OsDice {
    fn default() -> Self {
        Self { pool: Box::new([0; POOL_BYTES]), used: POOL_BYTES }
    }
}

impl Drop for OsDice {
    fn drop(&mut self) {
        self.pool.zeroize();
    }
}

impl Dice for OsDice {
    /// # Panics
    /// When the operating system has no random bytes to give: going on would make secrets that can be foreseen.
    fn fill(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.used == POOL_BYTES {
                if let Err(error) = SysRng.try_fill_bytes(&mut *self.pool) {
                    panic!("the operating system gave no random bytes: {error}");
                }
                self.used = 0;
            }
            let take = rest.len().min(POOL_BYTES - self.used);
            let (head, tail) = rest.split_at_mut(take);
            let given = &mut self.pool[self.used..self.used + take];
            head.copy_from_slice(given);
            given.zeroize();
            self.used += take;
            rest = tail;
        }
    }
}

/// Dice that several threads throw in turn.
#[derive(Clone)]
pub(super) struct SharedDice(Arc<Mutex<Box<dyn Dice>>>);

impl SharedDice {
    pub(super) fn new(dice: Box<dyn Dice>) -> Self {
        Self(Arc::new(Mutex::new(dice)))
    }
}

impl Dice for SharedDice {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
    }
}

/// Dice that fall the same way every time. For tests and simulations: whoever knows the seed knows the secrets.
#[derive(Debug)]
pub struct SeededDice(StdRng);

impl SeededDice {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }
}

impl Dice for SeededDice {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

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

/// A leap of the clock that nobody has accepted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leap {
    /// The last time that was believed.
    pub from: Time,
    /// What the wall clock says.
    pub to: Time,
}

/// The time of one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub at: Time,
    /// The wall clock was more than a second behind.
    pub regressed: bool,
    pub leap: Option<Leap>,
}

/// The clock a ledger is recorded by.
#[derive(Debug)]
pub struct GuardedClock {
    /// The newest time that was recorded or witnessed.
    last: Time,
    /// Wall clock less boot clock when the wall clock was last believed. It stays as it is, so that many small leaps are one.
    offset: i64,
    doubt: Option<Doubt>,
}

/// What put the clock in doubt, and so what puts it right again without anybody's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// The ledger was opened long after its last frame.
    AtOpen,
    /// The wall clock ran away from the boot clock.
    Running,
}

impl GuardedClock {
    /// Goes on after `last`: the newest of the last frame's time and the witness's high-water mark.
    #[must_use]
    pub fn open(last: Time, now: Now) -> Self {
        let is_late = Time(now.wall_ns).ns_since(last) > OPEN_JUMP_NS;
        Self { last, offset: offset(now), doubt: is_late.then_some(Doubt::AtOpen) }
    }

    /// The newest time that was recorded, witnessed or, while idle, believed.
    pub fn last(&self) -> Time {
        self.last
    }

    /// Looks at the clocks: once a group of commits.
    pub fn read(&mut self, now: Now) -> Reading {
        let wall = Time(now.wall_ns);
        let ahead = offset(now).saturating_sub(self.offset) > JUMP_NS;
        match self.doubt {
            None if ahead => self.doubt = Some(Doubt::Running),
            Some(Doubt::Running) if !ahead => self.doubt = None,
            Some(Doubt::AtOpen) if wall.ns_since(self.last) <= OPEN_JUMP_NS => self.accept(now),
            _ => {}
        }
        Reading { wall, in_doubt: self.doubt.is_some() }
    }

    /// The next commit's time. `accepting`: the commit that accepts the leap is the first of the new time.
    pub fn stamp(&self, reading: Reading, accepting: bool) -> Stamp {
        let next = self.last.plus_ns(1);
        let leap = reading.in_doubt.then_some(Leap { from: self.last, to: reading.wall });
        let at = if leap.is_some() && !accepting { next } else { reading.wall.max(next) };
        Stamp { at, regressed: self.last.ns_since(reading.wall) > REGRESSION_NS, leap }
    }

    /// A commit was recorded at `at`.
    pub fn recorded(&mut self, at: Time) {
        self.last = self.last.max(at);
    }

    /// The clock is right as it is, says a commit.
    pub fn accept(&mut self, now: Now) {
        self.doubt = None;
        self.offset = offset(now);
    }

    /// The guarded time now: what to witness while idle, and what expiry is compared with.
    pub fn now(&mut self, now: Now) -> Time {
        let reading = self.read(now);
        if !reading.in_doubt {
            self.last = self.last.max(reading.wall);
        }
        self.last
    }
}

fn offset(now: Now) -> i64 {
    now.wall_ns.saturating_sub(now.boot_ns)
}

/// One look at the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub wall: Time,
    pub in_doubt: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Clock as _, ScriptedClock};

    const SECOND: i64 = 1_000_000_000;
    const HOUR: i64 = 3_600 * SECOND;
    const DAY: i64 = 24 * HOUR;

    fn next(guarded: &mut GuardedClock, clock: &ScriptedClock) -> Stamp {
        let reading = guarded.read(clock.now());
        let stamp = guarded.stamp(reading, false);
        guarded.recorded(stamp.at);
        stamp
    }

    #[test]
    fn recorded_time_never_goes_back_and_a_regression_is_flagged() {
        let clock = ScriptedClock::at(100 * DAY);
        let mut guarded = GuardedClock::open(Time(100 * DAY), clock.now());
        let first = next(&mut guarded, &clock);
        clock.set_wall(100 * DAY - SECOND);
        assert_eq!(next(&mut guarded, &clock), Stamp { at: first.at.plus_ns(1), regressed: true, leap: None });
        clock.set_wall(50 * DAY);
        assert_eq!(next(&mut guarded, &clock), Stamp { at: first.at.plus_ns(2), regressed: true, leap: None });
        clock.set_wall(100 * DAY + SECOND);
        assert_eq!(next(&mut guarded, &clock), Stamp { at: Time(100 * DAY + SECOND), regressed: false, leap: None });
    }

    #[test]
    fn a_leap_is_more_than_an_hour_ahead_of_the_boot_clock_in_one_step_or_in_many() {
        let clock = ScriptedClock::at(100 * DAY);
        let mut guarded = GuardedClock::open(Time(100 * DAY), clock.now());
        clock.advance(20 * DAY);
        assert_eq!(next(&mut guarded, &clock).leap, None, "asleep for twenty days is no leap");
        for minutes in [20, 40, 60] {
            clock.set_wall(120 * DAY + minutes * 60 * SECOND);
            assert_eq!(next(&mut guarded, &clock).leap, None);
        }
        clock.set_wall(120 * DAY + HOUR + 1);
        let stamp = next(&mut guarded, &clock);
        assert_eq!(stamp.leap, Some(Leap { from: Time(120 * DAY + HOUR), to: Time(120 * DAY + HOUR + 1) }));
        assert_eq!(stamp.at, Time(120 * DAY + HOUR + 1), "one nanosecond after the last, as it happens");
        clock.set_wall(120 * DAY);
        assert_eq!(next(&mut guarded, &clock).leap, None, "set right again");
    }

    #[test]
    fn thirty_days_after_the_last_frame_is_a_leap_at_open_until_it_is_accepted() {
        let clock = ScriptedClock::at(100 * DAY);
        assert_eq!(next(&mut GuardedClock::open(Time(70 * DAY), clock.now()), &clock).leap, None);
        let mut guarded = GuardedClock::open(Time(70 * DAY - 1), clock.now());
        let stamp = next(&mut guarded, &clock);
        assert!(stamp.leap.is_some() && stamp.at == Time(70 * DAY));
        guarded.accept(clock.now());
        assert_eq!(next(&mut guarded, &clock), Stamp { at: Time(100 * DAY), regressed: false, leap: None });
    }

    #[test]
    fn ids_have_the_shape_every_dialect_takes_and_taken_ones_are_drawn_again() {
        let mut dice = SeededDice::new(1);
        let first = key_id(&mut dice, "NQAK", |_| true);
        assert!(first.as_str().len() == 20 && first.as_str().starts_with("NQAK"));
        let mut again = SeededDice::new(1);
        assert_ne!(key_id(&mut again, "NQAK", |id| *id != first), first);
        assert!((100_000_000_000..=999_999_999_999).contains(&account(&mut dice, |_| true).0));
    }

    #[test]
    fn the_pool_gives_every_byte_once_and_wipes_it() {
        let mut dice = OsDice::default();
        let mut bytes = [0; 3 * POOL_BYTES + 7];
        dice.fill(&mut bytes);
        assert!(bytes.chunks(16).all(|chunk| chunk.len() < 16 || chunk.iter().any(|byte| *byte != 0)));
        assert!(dice.pool[..dice.used].iter().all(|byte| *byte == 0));
    }
}
