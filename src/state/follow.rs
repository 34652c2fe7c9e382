//! A published state that is fed by another process's log: what a storage node asks beside a writer.
//!
//! A thread of its own waits for the writer's witness to change, reads what became durable, applies and publishes it. It never
//! polls faster than [`LOOK_AGAIN`]; between two looks it sleeps in the kernel until the file changes.
//!
//! Invariants
//! - Only what the witness says is durable is applied, commit by commit, in the order of the log.
//! - INVARIANT: when the log is no longer the one that was followed (a fork, damage) the state stays where it is and
//!   [`Contact::failure`] says so for good: whoever serves from it must stop.
//!
//! Not here: how long a node goes on without contact (the node's own choice), and secrets (`vault`).

use super::at::{self, ReplayError};
use super::{Recorded, State, StateHandle};
use crate::log::{LogError, LogReader};
use crate::model::Seq;
use crate::sys::{Clock, Io};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The longest sleep: so often contact is proved while nothing happens.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Sleep after an error that may pass.
const AFTER_ERROR: Duration = Duration::from_millis(200);

/// A state that follows a log. Dropping it stops the thread, within half a second.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    reader: LogReader,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    handle: StateHandle,
    clock: Arc<dyn Clock>,
    stop: AtomicBool,
    /// By the boot clock.
    contact_ns: AtomicI64,
    failure: Mutex<Option<String>>,
    lost: AtomicBool,
}

/// How well a log is being followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// How long ago the log was read to its end without an error.
    pub ago: Duration,
    /// What is wrong at the moment.
    pub failure: Option<String>,
    /// It will not come back: the log is not the one that was followed.
    pub lost: bool,
}

impl Follower {
    /// Reads the ledger in `dir` to its end, and follows it from there. Takes no lock and writes nothing.
    ///
    /// # Errors
    /// [`ReplayError`] as for any reader; the thread that could not be started as [`ReplayError::Log`].
    pub fn open(io: &Arc<dyn Io>, clock: Arc<dyn Clock>, dir: &Path) -> Result<Self, ReplayError> {
        let reader = LogReader::open(Arc::clone(io), dir)?;
        let replayed = at::current(&**io, dir, &reader)?;
        let (handle, state) = StateHandle::publish_first(replayed.state);
        let contact_ns = AtomicI64::new(clock.now().boot_ns);
        let (stop, failure, lost) = (AtomicBool::new(false), Mutex::new(None), AtomicBool::new(false));
        let shared = Arc::new(Shared { handle, clock, stop, contact_ns, failure, lost });
        let (own, log, path) = (Arc::clone(&shared), reader.clone(), PathBuf::from(dir));
        let thread = std::thread::Builder::new()
            .name("keyledger-follow".to_owned())
            .spawn(move || own.follow(&log, state))
            .map_err(|source| LogError::Io { doing: "start a thread to follow", path, source })?;
        Ok(Self { shared, reader, thread: Some(thread) })
    }

    /// The state, published commit by commit.
    pub fn handle(&self) -> StateHandle {
        self.shared.handle.clone()
    }

    /// The log that is followed.
    pub fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// The newest commit that is applied.
    pub fn applied(&self) -> Seq {
        self.shared.handle.seq()
    }

    /// How well the log is being followed.
    pub fn contact(&self) -> Contact {
        let since = self.shared.clock.now().boot_ns.saturating_sub(self.shared.contact_ns.load(Ordering::Acquire));
        Contact {
            ago: Duration::from_nanos(u64::try_from(since).unwrap_or(0)),
            failure: self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            lost: self.shared.lost.load(Ordering::Acquire),
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by its own hook.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn follow(&self, reader: &LogReader, mut state: State) {
        while !self.stop.load(Ordering::Acquire) {
            match self.catch_up(reader, &mut state).and_then(|()| Ok(reader.wait(LOOK_AGAIN)?)) {
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(%error, "the log cannot be followed");
                    let lost = !may_pass(&error);
                    *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                    self.lost.store(lost, Ordering::Release);
                    if lost {
                        return;
                    }
                    std::thread::sleep(AFTER_ERROR);
                }
            }
        }
    }

    /// Applies and publishes what became durable since.
    fn catch_up(&self, reader: &LogReader, state: &mut State) -> Result<(), ReplayError> {
        let last = reader.refresh()?;
        if last > state.seq().0 {
            for frame in reader.frames(state.seq().0 + 1) {
                let recorded = Recorded::decode(&frame?)?;
                state.apply(recorded.seq, recorded.recorded_at, &recorded.commit);
                recorded.commit.events.iter().for_each(|event| state.compile(event));
                // Each on its own, so that a revoke waits for nothing behind it.
                self.handle.publish(state);
            }
        }
        self.contact_ns.store(self.clock.now().boot_ns, Ordering::Release);
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}

/// Whether looking again may help. What the log says of its own history does not change.
fn may_pass(error: &ReplayError) -> bool {
    matches!(error, ReplayError::Log(LogError::Io { .. } | LogError::WitnessLost { .. }))
}
