//! Bodies that come in chunks: `aws-chunked`, each chunk signed after the one before, or not signed at all.
//!
//! ```text
//!   STREAMING-AWS4-HMAC-SHA256-PAYLOAD            STREAMING-…-PAYLOAD-TRAILER          STREAMING-UNSIGNED-PAYLOAD-TRAILER
//!   10000;chunk-signature=<64 hex>⏎ data⏎         the same chunks                      10000⏎ data⏎
//!   0;chunk-signature=<64 hex>⏎ ⏎                 0;chunk-signature=<64 hex>⏎          0⏎
//!                                                 x-amz-checksum-crc32c:…⏎             x-amz-checksum-crc32c:…⏎ ⏎
//!                                                 x-amz-trailer-signature:<64 hex>⏎ ⏎
//! ```
//!
//! Invariants
//! - A signed chunk's bytes are given out after its signature was found good, never before: up to
//!   [`CHUNK_BYTES_MAX`] are held for it, and only as they arrive.
//! - A body counts when [`ChunkDecoder::finish`] says so: last chunk there, announced length reached, trailers good.
//!
//! Not here: the trailers' checksums (their values are handed out), and S3's rule that all chunks but the last have 8 KiB.

use super::canonical::is_amz;
use super::encode::{hex, unhex};
use super::{SigError, SigningKey};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Bytes of one signed chunk.
pub const CHUNK_BYTES_MAX: usize = 16 << 20;
/// Bytes of the line before a chunk.
const LINE_BYTES_MAX: usize = 256;
/// Bytes of everything after the last chunk.
const TAIL_BYTES_MAX: usize = 16 << 10;
/// SHA-256 of nothing, which stands in every chunk's string to sign.
const EMPTY: &[u8; 64] = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What the chunks' signatures go on from.
#[derive(Debug)]
pub(super) struct Seed {
    pub key: SigningKey,
    pub stamp: [u8; 16],
    /// `20130524/us-east-1/s3/aws4_request`.
    pub scope: Vec<u8>,
    /// The signature before this one: first the request's, then each chunk's.
    pub previous: [u8; 32],
    /// `x-amz-trailer`, lowercase.
    pub announced: String,
}

/// A header that followed the last chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer {
    /// Lowercase.
    pub name: String,
    /// Trimmed.
    pub value: String,
}

/// Takes the frames off a chunked body and checks their signatures, piece by piece as it arrives.
#[derive(Debug)]
pub struct ChunkDecoder {
    seed: Seed,
    signed: bool,
    trailer: bool,
    decoded_length: u64,
    decoded: u64,
    state: State,
    /// Of the chunk that is being read.
    signature: [u8; 32],
    /// The line before a chunk, what came of a signed chunk, or what follows the last.
    held: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Line,
    Data {
        left: usize,
    },
    /// The line's end after a chunk: so many of its two bytes have come.
    Close {
        come: usize,
    },
    Tail,
    Failed(SigError),
}

impl Seed {
    /// The signature of `parts`, one a line, after the one before.
    fn sign(&self, kind: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut text = Vec::with_capacity(384);
        for part in [kind.as_bytes(), &self.stamp, &self.scope, &hex(&self.previous)] {
            text.extend_from_slice(part);
            text.push(b'\n');
        }
        text.extend_from_slice(&parts.join(&b'\n'));
        self.key.sign(&text)
    }
}

impl ChunkDecoder {
    pub(super) fn new(seed: Seed, signed: bool, trailer: bool, decoded_length: u64) -> Self {
        let (state, signature) = (State::Line, [0; 32]);
        Self { seed, signed, trailer, decoded_length, decoded: 0, state, signature, held: Vec::new() }
    }

    /// Takes the next bytes of the body and appends to `out` what may be used of them.
    ///
    /// # Errors
    /// [`SigError::ChunkMismatch`], [`SigError::Chunk`], [`SigError::ChunkTooLarge`], [`SigError::IncompleteBody`] (more
    /// than was announced). Nothing is appended that was not good before; every later call gives the same error.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), SigError> {
        let done = self.take(input, out);
        if let Err(error) = &done {
            self.state = State::Failed(error.clone());
            self.held = Vec::new();
        }
        done
    }

    fn take(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), SigError> {
        while !input.is_empty() {
            match &self.state {
                State::Failed(error) => return Err(error.clone()),
                State::Line => {
                    let end = input.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
                    let (line, rest) = input.split_at(end.unwrap_or(input.len()));
                    if self.held.len() + line.len() > LINE_BYTES_MAX {
                        return Err(SigError::Chunk("the line before a chunk is too long"));
                    }
                    self.held.extend_from_slice(line);
                    input = rest;
                    if end.is_some() {
                        let line = std::mem::take(&mut self.held);
                        self.begin(&line)?;
                    }
                }
                State::Data { left } => {
                    let left = *left;
                    let (data, rest) = input.split_at(left.min(input.len()));
                    input = rest;
                    if !self.signed {
                        out.extend_from_slice(data);
                    } else if self.held.is_empty() && data.len() == left {
                        self.check(data)?;
                        out.extend_from_slice(data);
                    } else {
                        self.held.extend_from_slice(data);
                        if data.len() == left {
                            let held = std::mem::take(&mut self.held);
                            self.check(&held)?;
                            out.extend_from_slice(&held);
                            // Its room serves the next chunk.
                            self.held = held;
                            self.held.clear();
                        }
                    }
                    let left = left - data.len();
                    self.state = if left == 0 { State::Close { come: 0 } } else { State::Data { left } };
                }
                State::Close { come } => {
                    if input[0] != b"\r\n"[*come] {
                        return Err(SigError::Chunk("a chunk is longer than its line says"));
                    }
                    input = &input[1..];
                    self.state = if *come == 1 { State::Line } else { State::Close { come: 1 } };
                }
                State::Tail => {
                    if self.held.len() + input.len() > TAIL_BYTES_MAX {
                        return Err(SigError::Trailer("they are too long"));
                    }
                    self.held.extend_from_slice(input);
                    input = &[];
                }
            }
        }
        Ok(())
    }

    /// `10000;chunk-signature=<64 hex>\r\n`, or without a signature.
    fn begin(&mut self, line: &[u8]) -> Result<(), SigError> {
        let line = line.strip_suffix(b"\r\n").ok_or(SigError::Chunk("the line before a chunk does not end in CRLF"))?;
        let (size, signature) = match (self.signed, line.iter().position(|byte| *byte == b';')) {
            (true, Some(at)) => (&line[..at], line[at + 1..].strip_prefix(b"chunk-signature=")),
            (false, None) => (line, None),
            (true, None) => return Err(SigError::Chunk("a chunk has no signature")),
            (false, Some(_)) => return Err(SigError::Chunk("a chunk is signed although the request says it is not")),
        };
        let size = std::str::from_utf8(size)
            .ok()
            .filter(|size| (1..=16).contains(&size.len()) && size.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|size| u64::from_str_radix(size, 16).ok())
            .ok_or(SigError::Chunk("a chunk's size is no hex number"))?;
        if self.signed {
            let signature = signature.ok_or(SigError::Chunk("a chunk has no signature"))?;
            self.signature = unhex(signature).ok_or(SigError::ChunkMismatch)?;
        }
        let decoded = self.decoded.checked_add(size).filter(|decoded| *decoded <= self.decoded_length);
        self.decoded = decoded.ok_or(SigError::IncompleteBody)?;
        let size = usize::try_from(size).map_err(|_| SigError::ChunkTooLarge)?;
        if self.signed && size > CHUNK_BYTES_MAX {
            return Err(SigError::ChunkTooLarge);
        }
        self.state = State::Data { left: size };
        if size == 0 {
            if self.signed {
                self.check(b"")?;
            }
            self.state = State::Tail;
        }
        Ok(())
    }

    /// Whether the chunk has the signature of its line.
    fn check(&mut self, data: &[u8]) -> Result<(), SigError> {
        let hash = hex(&Sha256::digest(data).into());
        let expected = self.seed.sign("AWS4-HMAC-SHA256-PAYLOAD", &[EMPTY, &hash]);
        if !bool::from(expected.ct_eq(&self.signature)) {
            return Err(SigError::ChunkMismatch);
        }
        self.seed.previous = self.signature;
        Ok(())
    }

    /// Ends the body and gives its trailers, exactly those that `x-amz-trailer` announced.
    ///
    /// # Errors
    /// - [`SigError::IncompleteBody`]: the last chunk or its end is missing, or the length is not the announced one.
    /// - [`SigError::Trailer`], and [`SigError::ChunkMismatch`] when their signature is not good.
    pub fn finish(self) -> Result<Vec<Trailer>, SigError> {
        match self.state {
            State::Failed(error) => return Err(error),
            State::Tail if self.decoded == self.decoded_length => {}
            _ => return Err(SigError::IncompleteBody),
        }
        if !self.trailer {
            return match &self.held[..] {
                b"\r\n" => Ok(Vec::new()),
                b"" | b"\r" => Err(SigError::IncompleteBody),
                _ => Err(SigError::Chunk("something follows the last chunk")),
            };
        }
        if !self.held.ends_with(b"\n") {
            return Err(SigError::IncompleteBody);
        }
        let (mut trailers, mut signature) = (Vec::new(), None);
        let text = std::str::from_utf8(&self.held).map_err(|_| SigError::Trailer("they are not UTF-8"))?;
        // Empty lines close the trailers, and stand between them in AWS's own example.
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (name, value) = line.split_once(':').ok_or(SigError::Trailer("a line has no colon"))?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            if signature.is_some() {
                return Err(SigError::Trailer("something follows their signature"));
            }
            if self.signed && name == "x-amz-trailer-signature" {
                signature = Some(unhex(value.as_bytes()).ok_or(SigError::ChunkMismatch)?);
            } else if is_amz(&name) {
                trailers.push(Trailer { name, value: value.to_owned() });
            } else {
                return Err(SigError::Trailer("one is no x-amz header"));
            }
        }
        let mut announced: Vec<&str> =
            self.seed.announced.split(',').map(str::trim).filter(|n| !n.is_empty()).collect();
        let mut names: Vec<&str> = trailers.iter().map(|trailer| trailer.name.as_str()).collect();
        announced.sort_unstable();
        names.sort_unstable();
        if names != announced {
            return Err(SigError::Trailer("they are not those that x-amz-trailer announces"));
        }
        if self.signed {
            let signature = signature.ok_or(SigError::Trailer("x-amz-trailer-signature is missing"))?;
            let mut canonical = Sha256::new();
            for Trailer { name, value } in &trailers {
                canonical.update(format!("{name}:{value}\n"));
            }
            let hash = hex(&canonical.finalize().into());
            let expected = self.seed.sign("AWS4-HMAC-SHA256-TRAILER", &[&hash]);
            if !bool::from(expected.ct_eq(&signature)) {
                return Err(SigError::ChunkMismatch);
            }
        }
        Ok(trailers)
    }
}
