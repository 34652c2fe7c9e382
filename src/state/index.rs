//! Keys by owner and by the policy they hold: follows from the keys, is in no file.
//!
//! A published state keeps it up with every commit. A replay does not: it would cost more than all else, and most replayed states
//! are never asked; they make it from all keys when they first are.
//!
//! Not here: what users and groups hold, which is little and always kept (`root`).

use super::key::{OwnerOf, OwnerRef};
use super::pairs::PairSet;
use super::table::KeyTable;
use crate::model::brief::OwnerBrief;
use crate::model::{BucketName, OrgUid, PolicyUid, Seq};
use foldhash::fast::RandomState;
use imbl::GenericHashMap;
use std::sync::Arc;

type Map<K, V> = GenericHashMap<K, V, RandomState, imbl::shared_ptr::DefaultSharedPtr>;

/// Numbers for owners and policies, given once and for ever in this process.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers {
    owners: Map<OwnerRef, Arc<[u32]>>,
    policies: Map<PolicyUid, u32>,
}

impl Numbers {
    /// The number of an owner in `table`, a new one if it has none.
    pub(super) fn owner(&mut self, table: &KeyTable, org: OrgUid, owner: OwnerBrief<'_>) -> u32 {
        let name = match owner {
            OwnerBrief::Org => OwnerRef::Org(org),
            OwnerBrief::User(user) => OwnerRef::User(user),
            OwnerBrief::Bucket(bucket) => OwnerRef::Bucket(org, BucketName(bucket.into())),
        };
        let known = self.owners.get(&name).map_or(&[][..], |numbers| &**numbers);
        // A user of one org has one number; only a log that no ledger writes gives it keys in another.
        let same = |number: &&u32| table.owner(**number).is_some_and(|of| of.org == org);
        if let Some(number) = known.iter().find(same) {
            return *number;
        }
        let number = table.add_owner(OwnerOf { org, owner: owner.to_owner() });
        let numbers = known.iter().copied().chain([number]).collect();
        self.owners.insert(name, numbers);
        number
    }

    fn of_owner(&self, owner: &OwnerRef) -> &[u32] {
        self.owners.get(owner).map_or(&[], |numbers| numbers)
    }

    /// The number of a policy, a new one if it has none.
    pub(super) fn policy(&mut self, policy: PolicyUid) -> u32 {
        if let Some(number) = self.policies.get(&policy) {
            return *number;
        }
        let number = u32::try_from(self.policies.len()).unwrap_or(u32::MAX);
        self.policies.insert(policy, number);
        number
    }

    pub(super) fn of_policy(&self, policy: PolicyUid) -> Option<u32> {
        self.policies.get(&policy).copied()
    }
}

/// The two sets.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyIndex {
    /// Keys that are not deleted, by owner.
    pub owned: PairSet,
    /// Keys that are not deleted, by attached policy.
    pub holding: PairSet,
}

impl KeyIndex {
    /// Makes the index of all keys at `seq`.
    pub(super) fn of(table: &KeyTable, numbers: &Numbers, seq: Seq) -> Self {
        let (mut owned, mut holding) = (Vec::with_capacity(table.len()), Vec::new());
        for number in 0..u32::try_from(table.len()).unwrap_or(u32::MAX) {
            table.with_number(number, seq, |key| {
                if key.is_deleted() {
                    return;
                }
                owned.push(PairSet::word(key.owner_number(), number));
                let policies = key.rights().attached.iter().filter_map(|policy| numbers.of_policy(*policy));
                holding.extend(policies.map(|policy| PairSet::word(policy, number)));
            });
        }
        let mut index = Self::default();
        std::thread::scope(|scope| {
            if holding.len() > 1 << 16 {
                scope.spawn(|| index.holding = PairSet::of(holding));
            } else {
                index.holding = PairSet::of(holding);
            }
            index.owned = PairSet::of(owned);
        });
        index
    }

    /// The numbers of an owner's keys.
    pub(super) fn keys_of<'a>(&'a self, numbers: &'a Numbers, owner: &OwnerRef) -> impl Iterator<Item = u32> + 'a {
        numbers.of_owner(owner).iter().flat_map(|owner| self.owned.seconds(*owner))
    }

    /// The numbers of an owner's keys that are above `after`, rising.
    pub(super) fn keys_after<'a>(
        &'a self,
        numbers: &'a Numbers,
        owner: &OwnerRef,
        after: Option<u32>,
    ) -> impl Iterator<Item = u32> + 'a {
        let from = after.map_or(Some(0), |after| after.checked_add(1));
        let owners = numbers.of_owner(owner);
        // A user of one org has one number (`Numbers::owner`).
        owners.first().zip(from).into_iter().flat_map(|(owner, from)| self.owned.seconds_from(*owner, from))
    }

    pub(super) fn count_of(&self, numbers: &Numbers, owner: &OwnerRef) -> usize {
        numbers.of_owner(owner).iter().map(|owner| self.owned.count(*owner)).sum()
    }
}
