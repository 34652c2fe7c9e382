//! Signing keys that were derived for requests before: one for each key, secret version, day, region
//! and service.
//!
//! Sets of eight places, a key's uid chooses the set. A look reads one cache line of tags and the one place whose tag fits: no
//! lock, no allocation, no disk. A full set gives up the place that was taken longest ago.
//!
//! Invariants
//! - A signing key is found only by someone who names its version, and the state says which versions are alive: what is in here
//!   makes no dead key usable. What is dead is taken out when it is seen, and by [`SigningKeys::sweep`].
//! - It is wiped when its last user lets go of it.
//!
//! Not here: secrets.

use super::authenticate::Scope;
use crate::model::{AccessKeyId, KeyUid};
use crate::sigv4::SigningKey;
use arc_swap::{ArcSwapOption, Guard};
use compact_str::CompactString;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Places a set: the tags of one fill a cache line.
const WAYS: usize = 8;

/// A derived key and what it is for.
pub(super) struct Entry {
    pub id: AccessKeyId,
    pub uid: KeyUid,
    pub version: u32,
    /// `20130524`
    pub date: CompactString,
    pub region: CompactString,
    pub service: CompactString,
    pub key: SigningKey,
}

impl Entry {
    fn is_for(&self, uid: KeyUid, version: u32, scope: Scope<'_>) -> bool {
        self.uid == uid && self.version == version && self.scope() == scope
    }

    fn scope(&self) -> Scope<'_> {
        Scope { date: &self.date, region: &self.region, service: &self.service }
    }
}

#[derive(Default)]
#[repr(align(64))]
struct Tags([AtomicU64; WAYS]);

#[derive(Default)]
struct Set {
    tags: Tags,
    ways: [ArcSwapOption<Entry>; WAYS],
    /// The place that is given up next.
    hand: AtomicUsize,
}

/// Derived signing keys.
pub(super) struct SigningKeys {
    sets: Box<[Set]>,
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys").field("sets", &self.sets.len()).finish_non_exhaustive()
    }
}

/// A uid is a hash, so each half of it spreads.
fn halves(uid: KeyUid) -> (u64, u64) {
    let (halves, _) = uid.0.as_chunks::<8>();
    (u64::from_le_bytes(halves[0]), u64::from_le_bytes(halves[1]))
}

/// Never 0, which is an empty place's.
fn tag(uid: KeyUid) -> u64 {
    halves(uid).1 | 1
}

impl SigningKeys {
    /// With room for about so many.
    pub fn new(keys_max: usize) -> Self {
        let sets = keys_max.div_ceil(WAYS).max(1).next_power_of_two();
        Self { sets: (0..sets).map(|_| Set::default()).collect() }
    }

    fn set(&self, uid: KeyUid) -> &Set {
        // The number of sets is a power of two.
        &self.sets[usize::try_from(halves(uid).0 & (self.sets.len() as u64 - 1)).unwrap_or_default()]
    }

    /// The key derived for just this. Name only a version that is alive now.
    pub fn find(&self, uid: KeyUid, version: u32, scope: Scope<'_>) -> Option<Guard<Option<Arc<Entry>>>> {
        let (set, tag) = (self.set(uid), tag(uid));
        set.tags.0.iter().zip(&set.ways).find_map(|(held, way)| {
            if held.load(Ordering::Acquire) != tag {
                return None;
            }
            let entry = way.load();
            entry.as_ref().is_some_and(|entry| entry.is_for(uid, version, scope)).then_some(entry)
        })
    }

    pub fn keep(&self, entry: Arc<Entry>) {
        let Entry { uid, version, .. } = *entry;
        if self.find(uid, version, entry.scope()).is_some() {
            return;
        }
        let set = self.set(uid);
        let free = set.tags.0.iter().position(|tag| tag.load(Ordering::Relaxed) == 0);
        let place = free.unwrap_or_else(|| set.hand.fetch_add(1, Ordering::Relaxed) % WAYS);
        // A tag is a hint: whoever finds another entry behind it than it looks for goes on.
        set.ways[place].store(Some(entry));
        set.tags.0[place].store(tag(uid), Ordering::Release);
    }

    /// Takes out what was derived for a key.
    pub fn forget(&self, uid: KeyUid) {
        self.retain(self.set(uid), &|entry| entry.uid != uid);
    }

    /// Takes out what is not `alive`.
    pub fn sweep(&self, alive: impl Fn(&Entry) -> bool) {
        for set in &self.sets {
            self.retain(set, &alive);
        }
    }

    #[allow(clippy::unused_self, reason = "it is the cache's own")]
    fn retain(&self, set: &Set, keep: &dyn Fn(&Entry) -> bool) {
        for (tag, way) in set.tags.0.iter().zip(&set.ways) {
            if tag.load(Ordering::Acquire) == 0 {
                continue;
            }
            let entry = way.load();
            if entry.as_ref().is_some_and(|entry| !keep(entry)) {
                way.compare_and_swap(&entry, None);
                // If another came in between, it stays without a tag, is not found and is derived once more.
                tag.store(0, Ordering::Release);
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.sets.iter().flat_map(|set| &set.ways).filter(|way| way.load().is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::World;

    fn entry(number: u32, version: u32, date: &str) -> Arc<Entry> {
        let id = AccessKeyId::parse(&format!("NQAK{number:016}")).unwrap();
        let key = SigningKey::derive(format!("secret {number} {version}").as_bytes(), date, "r", "s3");
        let (region, service) = ("r".into(), "s3".into());
        Arc::new(Entry { uid: id.uid(World::Live), id, version, date: date.into(), region, service, key })
    }

    fn scope<'a>(date: &'a str, region: &'a str) -> Scope<'a> {
        Scope { date, region, service: "s3" }
    }

    #[test]
    fn a_signing_key_is_found_for_what_it_was_derived_for_and_for_nothing_else() {
        let keys = SigningKeys::new(64);
        let kept = entry(1, 2, "20261125");
        keys.keep(Arc::clone(&kept));
        keys.keep(Arc::clone(&kept));
        assert_eq!(keys.len(), 1);
        let found = keys.find(kept.uid, 2, scope("20261125", "r")).expect("it is kept");
        assert_eq!(found.as_ref().unwrap().key.sign(b"x"), kept.key.sign(b"x"));
        for (version, date, region) in [(1, "20261125", "r"), (2, "20261126", "r"), (2, "20261125", "q")] {
            assert!(keys.find(kept.uid, version, scope(date, region)).is_none());
        }
        assert!(keys.find(entry(2, 2, "20261125").uid, 2, scope("20261125", "r")).is_none());
        assert!(keys.find(kept.uid, 2, Scope { service: "iam", ..scope("20261125", "r") }).is_none());
        keys.forget(kept.uid);
        assert!(keys.find(kept.uid, 2, scope("20261125", "r")).is_none() && keys.len() == 0);
    }

    #[test]
    fn a_full_cache_gives_up_old_places_and_stays_within_its_bound() {
        let keys = SigningKeys::new(256);
        for number in 0..5_000 {
            let kept = entry(number, 1, "20261125");
            keys.keep(Arc::clone(&kept));
            assert!(keys.find(kept.uid, 1, scope("20261125", "r")).is_some(), "what was kept last is there");
        }
        assert_eq!(keys.len(), 256);
        keys.sweep(|entry| entry.id.as_str().ends_with('7'));
        assert!(keys.len() < 64 && keys.len() > 5);
    }

    #[test]
    fn a_wiped_key_is_dropped_with_its_last_user() {
        let keys = SigningKeys::new(8);
        let kept = entry(1, 1, "20261125");
        let weak = Arc::downgrade(&kept);
        let uid = kept.uid;
        keys.keep(kept);
        let user = keys.find(uid, 1, scope("20261125", "r"));
        keys.forget(uid);
        assert!(weak.upgrade().is_some(), "somebody is signing with it");
        drop(user);
        assert!(weak.upgrade().is_none());
    }
}
