//! A key's record in fifteen words: what a request needs to know of it, in little more than two cache lines, with no pointer but one.
//!
//! ```text
//!  word  what
//!   0    in a cell: version and link (`cell`); 0 in a copy
//!   1    seq of the newest change        2    seq of the commit that made it
//!   3–5  id, up to 20 bytes │ owner's number, in the upper half of 5
//!   6–8  label, up to 24 bytes
//!   9    created │ 10 expires │ 11 secret set │ 12 revoked │ 13 deleted   (ns)
//!  14    secret version u32 │ marks u16 │ id length and how its uid follows u8 │ label length and whether more is known u8
//! ```
//!
//! What is longer or rare (grants, policies, tags, a long id or label) stands behind the pointer ([`KeyCold`]).
//!
//! Not here: how words change while they are read (`cell`), and the record as everybody else sees it (`record`).

#![allow(clippy::cast_possible_truncation, reason = "halves and fields of words")]

use super::key::{KeyMore, KeyRights, Marks};
use crate::model::id::World;
use crate::model::{AccessKeyId, KeyUid, Seq, Time};
use compact_str::CompactString;
use std::sync::{Arc, LazyLock};

pub(super) const WORDS: usize = 15;

const SINCE: usize = 1;
const FIRST: usize = 2;
const ID: usize = 3;
const LABEL: usize = 6;
const CREATED: usize = 9;
const EXPIRES: usize = 10;
const SECRET_SET: usize = 11;
const REVOKED: usize = 12;
const DELETED: usize = 13;
const MISC: usize = 14;

const ID_BYTES: usize = 20;
const LABEL_BYTES: usize = 24;
/// Of the length bytes: what is longer stands in [`KeyCold`].
const LENGTH: u64 = 0x1f;
const LONG: u64 = 0x1f;
/// Of the id's length byte: whether the uid is the id's own, live or evidence; else it stands in [`KeyCold`].
const UID_LIVE: u64 = 1 << 5;
const UID_EVIDENCE: u64 = 1 << 6;
/// Of the label's length byte: there is a [`KeyCold`].
const HAS_COLD: u64 = 1 << 5;

const ID_SHIFT: u32 = 8;
const MARKS_SHIFT: u32 = 16;
const SECRET_SHIFT: u32 = 32;

/// What is rare or long of a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct KeyCold {
    pub rights: KeyRights,
    pub more: Option<Box<KeyMore>>,
    odd: Option<Box<Odd>>,
}

/// What does not fit the words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Odd {
    id: Option<AccessKeyId>,
    label: Option<CompactString>,
    uid: Option<KeyUid>,
}

impl KeyCold {
    fn is_empty(&self) -> bool {
        let more = self.more.as_ref().is_none_or(|more| **more == KeyMore::default());
        more && self.odd.is_none() && self.rights.is_empty()
    }
}

pub(super) static NO_COLD: LazyLock<KeyCold> = LazyLock::new(KeyCold::default);

/// An id as it is compared with words.
#[derive(Debug, Clone, Copy)]
pub(super) struct WantedId<'a> {
    text: &'a str,
    words: [u64; 3],
}

impl<'a> WantedId<'a> {
    ///
    /// Read word by word: bytes stored one way and loaded another would make the processor wait for every load before them.
    #[inline]
    pub(super) fn new(text: &'a str) -> Self {
        let mut words = [0; 3];
        if let Some((head, rest)) = text.as_bytes().split_first_chunk::<8>()
            && text.len() <= ID_BYTES
        {
            words[0] = u64::from_le_bytes(*head);
            if let Some((middle, rest)) = rest.split_first_chunk::<8>() {
                words[1] = u64::from_le_bytes(*middle);
                words[2] = match rest.first_chunk::<4>() {
                    Some(tail) => u32::from_le_bytes(*tail).into(),
                    None => word_of(rest),
                };
            } else {
                words[1] = word_of(rest);
            }
        } else if text.len() <= ID_BYTES {
            words[0] = word_of(text.as_bytes());
        }
        Self { text, words }
    }

    #[inline]
    pub(super) fn is_long(&self) -> bool {
        self.text.len() > ID_BYTES
    }
}

/// What the words say, wherever they stand.
pub(super) trait KeyWords {
    fn word(&self, place: usize) -> u64;

    #[inline]
    fn since(&self) -> u64 {
        self.word(SINCE)
    }

    #[inline]
    fn first(&self) -> u64 {
        self.word(FIRST)
    }

    #[inline]
    fn owner(&self) -> u32 {
        (self.word(ID + 2) >> 32) as u32
    }

    #[inline]
    fn has_cold(&self) -> bool {
        self.word(MISC) & HAS_COLD != 0
    }

    #[inline]
    fn marks(&self) -> Marks {
        Marks((self.word(MISC) >> MARKS_SHIFT) as u16)
    }

    #[inline]
    fn secret_version(&self) -> u32 {
        (self.word(MISC) >> SECRET_SHIFT) as u32
    }

    /// `None`: it is long, and stands in [`KeyCold`].
    fn short_id(&self) -> Option<([u8; 24], usize)> {
        let len = self.word(MISC) >> ID_SHIFT & LENGTH;
        let bytes = bytes_of([self.word(ID), self.word(ID + 1), self.word(ID + 2)]);
        (len != LONG).then_some((bytes, (len as usize).min(ID_BYTES)))
    }

    /// Whether this is the id that is wanted, of a live key, if that id is short.
    #[inline]
    fn is_short_id(&self, wanted: &WantedId<'_>) -> bool {
        self.word(MISC) >> ID_SHIFT & (LENGTH | UID_LIVE) == wanted.text.len() as u64 | UID_LIVE
            && self.word(ID) == wanted.words[0]
            && self.word(ID + 1) == wanted.words[1]
            && self.word(ID + 2) & u64::from(u32::MAX) == wanted.words[2]
    }

    /// The same for a long one.
    fn is_long_id(&self, wanted: &WantedId<'_>, cold: Option<&KeyCold>) -> bool {
        self.word(MISC) >> ID_SHIFT & (LENGTH | UID_LIVE) == LONG | UID_LIVE
            && cold.and_then(long_id).is_some_and(|id| id.as_str() == wanted.text)
    }

    fn id(&self, cold: Option<&KeyCold>) -> AccessKeyId {
        match (self.short_id(), cold.and_then(long_id)) {
            (Some((bytes, len)), _) => AccessKeyId::known(std::str::from_utf8(&bytes[..len]).unwrap_or_default()),
            (None, Some(id)) => id.clone(),
            (None, None) => AccessKeyId::known(""),
        }
    }

    fn label(&self, cold: Option<&KeyCold>) -> CompactString {
        let len = self.word(MISC) & LENGTH;
        if len == LONG
            && let Some(label) = cold.and_then(|cold| cold.odd.as_ref()?.label.as_ref())
        {
            return label.clone();
        }
        let bytes = bytes_of([self.word(LABEL), self.word(LABEL + 1), self.word(LABEL + 2)]);
        std::str::from_utf8(&bytes[..(len as usize).min(LABEL_BYTES)]).unwrap_or_default().into()
    }

    fn uid(&self, cold: Option<&KeyCold>) -> KeyUid {
        if let Some(uid) = cold.and_then(|cold| cold.odd.as_ref()?.uid) {
            return uid;
        }
        let evidence = self.word(MISC) >> ID_SHIFT & UID_EVIDENCE != 0;
        let world = if evidence { World::Evidence } else { World::Live };
        match self.short_id() {
            Some((bytes, len)) => AccessKeyId::uid_of(std::str::from_utf8(&bytes[..len]).unwrap_or_default(), world),
            None => self.id(cold).uid(world),
        }
    }

    #[inline]
    fn created_at(&self) -> Time {
        Time(self.word(CREATED).cast_signed())
    }

    #[inline]
    fn expires_at(&self) -> Time {
        Time(self.word(EXPIRES).cast_signed())
    }

    #[inline]
    fn secret_set_at(&self) -> Time {
        Time(self.word(SECRET_SET).cast_signed())
    }

    #[inline]
    fn revoked_at(&self) -> Time {
        Time(self.word(REVOKED).cast_signed())
    }

    #[inline]
    fn deleted_at(&self) -> Time {
        Time(self.word(DELETED).cast_signed())
    }
}

fn long_id(cold: &KeyCold) -> Option<&AccessKeyId> {
    cold.odd.as_ref()?.id.as_ref()
}

/// The words of one key, copied out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Packed(pub(super) [u64; WORDS]);

impl KeyWords for Packed {
    #[inline]
    fn word(&self, place: usize) -> u64 {
        self.0[place]
    }
}

impl Packed {
    /// A new key's words; its secret, expiry and marks are set after.
    pub(super) fn new(first: Seq, owner: u32, created_at: Time) -> Self {
        let mut packed = Packed([0; WORDS]);
        packed.0[SINCE] = first.0;
        packed.0[FIRST] = first.0;
        packed.0[ID + 2] = u64::from(owner) << 32;
        packed.set_created_at(created_at);
        packed.set_secret_set_at(created_at);
        packed.set_expires_at(Time::MAX);
        packed.set_revoked_at(Time::MAX);
        packed.set_deleted_at(Time::MAX);
        packed
    }

    pub(super) fn set_owner(&mut self, owner: u32) {
        self.0[ID + 2] = self.0[ID + 2] & u64::from(u32::MAX) | u64::from(owner) << 32;
    }

    pub(super) fn set_since(&mut self, seq: Seq) {
        self.0[SINCE] = seq.0;
    }

    pub(super) fn set_mark(&mut self, mark: u16, on: bool) {
        let bits = u64::from(mark) << MARKS_SHIFT;
        if on { self.0[MISC] |= bits } else { self.0[MISC] &= !bits }
    }

    pub(super) fn set_marks(&mut self, marks: Marks) {
        self.set_mark(u16::MAX, false);
        self.set_mark(marks.0, true);
    }

    pub(super) fn set_secret_version(&mut self, version: u32) {
        self.0[MISC] = self.0[MISC] & u64::from(u32::MAX) | u64::from(version) << SECRET_SHIFT;
    }

    pub(super) fn set_created_at(&mut self, at: Time) {
        self.0[CREATED] = at.0.cast_unsigned();
    }

    pub(super) fn set_expires_at(&mut self, at: Time) {
        self.0[EXPIRES] = at.0.cast_unsigned();
    }

    pub(super) fn set_secret_set_at(&mut self, at: Time) {
        self.0[SECRET_SET] = at.0.cast_unsigned();
    }

    pub(super) fn set_revoked_at(&mut self, at: Time) {
        self.0[REVOKED] = at.0.cast_unsigned();
    }

    pub(super) fn set_deleted_at(&mut self, at: Time) {
        self.0[DELETED] = at.0.cast_unsigned();
    }
}

/// A key's record while it is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyDraft {
    pub packed: Packed,
    pub cold: Option<Arc<KeyCold>>,
}

impl KeyDraft {
    pub(super) fn new(packed: Packed) -> Self {
        Self { packed, cold: None }
    }

    pub(super) fn cold(&self) -> &KeyCold {
        self.cold.as_deref().unwrap_or(&NO_COLD)
    }

    pub(super) fn rights_mut(&mut self) -> &mut KeyRights {
        &mut Arc::make_mut(self.cold.get_or_insert_default()).rights
    }

    pub(super) fn more_mut(&mut self) -> &mut KeyMore {
        Arc::make_mut(self.cold.get_or_insert_default()).more.get_or_insert_default()
    }

    fn odd_mut(&mut self) -> &mut Odd {
        Arc::make_mut(self.cold.get_or_insert_default()).odd.get_or_insert_default()
    }

    /// Sets id and uid, once.
    pub(super) fn set_id(&mut self, id: &str, uid: KeyUid) {
        let mut about = 0;
        if AccessKeyId::uid_of(id, World::Live) == uid {
            about |= UID_LIVE;
        } else if AccessKeyId::uid_of(id, World::Evidence) == uid {
            about |= UID_EVIDENCE;
        } else {
            self.odd_mut().uid = Some(uid);
        }
        if id.len() <= ID_BYTES {
            let words = WantedId::new(id).words;
            self.packed.0[ID] = words[0];
            self.packed.0[ID + 1] = words[1];
            self.packed.0[ID + 2] |= words[2];
            about |= id.len() as u64;
        } else {
            self.odd_mut().id = Some(AccessKeyId::known(id));
            about |= LONG;
        }
        self.packed.0[MISC] |= about << ID_SHIFT;
    }

    pub(super) fn set_label(&mut self, label: &str) {
        let (mut bytes, mut len) = ([0; LABEL_BYTES], LONG);
        if label.len() <= LABEL_BYTES {
            bytes[..label.len()].copy_from_slice(label.as_bytes());
            len = label.len() as u64;
            if self.cold.as_ref().is_some_and(|cold| cold.odd.as_ref().is_some_and(|odd| odd.label.is_some())) {
                self.odd_mut().label = None;
            }
        } else {
            self.odd_mut().label = Some(label.into());
        }
        self.packed.0[LABEL..LABEL + 3].copy_from_slice(&three(&bytes));
        self.packed.0[MISC] = self.packed.0[MISC] & !LENGTH | len;
    }

    /// Drops what says nothing, so that equal keys are equal however they came about.
    pub(super) fn settle(&mut self) {
        let Some(cold) = &mut self.cold else {
            self.packed.0[MISC] &= !HAS_COLD;
            return;
        };
        let empty_more = cold.more.as_ref().is_some_and(|more| **more == KeyMore::default());
        let empty_odd = cold.odd.as_ref().is_some_and(|odd| **odd == Odd::default());
        if empty_more || empty_odd {
            let cold = Arc::make_mut(cold);
            if empty_more {
                cold.more = None;
            }
            if empty_odd {
                cold.odd = None;
            }
        }
        if cold.is_empty() {
            self.cold = None;
            self.packed.0[MISC] &= !HAS_COLD;
        } else {
            self.packed.0[MISC] |= HAS_COLD;
        }
    }
}

/// Up to eight bytes as a word.
fn word_of(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[inline]
fn three(bytes: &[u8; 24]) -> [u64; 3] {
    let mut words = [0; 3];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

#[inline]
fn bytes_of(words: [u64; 3]) -> [u8; 24] {
    let mut bytes = [0; 24];
    for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(id: &str, uid: KeyUid) -> KeyDraft {
        let mut draft = KeyDraft::new(Packed::new(Seq(7), u32::MAX, Time(9)));
        draft.set_id(id, uid);
        draft.settle();
        draft
    }

    #[test]
    fn ids_and_labels_of_every_length_come_back_as_they_were() {
        for len in 16..=128 {
            let id = "A".repeat(len);
            for world in [World::Live, World::Evidence] {
                let uid = AccessKeyId::uid_of(&id, world);
                let mut draft = draft(&id, uid);
                assert_eq!(draft.cold.is_some(), len > ID_BYTES);
                let cold = draft.cold.as_deref();
                assert_eq!((draft.packed.id(cold).as_str(), draft.packed.uid(cold)), (id.as_str(), uid));
                let is_id = |id: &str| {
                    let wanted = WantedId::new(id);
                    if wanted.is_long() {
                        draft.packed.is_long_id(&wanted, cold)
                    } else {
                        draft.packed.is_short_id(&wanted)
                    }
                };
                assert_eq!(is_id(&id), world == World::Live);
                assert!(!is_id(&id[1..]));
                for label in ["", "ü", &"l".repeat(24), &"l".repeat(25), "x"] {
                    draft.set_label(label);
                    draft.settle();
                    assert_eq!(draft.packed.label(draft.cold.as_deref()), label);
                    assert_eq!(draft.cold.is_some(), len > ID_BYTES || label.len() > LABEL_BYTES);
                }
                assert_eq!(draft.packed.owner(), u32::MAX);
            }
        }
    }

    #[test]
    fn a_uid_that_does_not_follow_from_the_id_is_kept() {
        let draft = draft("NQAK000000000000TEST", KeyUid([3; 16]));
        assert_eq!(draft.packed.uid(draft.cold.as_deref()), KeyUid([3; 16]));
    }

    #[test]
    fn fields_do_not_touch_each_other() {
        let mut packed = Packed::new(Seq(1), 5, Time(2));
        packed.set_secret_version(u32::MAX);
        packed.set_mark(Marks::REVOKED, true);
        packed.set_expires_at(Time(-1));
        assert_eq!(
            (packed.secret_version(), packed.marks(), packed.expires_at()),
            (u32::MAX, Marks(Marks::REVOKED), Time(-1))
        );
        packed.set_secret_version(0);
        packed.set_marks(Marks::default());
        assert_eq!((packed.secret_version(), packed.marks(), packed.owner()), (0, Marks::default(), 5));
        assert_eq!((packed.created_at(), packed.revoked_at(), packed.deleted_at()), (Time(2), Time::MAX, Time::MAX));
    }
}
