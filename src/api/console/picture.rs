//! Pictures, drawn as SVG with classes alone: colours are the style sheet's.
//!
//! Invariants
//! - A picture's size does not follow from how much happened: time is cut into bins.
//!
//! Not here: the numbers (`audit::story`).

use super::show;
use crate::audit::story::{BINS, Bin, Story, Weight};
use crate::model::Time;
use maud::{Markup, html};

/// Where the time axis begins, and how wide a bin is.
const LEFT: i64 = 84;
const BIN: i64 = 9;
const WIDTH: i64 = 864;
// A bin is as wide as it is said to be.
const _: () = assert!(BINS == 96 && BIN * 96 == WIDTH);
/// Labels of the time axis.
const TICKS: i64 = 4;

/// A count as an extent of at most `max`; what is there is seen.
fn extent(count: u64, most: u64, max: u64) -> u64 {
    if count == 0 { 0 } else { (count.saturating_mul(max) / most.max(1)).clamp(2, max) }
}

/// A radius that grows with the digits of a count.
fn radius(count: u64) -> u32 {
    4 + count.checked_ilog2().unwrap_or_default().min(10) / 2
}

/// The place of a moment between two.
fn place(from: Time, to: Time, at: Time) -> i64 {
    let length = i128::from(to.ns_since(from)).max(1);
    let into = i128::from(at.ns_since(from)).clamp(0, length);
    LEFT + i64::try_from(into * i128::from(WIDTH) / length).unwrap_or_default()
}

fn left_of(bin: usize) -> i64 {
    LEFT + i64::try_from(bin).unwrap_or_default() * BIN
}

fn weight_class(weight: Weight) -> &'static str {
    match weight {
        Weight::Note => "w-note",
        Weight::Rights => "w-rights",
        Weight::Life => "w-life",
        Weight::End => "w-end",
    }
}

/// The dates below a picture.
fn axis(from: Time, to: Time, y: i64) -> Markup {
    let span = to.ns_since(from);
    let words = |at: Time| match span {
        span if span < 7_200_000_000_000 => at.to_string().get(11..19).unwrap_or_default().to_owned(),
        span if span < 3 * 86_400_000_000_000 => show::short(at),
        _ => show::day(at),
    };
    html! {
        line.axis x1=(LEFT) y1=(y) x2=(LEFT + WIDTH) y2=(y) {}
        @for tick in 0..=TICKS {
            @let x = LEFT + WIDTH * tick / TICKS;
            @let at = from.plus_ns(i64::try_from(i128::from(to.ns_since(from)) * i128::from(tick) / i128::from(TICKS)).unwrap_or_default());
            @let anchor = match tick { 0 => "at-start", TICKS => "at-end", _ => "at-middle" };
            line.axis x1=(x) y1=(y) x2=(x) y2=(y + 4) {}
            text class={ "tick " (anchor) } x=(x) y=(y + 17) { (words(at)) }
        }
    }
}

/// A key's life: its status, what happened to it, what it did, and how much it was used.
pub fn life(story: &Story) -> Markup {
    let most =
        story.bins.iter().map(|bin| bin.ok.saturating_add(bin.denied).saturating_add(bin.failed)).max().unwrap_or(0);
    let has_acts = story.bins.iter().any(|bin| bin.acts > 0);
    let title = format!(
        "From {} to {}: {} events",
        show::short(story.from),
        show::short(story.to),
        show::grouped(story.events)
    );
    html! {
        figure.picture {
            div.scroll tabindex="0" role="group" aria-label="Timeline" {
                svg viewBox="0 0 960 186" role="img" aria-label=(title) {
                    text.lane x="0" y="22" { "Status" }
                    @for span in &story.spans {
                        @let (word, class) = show::word(span.status);
                        @let (x, end) = (place(story.from, story.to, span.from), place(story.from, story.to, span.to));
                        rect class={ "st-" (class) } x=(x) y="8" width=((end - x).max(2)) height="18" rx="3" {
                            title { (word) " from " (show::short(span.from)) " to " (show::short(span.to)) }
                        }
                    }
                    text.lane x="0" y="56" { "Changes" }
                    @for (at, bin) in story.bins.iter().enumerate() { (change(story, at, bin)) }
                    text.lane x="0" y="86" { "Its acts" }
                    @if !has_acts { text.none x=(LEFT) y="86" { "changed nothing else" } }
                    @for (at, bin) in story.bins.iter().enumerate().filter(|(_, bin)| bin.acts > 0) {
                        rect.act x=(left_of(at) + 1) y="75" width="7" height="14" rx="2" {
                            title { (bin.acts) " from " (show::short(story.begins(at))) }
                        }
                    }
                    text.lane x="0" y="142" { "Uses" }
                    @if most == 0 { text.none x=(LEFT) y="142" { "never used" } }
                    @for (at, bin) in story.bins.iter().enumerate() { (bars(story, at, bin, most)) }
                    (axis(story.from, story.to, 160))
                }
            }
            figcaption.legend {
                span.key-ok { "succeeded" } span.key-denied { "denied" } span.key-failed { "failed or turned away" }
                span.key-life { "made, rotated" } span.key-rights { "rights" } span.key-end { "stopped, flagged" }
            }
        }
    }
}

fn change(story: &Story, at: usize, bin: &Bin) -> Markup {
    let Some((weight, kind)) = bin.gravest else { return html! {} };
    html! {
        circle class=(weight_class(weight)) cx=(left_of(at) + BIN / 2) cy="52" r=(radius(bin.changes)) {
            title {
                @if bin.changes == 1 { (kind) } @else { (show::grouped(bin.changes)) " changes, among them " (kind) }
                ", from " (show::short(story.begins(at)))
            }
        }
    }
}

fn bars(story: &Story, at: usize, bin: &Bin, most: u64) -> Markup {
    let total = bin.ok.saturating_add(bin.denied).saturating_add(bin.failed);
    if total == 0 {
        return html! {};
    }
    let (ok, denied, failed) = (extent(bin.ok, most, 52), extent(bin.denied, most, 52), extent(bin.failed, most, 52));
    let x = left_of(at) + 1;
    html! {
        g {
            title {
                (show::grouped(total)) " uses from " (show::short(story.begins(at))) ": " (bin.ok) " succeeded, " (bin.denied)
                " denied, " (bin.failed) " failed"
            }
            @if ok > 0 { rect.bar-ok x=(x) y=(158_u64.saturating_sub(ok)) width="7" height=(ok) {} }
            @if denied > 0 { rect.bar-denied x=(x) y=(158_u64.saturating_sub(ok + denied)) width="7" height=(denied) {} }
            @if failed > 0 { rect.bar-failed x=(x) y=(158_u64.saturating_sub(ok + denied + failed)) width="7" height=(failed) {} }
        }
    }
}

/// Uses over time.
pub fn uses(from: Time, to: Time, uses: &[(Time, u64)]) -> Markup {
    let mut bins = [0_u64; BINS];
    for (at, count) in uses {
        if let Some(bin) = bins.get_mut(bin_of(from, to, *at)) {
            *bin = bin.saturating_add(*count);
        }
    }
    let most = bins.iter().copied().max().unwrap_or_default();
    html! {
        figure.picture {
            div.scroll tabindex="0" role="group" aria-label="Uses over time" {
                svg viewBox="0 0 960 116" role="img" aria-label={ "At most " (show::grouped(most)) " at a time" } {
                    text.lane x="0" y="60" { "Uses" }
                    @for (at, count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
                        @let height = extent(*count, most, 80);
                        rect.bar-ok x=(left_of(at) + 1) y=(90_u64.saturating_sub(height)) width="7" height=(height) {
                            title { (show::grouped(*count)) " uses" }
                        }
                    }
                    (axis(from, to, 92))
                }
            }
        }
    }
}

/// How many keys there are of each age: label, number, and whether that is too old.
pub fn ages(groups: &[(&str, u64, bool)]) -> Markup {
    let most = groups.iter().map(|(_, count, _)| *count).max().unwrap_or_default();
    html! {
        figure.picture {
            svg.ages viewBox={ "0 0 480 " (groups.len() * 26 + 4) } role="img" aria-label="Keys by the age of their secret" {
                @for (row, (name, count, is_old)) in (0_i64..).zip(groups) {
                    text.lane x="0" y=(row * 26 + 18) { (name) }
                    @let width = extent(*count, most, 300);
                    @if width > 0 {
                        rect class=(if *is_old { "age-over" } else { "age-ok" }) x="110" y=(row * 26 + 5) width=(width) height="16" rx="3" {}
                    }
                    text.tick x=(width + 118) y=(row * 26 + 18) { (show::grouped(*count)) }
                }
            }
        }
    }
}

fn bin_of(from: Time, to: Time, at: Time) -> usize {
    let into = place(from, to, at) - LEFT;
    usize::try_from(into / BIN).unwrap_or_default().min(BINS - 1)
}

/// An age against its limit: a bar that goes red behind it.
pub fn age(days: i64, limit: i64) -> Markup {
    let most = (limit * 2).max(1);
    let (end, at) = ((days.clamp(0, most) * 120 / most).max(2), limit * 120 / most);
    let class = if days > limit { "age-over" } else { "age-ok" };
    html! {
        svg.age viewBox="0 0 124 12" aria-hidden="true" {
            rect.age-ground x="0" y="3" width="120" height="6" rx="3" {}
            rect class=(class) x="0" y="3" width=(end) height="6" rx="3" {}
            line.age-limit x1=(at) y1="0" x2=(at) y2="12" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_ten_thousand_uses_is_as_small_as_its_bins() {
        let (from, to) = (Time::from_seconds(0), Time::from_seconds(1_000_000));
        let all: Vec<(Time, u64)> = (0..10_000).map(|n| (Time::from_seconds(n * 100), 3)).collect();
        let drawn = uses(from, to, &all).into_string();
        assert!(drawn.len() < 20_000, "{}", drawn.len());
        assert_eq!(drawn.matches("bar-ok").count(), BINS);
    }

    #[test]
    fn what_is_there_is_seen_and_nothing_leaves_the_picture() {
        assert_eq!([extent(0, 9, 50), extent(1, 1_000_000, 50), extent(9, 9, 50)], [0, 2, 50]);
        let (from, to) = (Time::from_seconds(10), Time::from_seconds(20));
        assert_eq!(place(from, to, Time::from_seconds(5)), LEFT);
        assert_eq!(place(from, to, Time::from_seconds(99)), LEFT + WIDTH);
        assert_eq!(bin_of(from, to, to), BINS - 1);
    }
}
