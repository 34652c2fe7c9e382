//! Condition values that are more than text: numbers, dates, address ranges, booleans, bytes.
//!
//! Each is parsed once, when the document is stored. A value that could be read in two ways is refused: a
//! policy that means something else than its author thinks is worse than one that is not accepted.
//!
//! Not here: which operator takes which (`operator`), and comparing with a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An exact decimal number, in units of 10⁻⁹: up to 20 digits before the point and 9 behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(i128);

impl Number {
    /// What a number in a policy looks like.
    pub const EXPECTED: &'static str =
        "a number such as `10`, `-3` or `2.5`, at most 20 digits before the point and 9 after it";

    /// Reads `10`, `-3`, `+4` or `2.50`; `None` for anything else, exponents included.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = match digits.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (digits, ""),
        };
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !(1..=20).contains(&whole.len()) || fraction.len() > 9 || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        // At most 29 digits: far inside an i128.
        let zeros = std::iter::repeat_n(b'0', 9 - fraction.len());
        let digits = whole.bytes().chain(fraction.bytes()).chain(zeros);
        let units = digits.fold(0, |units: i128, digit| units * 10 + i128::from(digit - b'0'));
        Some(Self(if text.starts_with('-') { -units } else { units }))
    }

    /// The number times 10⁹.
    #[must_use]
    pub fn billionths(self) -> i128 {
        self.0
    }
}

impl From<i64> for Number {
    fn from(whole: i64) -> Self {
        Self(i128::from(whole) * 1_000_000_000)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0.unsigned_abs() / 1_000_000_000, self.0.unsigned_abs() % 1_000_000_000);
        let sign = if self.0 < 0 { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        write!(f, "{sign}{whole}.{}", format!("{fraction:09}").trim_end_matches('0'))
    }
}

/// What a date in a policy looks like.
pub(super) const DATE_EXPECTED: &str = "a date such as `2026-03-01`, `2026-03-01T09:00:00Z` or `2026-03-01T09:00+01:00`, \
     or seconds since 1970 (four digits alone could be either)";

/// Reads the W3C profile of ISO 8601 (`YYYY-MM`, `YYYY-MM-DD`, `YYYY-MM-DDThh:mm[:ss[.f]]TZD`) or whole seconds
/// since 1970. A time of day needs its zone, and a lone `2026` could be a year or a second: neither is accepted.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let plausible = unsigned.len() <= 12 && unsigned.len() != 4;
        return plausible.then(|| text.parse().ok()).flatten().and_then(|s| Timestamp::from_second(s).ok());
    }
    // The shape first, digit for digit: what is behind it also takes spaces, small letters and week dates.
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let full = match shape.as_str() {
        "0000-00" => format!("{text}-01T00:00:00Z"),
        "0000-00-00" => format!("{text}T00:00:00Z"),
        _ => {
            let (clock, zone) = match shape.strip_suffix('Z') {
                Some(clock) => (clock, "Z"),
                None => shape.split_at_checked(shape.len().checked_sub(6)?)?,
            };
            let (to_minute, rest) = clock.split_at_checked(16)?;
            let fraction_fits = |f: &str| (1..=9).contains(&f.len()) && f.bytes().all(|byte| byte == b'0');
            let seconds_fit = matches!(rest, "" | ":00") || rest.strip_prefix(":00.").is_some_and(fraction_fits);
            if to_minute != "0000-00-00T00:00" || !seconds_fit || !matches!(zone, "Z" | "+00:00" | "-00:00") {
                return None;
            }
            let seconds = if rest.is_empty() { ":00" } else { "" };
            format!("{}{seconds}{}", &text[..clock.len()], &text[clock.len()..])
        }
    };
    // jiff would read second 60 as 59; a policy that means a leap second does not exist.
    if full.get(17..19) == Some("60") {
        return None;
    }
    full.parse().ok()
}

/// A range of addresses. The bits behind the prefix are zero, as AWS reads `203.0.113.7/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// What an address range in a policy looks like.
    pub const EXPECTED: &'static str = "an address or range such as `203.0.113.0/24` or `2001:db8::/32`";

    /// Reads `203.0.113.7`, `203.0.113.0/24`, `2001:db8::/32`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address = IpAddr::from_str(address).ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(digits) => {
                let canonical =
                    digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
                digits.parse().ok().filter(|prefix| canonical && *prefix <= bits)?
            }
        };
        Some(Self { address: masked(address, prefix), prefix })
    }

    /// Whether `address` lies in the range. An IPv4 address and an IPv6 range never meet.
    #[inline]
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        // The bits that differ, less those behind the prefix; with a prefix of 0 none are left.
        match (address, self.address) {
            (IpAddr::V4(one), IpAddr::V4(own)) => {
                (one.to_bits() ^ own.to_bits()).checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(one), IpAddr::V6(own)) => {
                (one.to_bits() ^ own.to_bits()).checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// Whether every address of its kind is in the range (`0.0.0.0/0`, `::/0`): a condition that restricts nothing.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        self.prefix == 0
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

/// `true` and `false`, nothing else.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Standard base64 with its padding.
pub(super) fn bytes(text: &str) -> Option<Box<[u8]>> {
    STANDARD.decode(text).ok().map(Vec::into_boxed_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        let n = |text| Number::parse(text);
        assert_eq!(n("10"), n("+10.000"));
        assert!(n("9007199254740993").unwrap() > n("9007199254740992").unwrap(), "beyond what an f64 tells apart");
        assert!(n("-2.5").unwrap() < n("-2.4").unwrap());
        for (text, shown) in [("-0.50", "-0.5"), ("99999999999999999999.999999999", "99999999999999999999.999999999")] {
            assert_eq!(n(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "-",
            ".5",
            "5.",
            "1e3",
            "0x10",
            "1_000",
            " 1",
            "1.0000000001",
            "100000000000000000000",
            "٣",
            "--1",
            "1.2.3",
            "NaN",
        ] {
            assert_eq!(n(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_w3c_or_seconds() {
        let at = |text: &str| date(text).map(Timestamp::as_second);
        assert_eq!(at("2026-03-01T09:00:00Z"), Some(1_772_355_600));
        assert_eq!(at("2026-03-01T10:00+01:00"), Some(1_772_355_600));
        assert_eq!(at("1772355600"), Some(1_772_355_600));
        assert_eq!(at("2026-03-01"), at("2026-03-01T00:00:00Z"));
        assert_eq!(at("2026-03"), at("2026-03-01"));
        assert_eq!(date("2026-03-01T09:00:00.5Z").unwrap().subsec_nanosecond(), 500_000_000);
        assert_eq!(at("0"), Some(0));
        let bad = [
            "",
            "-",
            "2026",
            "20260301",
            "2026-3-1",
            "2026-03-01T09:00:00",
            "2026-03-01 09:00:00Z",
            "2026-03-01t09:00:00z",
            "2026-02-30",
            "2026-03-01T24:00:00Z",
            "2026-03-01T23:59:60Z",
            "2026-03-01T09Z",
            "2026-03-01T09:00:00.Z",
            "2026-03-01T09:00:00+0100",
            "2026-03-01T09:00:00[UTC]",
            "2026-W09-1",
            "tomorrow",
            "9999999999999",
            "2026-13",
            "2026-03-01T09:00:00.1234567890Z",
            "é",
            "éééééééé",
        ];
        for text in bad.into_iter().filter(|text| *text != "20260301") {
            assert_eq!(at(text), None, "{text}");
        }
        assert_eq!(at("20260301"), Some(20_260_301), "eight digits are seconds");
    }

    #[test]
    fn ranges_hold_what_their_prefix_says() {
        let range = Cidr::parse("203.0.113.7/24").unwrap();
        assert_eq!(range.to_string(), "203.0.113.0/24");
        assert!(range.contains("203.0.113.255".parse().unwrap()) && !range.contains("203.0.114.0".parse().unwrap()));
        let six = Cidr::parse("2001:db8::1/33").unwrap();
        assert!(six.contains("2001:db8:7fff::".parse().unwrap()) && !six.contains("2001:db8:8000::".parse().unwrap()));
        assert!(Cidr::parse("0.0.0.0/0").unwrap().contains("8.8.8.8".parse().unwrap()));
        assert!(!Cidr::parse("::/0").unwrap().contains("8.8.8.8".parse().unwrap()), "kinds never meet");
        assert!(
            Cidr::parse("::/0").unwrap().is_everywhere()
                && Cidr::parse("::1").unwrap().contains("::1".parse().unwrap())
        );
        for text in [
            "",
            "1.2.3",
            "1.2.3.4/33",
            "1.2.3.4/",
            "1.2.3.4/-1",
            "1.2.3.4/+8",
            "1.2.3.4/08",
            "01.2.3.4",
            "::/129",
            "1.2.3.4/8/8",
            "*",
            "1.2.3.*",
            "fe80::1%eth0",
        ] {
            assert_eq!(Cidr::parse(text), None, "{text}");
        }
    }
}
