//! Values read by hand from what `codec` wrote, borrowed: for what is read by the million.
//!
//! Every step gives `None` for anything it does not expect, and leaves it to the caller to have `codec` look at the same bytes.
//! Nothing is allocated for a length that the bytes do not bear out.
//!
//! Not here: the shapes of commits (`brief`) and records (`state::snapshot`).

use super::brief::OwnerBrief;
use super::id::{BucketName, PolicyUid, UserUid};
use super::limits;
use super::noun::{Grant, GrantRole};
use super::time::Time;

/// Bytes still to be read.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    /// As short as it can be written: a longer form of the same number is not expected.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let (number, least) = match self.byte()? {
            251 => (self.array().map(u16::from_le_bytes)?.into(), 251),
            252 => (self.array().map(u32::from_le_bytes)?.into(), 1 << 16),
            253 => (self.array().map(u64::from_le_bytes)?, 1 << 32),
            254.. => return None,
            small => (u64::from(small), 0),
        };
        (number >= least).then_some(number)
    }

    pub(crate) fn number32(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    pub(crate) fn time(&mut self) -> Option<Time> {
        let zigzag = self.number()?;
        Some(Time((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed())))
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    #[allow(clippy::option_option, reason = "what cannot be read is not what is absent")]
    pub(crate) fn option<T>(&mut self, some: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.flag()? { some(self).map(Some) } else { Some(None) }
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// A byte string of a length that is known.
    pub(crate) fn exactly<const N: usize>(&mut self) -> Option<[u8; N]> {
        if self.number()? == N as u64 { self.array() } else { None }
    }

    pub(crate) fn access_key_id(&mut self) -> Option<&'a str> {
        let id = self.text()?;
        limits::access_key_id(id).is_ok().then_some(id)
    }

    pub(crate) fn owner(&mut self) -> Option<OwnerBrief<'a>> {
        Some(match self.number32()? {
            0 => OwnerBrief::Org,
            1 => OwnerBrief::User(UserUid(self.exactly()?)),
            2 => OwnerBrief::Bucket(self.text()?),
            _ => return None,
        })
    }

    pub(crate) fn grants(&mut self) -> Option<Vec<Grant>> {
        let mut grants = Vec::new();
        for _ in 0..self.number()? {
            grants.push(self.grant()?);
        }
        Some(grants)
    }

    pub(crate) fn policies(&mut self) -> Option<Vec<PolicyUid>> {
        let count = usize::try_from(self.number()?).ok()?;
        // Each takes seventeen bytes.
        let mut policies = Vec::with_capacity(count.min(self.0.len() / 17));
        for _ in 0..count {
            policies.push(PolicyUid(self.exactly()?));
        }
        Some(policies)
    }

    fn grant(&mut self) -> Option<Grant> {
        let bucket = self.option(Self::text)?.map(|name| BucketName(name.into()));
        let role = match self.number32()? {
            0 => GrantRole::ReadOnly,
            1 => GrantRole::Editor,
            2 => GrantRole::Admin,
            _ => return None,
        };
        Some(Grant { bucket, role })
    }
}
