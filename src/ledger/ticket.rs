//! Tickets: a command that was handed in, and its answer to come.
//!
//! One side is the [`Ticket`], a future that a thread may also wait for; the other is the writer's [`Reply`]. All answers of a
//! group are given first and their waiters woken after, so that nobody who wakes is in the way of the rest. Threads whose
//! commands queued together wait in one [`Bell`]: one system call wakes them all.
//!
//! Invariants
//! - Every ticket is answered: a [`Reply`] that is dropped, whatever happened to the writer, answers "indeterminate".
//! - INVARIANT: a bell is rung after the answer is there, and a waiter looks for its answer after it looked how often the bell
//!   was rung; so no ring is missed.
//!
//! Not here: what the answer is (`writer`).

use super::error::ExecuteError;
use super::execute::Done;
use rustix::thread::futex;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

type Answer = Result<Done, ExecuteError>;

/// The answer of a command that was handed in. A future; or wait for it with [`Ticket::wait`].
///
/// Dropping a ticket does not take the command back.
#[derive(Debug)]
#[must_use = "a command is acknowledged by its ticket's answer"]
pub struct Ticket(Arc<Slot>);

/// The writer's side of a ticket.
#[derive(Debug)]
pub(super) struct Reply(Option<Arc<Slot>>);

#[derive(Debug)]
struct Slot {
    inside: Mutex<Inside>,
    bell: Arc<Bell>,
}

#[derive(Debug)]
enum Inside {
    /// With the task that waits, if one does; threads wait in the bell.
    Waiting(Option<Waker>),
    /// In the ticket's own allocation: a second one would be freed by another thread than made it.
    Answered(Answer),
    Taken,
}

/// What threads wait in whose commands queued together.
#[derive(Debug, Default)]
pub(super) struct Bell {
    /// How often it was rung.
    rung: AtomicU32,
    waiting: AtomicU32,
}

impl Bell {
    fn ring(&self) {
        self.rung.fetch_add(1, Ordering::SeqCst);
        // SeqCst on both: either this sees the waiter, or the waiter sees that it was rung.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            // It fails only for addresses that are not mapped. Letting those that wake wake the others was tried: they come
            // back so slowly then that groups leave half full.
            let _ = futex::wake(&self.rung, futex::Flags::PRIVATE, i32::MAX.unsigned_abs());
        }
    }

    /// Returns when it has been rung since it had been rung `heard` times, or for no reason.
    fn wait(&self, heard: u32) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // Rung meanwhile or interrupted by a signal: the caller looks again.
        let _ = futex::wait(&self.rung, futex::Flags::PRIVATE, heard, None);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Whoever waits for answers that were given.
#[derive(Debug, Default)]
pub(super) struct Woken {
    bells: Vec<Arc<Bell>>,
    tasks: Vec<Waker>,
}

impl Woken {
    /// Wakes all of them.
    pub(super) fn wake(&mut self) {
        self.bells.drain(..).for_each(|bell| bell.ring());
        self.tasks.drain(..).for_each(Waker::wake);
    }
}

/// Two sides of one command.
pub(super) fn ticket(bell: &Arc<Bell>) -> (Ticket, Reply) {
    let slot = Arc::new(Slot { inside: Mutex::new(Inside::Waiting(None)), bell: Arc::clone(bell) });
    (Ticket(Arc::clone(&slot)), Reply(Some(slot)))
}

impl Ticket {
    /// A ticket whose command was turned away at the door.
    pub(super) fn refused(error: ExecuteError) -> Self {
        Ticket(Arc::new(Slot { inside: Mutex::new(Inside::Answered(Err(error))), bell: Arc::default() }))
    }

    /// Blocks the thread until the command is answered. Not for tasks of an async runtime: `await` the ticket there.
    ///
    /// # Errors
    /// As [`super::Ledger::execute`].
    pub fn wait(self) -> Answer {
        let bell = &self.0.bell;
        loop {
            let heard = bell.rung.load(Ordering::SeqCst);
            if let Some(answer) = self.0.take() {
                return answer;
            }
            bell.wait(heard);
        }
    }

    /// Whether the answer is there.
    pub(super) fn is_answered(&self) -> bool {
        !matches!(*self.0.lock(), Inside::Waiting(_))
    }
}

impl Future for Ticket {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut inside = self.0.lock();
        match &mut *inside {
            Inside::Waiting(waker) => {
                waker.clone_from(&Some(cx.waker().clone()));
                Poll::Pending
            }
            answered => Poll::Ready(answered.take()),
        }
    }
}

impl Reply {
    /// Gives the answer; `woken` are to be woken once all answers of the group are given.
    pub(super) fn answer(mut self, answer: Answer, woken: &mut Woken) {
        if let Some(slot) = self.0.take() {
            slot.put(answer, woken);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            let mut woken = Woken::default();
            slot.put(Err(ExecuteError::Indeterminate), &mut woken);
            woken.wake();
        }
    }
}

impl Inside {
    /// The answer that is there. A second time, as when a future is polled again after it was ready, there is none.
    fn take(&mut self) -> Answer {
        match std::mem::replace(self, Inside::Taken) {
            Inside::Answered(answer) => answer,
            Inside::Taken | Inside::Waiting(_) => Err(ExecuteError::Indeterminate),
        }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Answer> {
        let mut inside = self.lock();
        if matches!(*inside, Inside::Waiting(_)) { None } else { Some(inside.take()) }
    }

    fn put(&self, answer: Answer, woken: &mut Woken) {
        let before = std::mem::replace(&mut *self.lock(), Inside::Answered(answer));
        if let Inside::Waiting(Some(task)) = before {
            woken.tasks.push(task);
        }
        // Commands that queued together are answered one after the other.
        if woken.bells.last().is_none_or(|last| !Arc::ptr_eq(last, &self.bell)) {
            woken.bells.push(Arc::clone(&self.bell));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_is_dropped_answers_that_nobody_knows() {
        let (ticket, reply) = ticket(&Arc::default());
        let waiting = std::thread::spawn(move || ticket.wait());
        drop(reply);
        assert!(matches!(waiting.join().unwrap(), Err(ExecuteError::Indeterminate)));
    }

    #[test]
    fn one_ring_wakes_every_thread_that_is_answered_and_the_others_wait_on() {
        let bell = Arc::default();
        let (answered, late) = (Mutex::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            let mut replies = Vec::new();
            for _ in 0..8 {
                let (ticket, reply) = ticket(&bell);
                replies.push(reply);
                let answered = &answered;
                scope.spawn(move || {
                    assert!(matches!(ticket.wait(), Err(ExecuteError::Closed)));
                    *answered.lock().unwrap() += 1;
                });
            }
            let (ticket, last) = ticket(&bell);
            let late = &late;
            scope.spawn(move || {
                assert!(matches!(ticket.wait(), Err(ExecuteError::Poisoned)));
                assert_eq!(late.load(Ordering::SeqCst), 1, "answered before its time");
            });
            let mut woken = Woken::default();
            for reply in replies {
                reply.answer(Err(ExecuteError::Closed), &mut woken);
            }
            assert_eq!(woken.bells.len(), 1);
            woken.wake();
            while *answered.lock().unwrap() < 8 {
                std::thread::yield_now();
            }
            late.store(1, Ordering::SeqCst);
            last.answer(Err(ExecuteError::Poisoned), &mut woken);
            woken.wake();
        });
    }
}
