//! Listening: connections, limits, TLS, back-pressure, and an end in good order.
//!
//! ```text
//!   accept ──TLS──▶ hyper (HTTP/1.1, HTTP/2) ──head──▶ route ──in flight?──▶ body ──▶ dialect, to its end ──▶ reply
//! ```
//!
//! Invariants
//! - Nothing waits without end: connections, requests in flight, head, body and handshake are bounded in number, bytes and time.
//! - What was accepted is finished: a dialect's work goes on when its client goes away, and stopping waits for all of them.
//! - Every reply has an `x-amzn-requestid`; the same id is in the events of what it did.
//!
//! Not here: whose a request is (`route`), metrics in text (`metrics`).

use super::incoming::set_header;
use super::lasting::Lasting;
use super::route::{self, Owner};
use super::{Api, Fault, Incoming, Reply, metrics, upkeep};
use crate::model::bytes::Hex;
use bytes::Bytes;
use compact_str::{CompactString, format_compact};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming as HyperBody};
use hyper::header::{HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ProtocolVersion, ServerConfig};
use tracing::Instrument as _;

/// How long a stop waits for what was accepted: 30 s.
const STOP: Duration = Duration::from_secs(30);
/// Bytes of a refused body that are still read: 4 MiB. A longer one is cut off.
const DRAIN_BYTES_MAX: u64 = 4 << 20;
/// Seconds after which a client that was turned away may come back.
const RETRY_AFTER: &str = "1";

/// What one server takes.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// All dialects; `127.0.0.1:9400`.
    pub listen: SocketAddr,
    /// `/metrics`, and health in detail; `127.0.0.1:9402`. None: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    pub tls: Option<Tls>,
    /// Bytes of a request's head: 64 KiB.
    pub head_bytes_max: u32,
    /// Bytes of a request's body: 1 MiB.
    pub body_bytes_max: usize,
    /// From a connection's idleness to the end of a request's head, and of a TLS handshake: 60 s.
    pub head_within: Duration,
    /// For a request's body: 30 s.
    pub body_within: Duration,
    /// Connections at a time; more wait in the system's queue: 4,096.
    pub connections_max: usize,
    /// Requests at a time; more are turned away with 503: 1,024.
    pub requests_max: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9400)),
            metrics_listen: Some(SocketAddr::from(([127, 0, 0, 1], 9402))),
            tls: None,
            head_bytes_max: 64 << 10,
            body_bytes_max: 1 << 20,
            head_within: Duration::from_mins(1),
            body_within: Duration::from_secs(30),
            connections_max: 4_096,
            requests_max: 1_024,
        }
    }
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(***)")
    }
}

impl Tls {
    /// From PEM: the chain, the server's own certificate first, and its private key.
    ///
    /// # Errors
    /// What is wrong with them, without a word of the key.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("the certificate is not PEM: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "the private key is not PEM".to_owned())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| error.to_string())?.with_no_client_auth().with_single_cert(chain, key);
        let mut config = config.map_err(|error| format!("certificate and key do not serve: {error}"))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// What takes connections with it.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
    }
}

/// Bound to its addresses, not yet accepting.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    metrics: Option<TcpListener>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    api: Arc<Api>,
    options: ServerOptions,
    requests: Arc<Semaphore>,
    /// Sets this process's request ids apart.
    salt: [u8; 32],
    next: AtomicU64,
}

impl Server {
    /// Binds both listeners.
    ///
    /// # Errors
    /// When an address is taken, or cannot be listened on.
    pub async fn bind(api: Arc<Api>, options: ServerOptions) -> io::Result<Self> {
        let listener = bind(options.listen).await?;
        let metrics = match options.metrics_listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let started = api.clock.now();
        let mut salt = blake3::Hasher::new();
        salt.update(&api.ledger.meta().ledger_id);
        salt.update(&started.wall_ns.to_le_bytes()).update(&started.boot_ns.to_le_bytes());
        let requests = Arc::new(Semaphore::new(options.requests_max));
        let salt = *salt.finalize().as_bytes();
        Ok(Self {
            listener,
            metrics,
            shared: Arc::new(Shared { api, options, requests, salt, next: AtomicU64::new(0) }),
        })
    }

    /// Where it listens: of port 0, which one it got.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where its metrics are.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `stop`, then takes nothing more in, finishes what was accepted and writes what was counted.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Server { listener, metrics, shared } = self;
        let (halt, halted) = oneshot::channel();
        let upkeep = tokio::spawn(upkeep::run(Arc::clone(&shared.api), halted));
        let metrics = metrics.map(|listener| tokio::spawn(metrics::serve(Arc::clone(&shared.api), listener)));
        let graceful = GracefulShutdown::new();
        let connections = Arc::new(Semaphore::new(shared.options.connections_max));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                // Whoever comes while all places are taken waits in the system's own queue, which has an end.
                let place = Arc::clone(&connections).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = &mut stop => break,
                accepted = accepted => accepted,
            };
            match (place, accepted) {
                (Ok(place), Ok((stream, peer))) => {
                    let (shared, watcher) = (Arc::clone(&shared), graceful.watcher());
                    tokio::spawn(async move { connection(shared, stream, peer, place, watcher).await });
                }
                (_, Err(error)) => {
                    // Out of descriptors, most likely: some will be free in a moment.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                (Err(_), _) => break,
            }
        }
        drop(listener);
        tracing::info!("stopping: nothing more is accepted");
        shared.api.stopping.send_replace(true);
        if tokio::time::timeout(STOP, graceful.shutdown()).await.is_err() {
            tracing::warn!("some connections did not end in {} s", STOP.as_secs());
        }
        // Work for clients that went away has its permit still.
        let all = u32::try_from(shared.options.requests_max).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(STOP, shared.requests.acquire_many(all)).await;
        let _ = halt.send(());
        let _ = tokio::time::timeout(STOP, upkeep).await;
        if let Some(metrics) = metrics {
            metrics.abort();
            let _ = metrics.await;
        }
    }
}

async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
}

/// Serves one connection to its end. `_place` is what it takes of the connections there may be.
async fn connection(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    _place: OwnedSemaphorePermit,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let api = Arc::clone(&shared.api);
    let _open = api.metrics.connection();
    // Replies are written whole; waiting for more only delays them.
    let _ = stream.set_nodelay(true);
    let Some(tls) = shared.options.tls.clone() else { return serve(shared, stream, peer, None, watcher).await };
    let acceptor = tls.acceptor();
    match tokio::time::timeout(shared.options.head_within, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let version = match stream.get_ref().1.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "1.2",
                _ => "1.3",
            };
            serve(shared, stream, peer, Some(version), watcher).await;
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
        Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
    }
}

async fn serve<S>(
    shared: Arc<Shared>,
    stream: S,
    peer: SocketAddr,
    tls: Option<&'static str>,
    watcher: hyper_util::server::graceful::Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let head_bytes_max = shared.options.head_bytes_max;
    let mut builder = Builder::new(TokioExecutor::new());
    // hyper takes no buffer below 8 KiB.
    let buffer = usize::try_from(head_bytes_max).unwrap_or(64 << 10).max(8 << 10);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(shared.options.head_within).max_buf_size(buffer);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(head_bytes_max)
        .max_concurrent_streams(128)
        .keep_alive_interval(Some(shared.options.head_within))
        .keep_alive_timeout(Duration::from_secs(20));
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(respond(shared, request, peer, tls).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "a connection broke off");
    }
}

/// One request, from its head to its reply.
async fn respond(
    shared: Arc<Shared>,
    request: Request<HyperBody>,
    peer: SocketAddr,
    tls: Option<&'static str>,
) -> Reply {
    let began = Instant::now();
    let request_id = shared.request_id();
    let (mut head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    if let (Version::HTTP_2, Some(authority)) = (head.version, head.uri.authority())
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        head.headers.insert(HOST, host);
    }
    let owner = route::owner_of(head.method.as_str(), &target, &head.headers);
    let method = head.method.clone();
    let work = async {
        let place = match owner {
            // Asked most when all places are taken.
            Owner::Health => None,
            _ => match Arc::clone(&shared.requests).try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => return (turned_away(owner, Fault::Busy, &request_id), None),
            },
        };
        let body = match read_body(&shared.options, body).await {
            Ok(body) => body,
            Err(fault) => return (turned_away(owner, fault, &request_id), None),
        };
        let incoming = Arc::new(Incoming {
            method: head.method,
            target,
            headers: head.headers,
            body,
            peer,
            request_id: request_id.clone(),
            tls,
            operation: OnceLock::new(),
        });
        let (api, asked) = (Arc::clone(&shared.api), Arc::clone(&incoming));
        // What a client asked for is done to its end even if the client goes away.
        let answered = Lasting::new(
            async move {
                let reply = route::answer(&api, owner, &asked).await;
                drop(place);
                reply
            }
            .in_current_span(),
        );
        let reply = answered.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a dialect failed");
            turned_away(owner, Fault::Failed, &request_id)
        });
        (reply, Some(incoming))
    };
    let span = tracing::info_span!("request", id = %request_id, dialect = owner.as_str());
    let (mut reply, incoming) = work.instrument(span.clone()).await;
    set_header(&mut reply, "x-amzn-requestid", &request_id);
    let took = began.elapsed();
    let status = reply.status().as_u16();
    shared.api.metrics.answered(owner, status, took);
    let operation = incoming.as_ref().and_then(|incoming| incoming.operation.get()).map(CompactString::as_str);
    span.in_scope(|| {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(%peer, %method, operation, status, us, "answered");
    });
    reply
}

fn turned_away(owner: Owner, fault: Fault, request_id: &str) -> Reply {
    let mut reply = route::fault(owner, fault, request_id);
    if fault == Fault::Busy {
        set_header(&mut reply, "retry-after", RETRY_AFTER);
    }
    if matches!(fault, Fault::TooLarge | Fault::TooSlow | Fault::Broken) {
        // The rest of the body is not read.
        set_header(&mut reply, "connection", "close");
    }
    reply
}

/// Reads a refused body to its end, so that a client that sends first and reads afterwards sees the answer.
async fn drain(mut body: HyperBody) {
    while let Some(Ok(_)) = body.frame().await {}
}

async fn read_body(options: &ServerOptions, body: HyperBody) -> Result<Bytes, Fault> {
    let max = options.body_bytes_max;
    let announced = body.size_hint().lower();
    if announced > max as u64 {
        if announced <= DRAIN_BYTES_MAX {
            // Whatever comes of it, the answer is the same.
            let _ = tokio::time::timeout(options.body_within, drain(body)).await;
        }
        return Err(Fault::TooLarge);
    }
    match tokio::time::timeout(options.body_within, Limited::new(body, max).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Fault::TooLarge),
        Ok(Err(_)) => Err(Fault::Broken),
        Err(_) => Err(Fault::TooSlow),
    }
}

impl Shared {
    /// 128 bits in the shape of a UUID, never twice.
    fn request_id(&self) -> CompactString {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let hash = blake3::keyed_hash(&self.salt, &number.to_le_bytes());
        let hex = format_compact!("{}", Hex(&hash.as_bytes()[..16]));
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format_compact!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
    }
}
