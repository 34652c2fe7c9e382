//! Bodies that are verified before they end, so that nothing is committed that was not what was signed.
//!
//! Whoever stores an object commits it when its stream has ended. This stream ends only when everything that the request
//! says of its body holds: the signed SHA-256, chunk signatures and the decoded length, trailers, Content-MD5, checksums, the
//! length a form allows. Otherwise it fails, and what is wrong stands in its [`Verdict`].
//!
//! Invariants
//! - The last piece is handed out only after the whole was found good: a reader that stops at the announced length, without
//!   waiting for the end, cannot have all of a bad body either.
//! - A body that is empty is judged when the stream is made, for readers that never read it.
//!
//! Not here: where a body's frames end (HTTP), and how long it may take (the server).

use super::access::Proof;
use super::digest::Digests;
use super::reply::Fault;
use crate::sigv4::{ChunkDecoder, LengthRange, Payload, SigError};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use s3s::StdError;
use sha2::{Digest as _, Sha256};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

/// What was wrong with a body, for whoever owns the reply.
#[derive(Debug, Clone, Default)]
pub struct Verdict(Arc<OnceLock<Fault>>);

impl Verdict {
    /// What was wrong, once the stream has failed.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        self.0.get()
    }
}

/// What is still to be checked of a body.
pub struct Checks {
    signed: Signed,
    digests: Digests,
    length: LengthRange,
    received: u64,
    /// Asked last, whatever the body: a key that died while it came commits nothing.
    still: Box<dyn FnOnce() -> Result<(), Fault> + Send>,
}

enum Signed {
    No,
    Hash(Proof, Sha256),
    Chunks(Box<ChunkDecoder>),
}

impl Checks {
    /// What a proof asks for, the digests that were announced beside it, how long the object may be, and what has to hold
    /// when the body has ended.
    #[must_use]
    pub fn new(
        proof: &Proof,
        chunks: Option<ChunkDecoder>,
        digests: Digests,
        length: LengthRange,
        still: Box<dyn FnOnce() -> Result<(), Fault> + Send>,
    ) -> Self {
        let signed = match (chunks, proof.admitted().verified().payload()) {
            (Some(chunks), _) => Signed::Chunks(Box::new(chunks)),
            (None, Payload::Announced(_)) => Signed::Hash(proof.clone(), Sha256::new()),
            // A chunked body whose decoder is gone does not come here: it is taken once.
            (None, Payload::Hashed | Payload::Unsigned | Payload::Chunked { .. }) => Signed::No,
        };
        Self { signed, digests, length, received: 0, still }
    }

    /// Takes what arrived and gives what of it belongs to the object.
    fn feed(&mut self, data: Bytes) -> Result<Bytes, Fault> {
        let data = match &mut self.signed {
            Signed::No => data,
            Signed::Hash(_, hasher) => {
                hasher.update(&data);
                data
            }
            Signed::Chunks(decoder) => {
                let mut out = Vec::with_capacity(data.len());
                decoder.feed(&data, &mut out).map_err(|error| Fault::from(&error))?;
                Bytes::from(out)
            }
        };
        self.received = self.received.saturating_add(data.len() as u64);
        if self.received > self.length.most {
            return Err(Fault::from(&SigError::TooLarge));
        }
        self.digests.update(&data);
        Ok(data)
    }

    fn finish(mut self) -> Result<(), Fault> {
        match self.signed {
            Signed::No => {}
            Signed::Hash(proof, hasher) => {
                let verified = proof.admitted().verified();
                verified.check_body(&hasher.finalize().into()).map_err(|error| Fault::from(&error))?;
            }
            Signed::Chunks(decoder) => {
                for trailer in decoder.finish().map_err(|error| Fault::from(&error))? {
                    self.digests.trailer(&trailer.name, &trailer.value)?;
                }
            }
        }
        self.length.check(self.received).map_err(|error| Fault::from(&error))?;
        self.digests.finish()?;
        (self.still)()
    }
}

const NOT_GOOD: &str = "the body is not what the request says of it";

/// A body that ends only if it is good.
pub struct Checked<B> {
    inner: B,
    /// None once it has ended or failed.
    checks: Option<Checks>,
    verdict: Verdict,
    /// The newest piece, held until the next one has come or the whole is good.
    held: Option<Bytes>,
    /// Bytes of the object, where known.
    length: Option<u64>,
    given: u64,
}

impl<B: Body<Data = Bytes> + Unpin> Checked<B> {
    /// `length`: bytes of the object where the request says so.
    ///
    /// # Errors
    /// What is wrong with a body that is already known to be empty.
    pub fn new(inner: B, checks: Checks, length: Option<u64>) -> Result<(Self, Verdict), Fault> {
        let verdict = Verdict::default();
        let mut checks = Some(checks);
        if inner.is_end_stream() {
            checks.take().map_or(Ok(()), Checks::finish)?;
        }
        Ok((Self { inner, checks, verdict: verdict.clone(), held: None, length, given: 0 }, verdict))
    }

    fn fail(&mut self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        (self.checks, self.held) = (None, None);
        // The first fault counts; there is no second.
        let _ = self.verdict.0.set(fault);
        Poll::Ready(Some(Err(NOT_GOOD.into())))
    }
}

impl<B> Body for Checked<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let this = &mut *self;
        if this.verdict.fault().is_some() {
            // Never the end, however often somebody asks.
            return Poll::Ready(Some(Err(NOT_GOOD.into())));
        }
        while this.checks.is_some() {
            let frame = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return this.fail(Fault::from(&SigError::IncompleteBody)),
                None => match this.checks.take().map_or(Ok(()), Checks::finish) {
                    Ok(()) => break,
                    Err(fault) => return this.fail(fault),
                },
            };
            // Trailers of HTTP itself are not signed and mean nothing here.
            let (Ok(data), Some(checks)) = (frame.into_data(), &mut this.checks) else { continue };
            match checks.feed(data) {
                Err(fault) => return this.fail(fault),
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    if let Some(before) = this.held.replace(data) {
                        this.given += before.len() as u64;
                        return Poll::Ready(Some(Ok(Frame::data(before))));
                    }
                }
            }
        }
        Poll::Ready(this.held.take().map(|last| {
            this.given += last.len() as u64;
            Ok(Frame::data(last))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.checks.is_none() && self.held.is_none() && self.verdict.fault().is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, |length| SizeHint::with_exact(length.saturating_sub(self.given)))
    }
}
