//! The clock a ledger is recorded by.
//!
//! Recorded time never goes back and never leaps: it is the wall clock, or one nanosecond after the time before when the wall
//! clock stands or goes back, and when the wall clock leaps forward it stops until somebody accepts the leap. The
//! boot clock tells a leap from a sleep.
//!
//! Not here: the clocks themselves (`sys`).

use crate::model::Time;
use crate::sys::Now;

/// A wall clock this far behind is flagged in the frame: 1 s.
pub const REGRESSION_NS: i64 = 1_000_000_000;
/// Ahead of the boot clock by more than this is a leap: 1 h.
pub const JUMP_NS: i64 = 3_600 * 1_000_000_000;
/// So much after the last frame is a leap when a ledger is opened: 30 days.
pub const OPEN_JUMP_NS: i64 = 30 * 24 * 3_600 * 1_000_000_000;

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
}
