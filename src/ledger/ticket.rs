//! Tickets: a command that was handed in, and its answer to come.
//!
//! One side is the [`Ticket`], a future that a thread may also wait for; the other is the writer's [`Reply`]. All answers of a
//! group are given first and their waiters woken after, so that nobody who wakes is in the way of the rest.
//!
//! Invariants
//! - Every ticket is answered: a [`Reply`] that is dropped, whatever happened to the writer, answers "indeterminate".
//!
//! Not here: what the answer is (`writer`).

use super::error::ExecuteError;
use super::execute::Done;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::Thread;

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
struct Slot(Mutex<Inside>);

#[derive(Debug)]
enum Inside {
    Waiting(Option<Waiter>),
    Answered(Box<Answer>),
    Taken,
}

/// Whoever waits for a ticket.
#[derive(Debug)]
pub(super) enum Waiter {
    Thread(Thread),
    Task(Waker),
}

impl Waiter {
    pub(super) fn wake(self) {
        match self {
            Waiter::Thread(thread) => thread.unpark(),
            Waiter::Task(waker) => waker.wake(),
        }
    }
}

/// Two sides of one command.
pub(super) fn ticket() -> (Ticket, Reply) {
    let slot = Arc::new(Slot(Mutex::new(Inside::Waiting(None))));
    (Ticket(Arc::clone(&slot)), Reply(Some(slot)))
}

impl Ticket {
    /// A ticket whose command was turned away at the door.
    pub(super) fn refused(error: ExecuteError) -> Self {
        Ticket(Arc::new(Slot(Mutex::new(Inside::Answered(Box::new(Err(error)))))))
    }

    /// Blocks the thread until the command is answered. Not for tasks of an async runtime: `await` the ticket there.
    ///
    /// # Errors
    /// As [`super::Ledger::execute`].
    pub fn wait(self) -> Answer {
        loop {
            if let Some(answer) = self.0.take_or(|| Waiter::Thread(std::thread::current())) {
                return answer;
            }
            std::thread::park();
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
        match self.0.take_or(|| Waiter::Task(cx.waker().clone())) {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        }
    }
}

impl Reply {
    /// Gives the answer; returns whoever is to be woken once all answers of the group are given.
    pub(super) fn answer(mut self, answer: Answer) -> Option<Waiter> {
        self.0.take().and_then(|slot| slot.put(answer))
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take()
            && let Some(waiter) = slot.put(Err(ExecuteError::Indeterminate))
        {
            waiter.wake();
        }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the answer, or leaves word of who waits.
    fn take_or(&self, waiter: impl FnOnce() -> Waiter) -> Option<Answer> {
        let mut inside = self.lock();
        if let Inside::Waiting(waiting) = &mut *inside {
            *waiting = Some(waiter());
            return None;
        }
        match std::mem::replace(&mut *inside, Inside::Taken) {
            Inside::Answered(answer) => Some(*answer),
            // A future polled again after it was ready.
            Inside::Taken | Inside::Waiting(_) => Some(Err(ExecuteError::Indeterminate)),
        }
    }

    fn put(&self, answer: Answer) -> Option<Waiter> {
        match std::mem::replace(&mut *self.lock(), Inside::Answered(Box::new(answer))) {
            Inside::Waiting(waiter) => waiter,
            Inside::Answered(_) | Inside::Taken => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_is_dropped_answers_that_nobody_knows() {
        let (ticket, reply) = ticket();
        let waiting = std::thread::spawn(move || ticket.wait());
        drop(reply);
        assert!(matches!(waiting.join().unwrap(), Err(ExecuteError::Indeterminate)));
    }
}
