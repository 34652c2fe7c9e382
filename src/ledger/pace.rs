//! Pace: whether a group about to be flushed waits for the callers that were just answered.
//!
//! Callers who were answered together come back one after the other. If the next group left with whoever came first, every
//! second group would be nearly empty and everybody would wait for two flushes instead of one. So a group that follows closely
//! on another is held open until as many commands are there as were answered and queued when that one ended; it takes in
//! whatever comes meanwhile, and leaves at once when nobody came for a quarter of the last flush's time.
//!
//! Callers who do much between two commands, as a server's do, are not back in time: waiting then takes from them the very cores they
//! need. So after a wait in which less than half of those who were missing came, the next group does not wait, and after further
//! such waits the next three, seven and so on.
//!
//! Invariants
//! - A lone command waits for nothing: after a group of one with nothing queued behind it, and after a pause, nobody is expected.
//! - The wait is bounded by the last flush: a quarter of it without an arrival, half of it in all, and never more than 1 ms.
//!
//! Not here: queues (`execute`), what a group is (`writer`).

/// Longest time without an arrival, and in all, whatever the disk takes: 0.5 ms and 1 ms.
const GAP_NS_MAX: i64 = 500_000;

/// Groups that do not wait, at most, before it is tried again.
const SKIPPED_MAX: u32 = 63;

/// What a leader knows of the last group. Times are boot-clock nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Commands worth waiting for.
    expected: usize,
    ended_ns: i64,
    /// Longest pause between two arrivals.
    gap_ns: i64,
    /// Spent waiting for the group in hand.
    waited_ns: i64,
    /// When the wait was looked at last, and how long nobody has come.
    looked_ns: i64,
    pause_ns: i64,
    /// Commands of the group in hand when its wait began, if it did wait.
    waited_with: Option<usize>,
    /// Groups to go without a wait, and how many those were the last time.
    skip: u32,
    skipped: u32,
}

impl Pace {
    /// A group begins.
    pub(super) fn begin(&mut self, now_ns: i64) {
        if now_ns.saturating_sub(self.ended_ns) > self.gap_ns {
            self.expected = 0;
        }
        self.waited_ns = 0;
        self.waited_with = None;
        self.arrived(now_ns);
    }

    /// A group ended at `now_ns`: `answered` callers may come back, and `queued` commands are there.
    pub(super) fn ended(&mut self, answered: usize, queued: usize, flush_ns: i64, now_ns: i64) {
        if let Some(with) = self.waited_with.take() {
            let (missing, came) = (self.expected.saturating_sub(with), answered.saturating_sub(with));
            self.skipped = if 2 * came < missing { (2 * self.skipped + 1).min(SKIPPED_MAX) } else { 0 };
            self.skip = self.skipped;
        } else {
            self.skip = self.skip.saturating_sub(1);
        }
        self.expected = if answered + queued > 1 { answered + queued } else { 0 };
        self.gap_ns = (flush_ns / 4).clamp(0, GAP_NS_MAX);
        self.ended_ns = now_ns;
        self.waited_ns = 0;
        self.arrived(now_ns);
    }

    /// Somebody came, or the leader was busy until now.
    pub(super) fn arrived(&mut self, now_ns: i64) {
        self.looked_ns = now_ns;
        self.pause_ns = 0;
    }

    /// Whether more commands are expected than the `have` that are there.
    pub(super) fn expects_more(&self, have: usize) -> bool {
        have < self.expected && self.gap_ns > 0 && self.skip == 0
    }

    /// The group in hand waits, with `have` commands.
    pub(super) fn waits(&mut self, have: usize) {
        self.waited_with.get_or_insert(have);
    }

    /// Whether it is worth waiting on, at `now_ns`.
    pub(super) fn is_patient(&mut self, now_ns: i64) -> bool {
        let passed = now_ns.saturating_sub(self.looked_ns).max(0);
        self.looked_ns = now_ns;
        self.pause_ns = self.pause_ns.saturating_add(passed);
        self.waited_ns = self.waited_ns.saturating_add(passed);
        self.pause_ns <= self.gap_ns && self.waited_ns <= 2 * self.gap_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLUSH: i64 = 400_000;

    #[test]
    fn a_lone_caller_is_never_kept_waiting() {
        let mut pace = Pace::default();
        pace.begin(0);
        assert!(!pace.expects_more(1), "the first of all");
        pace.ended(1, 0, FLUSH, FLUSH);
        pace.begin(FLUSH + 10);
        assert!(!pace.expects_more(1), "one after the other");
        pace.ended(64, 0, FLUSH, 2 * FLUSH);
        pace.begin(3 * FLUSH);
        assert!(!pace.expects_more(1), "long after a crowd");
    }

    #[test]
    fn a_group_waits_for_whoever_was_answered_and_no_longer_than_they_take_to_come_back() {
        let mut pace = Pace::default();
        pace.ended(60, 4, FLUSH, FLUSH);
        pace.begin(FLUSH + 10);
        assert!(pace.expects_more(63) && !pace.expects_more(64));
        assert!(pace.is_patient(FLUSH + 10 + FLUSH / 4));
        assert!(!pace.is_patient(FLUSH + 11 + FLUSH / 4), "nobody came");
        pace.begin(FLUSH + 10);
        assert!(pace.is_patient(FLUSH + 90_000));
        pace.arrived(FLUSH + 95_000);
        assert!(pace.is_patient(FLUSH + 190_000));
        pace.arrived(FLUSH + 190_000);
        assert!(!pace.is_patient(FLUSH + 250_000), "not longer than half a flush in all");
    }

    #[test]
    fn callers_who_take_long_are_waited_for_ever_less_often_until_they_come_in_time() {
        let mut pace = Pace::default();
        pace.ended(20, 20, FLUSH, FLUSH);
        let mut waits = |came: usize, groups: u32| {
            let mut waits = 0;
            for _ in 0..groups {
                pace.begin(FLUSH + 10);
                let is_waiting = pace.expects_more(20);
                if is_waiting {
                    waits += 1;
                    pace.waits(20);
                }
                let answered = if is_waiting { 20 + came } else { 20 };
                pace.ended(answered, 40 - answered, FLUSH, FLUSH);
            }
            waits
        };
        assert_eq!(waits(5, 127), 7, "the 1st, 3rd, 7th, 15th, 31st, 63rd and 127th");
        assert_eq!(waits(5, 640), 10, "and then every 64th");
        let then = waits(15, 100);
        assert!(then >= 36, "{then} waits: most of them come");
        assert_eq!(waits(15, 100), 100);
    }

    #[test]
    fn a_disk_that_takes_no_time_is_not_waited_for() {
        let mut pace = Pace::default();
        pace.ended(64, 0, 0, 0);
        pace.begin(0);
        assert!(!pace.expects_more(1));
    }
}
