//! Addresses as logs write them: one, or a network of them.
//!
//! CloudTrail writes IPv4 addresses, IPv6 addresses and the host names of AWS services; anonymised records pad octets with zeros.
//!
//! Not here: the conditions of policies (`policy`).

use crate::model::Invalid;
use std::net::{IpAddr, Ipv4Addr};

/// One address, or a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressFilter {
    /// Its value where it is an IP address, and every way it may be written.
    One(Option<IpAddr>, Vec<String>),
    Network(IpAddr, u8),
}

impl AddressFilter {
    /// # Errors
    /// [`Invalid`] for an empty or overlong text and a prefix that is too long for its address.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid =
            || Invalid::new("address", text, "an IP address, a network such as 203.0.113.0/24, or a host name");
        if text.is_empty() || text.len() > 255 {
            return Err(invalid());
        }
        if let Some((address, bits)) = text.split_once('/') {
            let address = parse_ip(address).ok_or_else(invalid)?;
            let bits: u8 = bits.parse().map_err(|_| invalid())?;
            if bits > if address.is_ipv4() { 32 } else { 128 } {
                return Err(invalid());
            }
            return Ok(AddressFilter::Network(address, bits));
        }
        let parsed = parse_ip(text);
        let mut texts = vec![text.to_owned()];
        if let Some(parsed) = parsed {
            texts.push(parsed.to_string());
            if let IpAddr::V4(v4) = parsed {
                let [a, b, c, d] = v4.octets();
                texts.push(format!("{a:03}.{b:03}.{c:03}.{d:03}"));
            }
        }
        texts.sort();
        texts.dedup();
        Ok(AddressFilter::One(parsed, texts))
    }

    /// Whether an address in a record is meant.
    pub fn contains(&self, text: &str) -> bool {
        match self {
            AddressFilter::One(_, texts) => texts.iter().any(|one| one == text),
            AddressFilter::Network(network, bits) => {
                parse_ip(text).is_some_and(|address| masked(address, *bits) == masked(*network, *bits))
            }
        }
    }
}

/// An IP address; octets may be padded with zeros, as anonymised records have them.
#[must_use]
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        *octet = (part.len() <= 3).then(|| part.parse().ok())??;
    }
    parts.next().is_none().then(|| IpAddr::V4(Ipv4Addr::from(octets)))
}

fn masked(address: IpAddr, bits: u8) -> (bool, u128) {
    let (value, width) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let kept = value.checked_shr(width - u32::from(bits)).unwrap_or(0);
    (address.is_ipv4(), kept)
}

/// The network an address is counted under when somebody's usual places are told from new ones: /24, or /48 of IPv6. A
/// host name is its own.
#[must_use]
pub fn network_of(text: &str) -> String {
    match parse_ip(text) {
        Some(IpAddr::V4(v4)) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Some(IpAddr::V6(v6)) => {
            let [a, b, c, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_found_however_it_is_padded() {
        let filter = AddressFilter::parse("75.50.255.67").unwrap();
        assert!(filter.contains("075.050.255.067"));
        assert!(filter.contains("75.50.255.67"));
        assert!(!filter.contains("75.50.255.68"));
        let padded = AddressFilter::parse("075.050.255.67").unwrap();
        assert!(padded.contains("075.050.255.67"), "as it was typed");
        assert!(padded.contains("75.50.255.67"));
    }

    #[test]
    fn networks_hold_their_own() {
        let network = AddressFilter::parse("10.1.0.0/16").unwrap();
        assert!(network.contains("10.1.255.3"));
        assert!(!network.contains("10.2.0.1"));
        assert!(!network.contains("::1"));
        assert!(AddressFilter::parse("0.0.0.0/0").unwrap().contains("9.9.9.9"));
        assert!(AddressFilter::parse("2001:db8::/32").unwrap().contains("2001:db8:1::5"));
        for bad in ["", "10.0.0.0/33", "x/8", "10.0.0.0/"] {
            assert!(AddressFilter::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(network_of("075.050.255.67"), "75.50.255.0/24");
        assert_eq!(network_of("ec2.amazonaws.com"), "ec2.amazonaws.com");
    }
}
