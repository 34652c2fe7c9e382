//! Races between lanes, and the one table that says who reached which goal.
//!
//! A race runs its lanes in turns, so that a neighbour who wakes up disturbs all alike, and compares them round by
//! round: a ratio is the median of the rounds' ratios.

use crate::plan::Plan;
use crate::{Result, noise};
use serde_json::json;

/// What one lane did in one round.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// In the race's unit.
    pub value: f64,
    /// Of one commit, lookup or question, in µs; 0 when single ones were not timed.
    pub p50_us: f64,
    /// As `p50_us`.
    pub p99_us: f64,
    /// Flushes per event; 0 when nothing was flushed.
    pub flushes: f64,
    /// Cores that others used meanwhile.
    pub others: f64,
}

impl Sample {
    /// From a value alone.
    pub fn of(value: f64) -> Self {
        Self { value, ..Self::default() }
    }

    /// With percentiles of single operations, in ns.
    #[must_use]
    pub fn with_nanos(mut self, nanos: &mut [u32]) -> Self {
        if !nanos.is_empty() {
            nanos.sort_unstable();
            self.p50_us = f64::from(nanos[nanos.len() / 2]) / 1e3;
            self.p99_us = f64::from(nanos[nanos.len() * 99 / 100]) / 1e3;
        }
        self
    }
}

/// One contestant: a name and what it does in a round.
pub struct Lane<'a> {
    name: String,
    run: Box<dyn FnMut() -> Result<Sample> + 'a>,
}

impl<'a> Lane<'a> {
    pub fn new(name: impl Into<String>, run: impl FnMut() -> Result<Sample> + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// The outcome of a race.
#[derive(Debug)]
pub struct Race {
    unit: &'static str,
    lanes: Vec<(String, Vec<Sample>)>,
}

/// What a ratio has to be.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Debug)]
struct Row {
    goal: &'static str,
    what: String,
    unit: &'static str,
    ours: Option<f64>,
    against: String,
    theirs: Option<f64>,
    ratio: Option<f64>,
    bound: Bound,
    others: f64,
    note: String,
}

/// Collects rows while the stages run.
#[derive(Debug)]
pub struct Report {
    json: bool,
    rows: Vec<Row>,
}

impl Race {
    /// Runs each lane once in every round; the lane that begins moves on by one each round.
    pub fn run(plan: &Plan, unit: &'static str, mut lanes: Vec<Lane<'_>>) -> Result<Self> {
        let mut done: Vec<(String, Vec<Sample>)> = lanes.iter().map(|lane| (lane.name.clone(), Vec::new())).collect();
        noise::wait_for_quiet(plan.patience);
        for round in 0..plan.rounds {
            for turn in 0..lanes.len() {
                let at = (round + turn) % lanes.len();
                let watch = noise::Watch::start();
                let mut sample = (lanes[at].run)().map_err(|error| format!("{}: {error}", lanes[at].name))?;
                sample.others = watch.cores_of_others();
                done[at].1.push(sample);
            }
        }
        Ok(Self { unit, lanes: done })
    }

    fn samples(&self, name: &str) -> Option<&[Sample]> {
        self.lanes.iter().find(|(lane, _)| lane == name).map(|(_, samples)| samples.as_slice())
    }

    /// The median value of a lane.
    pub fn median(&self, name: &str) -> Option<f64> {
        Some(median(self.samples(name)?.iter().map(|sample| sample.value)))
    }

    /// The median of a lane's p99, in µs.
    pub fn p99(&self, name: &str) -> Option<f64> {
        Some(median(self.samples(name)?.iter().map(|sample| sample.p99_us)))
    }

    /// The median of a lane's p50, in µs.
    pub fn p50(&self, name: &str) -> Option<f64> {
        Some(median(self.samples(name)?.iter().map(|sample| sample.p50_us)))
    }

    /// The median over rounds of `one / other`.
    fn ratio(&self, one: &str, other: &str, of: fn(&Sample) -> f64) -> Option<f64> {
        let (one, other) = (self.samples(one)?, self.samples(other)?);
        Some(median(one.iter().zip(other).map(|(one, other)| of(one) / of(other))))
    }

    fn others(&self) -> f64 {
        let all = self.lanes.iter().flat_map(|(_, samples)| samples.iter().map(|sample| sample.others));
        median(all)
    }

    /// Whether a lane of that name ran.
    pub fn has(&self, name: &str) -> bool {
        self.samples(name).is_some()
    }

    /// Names of the lanes, in the order given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lanes.iter().map(|(name, _)| name.as_str())
    }
}

impl Report {
    pub fn new(json: bool) -> Self {
        Self { json, rows: Vec::new() }
    }

    /// Says something beside the table.
    pub fn say(&self, text: &str) {
        if self.json {
            eprintln!("{text}");
        } else {
            println!("{text}");
        }
    }

    /// Prints each lane of a race as it was measured.
    pub fn lanes(&self, title: &str, race: &Race) {
        if !self.json {
            println!("\n{title} ({})", race.unit);
        }
        for (name, samples) in &race.lanes {
            let value = median(samples.iter().map(|sample| sample.value));
            let low = samples.iter().map(|sample| sample.value).fold(f64::INFINITY, f64::min);
            let high = samples.iter().map(|sample| sample.value).fold(0.0, f64::max);
            let p50 = median(samples.iter().map(|sample| sample.p50_us));
            let p99 = median(samples.iter().map(|sample| sample.p99_us));
            let flushes = median(samples.iter().map(|sample| sample.flushes));
            let others = samples.iter().map(|sample| sample.others).fold(0.0, f64::max);
            if self.json {
                let line = json!({
                    "race": title, "lane": name, "unit": race.unit, "median": value, "low": low, "high": high,
                    "p50_us": p50, "p99_us": p99, "flushes_per_event": flushes, "cores_of_others": others,
                    "rounds": samples.len(),
                });
                println!("{line}");
                continue;
            }
            let mut line = format!("  {name:<44} {:>9}  ({}–{})", short(value), short(low), short(high));
            if p99 > 0.0 {
                line += &format!("  p50 {p50:.1} p99 {p99:.1} µs");
            }
            if flushes > 0.0 {
                line += &format!("  {flushes:.3} flushes/event");
            }
            if others > noise::OTHERS_MAX {
                line += &format!("  noisy: others used {others:.1} cores");
            }
            println!("{line}");
        }
    }

    /// A goal on the values of two lanes. A lane that did not run leaves a dash.
    pub fn goal(&mut self, goal: &'static str, what: &str, race: &Race, ours: &str, against: &str, bound: Bound) {
        self.rows.push(Row {
            goal,
            what: what.to_owned(),
            unit: race.unit,
            ours: race.median(ours),
            against: against.to_owned(),
            theirs: race.median(against),
            ratio: race.ratio(ours, against, |sample| sample.value),
            bound,
            others: race.others(),
            note: String::new(),
        });
    }

    /// A goal that our rate is at least `factor` times each of these lanes'; one row for the fastest of them.
    pub fn ahead_of(&mut self, goal: &'static str, what: &str, race: &Race, ours: &str, peers: &[&str], factor: f64) {
        let best = peers
            .iter()
            .filter(|peer| race.has(peer))
            .max_by(|a, b| race.median(a).unwrap_or(0.0).total_cmp(&race.median(b).unwrap_or(0.0)));
        if let Some(best) = best {
            self.goal(goal, what, race, ours, best, Bound::AtLeast(factor));
        }
    }

    /// A goal on the 99th percentiles of two lanes.
    pub fn goal_p99(&mut self, goal: &'static str, what: &str, race: &Race, ours: &str, against: &str, bound: Bound) {
        self.rows.push(Row {
            goal,
            what: what.to_owned(),
            unit: "µs",
            ours: race.p99(ours),
            against: against.to_owned(),
            theirs: race.p99(against),
            ratio: race.ratio(ours, against, |sample| sample.p99_us),
            bound,
            others: race.others(),
            note: String::new(),
        });
    }

    /// A goal on the medians of single operations of two lanes.
    pub fn goal_p50(&mut self, goal: &'static str, what: &str, race: &Race, ours: &str, against: &str, bound: Bound) {
        self.rows.push(Row {
            goal,
            what: what.to_owned(),
            unit: "µs",
            ours: race.p50(ours),
            against: against.to_owned(),
            theirs: race.p50(against),
            ratio: race.ratio(ours, against, |sample| sample.p50_us),
            bound,
            others: race.others(),
            note: String::new(),
        });
    }

    /// A goal on two numbers, or on one number alone (`theirs` is then the bound's own unit, 1).
    pub fn number(
        &mut self,
        goal: &'static str,
        what: &str,
        unit: &'static str,
        ours: Option<f64>,
        against: &str,
        theirs: Option<f64>,
        bound: Bound,
    ) {
        let ratio = match (ours, theirs) {
            (Some(ours), Some(theirs)) if theirs > 0.0 => Some(ours / theirs),
            _ => None,
        };
        let (what, against) = (what.to_owned(), against.to_owned());
        let row = Row { goal, what, unit, ours, against, theirs, ratio, bound, others: 0.0, note: String::new() };
        self.rows.push(row);
    }

    /// Adds the reason to the last row.
    pub fn because(&mut self, note: &str) {
        if let Some(row) = self.rows.last_mut() {
            note.clone_into(&mut row.note);
        }
    }

    /// Prints the table. Returns how many goals were reached, missed, and not measured.
    pub fn print(&self) -> (usize, usize, usize) {
        let (mut reached, mut missed, mut open) = (0, 0, 0);
        if !self.json {
            println!();
            let head = ("goal", "what", "ours", "against", "theirs", "ratio", "goal is");
            println!(
                "{:<5} {:<52} {:>12} {:<36} {:>12} {:>7} {:>8}",
                head.0, head.1, head.2, head.3, head.4, head.5, head.6
            );
        }
        for row in &self.rows {
            let held = row.ratio.map(|ratio| match row.bound {
                Bound::AtLeast(bound) => ratio >= bound,
                Bound::AtMost(bound) => ratio <= bound,
            });
            match held {
                Some(true) => reached += 1,
                Some(false) => missed += 1,
                None => open += 1,
            }
            let bound = match row.bound {
                Bound::AtLeast(bound) => format!("≥ {}", bare(bound)),
                Bound::AtMost(bound) => format!("≤ {}", bare(bound)),
            };
            if self.json {
                let line = json!({
                    "goal": row.goal, "what": row.what, "unit": row.unit, "ours": row.ours, "against": row.against,
                    "theirs": row.theirs, "ratio": row.ratio, "bound": bound, "reached": held,
                    "cores_of_others": row.others, "note": row.note,
                });
                println!("{line}");
                continue;
            }
            let number =
                |value: Option<f64>| value.map_or_else(|| "—".to_owned(), |v| format!("{} {}", short(v), row.unit));
            let ratio = row.ratio.map_or_else(|| "—".to_owned(), |ratio| format!("{ratio:.2}"));
            let mark = match held {
                Some(true) => "✓",
                Some(false) => "✗",
                None => "·",
            };
            let mut notes = row.note.clone();
            if row.others > noise::OTHERS_MAX {
                notes = format!("noisy ({:.1} cores) {notes}", row.others);
            }
            println!(
                "{:<5} {:<52} {:>12} {:<36} {:>12} {ratio:>7} {bound:>8} {mark} {notes}",
                row.goal,
                row.what,
                number(row.ours),
                row.against,
                number(row.theirs),
            );
        }
        (reached, missed, open)
    }
}

/// Two places at most, without zeros at the end.
fn bare(value: f64) -> String {
    format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The middle value; the lower of two.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

/// Three figures and a letter.
fn short(value: f64) -> String {
    let (scaled, letter) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, "G"),
        v if v >= 1e6 => (value / 1e6, "M"),
        v if v >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = if scaled.abs() >= 100.0 {
        0
    } else if scaled.abs() >= 10.0 {
        1
    } else {
        2
    };
    format!("{scaled:.digits$}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_ratios() -> Result<()> {
        let plan = Plan { rounds: 3, patience: std::time::Duration::ZERO, ..Plan::quick(std::env::temp_dir()) };
        // A neighbour halves both in the second round: the ratio does not move.
        let (mut a, mut b) = ([4.0, 2.0, 4.0].into_iter(), [2.0, 1.0, 2.0].into_iter());
        let lanes = vec![
            Lane::new("ours", || Ok(Sample::of(a.next().unwrap_or(0.0)))),
            Lane::new("floor", || Ok(Sample::of(b.next().unwrap_or(0.0)))),
        ];
        let race = Race::run(&plan, "events/s", lanes)?;
        assert_eq!(race.ratio("ours", "floor", |sample| sample.value), Some(2.0));
        assert_eq!(race.ratio("ours", "nobody", |sample| sample.value), None);
        Ok(())
    }

    #[test]
    fn a_goal_without_our_number_is_neither_reached_nor_missed() {
        let mut report = Report::new(true);
        report.number("X", "something", "ns", None, "floor", Some(1.0), Bound::AtMost(2.0));
        report.number("X", "something", "ns", Some(3.0), "floor", Some(1.0), Bound::AtMost(2.0));
        report.number("X", "something", "ns", Some(2.0), "floor", Some(1.0), Bound::AtMost(2.0));
        assert_eq!(report.print(), (1, 1, 1));
    }
}
