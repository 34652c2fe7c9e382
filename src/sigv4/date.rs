//! The times that requests carry: `20130524T000000Z`, and the `Date` header's `Fri, 24 May 2013 00:00:00 GMT`.
//!
//! Not here: whether a time is near enough (`parse`, `presign`), and reading a clock.

use crate::model::Time;

/// A request's time in the one form that is signed, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// `20130524T000000Z`.
    pub text: [u8; 16],
    pub time: Time,
}

impl Stamp {
    /// ISO 8601 basic, to the second, in UTC: `20130524T000000Z`; 1970 to 2261.
    pub fn basic(text: &[u8]) -> Option<Self> {
        let text: &[u8; 16] = text.try_into().ok()?;
        if text[8] != b'T' || text[15] != b'Z' {
            return None;
        }
        let date = (number(&text[..4])?, number(&text[4..6])?, number(&text[6..8])?);
        let clock = (number(&text[9..11])?, number(&text[11..13])?, number(&text[13..15])?);
        Some(Self { text: *text, time: moment(date, clock)? })
    }

    /// What a `Date` header may hold: RFC 9110's IMF-fixdate, the same with `-0000` or `+0000` for GMT (RFC 5322, as
    /// botocore sends it), or ISO 8601 basic. The weekday is not compared.
    pub fn header(text: &[u8]) -> Option<Self> {
        if text.len() == 16 {
            return Self::basic(text);
        }
        // `Fri, 24 May 2013 00:00:00 GMT`
        let zones: [&[u8]; 3] = [b" GMT", b" -0000", b" +0000"];
        if !zones.contains(&text.get(25..)?) {
            return None;
        }
        let fixed = text[3] == b',' && text[19] == b':' && text[22] == b':';
        if !fixed || [4, 7, 11, 16].iter().any(|at| text[*at] != b' ') {
            return None;
        }
        let month = MONTHS.iter().position(|name| text[8..11] == **name)? + 1;
        let date = (number(&text[12..16])?, u32::try_from(month).ok()?, number(&text[5..7])?);
        let clock = (number(&text[17..19])?, number(&text[20..22])?, number(&text[23..25])?);
        Some(Self::of(moment(date, clock)?))
    }

    /// The stamp of a time, its fraction of a second cut off. Years outside 0 to 9999 do not occur in ours.
    pub fn of(time: Time) -> Self {
        let seconds = time.0.div_euclid(1_000_000_000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let mut text = *b"00000000T000000Z";
        for (at, digits, value) in [
            (0, 4, year),
            (4, 2, month),
            (6, 2, day),
            (9, 2, second / 3_600),
            (11, 2, second / 60 % 60),
            (13, 2, second % 60),
        ] {
            let mut rest = value;
            for place in (at..at + digits).rev() {
                text[place] = b'0' + u8::try_from(rest.rem_euclid(10)).unwrap_or(0);
                rest /= 10;
            }
        }
        Self { text, time: Time::from_seconds(seconds) }
    }

    /// `20130524`.
    pub fn date(&self) -> &[u8] {
        &self.text[..8]
    }
}

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
}

fn moment((year, month, day): (u32, u32, u32), (hour, minute, second): (u32, u32, u32)) -> Option<Time> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    // Nanoseconds since 1970 in 63 bits end in 2262.
    let fits = (1970..=2261).contains(&year) && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !fits {
        return None;
    }
    // Days before this year since 1970, then before this month.
    let (y, m, d) = (i64::from(year), i64::from(month), i64::from(day));
    let (years, months) = if m > 2 { (y, m - 3) } else { (y - 1, m + 9) };
    let before = years * 365 + years / 4 - years / 100 + years / 400;
    let days = before + (153 * months + 2) / 5 + d - 719_469;
    Some(Time::from_seconds(days * 86_400 + i64::from(hour * 3_600 + minute * 60 + second)))
}

/// Year, month and day of a day since 1970, in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_mean_what_the_calendar_says() {
        for day in (0..106_000).step_by(13) {
            let time = Time::from_seconds(day * 86_400 + day % 86_400);
            let stamp = Stamp::of(time);
            assert_eq!(Stamp::basic(&stamp.text), Some(stamp));
            let expected: String = time.to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
            assert_eq!(std::str::from_utf8(&stamp.text).unwrap(), expected);
        }
        let doc = Stamp::basic(b"20130524T000000Z").unwrap();
        for text in ["Fri, 24 May 2013 00:00:00 GMT", "Fri, 24 May 2013 00:00:00 -0000", "20130524T000000Z"] {
            assert_eq!(Stamp::header(text.as_bytes()), Some(doc), "{text}");
        }
        assert_eq!(doc.date(), b"20130524");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in
            ["", "20130524T000000", "20130524t000000Z", "20130230T000000Z", "20131301T000000Z", "2013052 T000000Z"]
        {
            assert_eq!(Stamp::basic(bad.as_bytes()), None, "{bad:?}");
        }
        for bad in ["20130524T240000Z", "20130524T006000Z", "20130524T000060Z", "19691231T235959Z", "22620101T000000Z"]
        {
            assert_eq!(Stamp::basic(bad.as_bytes()), None, "{bad:?}");
        }
        for bad in ["Fri, 24 Mai 2013 00:00:00 GMT", "Fri, 24 May 2013 00:00:00 UTC", "Fri  24 May 2013 00:00:00 GMT"] {
            assert_eq!(Stamp::header(bad.as_bytes()), None, "{bad:?}");
        }
        assert!(Stamp::basic(b"20240229T000000Z").is_some() && Stamp::basic(b"21000229T000000Z").is_none());
    }
}
