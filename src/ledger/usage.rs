//! The budget of usage rollups: so many bytes an org and day, so that no flood of requests fills the log.
//!
//! It is counted in memory and begins anew when the ledger is opened: it bounds, and is no fact of the history. What it
//! drops is counted, and told by the next rollup that is written.
//!
//! Not here: the counting of uses (`gate`).

use super::command::Command;
use crate::model::{KeyUsage, OrgUid, Rejected, Time};
use crate::state::State;
use std::collections::HashMap;

/// Bytes of rollups an org and day unless its settings say otherwise: 256 MiB (`product.md` §9).
const BYTES_PER_DAY: u64 = 256 << 20;
const DAY_NS: i64 = 24 * 3_600 * 1_000_000_000;
/// Bytes of a tuple or attempt beside its texts, at most.
const FIXED_BYTES: u64 = 96;

/// What was spent today.
#[derive(Debug, Default)]
pub(super) struct UsageBudget {
    orgs: HashMap<OrgUid, Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    day: i64,
    bytes: u64,
    /// Uses and attempts that were not written and not told yet.
    dropped: u64,
}

impl UsageBudget {
    /// Counts a rollup in. Over the budget it loses what it would tell, which then counts as dropped; within it, it takes along
    /// what was dropped before. Any other command is left alone.
    pub fn take(&mut self, state: &State, command: &mut Command, now: Time) {
        let Command::RecordUse { org, usage, attempts, dropped } = command else { return };
        let per_day = state.org(*org).and_then(|org| org.settings.usage_bytes_per_day).unwrap_or(BYTES_PER_DAY);
        let spent = self.orgs.entry(*org).or_default();
        let day = now.0.div_euclid(DAY_NS);
        if spent.day != day {
            (spent.day, spent.bytes) = (day, 0);
        }
        let bytes = size(usage, attempts);
        if spent.bytes.saturating_add(bytes) > per_day {
            spent.dropped = spent.dropped.saturating_add(*dropped).saturating_add(uses(usage, attempts));
            usage.clear();
            attempts.clear();
            *dropped = 0;
        } else if bytes > 0 {
            spent.bytes += bytes;
            *dropped = dropped.saturating_add(std::mem::take(&mut spent.dropped));
        }
    }
}

fn size(usage: &[KeyUsage], attempts: &[Rejected]) -> u64 {
    let tuples = usage.iter().flat_map(|key| &key.tuples).map(|tuple| {
        let texts = [&tuple.service, &tuple.region, &tuple.action_class, &tuple.source_ip, &tuple.user_agent];
        let bucket = tuple.bucket.as_ref().map_or(0, |bucket| bucket.as_str().len());
        texts.iter().map(|text| text.len()).sum::<usize>() + tuple.signature.len() + tuple.outcome.len() + bucket
    });
    let attempts = attempts.iter().map(|it| it.status.len() + it.source_ip.len() + it.user_agent.len());
    let texts = tuples.chain(attempts).map(|bytes| bytes as u64 + FIXED_BYTES).sum::<u64>();
    texts + usage.len() as u64 * FIXED_BYTES
}

fn uses(usage: &[KeyUsage], attempts: &[Rejected]) -> u64 {
    let of_keys = usage.iter().flat_map(|key| key.tuples.iter().map(|tuple| tuple.count).chain([key.other]));
    of_keys.chain(attempts.iter().map(|attempt| attempt.count)).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KeyUid;

    fn attempts(count: u64) -> Command {
        let attempt = Rejected {
            key: KeyUid([1; 16]),
            status: "Revoked".into(),
            source_ip: "10.0.0.1".into(),
            user_agent: "x".repeat(400).as_str().into(),
            count,
            first_at: Time(0),
            last_at: Time(0),
        };
        Command::RecordUse { org: OrgUid([1; 16]), usage: vec![], attempts: vec![attempt; 1_000], dropped: 0 }
    }

    #[test]
    fn over_the_budget_a_rollup_is_dropped_and_the_next_day_tells_how_much() {
        let (mut budget, state) = (UsageBudget::default(), State::empty());
        let mut take = |command: &mut Command, now| {
            budget.take(&state, command, Time(now));
            match command {
                Command::RecordUse { attempts, dropped, .. } => (attempts.len(), *dropped),
                _ => panic!(),
            }
        };
        let mut written = 0;
        while take(&mut attempts(1), 1) == (1_000, 0) {
            written += 1;
        }
        assert!((400..700).contains(&written), "{written} of 500 KB in 256 MiB");
        assert_eq!(take(&mut attempts(2), 2), (0, 0));
        assert_eq!(take(&mut attempts(1), DAY_NS), (1_000, 1_000 + 2_000));
        assert_eq!(take(&mut attempts(1), DAY_NS), (1_000, 0));
    }
}
