//! The decision table: what the end of a log means after whatever happened.
//!
//! The first row that holds, where `n` is the last good frame of the scan, `E` its end and `w` the witness's durable seq:
//!
//! | # | condition | verdict |
//! |---|---|---|
//! | 1 | both witness slots bad | refuse: nothing tells how far the log must reach |
//! | 2 | w ≤ n and the chain head at w differs | refuse: fork |
//! | 3 | w > n | refuse: acknowledged frames are missing |
//! | 4 | a verified frame behind E whose group began after n + 1 | refuse: damage |
//! | 5 | anything not zero behind E | torn tail: cut, kept in quarantine, reported |
//! | 6 | all zero | clean end |
//!
//! A group is written only after the flush of the one before, and acknowledged only after the witness. So a crash alone
//! never leads to rows 1 to 4, and one fault on top of it never to rows 5 and 6 with acknowledged data missing: the test
//! below walks every state of a model and says the same of three simpler rules, which fail. Two independent faults, of
//! the last group and of the newest witness slot, can still hide the last group.
//!
//! Not here: gathering the evidence (`recovery`).

/// What the evidence means. The rows of the table, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    WitnessLost,
    Fork,
    AcknowledgedMissing,
    DamageInside,
    TornTail,
    CleanEnd,
}

/// What the table asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// `w`, and whether the chain head there is the witness's (not asked when w > n); `None` if both slots are bad.
    pub witness: Option<(u64, bool)>,
    /// `n`.
    pub last_good: u64,
    pub later_group_behind: bool,
    pub zero_behind: bool,
}

/// The first row that holds.
pub(crate) fn judge(evidence: &Evidence) -> Verdict {
    let Some((witnessed, head_agrees)) = evidence.witness else { return Verdict::WitnessLost };
    if witnessed <= evidence.last_good && !head_agrees {
        Verdict::Fork
    } else if witnessed > evidence.last_good {
        Verdict::AcknowledgedMissing
    } else if evidence.later_group_behind {
        Verdict::DamageInside
    } else if !evidence.zero_behind {
        Verdict::TornTail
    } else {
        Verdict::CleanEnd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_evidence_meets_the_first_row_that_holds() {
        let witnesses = [None, Some((4, true)), Some((4, false)), Some((5, true)), Some((5, false)), Some((6, false))];
        let mut met = Vec::new();
        for witness in witnesses {
            for (later_group_behind, zero_behind) in [(false, false), (false, true), (true, false), (true, true)] {
                let evidence = Evidence { witness, last_good: 5, later_group_behind, zero_behind };
                let rows = [
                    (witness.is_none(), Verdict::WitnessLost),
                    (witness.is_some_and(|(w, agrees)| w <= 5 && !agrees), Verdict::Fork),
                    (witness.is_some_and(|(w, _)| w > 5), Verdict::AcknowledgedMissing),
                    (later_group_behind, Verdict::DamageInside),
                    (!zero_behind, Verdict::TornTail),
                    (zero_behind, Verdict::CleanEnd),
                ];
                let first = rows.iter().find(|(holds, _)| *holds).unwrap().1;
                assert_eq!(judge(&evidence), first, "{evidence:?}");
                met.push(first);
            }
        }
        met.dedup();
        assert!(met.len() >= 6);
    }

    /// A frame's place on the modelled disk.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Place {
        Zero,
        Torn,
        Whole,
    }
    use Place::{Torn, Whole, Zero};

    /// A disk: each frame's place and the first seq of its group, and the two slots (generation and w; None is bad).
    #[derive(Clone)]
    struct Disk {
        frames: Vec<(Place, u64)>,
        slots: [Option<(u32, u64)>; 2],
        acknowledged: u64,
    }

    impl Disk {
        fn evidence(&self) -> Evidence {
            let last_good = self.frames.iter().take_while(|(place, _)| *place == Whole).count();
            let behind = &self.frames[last_good..];
            let newest = self.slots.iter().flatten().max().copied();
            Evidence {
                witness: newest.map(|(_, w)| (w, true)),
                last_good: last_good as u64,
                later_group_behind: behind
                    .iter()
                    .any(|(place, group)| *place == Whole && *group > last_good as u64 + 1),
                zero_behind: behind.iter().all(|(place, _)| *place == Zero),
            }
        }

        fn any_whole_behind(&self) -> bool {
            self.frames.iter().skip_while(|(place, _)| *place == Whole).any(|(place, _)| *place == Whole)
        }
    }

    /// Every disk that a crash can leave while the last of these groups is written, witnessed and acknowledged.
    fn crashes(groups: &[usize]) -> Vec<Disk> {
        let (last, earlier) = groups.split_last().unwrap();
        let mut disk = Disk { frames: Vec::new(), slots: [Some((1, 0)), Some((2, 0))], acknowledged: 0 };
        let mut slot = 0;
        for (place, group) in earlier.iter().enumerate() {
            let first = disk.frames.len() as u64 + 1;
            disk.frames.extend((0..*group).map(|_| (Whole, first)));
            disk.acknowledged = disk.frames.len() as u64;
            disk.slots[slot] = Some((place as u32 + 3, disk.acknowledged));
            slot = 1 - slot;
        }
        let first = disk.frames.len() as u64 + 1;
        let mut found = Vec::new();
        for choice in 0..3_usize.pow(*last as u32) {
            let mut torn = disk.clone();
            let place = |frame: usize| [Zero, Torn, Whole][choice / 3_usize.pow(frame as u32) % 3];
            torn.frames.extend((0..*last).map(|frame| (place(frame), first)));
            found.push(torn);
        }
        // Flushed; then the witness torn, written, flushed and acknowledged.
        disk.frames.extend((0..*last).map(|_| (Whole, first)));
        let all = disk.frames.len() as u64;
        for (written, acknowledged) in [(None, false), (Some(all), false), (Some(all), true)] {
            let mut later = disk.clone();
            later.slots[slot] = written.map(|w| (groups.len() as u32 + 2, w));
            later.acknowledged = if acknowledged { all } else { disk.acknowledged };
            found.push(later);
        }
        found
    }

    /// Every disk with one more fault: a frame or a slot destroyed.
    fn faults(disk: &Disk) -> Vec<Disk> {
        let mut found = Vec::new();
        for frame in 0..disk.frames.len() {
            for place in [Zero, Torn] {
                if disk.frames[frame].0 == Whole {
                    let mut worse = disk.clone();
                    worse.frames[frame].0 = place;
                    found.push(worse);
                }
            }
        }
        for slot in 0..2 {
            if disk.slots[slot].is_some() {
                let mut worse = disk.clone();
                worse.slots[slot] = None;
                found.push(worse);
            }
        }
        found
    }

    #[test]
    fn of_every_modelled_crash_none_is_refused_and_with_one_fault_more_none_loses_what_was_acknowledged() {
        type Rule = fn(&Disk) -> bool;
        // Each says whether the disk is refused.
        let rules: [(&str, Rule); 4] = [
            ("stop at the first bad frame", |_| false),
            ("any valid frame behind a bad one is damage", Disk::any_whole_behind),
            ("group rule alone", |disk| disk.evidence().later_group_behind),
            ("group rule and witness", |disk| {
                !matches!(judge(&disk.evidence()), Verdict::TornTail | Verdict::CleanEnd)
            }),
        ];
        let mut sequences: Vec<Vec<usize>> = (1..=3).map(|size| vec![size]).collect();
        let mut longest = sequences.clone();
        for _ in 1..4 {
            longest = longest.iter().flat_map(|it| (1..=3).map(|size| [it.as_slice(), &[size]].concat())).collect();
            sequences.extend(longest.clone());
        }
        let crashed: Vec<Disk> = sequences.iter().flat_map(|groups| crashes(groups)).collect();
        // One slot may be torn by the crash itself; losing the other too is two faults, and is refused.
        let faulted: Vec<Disk> = crashed.iter().flat_map(faults).collect();
        println!("decision table: {} crashes, {} crashes and one fault", crashed.len(), faulted.len());
        assert!(crashed.len() + faulted.len() >= 25_776);
        let mut results = Vec::new();
        for (name, refuses) in rules {
            let refused = crashed.iter().filter(|disk| refuses(disk)).count();
            let lost = |disk: &&Disk| !refuses(disk) && disk.evidence().last_good < disk.acknowledged;
            let lost = faulted.iter().filter(lost).count() + crashed.iter().filter(lost).count();
            println!("  {name}: {refused} crashes refused, acknowledged data silently lost in {lost}");
            results.push((refused, lost));
        }
        assert_eq!(results[3], (0, 0));
        assert!(results[0].1 > 0 && results[1].0 > 0 && results[2].1 > 0, "a simpler rule would do: {results:?}");
    }
}
