//! Waking a reader in another process: inotify on the witness and on the folders `log/` and `keys/`.
//!
//! Equal events that follow each other merge, so they are never counted: an event means "look again". A write to the
//! witness is what tells of new frames; one to a segment would come before the flush.
//!
//! Not here: what to look at (`follow`).

use super::error::LogError;
use super::{segment, witness};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// A set of watched names.
#[derive(Debug)]
pub(crate) struct Watch {
    events: OwnedFd,
    dir: std::path::PathBuf,
}

impl Watch {
    /// Watches the ledger in `dir`.
    pub fn on(dir: &Path) -> Result<Self, LogError> {
        let failed = |error: Errno| LogError::Io { doing: "watch", path: dir.to_path_buf(), source: error.into() };
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed)?;
        let names = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE;
        inotify::add_watch(&events, witness::path(dir), WatchFlags::MODIFY).map_err(failed)?;
        inotify::add_watch(&events, dir.join(segment::FOLDER), names).map_err(failed)?;
        match inotify::add_watch(&events, dir.join("keys"), names | WatchFlags::CLOSE_WRITE) {
            // A log without a keystore.
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(failed(error)),
        }
        Ok(Self { events, dir: dir.to_path_buf() })
    }

    /// Returns at the next event (or one since the last call), or after `timeout`.
    pub fn wait(&self, timeout: Duration) -> Result<(), LogError> {
        let failed = LogError::io("watch", &self.dir);
        let timeout = rustix::event::Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let mut polled = [PollFd::new(&self.events, PollFlags::IN)];
        match poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(failed(io::Error::from(error))),
        }
        // Taken out unread.
        let mut buffer = [0; 4096];
        while rustix::io::read(&self.events, &mut buffer).is_ok_and(|read| read > 0) {}
        Ok(())
    }
}
