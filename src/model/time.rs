//! Times: nanoseconds since 1970 in UTC, and what a person may write for one.
//!
//! Not here: reading a clock (`sys::Clock`).

use super::id::Seq;
use super::limits::Invalid;
use jiff::{Span, SpanRelativeTo, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Nanoseconds since 1970-01-01T00:00:00Z; shown as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    pub const MIN: Time = Time(i64::MIN);
    pub const MAX: Time = Time(i64::MAX);

    /// # Errors
    /// [`Invalid`] unless the text is RFC 3339, or a date (then its first moment in UTC).
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("time", text, "RFC 3339, for instance 2026-03-01T09:00:00Z");
        if text.len() > 64 {
            return Err(invalid());
        }
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Self::of(timestamp).ok_or_else(invalid);
        }
        // Without seconds, or without a time of day.
        let padded = match text.len() {
            10 => format!("{text}T00:00:00Z"),
            _ => match text.strip_suffix('Z') {
                Some(head) => format!("{head}:00Z"),
                None => return Err(invalid()),
            },
        };
        padded.parse::<Timestamp>().ok().and_then(Self::of).ok_or_else(invalid)
    }

    fn of(timestamp: Timestamp) -> Option<Self> {
        i64::try_from(timestamp.as_nanosecond()).ok().map(Time)
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Time(seconds.saturating_mul(1_000_000_000))
    }

    /// This time and `ns` more.
    #[must_use]
    pub fn plus_ns(self, ns: i64) -> Self {
        Time(self.0.saturating_add(ns))
    }

    /// Nanoseconds from `earlier` to this.
    #[must_use]
    pub fn ns_since(self, earlier: Time) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole days from `earlier` to this, rounded down; negative when this is earlier.
    #[must_use]
    pub fn days_since(self, earlier: Time) -> i64 {
        self.ns_since(earlier).div_euclid(86_400_000_000_000)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(timestamp) => timestamp.fmt(f),
            Err(_) => write!(f, "{} ns", self.0),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A moment as a person writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    At(Time),
    /// After this commit.
    Seq(Seq),
}

impl When {
    /// RFC 3339, `7d` or `36h` (that long before `now`), or `seq:1234`.
    ///
    /// # Errors
    /// [`Invalid`] for anything else.
    pub fn parse(text: &str, now: Time) -> Result<Self, Invalid> {
        if let Some(number) = text.strip_prefix("seq:") {
            let number = number.parse().map_err(|_| Invalid::new("seq", text, "seq: and a number"))?;
            return Ok(When::Seq(Seq(number)));
        }
        if let Some(ns) = duration_ns(text) {
            return Ok(When::At(Time(now.0.saturating_sub(ns))));
        }
        Time::parse(text).map(When::At).map_err(|_| {
            Invalid::new("time", text, "RFC 3339 (2026-03-01T09:00:00Z), an age (7d, 36h) or a commit (seq:1234)")
        })
    }
}

/// The length of `7d`, `36h`, `90m`, `1w 2d` in nanoseconds; a day is 24 h.
#[must_use]
pub fn duration_ns(text: &str) -> Option<i64> {
    if text.len() > 64 || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    let ns = i64::try_from(duration.as_nanos()).ok()?;
    (ns >= 0).then_some(ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_times_in_several_ways() {
        let now = Time::parse("2026-03-08T09:00:00Z").unwrap();
        let at = |text| When::parse(text, now).unwrap();
        assert_eq!(at("7d"), When::At(Time::parse("2026-03-01T09:00:00Z").unwrap()));
        assert_eq!(at("36h"), When::At(Time::parse("2026-03-06T21:00:00Z").unwrap()));
        assert_eq!(at("2026-03-01T09:00Z"), When::At(Time::parse("2026-03-01T09:00:00Z").unwrap()));
        assert_eq!(at("2026-03-01"), When::At(Time::parse("2026-03-01T00:00:00Z").unwrap()));
        assert_eq!(at("2026-03-01T10:00:00+01:00"), at("2026-03-01T09:00:00Z"));
        assert_eq!(at("seq:12"), When::Seq(Seq(12)));
        for bad in ["", "yesterday", "seq:x", "-7d", "2026-13-01", &"9".repeat(100)] {
            assert!(When::parse(bad, now).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_are_shown_as_rfc_3339() {
        assert_eq!(Time::from_seconds(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Time(1_500_000_000).to_string(), "1970-01-01T00:00:01.5Z");
    }
}
