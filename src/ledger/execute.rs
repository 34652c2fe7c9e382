//! The ledger as callers see it: commands in, answers out, one writer at a time.
//!
//! Commands queue while a group is being made durable, and the next group is all that queued, and all that queues while it is
//! decided. There is no timer: a lone command waits for nothing, a crowd for those of it that come back late (`pace`). Whoever
//! blocks for an answer while nobody writes runs the group itself, and saves two changes of thread; else a thread of the ledger's
//! own does, as long as commands keep coming.
//!
//! ```text
//!  execute, submit ──▶ Queue ──▶ whoever leads: Writer::{begin_group, fill, end_group} ──▶ Ticket, Ticket, …
//!                                  (its lock is held by the leader alone)
//! ```
//!
//! Invariants
//! - INVARIANT: `Queue::led` is true exactly while somebody holds, or is about to take, the writer; a job that is queued while
//!   it is true is run by that leader or handed on by it.
//!
//! Not here: what a group is (`writer`), opening (`open`).

use super::OpenReport;
use super::command::Command;
use super::decide::actor_of;
use super::dice::SharedDice;
use super::error::{ExecuteError, OpenError};
use super::fresh::{DrawnKey, Need};
use super::outcome::Outcome;
use super::ticket::{Bell, Ticket, Woken, ticket};
use super::vault::Vault;
use super::writer::{Group, Job, Writer};
use crate::log::{GROUP_FRAMES_MAX, LogReader, Meta};
use crate::model::{Caller, Invalid, OrgUid, Seq, Time, limits};
use crate::state::{State, StateHandle};
use crate::vault::{Rekeyed, Sealer, SecretSource, VaultError, VaultKey};
use compact_str::CompactString;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often an idle ledger renews the clock's mark in the witness: 60 s.
const IDLE_REFRESH: Duration = Duration::from_mins(1);
/// How soon an idle ledger destroys secrets that are over, when no other command takes that along: 10 ms.
const IDLE_WORK: Duration = Duration::from_millis(10);

/// Makes a retry safe: 1 to 64 bytes of the client's choice, unique for the caller and its org, kept 24 h.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Token(CompactString);

impl Token {
    /// # Errors
    /// [`Invalid`] when it is empty, longer, or has a control character.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        limits::token(text)?;
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An answer: the command is durable and in every later [`Ledger::state`].
#[derive(Debug)]
pub struct Done {
    /// Its commit; of a command that changed nothing, the newest commit then.
    pub seq: Seq,
    pub outcome: Outcome,
    /// The outcome is that of an earlier commit with the same token, without its secret.
    pub replayed: bool,
}

/// A ledger, open for writing. There is one per folder; share it by reference or in an `Arc`.
///
/// Dropping it without [`Ledger::close`] is safe and like a crash: the next open recovers.
#[derive(Debug)]
pub struct Ledger {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    report: OpenReport,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Jobs in the queue, for a leader who waits for some.
    queued: AtomicUsize,
    /// Wakes the ledger's own thread.
    work: Condvar,
    /// Taken only by whoever leads, and by `close` when nobody does any more.
    writer: Mutex<Option<Writer>>,
    handle: StateHandle,
    reader: LogReader,
    /// What keys are drawn with before their turn.
    dice: SharedDice,
    sealer: RwLock<Sealer>,
    vault: Vault,
    queue_max: usize,
    /// The newest ordinary command found no room.
    full: AtomicBool,
    /// The guarded time of the writer's newest look at the clock.
    now_ns: AtomicI64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("seq", &self.handle.seq()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// What those wait in who queue now.
    bell: Arc<Bell>,
    led: bool,
    /// The ledger's own thread is asked to lead.
    handed_over: bool,
    /// Secrets are over, or an attestation is due, and nobody leads.
    has_work: bool,
    closed: bool,
    poisoned: bool,
}

impl Ledger {
    pub(super) fn start(mut writer: Writer, vault_key: VaultKey, report: OpenReport) -> Result<Self, OpenError> {
        let now = writer.guard.now(writer.clock.now());
        let folder = writer.dir.join("keys");
        let vault = Vault::new(Arc::clone(&writer.io), folder, writer.log.meta().ledger_id, vault_key);
        let shared = Arc::new(Shared {
            vault,
            queued: AtomicUsize::new(0),
            queue: Mutex::new(Queue { has_work: writer.has_work(), ..Queue::default() }),
            work: Condvar::new(),
            handle: writer.handle.clone(),
            reader: writer.log.reader(),
            dice: writer.dice.clone(),
            sealer: RwLock::new(writer.sealer.clone()),
            queue_max: writer.options.queue_max,
            full: AtomicBool::new(false),
            now_ns: AtomicI64::new(now.0),
            writer: Mutex::new(Some(writer)),
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("keyledger-writer".to_owned()).spawn(move || own.serve());
        Ok(Self { shared, thread: Some(thread.map_err(OpenError::Thread)?), report })
    }

    /// Decides `command` and, if it is accepted, makes its events durable.
    ///
    /// Returns once the commit is synced and every later [`Ledger::state`] includes it: one flush, shared by all commands waiting
    /// at that moment. `token` makes a retry safe: one seen in the last 24 h gets its first outcome again, without the
    /// secret.
    ///
    /// # Errors
    /// - [`ExecuteError::Refused`]: a rule said no; nothing was written.
    /// - [`ExecuteError::Log`], [`ExecuteError::Vault`]: no room; nothing was written. Revoke, suspend and flag still go.
    /// - [`ExecuteError::Indeterminate`]: whether the commit survived is unknown. Reopen, then retry with the same `token`.
    /// - [`ExecuteError::Poisoned`], [`ExecuteError::QueueFull`], [`ExecuteError::Closed`]: nothing was written.
    pub async fn execute(&self, caller: &Caller, command: Command, token: Option<Token>) -> Result<Done, ExecuteError> {
        self.submit(caller.clone(), command, token).await
    }

    /// [`Ledger::execute`] for threads: blocks until the answer is there. Not for tasks of an async runtime.
    ///
    /// # Errors
    /// As [`Ledger::execute`].
    pub fn execute_blocking(
        &self,
        caller: &Caller,
        command: Command,
        token: Option<Token>,
    ) -> Result<Done, ExecuteError> {
        let (ticket, leads) = self.shared.enqueue(caller.clone(), command, token);
        if leads {
            self.shared.lead(Some(&ticket));
        }
        ticket.wait()
    }

    /// Hands a command in and returns at once. Commands are decided in the order they were handed in.
    pub fn submit(&self, caller: Caller, command: Command, token: Option<Token>) -> Ticket {
        let (ticket, leads) = self.shared.enqueue(caller, command, token);
        if leads {
            self.shared.hand_over();
        }
        ticket
    }

    /// The newest published state, pinned at its seq until it is dropped.
    pub fn state(&self) -> State {
        self.shared.handle.state()
    }

    /// Whether a command of `caller` in `org` was done with `token` in the 24 h before `now`: what comes with it now finds that
    /// outcome, or is refused, whatever has become of its target.
    #[must_use]
    pub fn was_done(&self, caller: &Caller, org: OrgUid, token: &Token, now: Time) -> bool {
        let state = self.state();
        state.token_seen(Some(org), &actor_of(&state, caller), token.as_str(), now).is_some()
    }

    /// For readers that look up often: every lookup is of the newest published state, without a lock.
    pub fn handle(&self) -> StateHandle {
        self.shared.handle.clone()
    }

    /// The log up to the newest durable commit.
    pub fn reader(&self) -> &LogReader {
        &self.shared.reader
    }

    pub fn meta(&self) -> &Meta {
        self.shared.reader.meta()
    }

    /// What opening found and did.
    pub fn report(&self) -> &OpenReport {
        &self.report
    }

    /// The guarded time: what expiry is compared with. The wall clock, but never behind what was recorded, and standing
    /// still after a leap that nobody has accepted.
    pub fn now(&self) -> Time {
        // While a group is under way the clock was looked at just now.
        let Ok(mut writer) = self.shared.writer.try_lock() else { return self.shared.last_now() };
        if let Some(writer) = writer.as_mut() {
            let now = writer.guard.now(writer.clock.now());
            self.shared.now_ns.fetch_max(now.0, Ordering::Relaxed);
        }
        self.shared.last_now()
    }

    /// Whether an earlier write failed. Reads go on; only opening anew helps.
    pub fn is_poisoned(&self) -> bool {
        self.shared.lock().poisoned
    }

    /// Whether the newest command that takes room found none: a full disk. Reads go on, and so do revoke, suspend and flag, from the
    /// reserve.
    pub fn is_full(&self) -> bool {
        self.shared.full.load(Ordering::Relaxed)
    }

    /// Secrets for whoever verifies signatures beside this writer, such as a request gate. One for all who ask.
    ///
    /// # Errors
    /// [`VaultError`] when the keystore cannot be read.
    pub fn secrets(&self) -> Result<Arc<SecretSource>, VaultError> {
        self.shared.vault.secrets()
    }

    /// Seals every secret anew under `vault_key`: old copies of the keystore are useless then, once the old vault key is
    /// destroyed (level L1). Keep the new key in a file of its own before this call (`Keystore::rekey`).
    ///
    /// # Errors
    /// [`ExecuteError::Vault`]; [`ExecuteError::Poisoned`], [`ExecuteError::Closed`].
    pub fn rekey(&self, vault_key: &VaultKey) -> Result<Rekeyed, ExecuteError> {
        let mut writer = self.shared.writer.lock().map_err(|_| ExecuteError::Poisoned)?;
        match writer.as_mut() {
            Some(writer) if writer.failed => Err(ExecuteError::Poisoned),
            Some(writer) => {
                let rekeyed = writer.rekey(vault_key)?;
                // What was sealed for the old generation meanwhile is drawn again.
                *self.shared.sealer.write().unwrap_or_else(PoisonError::into_inner) = writer.sealer.clone();
                self.shared.vault.renew(vault_key);
                Ok(rekeyed)
            }
            None => Err(ExecuteError::Closed),
        }
    }

    /// Answers what is queued, destroys secrets that are over, attests the state when that is worth it, and closes the log so
    /// that the next open has nothing to recover.
    ///
    /// # Errors
    /// [`OpenError::Log`], [`ExecuteError::Poisoned`]: the next open recovers; nothing acknowledged is lost.
    pub fn close(mut self) -> Result<(), OpenError> {
        self.finish()
    }

    /// [`Ledger::close`] of a ledger that cannot be given away; after it every command is answered with
    /// [`ExecuteError::Closed`].
    ///
    /// # Errors
    /// As [`Ledger::close`], and [`ExecuteError::Closed`] the second time.
    pub fn finish(&mut self) -> Result<(), OpenError> {
        self.stop();
        let writer = self.shared.writer.lock().map_err(|_| ExecuteError::Poisoned)?.take();
        let Some(mut writer) = writer else { return Err(ExecuteError::Closed.into()) };
        writer.finish();
        if writer.failed {
            return Err(ExecuteError::Poisoned.into());
        }
        Ok(writer.log.close()?)
    }

    /// Lets nothing more in, and waits for the ledger's own thread, which answers what is queued.
    fn stop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has answered its tickets by dropping them.
            drop(thread.join());
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_now(&self) -> Time {
        Time(self.now_ns.load(Ordering::Relaxed))
    }

    /// Queues a command; true when nobody leads, so that whoever queued it must.
    fn enqueue(&self, caller: Caller, command: Command, token: Option<Token>) -> (Ticket, bool) {
        let ahead = self.draw_ahead(&caller, &command);
        let mut queue = self.lock();
        let queued = queue.jobs.len();
        let closed = if queue.poisoned {
            Some(ExecuteError::Poisoned)
        } else if queue.closed {
            Some(ExecuteError::Closed)
        } else if queued >= self.queue_max {
            Some(ExecuteError::QueueFull { queued })
        } else {
            None
        };
        if let Some(error) = closed {
            return (Ticket::refused(error), false);
        }
        let (ticket, reply) = ticket(&queue.bell);
        queue.jobs.push_back(Job { caller, command, token, ahead, reply });
        self.queued.store(queue.jobs.len(), Ordering::Relaxed);
        (ticket, !std::mem::replace(&mut queue.led, true))
    }

    /// Draws for a command that makes a key, by the published state; the writer looks again.
    fn draw_ahead(&self, caller: &Caller, command: &Command) -> Option<Box<DrawnKey>> {
        if command.need() != Need::KeyAndSecret {
            return None;
        }
        let sealer = self.sealer.read().unwrap_or_else(PoisonError::into_inner).clone();
        DrawnKey::ahead(&mut self.dice.clone(), &sealer, &self.handle.state(), caller, command)
    }

    /// Asks the ledger's own thread to lead. The caller leads now and does no longer.
    fn hand_over(&self) {
        self.lock().handed_over = true;
        self.work.notify_one();
    }

    /// Runs groups: until nothing is queued, or, for whoever blocks for `own`, until that is answered and another can go on.
    fn lead(&self, own: Option<&Ticket>) {
        let leading = Leading(self);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = writer.as_mut() else {
            // Closed meanwhile: what is queued is answered by dropping it.
            leading.give_up();
            return;
        };
        let (mut jobs, mut group, mut woken) = (VecDeque::new(), Group::default(), Woken::default());
        loop {
            self.take_jobs(&mut jobs, GROUP_FRAMES_MAX);
            writer.begin_group(&mut group);
            while writer.fill(&mut group, &mut jobs) && self.gather(writer, group.len(), &mut jobs) {}
            self.close_group(&mut jobs);
            writer.end_group(&mut group, || self.queued.load(Ordering::Relaxed), &mut woken);
            self.now_ns.fetch_max(writer.guard.last().0, Ordering::Relaxed);
            self.full.store(writer.is_full, Ordering::Relaxed);
            woken.wake();
            group.forget();
            if writer.failed {
                self.fail(jobs);
                leading.done();
                return;
            }
            writer.snapshot_if_due();
            if own.is_none() {
                self.linger(writer);
            }
            let mut queue = self.lock();
            if queue.jobs.is_empty() {
                queue.led = false;
                queue.has_work = writer.has_work();
                if queue.has_work {
                    self.work.notify_one();
                }
                drop(queue);
                leading.done();
                return;
            }
            if own.is_some_and(Ticket::is_answered) {
                queue.handed_over = true;
                drop(queue);
                leading.done();
                self.work.notify_one();
                return;
            }
        }
    }

    /// Takes at most `count` jobs, in order.
    fn take_jobs(&self, jobs: &mut VecDeque<Job>, count: usize) {
        let mut queue = self.lock();
        if queue.jobs.len() <= count && jobs.is_empty() {
            std::mem::swap(&mut queue.jobs, jobs);
        } else {
            let count = count.min(queue.jobs.len());
            jobs.extend(queue.jobs.drain(..count));
        }
        self.queued.store(queue.jobs.len(), Ordering::Relaxed);
    }

    /// Takes what queued meanwhile into a group of `have` commands, and waits for who is expected; false when nobody comes.
    fn gather(&self, writer: &mut Writer, have: usize, jobs: &mut VecDeque<Job>) -> bool {
        if self.queued.load(Ordering::Relaxed) == 0 && !self.await_arrival(writer, have) {
            return false;
        }
        self.take_jobs(jobs, GROUP_FRAMES_MAX.saturating_sub(have));
        !jobs.is_empty()
    }

    /// Waits for another job, as long as more than `have` commands are expected; true if there is one.
    fn await_arrival(&self, writer: &mut Writer, have: usize) -> bool {
        if !writer.pace.expects_more(have) {
            return false;
        }
        writer.pace.waits(have);
        writer.pace.arrived(writer.clock.now().boot_ns);
        loop {
            // Who is awaited may need this very core.
            std::thread::yield_now();
            if self.queued.load(Ordering::Relaxed) > 0 {
                return true;
            }
            if !writer.pace.is_patient(writer.clock.now().boot_ns) {
                return false;
            }
        }
    }

    /// Between two groups: stays awake while a crowd may come back, which saves waking this thread again.
    fn linger(&self, writer: &mut Writer) {
        if self.queued.load(Ordering::Relaxed) == 0 {
            self.await_arrival(writer, 0);
        }
    }

    /// Who queues from now on belongs to the next group, as do `left`, which did not fit.
    fn close_group(&self, left: &mut VecDeque<Job>) {
        let mut queue = self.lock();
        queue.bell = Arc::default();
        while let Some(job) = left.pop_back() {
            queue.jobs.push_front(job);
        }
        self.queued.store(queue.jobs.len(), Ordering::Relaxed);
    }

    /// After a failure: nothing more is taken in, and what is queued is told so.
    fn fail(&self, mut unwritten: VecDeque<Job>) {
        let mut queue = self.lock();
        queue.poisoned = true;
        queue.led = false;
        queue.has_work = false;
        unwritten.append(&mut queue.jobs);
        self.queued.store(0, Ordering::Relaxed);
        drop(queue);
        let mut woken = Woken::default();
        for job in unwritten {
            job.reply.answer(Err(ExecuteError::Poisoned), &mut woken);
        }
        woken.wake();
    }

    /// The ledger's own thread: leads when asked to, and does what an idle ledger has to.
    fn serve(&self) {
        loop {
            let mut queue = self.lock();
            if queue.handed_over {
                queue.handed_over = false;
                drop(queue);
                self.lead(None);
                continue;
            }
            if queue.closed && !queue.led {
                return;
            }
            let patience = if queue.has_work && !queue.led { IDLE_WORK } else { IDLE_REFRESH };
            let (mut queue, wait) = self.work.wait_timeout(queue, patience).unwrap_or_else(PoisonError::into_inner);
            if !wait.timed_out() || queue.led || queue.poisoned || queue.closed {
                continue;
            }
            queue.led = true;
            let has_work = queue.has_work;
            drop(queue);
            if !has_work {
                self.refresh();
            }
            self.lead(None);
        }
    }

    fn refresh(&self) {
        if let Ok(mut writer) = self.writer.lock()
            && let Some(writer) = writer.as_mut()
        {
            writer.idle();
        }
    }
}

/// Whoever leads. If it ends in a panic, the ledger is poisoned and everybody is answered.
struct Leading<'a>(&'a Shared);

impl Leading<'_> {
    fn done(self) {
        std::mem::forget(self);
    }

    fn give_up(self) {
        drop(self);
    }
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.0.fail(VecDeque::new());
    }
}
