//! Listening: TCP, TLS, limits of time and number, and an orderly stop.
//!
//! Not here: what a request is answered (`front`).

use super::{Keys, Limits, NodeError};
use crate::api::Tls;
use crate::front::{Front, Peer};
use crate::gate::Gate;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ProtocolVersion;

/// Header lines of a request that are read.
const HEADERS_MAX: usize = 200;

/// A node that listens.
pub struct Node {
    shared: Arc<Shared>,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

struct Shared {
    front: Front,
    gate: Arc<Gate>,
    keys: Arc<Keys>,
    limits: Limits,
}

impl Node {
    pub(super) async fn listen(
        front: Front,
        gate: Arc<Gate>,
        keys: Arc<Keys>,
        listen: SocketAddr,
        tls: Option<&Tls>,
        limits: Limits,
    ) -> Result<Self, NodeError> {
        let listening = |error| NodeError::new(format!("could not listen on {listen}"), &error);
        let listener = TcpListener::bind(listen).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let tls = tls.map(Tls::acceptor);
        Ok(Self { shared: Arc::new(Shared { front, gate, keys, limits }), listener, address, tls })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.address)
    }

    pub fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.shared.gate)
    }

    /// Serves until `stop`, then lets requests under way end, for a while.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.shared.limits.head)
            .max_headers(HEADERS_MAX)
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(128)
            .keep_alive_interval(self.shared.limits.body_idle);
        let places = Arc::new(Semaphore::new(self.shared.limits.connections));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                // Never closed.
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (self.listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                () = &mut stop => break,
                accepted = accepted => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Of one connection, or of all: too many files. Either way the next may go well.
                    tracing::warn!(%error, "could not accept a connection");
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let (shared, tls, builder, watcher) =
                (Arc::clone(&self.shared), self.tls.clone(), builder.clone(), graceful.watcher());
            tokio::spawn(async move {
                if let Err(error) = connection(shared, builder, watcher, tls, stream, peer).await {
                    tracing::debug!(%error, %peer, "a connection ended early");
                }
                drop(place);
            });
        }
        drop(self.listener);
        if timeout(self.shared.limits.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests were still under way and are dropped");
        }
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

async fn connection(
    shared: Arc<Shared>,
    builder: Builder<TokioExecutor>,
    watcher: hyper_util::server::graceful::Watcher,
    tls: Option<TlsAcceptor>,
    stream: TcpStream,
    peer: SocketAddr,
) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        let service = service(shared, Peer { address: peer.ip().to_canonical(), tls: None });
        return watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned()).await;
    };
    let stream = timeout(shared.limits.head, tls.accept(stream)).await??;
    let version = match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        _ => "1.2",
    };
    let service = service(shared, Peer { address: peer.ip().to_canonical(), tls: Some(version) });
    watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned()).await
}

/// A reply on its way.
type Answer = Pin<Box<dyn Future<Output = Result<Response<s3s::Body>, Infallible>> + Send>>;

fn service(
    shared: Arc<Shared>,
    peer: Peer,
) -> impl hyper::service::Service<Request<Incoming>, Response = Response<s3s::Body>, Error = Infallible, Future = Answer>
{
    hyper::service::service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        let answer: Answer = Box::pin(async move { Ok(shared.answer(request, peer).await) });
        answer
    })
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<s3s::Body> {
        let mut reply = match self.keys.fresh() {
            Ok(()) => {
                let idle = self.limits.body_idle;
                self.front.call(request.map(|body| Timed::new(body, idle)), peer).await
            }
            Err(stale) => self.front.refuse(&stale, request.method(), request.uri().path()),
        };
        reply.headers_mut().insert(http::header::SERVER, HeaderValue::from_static("keyledger-storage-node"));
        reply
    }
}

/// A body that fails when nothing of it came for a while.
struct Timed {
    body: Incoming,
    idle: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    fn new(body: Incoming, idle: Duration) -> Self {
        Self { body, idle, deadline: None }
    }
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.deadline = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let idle = this.idle;
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(idle)));
        match deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err("nothing of the body came for too long".into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Ends when the process is told to: SIGTERM or SIGINT.
pub async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(error) => {
                tracing::error!(%error, "signals cannot be heard");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::interrupt()) => {}
    }
}
