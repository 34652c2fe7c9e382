//! What the server counts, and Prometheus' text of it, on a listener of its own.
//!
//! Invariants
//! - No label holds an id, a name, a bucket or anything else that a client chose: dialect and class of status alone.
//!
//! Not here: uses of keys, which are events (`gate`).

use super::Api;
use super::health::Writer;
use super::route::Owner;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// Upper ends of the classes of time that an answer takes, in microseconds.
const TIMES_US: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000, 10_000_000];
/// Connections to the metrics at a time.
const CONNECTIONS_MAX: usize = 16;

/// Counters of one server.
#[derive(Debug, Default)]
pub struct Metrics {
    connections: AtomicU64,
    owners: [OfOwner; Owner::ALL.len()],
}

#[derive(Debug, Default)]
struct OfOwner {
    /// By status: 1xx to 5xx.
    answers: [AtomicU64; 5],
    times: [AtomicU64; TIMES_US.len()],
    time_us: AtomicU64,
}

/// A connection, as long as it is open.
#[derive(Debug)]
pub struct Open<'a>(&'a AtomicU64);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub fn connection(&self) -> Open<'_> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Open(&self.connections)
    }

    pub fn answered(&self, owner: Owner, status: u16, took: Duration) {
        let place = Owner::ALL.iter().position(|other| *other == owner);
        let Some(of) = place.and_then(|place| self.owners.get(place)) else { return };
        if let Some(answers) = of.answers.get(usize::from(status / 100).saturating_sub(1)) {
            answers.fetch_add(1, Ordering::Relaxed);
        }
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(place) = TIMES_US.iter().position(|end| us <= *end) {
            of.times[place].fetch_add(1, Ordering::Relaxed);
        }
        of.time_us.fetch_add(us, Ordering::Relaxed);
    }

    fn text(&self, api: &Api) -> String {
        let mut out = String::with_capacity(4096);
        let state = api.ledger.state();
        let orgs = state.live_orgs().count();
        let writer = Writer::of(&api.ledger);
        let verified = api.verifications.last();
        let mut gauges: Vec<(&str, &str, u64)> = vec![
            ("keyledger_connections", "Open connections.", self.connections.load(Ordering::Relaxed)),
            ("keyledger_seq", "The newest commit.", state.seq().0),
            ("keyledger_keys", "Access keys, deleted ones included.", state.key_count() as u64),
            ("keyledger_orgs", "Orgs.", orgs as u64),
            (
                "keyledger_poisoned",
                "1 after a failed write: reads go on, writes do not.",
                u64::from(writer == Writer::Poisoned),
            ),
            (
                "keyledger_full",
                "1 while the disk is full: only revokes and the like go on.",
                u64::from(writer == Writer::Full),
            ),
        ];
        // Absent until there was one.
        if let Some(verified) = &verified {
            let ended_s = u64::try_from(verified.ended_at.0 / 1_000_000_000).unwrap_or_default();
            gauges.extend([
                ("keyledger_verified_timestamp_seconds", "When the last verification of the ledger ended.", ended_s),
                ("keyledger_verified_ok", "0 when the last verification found damage.", u64::from(verified.is_ok())),
                ("keyledger_verified_seconds", "How long it took.", verified.took.as_secs()),
            ]);
            let seq = verified.log.as_ref().map(|log| log.last_seq);
            gauges.extend(seq.map(|seq| ("keyledger_verified_seq", "The last commit it checked.", seq)));
        }
        for (name, help, value) in gauges {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        }
        let _ = writeln!(
            out,
            "# HELP keyledger_answers_total Answers, by dialect and class of status.\n# TYPE keyledger_answers_total counter"
        );
        let owners = || Owner::ALL.iter().map(|owner| owner.as_str()).zip(&self.owners);
        for (dialect, of) in owners() {
            for (class, answers) in (1..).zip(&of.answers) {
                let count = answers.load(Ordering::Relaxed);
                if count > 0 {
                    let _ =
                        writeln!(out, "keyledger_answers_total{{dialect=\"{dialect}\",status=\"{class}xx\"}} {count}");
                }
            }
        }
        let name = "keyledger_answer_seconds";
        let _ = writeln!(out, "# HELP {name} Time from a request's head to its answer.\n# TYPE {name} histogram");
        for (dialect, of) in owners() {
            let count: u64 = of.answers.iter().map(|answers| answers.load(Ordering::Relaxed)).sum();
            if count == 0 {
                continue;
            }
            let mut so_far = 0;
            for (end, times) in TIMES_US.iter().zip(&of.times) {
                so_far += times.load(Ordering::Relaxed);
                let (whole, part) = (end / 1_000_000, end % 1_000_000);
                let _ = writeln!(out, "{name}_bucket{{dialect=\"{dialect}\",le=\"{whole}.{part:06}\"}} {so_far}");
            }
            let us = of.time_us.load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}_bucket{{dialect=\"{dialect}\",le=\"+Inf\"}} {count}");
            let _ = writeln!(out, "{name}_sum{{dialect=\"{dialect}\"}} {}.{:06}", us / 1_000_000, us % 1_000_000);
            let _ = writeln!(out, "{name}_count{{dialect=\"{dialect}\"}} {count}");
        }
        out
    }
}

/// Serves `/metrics`, `/healthz` and `/readyz` until it is dropped.
pub(super) async fn serve(api: Arc<Api>, listener: TcpListener) {
    let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Weak, so that a scraper that keeps its connection does not keep the ledger open.
        let api = Arc::downgrade(&api);
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(move |request: Request<Incoming>| {
                let reply = match api.upgrade() {
                    Some(api) => answer(&api, request.uri().path()),
                    None => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned()),
                };
                async move { Ok::<_, Infallible>(reply) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(Duration::from_mins(1));
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(api: &Api, path: &str) -> Response<Full<Bytes>> {
    match path {
        "/metrics" => text(StatusCode::OK, api.metrics.text(api)),
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => {
            let trouble = Writer::of(&api.ledger).trouble();
            let status = if trouble.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            let verified = api.verifications.last();
            let body = serde_json::json!({
                "ready": trouble.is_none(),
                "writes": trouble.unwrap_or("go on"),
                "seq": api.ledger.state().seq(),
                "restored_and_not_accepted": api.ledger.state().restored().is_some(),
                "verified_at": verified.as_ref().map(|it| it.ended_at.to_string()),
                "verified_ok": verified.as_ref().map(|it| it.is_ok()),
            });
            text(status, format!("{body}\n"))
        }
        _ => text(StatusCode::NOT_FOUND, "not found\n".to_owned()),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}
