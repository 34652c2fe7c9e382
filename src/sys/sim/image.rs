//! A file's bytes as shared pages: copies are cheap, and a copy that changes one page copies that page.
//!
//! Not here: which bytes are synced (`sim`).
#![expect(clippy::cast_possible_truncation, reason = "simulated files are small")]

use std::sync::Arc;

pub(super) const SECTOR: usize = 512;
const PAGE: usize = 4096;

/// Bytes of a file. A page that is all zero is not kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    pages: Vec<Option<Arc<[u8; PAGE]>>>,
    len: u64,
}

impl Image {
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Reads up to the end; returns how much.
    pub fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let end = self.len.min(offset + buf.len() as u64);
        let mut at = offset;
        while at < end {
            let (page, within) = place(at);
            let step = (PAGE - within).min((end - at) as usize);
            let start = (at - offset) as usize;
            let target = &mut buf[start..start + step];
            match self.pages.get(page) {
                Some(Some(bytes)) => target.copy_from_slice(&bytes[within..within + step]),
                _ => target.fill(0),
            }
            at += step as u64;
        }
        end.saturating_sub(offset) as usize
    }

    /// Writes, growing the file if need be.
    pub fn write(&mut self, bytes: &[u8], offset: u64) {
        let end = offset + bytes.len() as u64;
        let mut at = offset;
        while at < end {
            let (page, within) = place(at);
            let step = (PAGE - within).min((end - at) as usize);
            let start = (at - offset) as usize;
            self.write_page(page, within, &bytes[start..start + step]);
            at += step as u64;
        }
        self.len = self.len.max(end);
    }

    fn write_page(&mut self, page: usize, within: usize, bytes: &[u8]) {
        if self.pages.len() <= page {
            self.pages.resize(page + 1, None);
        }
        let slot = &mut self.pages[page];
        let zero = bytes.iter().all(|byte| *byte == 0);
        if zero && (slot.is_none() || bytes.len() == PAGE) {
            *slot = None;
            return;
        }
        let target = Arc::make_mut(slot.get_or_insert_with(|| Arc::new([0; PAGE])));
        target[within..within + bytes.len()].copy_from_slice(bytes);
    }

    /// Cuts or stretches; what is cut off is zero if the file grows again.
    pub fn set_len(&mut self, len: u64) {
        if len < self.len {
            let (page, within) = place(len);
            self.pages.truncate(page + 1);
            if let Some(Some(bytes)) = self.pages.get_mut(page) {
                Arc::make_mut(bytes)[within..].fill(0);
            }
        }
        self.len = len;
    }

    /// The sector as it is, zeros behind the end.
    pub fn sector(&self, index: u64) -> [u8; SECTOR] {
        let mut bytes = [0; SECTOR];
        self.read(&mut bytes, index * SECTOR as u64);
        bytes
    }

    pub fn sector_is_zero(&self, index: u64) -> bool {
        let (page, within) = place(index * SECTOR as u64);
        match self.pages.get(page) {
            Some(Some(bytes)) => bytes[within..within + SECTOR].iter().all(|byte| *byte == 0),
            _ => true,
        }
    }

    /// Sectors that hold anything.
    pub fn full_sectors(&self) -> impl Iterator<Item = u64> {
        let sectors = |(page, slot): (usize, &Option<Arc<[u8; PAGE]>>)| {
            let first = (page * PAGE / SECTOR) as u64;
            slot.is_some().then(|| first..first + (PAGE / SECTOR) as u64)
        };
        self.pages.iter().enumerate().filter_map(sectors).flatten().filter(|index| !self.sector_is_zero(*index))
    }
}

fn place(offset: u64) -> (usize, usize) {
    ((offset / PAGE as u64) as usize, (offset % PAGE as u64) as usize)
}
