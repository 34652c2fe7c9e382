//! An S3 server's front, for the `s3s` crate (feature `s3s`): every request passes the gate before `s3s` sees it.
//!
//! ```text
//!   http::Request ──RequestView──▶ Gate ──Admitted──▶ stripped request, verified body ──▶ s3s ──▶ Store<impl S3>
//!                                   │                                                      │
//!                                   └────────────── S3's own error ◀───────────────────────┘
//! ```
//!
//! Invariants
//! - Nothing is authenticated or authorised by `s3s`; what comes to the store by another way is refused (`access`).
//! - An upload is committed only after all that the request says of its body was found true (`body`).
//! - Every reply has `x-amz-request-id`; every error is S3's XML with it; `x-keyledger-seq` says by which state was decided.
//!
//! Not here: listening, TLS, time limits (the server), the decision (`gate`), objects (`impl S3`).

mod access;
mod body;
mod digest;
mod form;
mod reply;
mod rewrite;
mod store;

pub use access::Proof;
pub use reply::Fault;
pub use store::Buckets;

use crate::gate::{Admitted, Gate, Operation, RequestView};
use crate::model::{Seq, Time};
use crate::sigv4::{LengthRange, Payload, SigError, is_form};
use crate::sys::Clock;
use access::{Held, Nobody};
use body::{Checked, Checks};
use bytes::Bytes;
use digest::Digests;
use form::{Head, Wanted};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::Store;

/// Bytes of an object that is put at once, and of a part (S3 User Guide, "Multipart upload limits"): 5 GiB.
pub const OBJECT_BYTES_MAX: u64 = 5 << 30;
/// Bytes of a refused upload that are still read, so that a client that sends first and reads afterwards sees the answer.
const DRAIN_BYTES_MAX: usize = 1 << 20;

/// How a front works.
#[derive(Clone)]
pub struct FrontOptions {
    /// Binds the upload ids that clients see to org, bucket and key: secret, and the same after a restart, or uploads under way
    /// are not found again.
    pub upload_key: [u8; 32],
    /// Bytes of an object or part; [`OBJECT_BYTES_MAX`].
    pub object_bytes_max: u64,
}

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The other end of the connection.
    pub address: IpAddr,
    /// The version of TLS, as policies write it (`1.2`, `1.3`); `None` without TLS.
    pub tls: Option<&'static str>,
}

/// The gate, `s3s` and a store in one. Share it behind an `Arc`.
pub struct Front {
    gate: Arc<Gate>,
    clock: Arc<dyn Clock>,
    service: S3Service,
    object_bytes_max: u64,
    /// Of this start, and how many requests it has had: together a request's id.
    start: u64,
    requests: AtomicU64,
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").field("gate", &self.gate).finish_non_exhaustive()
    }
}

/// What was decided of a request, and what is still to be done.
struct Passage {
    admitted: Admitted,
    digests: Digests,
    length: LengthRange,
    /// Bytes of the object or document, where the request says so.
    bytes: Option<u64>,
    headers: HeaderMap,
}

impl Front {
    /// A front before `store`, whose buckets belong to orgs by `buckets`.
    #[must_use]
    pub fn new(
        gate: Arc<Gate>,
        clock: Arc<dyn Clock>,
        store: impl S3,
        buckets: Arc<dyn Buckets>,
        options: &FrontOptions,
    ) -> Self {
        let mut builder = S3ServiceBuilder::new(Store::new(store, buckets, options.upload_key));
        builder.set_auth(Nobody);
        builder.set_access(Held { gate: Arc::clone(&gate), clock: Arc::clone(&clock) });
        let now = clock.now();
        Self {
            gate,
            service: builder.build(),
            object_bytes_max: options.object_bytes_max,
            start: now.wall_ns.cast_unsigned() ^ now.boot_ns.cast_unsigned().rotate_left(32),
            requests: AtomicU64::new(0),
            clock,
        }
    }

    /// Answers one request. `min_seq` of the gate is what the header `x-keyledger-min-seq` says.
    ///
    /// Never fails: what is wrong is S3's error. How long the body may take is for whoever made it to limit; a future that is
    /// dropped leaves no object behind.
    pub async fn call<B>(&self, request: Request<B>, peer: Peer) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let id = self.request_id();
        let (parts, mut body) = request.into_parts();
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let form = content_type.filter(|kind| parts.method == Method::POST && is_form(kind));
        let answer = match form {
            None => match self.admit(&parts, peer) {
                Ok(passage) => Ok(self.pass(&parts, passage, body, &id).await),
                Err(refused) => {
                    drain(&parts, &mut body).await;
                    Err(refused)
                }
            },
            Some(content_type) => match self.admit_form(&parts, content_type, &mut body, peer).await {
                Ok((passage, head)) => self.pass_form(&parts, passage, &head, content_type, body, &id).await,
                Err(refused) => {
                    drain(&parts, &mut body).await;
                    Err(refused)
                }
            },
        };
        let (reply, seq) =
            answer.unwrap_or_else(|(fault, seq)| (fault.reply(&parts.method, parts.uri.path(), &id), seq));
        stamped(reply::finish(reply, &parts.method, &id), &id, seq)
    }

    /// An answer without asking anybody, as of a server that may not serve now.
    #[must_use]
    pub fn refuse(&self, fault: &Fault, method: &Method, path: &str) -> Response<Body> {
        let id = self.request_id();
        stamped(fault.reply(method, path, &id), &id, None)
    }

    fn now(&self) -> Time {
        Time(self.clock.now().wall_ns)
    }

    /// 16 hex digits: no secret, and not the same again.
    fn request_id(&self) -> String {
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut text = String::with_capacity(16);
        let _ = write!(text, "{:016X}", xxhash_rust::xxh3::xxh3_64_with_seed(&count.to_le_bytes(), self.start));
        text
    }

    /// Asks the gate about a request, and reads what it announces of its body.
    fn admit(&self, parts: &Parts, peer: Peer) -> Result<Passage, (Fault, Option<Seq>)> {
        let min_seq = min_seq(&parts.headers).map_err(|fault| (fault, None))?;
        let headers = borrowed(parts);
        let admitted = self.gate.check(&view(parts, &headers, peer), self.now(), min_seq);
        let admitted = admitted.map_err(|denied| (Fault::from(&denied), denied.seq()))?;
        let seq = Some(admitted.seq());
        // The checksums of CompleteMultipartUpload are the object's.
        let of_body = admitted.operation() != Operation::CompleteMultipartUpload;
        let digests = Digests::of(&parts.headers, of_body).map_err(|fault| (fault, seq))?;
        let bytes = match admitted.verified().payload() {
            Payload::Chunked { decoded_length, .. } => Some(decoded_length),
            _ => content_length(&parts.headers),
        };
        let is_upload = matches!(admitted.operation(), Operation::PutObject | Operation::UploadPart);
        if bytes.is_none() && (is_upload || parts.headers.contains_key(TRANSFER_ENCODING)) {
            return Err((Fault::from(&SigError::NoDecodedLength), seq));
        }
        if bytes.is_some_and(|bytes| bytes > self.object_bytes_max) {
            return Err((Fault::from(&SigError::TooLarge), seq));
        }
        let length = LengthRange { least: 0, most: self.object_bytes_max };
        Ok(Passage { admitted, digests, length, bytes, headers: parts.headers.clone() })
    }

    /// As [`Self::admit`], of a form, whose signature stands in its body.
    async fn admit_form<B>(
        &self,
        parts: &Parts,
        content_type: &str,
        body: &mut B,
        peer: Peer,
    ) -> Result<(Passage, Head), (Fault, Option<Seq>)>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
    {
        let min_seq = min_seq(&parts.headers).map_err(|fault| (fault, None))?;
        let form = Head::read(content_type, body).await.map_err(|fault| (fault, None))?;
        let passage = {
            let head = form.parts(content_type).map_err(|fault| (fault, None))?;
            let headers = borrowed(parts);
            let admitted = self.gate.check_form(&view(parts, &headers, peer), &head, self.now(), min_seq);
            let (admitted, mut length) = admitted.map_err(|denied| (Fault::from(&denied), denied.seq()))?;
            let seq = Some(admitted.seq());
            let headers = form::headers(&head).map_err(|fault| (fault, seq))?;
            let digests = Digests::of(&headers, true).map_err(|fault| (fault, seq))?;
            length.most = length.most.min(self.object_bytes_max);
            Passage { admitted, digests, length, bytes: None, headers }
        };
        Ok((passage, form))
    }

    async fn pass_form<B>(
        &self,
        parts: &Parts,
        passage: Passage,
        form: &Head,
        content_type: &str,
        body: B,
        id: &str,
    ) -> Result<(Response<Body>, Option<Seq>), (Fault, Option<Seq>)>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let (wanted, file) = {
            let head = form.parts(content_type).map_err(|fault| (fault, None))?;
            (Wanted::of(&head), form.file(&head, body))
        };
        let bucket = passage.admitted.bucket().unwrap_or_default().to_owned();
        let key = passage.admitted.object_key().unwrap_or_default().to_owned();
        let (reply, seq) = self.pass(parts, passage, file, id).await;
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let location = format!("//{host}/{bucket}/{}", form::encode(&key, b"/"));
        Ok((wanted.reply(reply, &bucket, &key, &location), seq))
    }

    /// Gives an admitted request to `s3s`, its body verified on the way, and owns the reply when the body was not good.
    async fn pass<B>(&self, parts: &Parts, passage: Passage, body: B, id: &str) -> (Response<Body>, Option<Seq>)
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let Passage { mut admitted, digests, length, bytes, headers } = passage;
        let chunks = admitted.take_chunks();
        let proof = Proof::new(admitted, id);
        let answer = self.ask_s3s(
            parts,
            &proof,
            Checks::new(&proof, chunks, digests, length, self.still(&proof)),
            bytes,
            headers,
            body,
        );
        let reply = match answer.await {
            Ok(reply) => reply,
            Err(fault) => fault.reply(&parts.method, parts.uri.path(), id),
        };
        let outcome = if reply.status().is_success() { None } else { reply::code_of(&reply) };
        let outcome = outcome.as_deref().unwrap_or(if reply.status().as_u16() < 400 { "ok" } else { "error" });
        let bytes_out = content_length(reply.headers()).or_else(|| reply.body().size_hint().exact()).unwrap_or(0);
        self.gate.used(proof.admitted(), outcome, bytes.unwrap_or(0), bytes_out, self.now());
        (reply, Some(proof.seq()))
    }

    async fn ask_s3s<B>(
        &self,
        parts: &Parts,
        proof: &Proof,
        checks: Checks,
        bytes: Option<u64>,
        headers: HeaderMap,
        body: B,
    ) -> Result<Response<Body>, Fault>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let (body, verdict) = Checked::new(body, checks, bytes)?;
        let is_form = proof.admitted().operation() == Operation::PostObject;
        let query = if is_form { None } else { parts.uri.query() };
        let uri = rewrite::uri(proof.admitted(), query).map_err(|_| Fault::from(&SigError::BadTarget))?;
        let body = if body.is_end_stream() { Body::empty() } else { Body::http_body_unsync(body) };
        let mut request = Request::new(body);
        *request.method_mut() = if is_form { Method::PUT } else { parts.method.clone() };
        *request.uri_mut() = uri;
        *request.headers_mut() = rewrite::headers(headers, bytes);
        request.extensions_mut().insert(proof.clone());
        let reply = self.service.call(request).await;
        if let Some(fault) = verdict.fault() {
            return Err(fault.clone());
        }
        reply.map_err(|error| {
            tracing::error!(?error, "s3s gave no reply");
            Fault::new(500, "InternalError", "We encountered an internal error. Please try again.")
        })
    }

    /// Whether the key can still be used, when a body has come to its end.
    fn still(&self, proof: &Proof) -> Box<dyn FnOnce() -> Result<(), Fault> + Send> {
        let (gate, clock, proof) = (Arc::clone(&self.gate), Arc::clone(&self.clock), proof.clone());
        Box::new(move || {
            let still = gate.still_usable(proof.admitted(), Time(clock.now().wall_ns));
            still.map(|seq| proof.decided_at(seq)).map_err(|denied| Fault::from(&denied))
        })
    }
}

fn stamped(mut reply: Response<Body>, id: &str, seq: Option<Seq>) -> Response<Body> {
    if let Ok(id) = HeaderValue::from_str(id) {
        reply.headers_mut().insert("x-amz-request-id", id);
    }
    if let Some(seq) = seq {
        reply.headers_mut().insert("x-keyledger-seq", HeaderValue::from(seq.0));
    }
    reply
}

fn borrowed(parts: &Parts) -> Vec<(&str, &[u8])> {
    let mut headers: Vec<(&str, &[u8])> =
        parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    // HTTP/2 has the host in `:authority`.
    if let (false, Some(authority)) = (parts.headers.contains_key(HOST), parts.uri.authority()) {
        headers.push(("host", authority.as_str().as_bytes()));
    }
    headers
}

fn view<'a>(parts: &'a Parts, headers: &'a [(&'a str, &'a [u8])], peer: Peer) -> RequestView<'a> {
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    RequestView { method: parts.method.as_str(), target: target.as_bytes(), headers, peer: peer.address, tls: peer.tls }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn min_seq(headers: &HeaderMap) -> Result<Option<Seq>, Fault> {
    let Some(value) = headers.get("x-keyledger-min-seq") else { return Ok(None) };
    let seq = value.to_str().ok().and_then(|text| text.parse().ok()).map(Seq);
    seq.map(Some).ok_or(Fault::new(400, "InvalidArgument", "x-keyledger-min-seq must be a seq: a number"))
}

/// Reads a little of what a refused request still sends. Not from a client that waits for leave to send.
async fn drain<B>(parts: &Parts, body: &mut B)
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let mut left = DRAIN_BYTES_MAX;
    let announced = content_length(&parts.headers).and_then(|bytes| usize::try_from(bytes).ok());
    if parts.headers.contains_key(EXPECT) || announced.is_some_and(|bytes| bytes > left) {
        return;
    }
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}
