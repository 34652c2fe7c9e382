//! Work that is done to its end even when nobody waits for it any more.
//!
//! It runs in the task of whoever waits, which costs no second task and no wake across threads; only when the waiter goes away in
//! between is the rest spawned as a task of its own.
//!
//! Invariants
//! - What was begun is polled to its end, or until the runtime stops.
//! - A panic inside is caught and told; it ends neither the waiter nor its connection.
//!
//! Not here: bounds on how much runs at a time (`server`).

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Handle;

/// See the module.
pub struct Lasting<F: Future<Output: Send> + Send + 'static>(Option<Pin<Box<F>>>);

/// The work ended in a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work ended in a panic")]
pub struct Panicked;

impl<F: Future<Output: Send> + Send + 'static> Lasting<F> {
    pub fn new(work: F) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Lasting<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = self.0.as_mut() else { return Poll::Ready(Err(Panicked)) };
        // After a panic the work is dropped and nothing of it is seen again.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        if !matches!(polled, Ok(Poll::Pending)) {
            self.0 = None;
        }
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Lasting<F> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_was_begun_is_done_though_its_waiter_goes_away() {
        let (go, gone) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let work = Lasting::new(async move {
            gone.await.ok();
            tell.send("done").ok();
        });
        assert!(tokio::time::timeout(Duration::from_millis(1), work).await.is_err(), "the waiter went away");
        go.send(()).unwrap();
        assert_eq!(told.await, Ok("done"));
    }

    #[tokio::test]
    async fn a_panic_is_told_to_the_waiter() {
        let fails = |fail: bool| Lasting::new(async move { assert!(!fail, "a panic of the test") });
        assert_eq!(fails(true).await, Err(Panicked));
        assert_eq!(fails(false).await, Ok(()));
    }
}
