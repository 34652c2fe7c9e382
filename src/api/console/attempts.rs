//! How often signing in may fail, and how many failures are written down: bounded in memory and in the log.
//!
//! Not here: what failing is (`sign_in`).

use crate::model::Time;
use compact_str::CompactString;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Failures of one address in a window.
const OF_ADDRESS_MAX: u32 = 20;
/// Failures with one id, from wherever, in a window.
const OF_ID_MAX: u32 = 40;
/// The window: 15 min.
const WINDOW_NS: i64 = 15 * 60 * 1_000_000_000;
/// Addresses and ids that are remembered.
const ROWS_MAX: usize = 8_192;
/// Failures that become events, a minute.
const EVENTS_MAX: u32 = 60;
const MINUTE_NS: i64 = 60 * 1_000_000_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Address(IpAddr),
    Id(CompactString),
}

#[derive(Debug, Clone, Copy)]
struct Window {
    since: Time,
    count: u32,
}

#[derive(Debug, Default)]
struct Rows {
    failed: HashMap<Who, Window>,
    events: Option<Window>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<Rows>);

/// An address as it is counted: of IPv6 the network that one customer has.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
        address @ IpAddr::V4(_) => address,
    }
}

fn whos(address: IpAddr, id: &str) -> [(Who, u32); 2] {
    let id = id.chars().take(128).collect();
    [(Who::Address(counted(address)), OF_ADDRESS_MAX), (Who::Id(id), OF_ID_MAX)]
}

impl Attempts {
    /// How many seconds whoever asks has to wait; `None`: it may try.
    pub fn must_wait_s(&self, address: IpAddr, id: &str, now: Time) -> Option<u64> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = whos(address, id).into_iter().filter_map(|(who, max)| {
            let window = rows.failed.get(&who).filter(|window| window.count >= max)?;
            let left = WINDOW_NS.saturating_sub(now.ns_since(window.since));
            u64::try_from(left).ok().filter(|left| *left > 0).map(|left| left.div_ceil(1_000_000_000))
        });
        waits.max()
    }

    /// Remembers a failure. Whether it may become an event.
    pub fn failed(&self, address: IpAddr, id: &str, now: Time) -> bool {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (who, _) in whos(address, id) {
            make_room(&mut rows.failed, &who, now);
            let window = rows.failed.entry(who).or_insert(Window { since: now, count: 0 });
            if now.ns_since(window.since) >= WINDOW_NS {
                *window = Window { since: now, count: 0 };
            }
            window.count = window.count.saturating_add(1);
        }
        let events = rows.events.get_or_insert(Window { since: now, count: 0 });
        if now.ns_since(events.since) >= MINUTE_NS {
            *events = Window { since: now, count: 0 };
        }
        events.count = events.count.saturating_add(1);
        events.count <= EVENTS_MAX
    }
}

/// Forgets windows that are over; when none is, the one with the fewest failures.
fn make_room(failed: &mut HashMap<Who, Window>, who: &Who, now: Time) {
    if failed.len() < ROWS_MAX || failed.contains_key(who) {
        return;
    }
    failed.retain(|_, window| now.ns_since(window.since) < WINDOW_NS);
    if failed.len() >= ROWS_MAX
        && let Some(least) =
            failed.iter().min_by_key(|(_, window)| (window.count, window.since)).map(|(who, _)| who.clone())
    {
        failed.remove(&least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    #[test]
    fn an_address_waits_after_its_failures_and_another_does_not() {
        let attempts = Attempts::default();
        let now = Time::from_seconds(1_000_000);
        for n in 0..OF_ADDRESS_MAX {
            assert_eq!(attempts.must_wait_s(HERE, "anybody", now), None);
            attempts.failed(HERE, &format!("id-{n}"), now);
        }
        assert_eq!(attempts.must_wait_s(HERE, "anybody", now), Some(900));
        assert_eq!(attempts.must_wait_s(IpAddr::from([192, 0, 2, 8]), "anybody", now), None);
        assert_eq!(attempts.must_wait_s(HERE, "anybody", now.plus_ns(WINDOW_NS)), None);
    }

    #[test]
    fn an_id_waits_from_wherever_it_was_tried_and_v6_networks_count_as_one() {
        let attempts = Attempts::default();
        let now = Time::from_seconds(1_000_000);
        for n in 0..40_u8 {
            attempts.failed(IpAddr::from([198, 51, 100, n]), "NQAK", now);
        }
        assert!(attempts.must_wait_s(HERE, "NQAK", now).is_some());
        let v6 = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        for n in 0..20 {
            attempts.failed(v6(n), &format!("id-{n}"), now);
        }
        assert!(attempts.must_wait_s(v6(99), "other", now).is_some());
    }

    #[test]
    fn memory_and_events_are_bounded() {
        let attempts = Attempts::default();
        let now = Time::from_seconds(1_000_000);
        let mut events = 0;
        for n in 0..20_000_u32 {
            events += u32::from(attempts.failed(IpAddr::from(n.to_be_bytes()), &format!("id-{n}"), now));
        }
        assert_eq!(events, EVENTS_MAX);
        assert!(attempts.0.lock().unwrap().failed.len() <= ROWS_MAX);
    }
}
