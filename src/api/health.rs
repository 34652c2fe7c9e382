//! The ledger's health: whether it takes changes, and what the last verification found.
//!
//! A verification reads every byte of the log and every slot of the keystore, in a thread of its own beside the writer, and rests as long
//! as it has worked. It is `keyledger verify` without the replay that reaches every attested state, which takes a second state's memory.
//!
//! Invariants
//! - One verification at a time, however often it is asked for.
//! - What it finds stops nothing: requests are answered and changes are taken as before.
//!
//! Not here: the checks (`log::verify`, `vault::inspect`), and a record on the disk: a server that starts verifies anew.

use super::Api;
use super::past::at_length;
use crate::ledger::Ledger;
use crate::log::{Tree, VerifyOptions, VerifyReport, verify};
use crate::model::Time;
use crate::sys::{Clock, Io};
use crate::vault::{self, VaultError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// From a start to the first verification: 30 s, or the time between two where that is shorter.
const FIRST_AFTER: Duration = Duration::from_secs(30);
/// How long it rests at most, after as much work.
const REST_MAX: Duration = Duration::from_secs(1);
/// Looks at the keystore, and how far apart, before what is wrong there counts: it is read while it is written.
const LOOKS: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whether changes are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    Ready,
    /// The disk is full: reads go on, and revoke, suspend and flag from the reserve.
    Full,
    /// An earlier write failed: reads go on, and only a restart helps.
    Poisoned,
}

impl Writer {
    pub fn of(ledger: &Ledger) -> Self {
        match (ledger.is_poisoned(), ledger.is_full()) {
            (true, _) => Writer::Poisoned,
            (false, true) => Writer::Full,
            (false, false) => Writer::Ready,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Writer::Ready => "ready",
            Writer::Full => "full",
            Writer::Poisoned => "poisoned",
        }
    }

    /// What is the matter, and what helps; `None` of a writer that is ready.
    pub fn trouble(self) -> Option<&'static str> {
        match self {
            Writer::Ready => None,
            Writer::Full => Some("the disk is full: reads and revokes go on, other writes do not; make room"),
            Writer::Poisoned => Some("an earlier write failed: reads go on, writes do not; restart to recover"),
        }
    }
}

/// The chain's head and the tree, computed from the last segment.
///
/// # Errors
/// Why the log cannot be read, in one line that does not say where on this machine it is.
pub fn binding(api: &Api) -> Result<([u8; 32], Tree), String> {
    at_length(|| api.ledger.reader().tree()).map_err(|error| {
        tracing::error!(%error, "the log cannot be read");
        said(&error, &api.options.dir)
    })
}

/// One verification that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub ended_at: Time,
    pub took: Duration,
    /// What was checked, to the last commit; `None` when the log itself is not whole.
    pub log: Option<VerifyReport>,
    /// A line each; none of a ledger that is whole. Files are named from the ledger's folder on.
    pub findings: Vec<String>,
}

impl Verified {
    pub fn is_ok(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Verifications of one ledger: when they are due, whether one runs, and what the last one found.
#[derive(Debug)]
pub struct Verifications {
    io: Arc<dyn Io>,
    clock: Arc<dyn Clock>,
    dir: PathBuf,
    ledger_id: [u8; 16],
    started_at: Time,
    every: OnceLock<Duration>,
    is_running: AtomicBool,
    last: Mutex<Option<Arc<Verified>>>,
}

impl Verifications {
    pub(super) fn new(io: Arc<dyn Io>, clock: Arc<dyn Clock>, dir: PathBuf, ledger_id: [u8; 16]) -> Self {
        let started_at = Time(clock.now().wall_ns);
        let (every, is_running, last) = (OnceLock::new(), AtomicBool::new(false), Mutex::new(None));
        Self { io, clock, dir, ledger_id, started_at, every, is_running, last }
    }

    /// Verifies soon after the start and then again whenever `time` has passed; without this only when asked to. Counts once.
    pub fn repeat(&self, time: Duration) {
        let _ = self.every.set(time);
    }

    pub fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Acquire)
    }

    /// The last one that ended since the server's start.
    pub fn last(&self) -> Option<Arc<Verified>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_due(&self, now: Time) -> bool {
        let Some(every) = self.every.get() else { return false };
        let (from, after) = match self.last() {
            Some(last) => (last.ended_at, *every),
            None => (self.started_at, FIRST_AFTER.min(*every)),
        };
        !self.is_running() && i128::from(now.ns_since(from)) >= i128::try_from(after.as_nanos()).unwrap_or(i128::MAX)
    }

    /// Begins one in the background, unless one runs.
    pub fn begin(self: &Arc<Self>) {
        if self.is_running.swap(true, Ordering::AcqRel) {
            return;
        }
        let own = Arc::clone(self);
        // Read-only, and holding neither ledger nor runtime: a stop does not wait for it.
        let spawned = std::thread::Builder::new().name("keyledger-verify".to_owned()).spawn(move || own.run());
        if let Err(error) = spawned {
            tracing::warn!(%error, "no verification was begun");
            self.is_running.store(false, Ordering::Release);
        }
    }

    fn run(&self) {
        let _running = Running(&self.is_running);
        let begun = self.clock.now();
        let worked_from = AtomicI64::new(begun.boot_ns);
        let rest = |_, _| {
            let worked = self.clock.now().boot_ns.saturating_sub(worked_from.load(Ordering::Relaxed));
            std::thread::sleep(nanos(worked).min(REST_MAX));
            worked_from.store(self.clock.now().boot_ns, Ordering::Relaxed);
        };
        let log = verify(&self.io, &self.dir, VerifyOptions { progress: &rest, ..VerifyOptions::default() });
        let mut findings = Vec::new();
        let log = log.map_err(|error| findings.push(said(&error, &self.dir))).ok();
        match self.damaged_slots() {
            Ok(0) => {}
            Ok(damaged) => findings.push(format!("{damaged} slots of the keystore are damaged")),
            Err(error) => findings.push(said(&error, &self.dir)),
        }
        let ended = self.clock.now();
        let took = nanos(ended.boot_ns.saturating_sub(begun.boot_ns));
        let verified = Verified { ended_at: Time(ended.wall_ns), took, log, findings };
        if verified.is_ok() {
            tracing::info!(
                seq = verified.log.as_ref().map(|log| log.last_seq),
                ?took,
                "the ledger was verified, and is whole"
            );
        } else {
            tracing::error!(findings = ?verified.findings, ?took, "the ledger was verified, and is NOT whole; see `keyledger verify`");
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(verified));
    }

    /// Slots that are damaged each time one looks: one that is being written, or a file that a rekey replaces, is not.
    fn damaged_slots(&self) -> Result<usize, VaultError> {
        let look = || vault::inspect(self.io.as_ref(), &self.dir.join("keys"), self.ledger_id);
        let mut looks = 1;
        loop {
            match look() {
                Ok(report) if report.damaged.is_empty() => return Ok(0),
                found if looks == LOOKS => return found.map(|report| report.damaged.len()),
                _ => std::thread::sleep(LOOK_EVERY),
            }
            looks += 1;
        }
    }
}

/// A verification under way, until it ends, in a panic too.
struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn nanos(ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(ns).unwrap_or_default())
}

/// An error in one line, without where on this machine the ledger is.
fn said(error: &dyn std::error::Error, dir: &Path) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line.replace(&format!("{}/", dir.display()), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{ScriptedClock, SimDisk};

    fn verifications(clock: &Arc<ScriptedClock>) -> Arc<Verifications> {
        let dir = PathBuf::from("/ledger");
        Arc::new(Verifications::new(SimDisk::new().io(), Arc::clone(clock) as _, dir, [0; 16]))
    }

    fn wait(it: &Verifications) -> Arc<Verified> {
        while it.is_running() {
            std::thread::sleep(Duration::from_millis(1));
        }
        it.last().unwrap()
    }

    #[test]
    fn one_is_due_soon_after_the_start_and_then_whenever_the_time_has_passed() {
        let clock = Arc::new(ScriptedClock::at(1_000_000_000_000));
        let it = verifications(&clock);
        let now = |it: &Verifications| it.is_due(Time(clock.now().wall_ns));
        clock.advance(3_600_000_000_000);
        assert!(!now(&it), "nobody asked for any");
        it.repeat(Duration::from_hours(24));
        assert!(now(&it));
        it.begin();
        wait(&it);
        clock.advance(23 * 3_600_000_000_000);
        assert!(!now(&it));
        clock.advance(3_600_000_000_000);
        assert!(now(&it));
    }

    #[test]
    fn what_cannot_be_read_is_a_finding_that_does_not_say_where_the_ledger_is() {
        let it = verifications(&Arc::new(ScriptedClock::at(0)));
        it.begin();
        let verified = wait(&it);
        assert!(!verified.is_ok() && verified.log.is_none(), "{verified:?}");
        assert!(verified.findings.iter().all(|line| !line.contains("/ledger/")), "{verified:?}");
    }
}
