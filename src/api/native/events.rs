//! The log as it grows, as server-sent events: each an entry of the audit log, its id the event's own name.
//!
//! Invariants
//! - Cut to the caller's org; the right is asked for again before anything is sent, and once a second.
//! - A client that goes on from its Last-Event-ID misses nothing and gets nothing twice.
//! - It ends when the key dies, when the client reads no more for half a minute, and when the server stops.
//!
//! Not here: the entries (`audit::log`).

use super::super::incoming::set_header;
use super::super::{Reply, reply as whole};
use super::audit::event_id;
use super::call::Call;
use super::problem::Problem;
use super::rights::Sight;
use super::table::{Param, SEQ_MAX};
use crate::audit::{Archive, AuditError, Query, Worlds, log as facts};
use crate::ledger::Ledger;
use crate::model::{AccessKeyId, Caller, EventId, OrgUid, Time};
use crate::sys::{Clock, Io};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::Instant;

pub const QUERY: &[Param] = &[Param::number(
    "from",
    0,
    SEQ_MAX,
    "The first commit to tell; what comes from now on unless given. Last-Event-ID goes before it",
)];

/// How often the log is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// How often the right is asked for when nothing happens.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often something is sent when nothing happens.
const BEAT_EVERY: Duration = Duration::from_secs(15);
/// How long a client may leave what was sent unread.
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// Events read at once.
const BATCH: usize = 256;
/// Batches between the log and a client.
const QUEUE: usize = 4;

/// Begins a stream.
pub fn reply(call: &Call<'_>, action: &'static str) -> Result<Reply, Problem> {
    let api = call.api;
    let place = Arc::clone(&api.native.streams).try_acquire_owned().map_err(|_| Problem::busy())?;
    let after = match call.incoming.header("last-event-id") {
        Some(text) => Some(event_id(text.trim()).ok_or_else(|| Problem::invalid("Last-Event-ID", "an event's id"))?),
        None => None,
    };
    let from = call.query.number("from").unwrap_or(call.state.seq().0 + 1);
    let (sender, receiver) = mpsc::channel(QUEUE);
    let watcher = Watcher {
        ledger: Arc::clone(&api.ledger),
        io: Arc::clone(&api.io),
        clock: Arc::clone(&api.clock),
        caller: call.signed.caller.clone(),
        key: call.signed.key.id.clone(),
        org: call.org_uid(),
        action,
        place: Place { from: after.map_or(from, |after| after.seq.0), after },
        stopping: api.stopping.subscribe(),
        sender,
        _held: place,
    };
    tokio::spawn(watcher.run());
    let mut reply = streamed(receiver);
    set_header(&mut reply, "cache-control", "no-store");
    set_header(&mut reply, "x-accel-buffering", "no");
    Ok(reply)
}

fn streamed(receiver: mpsc::Receiver<Bytes>) -> Reply {
    let (head, _) = whole(200, "text/event-stream", Bytes::new()).into_parts();
    Reply::from_parts(head, Streamed(receiver).boxed())
}

/// What is sent, as the body of a reply.
struct Streamed(mpsc::Receiver<Bytes>);

impl Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|sent| sent.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// How far it was told: everything before `from`, and of that commit what is not behind `after`.
#[derive(Debug, Clone, Copy)]
struct Place {
    from: u64,
    after: Option<EventId>,
}

/// One client's stream, until it ends.
struct Watcher {
    ledger: Arc<Ledger>,
    io: Arc<dyn Io>,
    clock: Arc<dyn Clock>,
    caller: Caller,
    key: AccessKeyId,
    org: OrgUid,
    action: &'static str,
    place: Place,
    stopping: watch::Receiver<bool>,
    sender: mpsc::Sender<Bytes>,
    _held: OwnedSemaphorePermit,
}

impl Watcher {
    async fn run(mut self) {
        let handle = self.ledger.handle();
        // The head is sent with the first bytes.
        let (mut asked_at, mut beat_at) = (Instant::now(), Instant::now());
        if !self.send(Bytes::from_static(b"retry: 1000\n\n")).await {
            return;
        }
        loop {
            if *self.stopping.borrow() {
                return;
            }
            let has_more = handle.seq().0 >= self.place.from;
            if has_more || asked_at.elapsed() >= ASK_EVERY {
                asked_at = Instant::now();
                if !self.may() {
                    return;
                }
            }
            if has_more {
                let Some(text) = self.next().await else { return };
                if !text.is_empty() {
                    beat_at = Instant::now();
                    if !self.send(text.into()).await {
                        return;
                    }
                }
                continue;
            }
            if beat_at.elapsed() >= BEAT_EVERY {
                beat_at = Instant::now();
                if !self.send(format!(": seq {}\n\n", handle.seq()).into()).await {
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = self.stopping.changed() => return,
                () = self.sender.closed() => return,
            }
        }
    }

    /// Whether whoever asked may still see it.
    fn may(&self) -> bool {
        let state = self.ledger.state();
        let now = Time(self.clock.now().wall_ns).max(state.recorded_at());
        let sees = |key| Sight::of(&state, &key, &self.caller, self.action, now).is_ok_and(|it| it == Sight::Org);
        state.key(self.key.as_str()).is_some_and(sees)
    }

    /// The next events as they are sent; empty when those that came are another org's. `None`: the log cannot be read.
    async fn next(&mut self) -> Option<String> {
        let (ledger, io, org, place) = (Arc::clone(&self.ledger), Arc::clone(&self.io), self.org, self.place);
        let told = tokio::task::spawn_blocking(move || read(&ledger, io, org, place)).await;
        match told {
            Ok(Ok((text, place))) => {
                self.place = place;
                Some(text)
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the log could not be read for a stream of events");
                None
            }
            Err(_) => None,
        }
    }

    /// Whether the client took it.
    async fn send(&self, bytes: Bytes) -> bool {
        matches!(tokio::time::timeout(SEND_WITHIN, self.sender.send(bytes)).await, Ok(Ok(())))
    }
}

fn read(ledger: &Ledger, io: Arc<dyn Io>, org: OrgUid, place: Place) -> Result<(String, Place), AuditError> {
    let archive = Archive::without_index(io, ledger.reader().clone());
    let newest = archive.reader().last_seq();
    let worlds = Worlds::live(ledger.state());
    let query = Query {
        orgs: Some(BTreeSet::from([org])),
        from_seq: Some(place.from),
        to_seq: Some(newest),
        ..Query::default()
    };
    let (mut text, mut told, mut last) = (String::new(), 0, None);
    facts::rows(&archive, &worlds, &query, &mut |row| {
        let id = row.event.0;
        if place.after.is_some_and(|after| id <= after) {
            return ControlFlow::Continue(());
        }
        // Writing to memory does not fail, and every key is a string.
        let data = serde_json::to_string(&row).unwrap_or_default();
        let _ = write!(text, "id: {id}\nevent: {}\ndata: {data}\n\n", row.kind);
        told += 1;
        last = Some(id);
        if told == BATCH { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let place = match last {
        Some(last) if told == BATCH => Place { from: last.seq.0, after: Some(last) },
        _ => Place { from: newest.max(place.from.saturating_sub(1)) + 1, after: None },
    };
    Ok((text, place))
}
