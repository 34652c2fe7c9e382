//! Clocks. Two readings are taken together, so that a jump of the wall clock shows against the boot clock.
//!
//! Not here: the guarded time that is recorded (`ledger::fresh`).

use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// One reading of both clocks, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since 1970-01-01T00:00:00Z, as the wall clock has it; may go back.
    pub wall_ns: i64,
    /// CLOCK_BOOTTIME: since the machine started, sleep included; never goes back while it runs.
    pub boot_ns: i64,
}

/// Tells the time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    fn now(&self) -> Now;
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Now {
            wall_ns: i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX),
            boot_ns: boot.tv_sec.saturating_mul(1_000_000_000).saturating_add(boot.tv_nsec),
        }
    }
}

/// A clock that stands still until it is told otherwise.
#[derive(Debug)]
pub struct ScriptedClock(Mutex<Now>);

impl ScriptedClock {
    /// Starts at `wall_ns`, an hour after the machine's start.
    #[must_use]
    pub fn at(wall_ns: i64) -> Self {
        Self(Mutex::new(Now { wall_ns, boot_ns: 3_600_000_000_000 }))
    }

    /// Lets `ns` pass on both clocks.
    pub fn advance(&self, ns: i64) {
        let mut now = self.lock();
        now.wall_ns = now.wall_ns.saturating_add(ns);
        now.boot_ns = now.boot_ns.saturating_add(ns);
    }

    /// Sets the wall clock alone, as an operator or a time server might.
    pub fn set_wall(&self, wall_ns: i64) {
        self.lock().wall_ns = wall_ns;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ScriptedClock {
    fn now(&self) -> Now {
        *self.lock()
    }
}
