//! What a request says its body adds up to: Content-MD5 and the `x-amz-checksum-*` headers and trailers.
//!
//! Invariant: a checksum that cannot be computed here is refused, never passed over.
//!
//! Not here: SHA-256 as it was signed, and chunk signatures (`sigv4`; `body` asks it).

use super::reply::Fault;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};

/// A digest on its way.
enum Hasher {
    Md5(Box<Md5>),
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Box<Sha1>),
    Sha256(Box<Sha256>),
}

/// Of these, S3 takes one a request (S3 User Guide, "Checking object integrity").
const NAMES: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];
/// Headers that begin alike and are no checksum.
const OTHERS: [&str; 3] = ["x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"];

impl Hasher {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "content-md5" => Self::Md5(Box::default()),
            "x-amz-checksum-crc32" => Self::Crc32(Crc32::new()),
            "x-amz-checksum-crc32c" => Self::Crc32c(Crc32c::new()),
            "x-amz-checksum-crc64nvme" => Self::Crc64Nvme(Crc64Nvme::new()),
            "x-amz-checksum-sha1" => Self::Sha1(Box::default()),
            "x-amz-checksum-sha256" => Self::Sha256(Box::default()),
            _ => return None,
        })
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Crc32(_) | Self::Crc32c(_) => 4,
            Self::Crc64Nvme(_) => 8,
            Self::Md5(_) => 16,
            Self::Sha1(_) => 20,
            Self::Sha256(_) => 32,
        }
    }

    fn update(&mut self, data: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(data),
            Self::Crc32(hasher) => hasher.update(data),
            Self::Crc32c(hasher) => hasher.update(data),
            Self::Crc64Nvme(hasher) => hasher.update(data),
            Self::Sha1(hasher) => hasher.update(data),
            Self::Sha256(hasher) => hasher.update(data),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Md5(hasher) => hasher.finalize().to_vec(),
            Self::Crc32(hasher) => hasher.finalize().to_vec(),
            Self::Crc32c(hasher) => hasher.finalize().to_vec(),
            Self::Crc64Nvme(hasher) => hasher.finalize().to_vec(),
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
        }
    }
}

/// One digest that was announced.
struct Announced {
    name: String,
    hasher: Hasher,
    /// None as long as a trailer is to say it.
    expected: Option<Vec<u8>>,
}

/// The digests of a body, compared when it has ended.
#[derive(Default)]
pub struct Digests {
    announced: Vec<Announced>,
}

impl std::fmt::Debug for Digests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.announced.iter().map(|announced| &announced.name)).finish()
    }
}

impl Digests {
    /// What headers and `x-amz-trailer` announce. `of_body`: whether `x-amz-checksum-*` speak of the body; those of
    /// CompleteMultipartUpload speak of the object.
    ///
    /// # Errors
    /// `InvalidDigest` or `InvalidRequest`: not base64, wrong length, more than one checksum, or one that is not known.
    pub fn of(headers: &HeaderMap, of_body: bool) -> Result<Self, Fault> {
        let mut digests = Self::default();
        for value in headers.get_all("content-md5") {
            digests.announce("content-md5", Some(value.as_bytes()))?;
        }
        if !of_body {
            return Ok(digests);
        }
        for (name, value) in headers {
            let name = name.as_str();
            if name.starts_with("x-amz-checksum-") && !OTHERS.contains(&name) {
                digests.announce(name, Some(value.as_bytes()))?;
            }
        }
        for value in headers.get_all("x-amz-trailer") {
            let names = value.to_str().map_err(|_| invalid("x-amz-trailer"))?;
            for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                digests.announce(&name.to_ascii_lowercase(), None)?;
            }
        }
        if digests.announced.iter().filter(|announced| announced.name != "content-md5").count() > 1 {
            return Err(Fault::new(400, "InvalidRequest", "Expecting a single x-amz-checksum- header"));
        }
        Ok(digests)
    }

    /// Adds one by its name and value.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn announce(&mut self, name: &str, value: Option<&[u8]>) -> Result<(), Fault> {
        let Some(hasher) = Hasher::of(name) else {
            let message = format!("`{name}` is no checksum that is known here; send one of {}", NAMES.join(", "));
            return Err(Fault::of(400, "InvalidRequest", message));
        };
        let expected = value.map(|value| decode(name, value, hasher.bytes())).transpose()?;
        self.announced.push(Announced { name: name.to_owned(), hasher, expected });
        Ok(())
    }

    pub fn update(&mut self, data: &[u8]) {
        for announced in &mut self.announced {
            announced.hasher.update(data);
        }
    }

    /// What a trailer says. Those that no header announced are refused by the chunk decoder.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn trailer(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        let waiting =
            self.announced.iter_mut().find(|announced| announced.name == name && announced.expected.is_none());
        let announced = waiting.ok_or_else(|| invalid(name))?;
        announced.expected = Some(decode(name, value.as_bytes(), announced.hasher.bytes())?);
        Ok(())
    }

    /// Compares all.
    ///
    /// # Errors
    /// `BadDigest`, or `MalformedTrailerError` when a trailer did not come.
    pub fn finish(self) -> Result<(), Fault> {
        for Announced { name, hasher, expected } in self.announced {
            let expected = expected.ok_or(Fault::new(
                400,
                "MalformedTrailerError",
                "The request contained trailing data that was not well-formed or did not conform to our published schema.",
            ))?;
            if hasher.finish() != expected {
                let kind = name.strip_prefix("x-amz-checksum-").map(str::to_ascii_uppercase);
                return Err(match kind {
                    None => {
                        Fault::new(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
                    }
                    Some(kind) => {
                        let message = format!("The {kind} you specified did not match the calculated checksum.");
                        Fault::of(400, "BadDigest", message)
                    }
                });
            }
        }
        Ok(())
    }
}

fn decode(name: &str, value: &[u8], bytes: usize) -> Result<Vec<u8>, Fault> {
    let decoded = STANDARD.decode(value.trim_ascii()).ok().filter(|decoded| decoded.len() == bytes);
    decoded.ok_or_else(|| invalid(name))
}

fn invalid(name: &str) -> Fault {
    if name == "content-md5" {
        return Fault::new(400, "InvalidDigest", "The Content-MD5 you specified is not valid.");
    }
    Fault::of(400, "InvalidRequest", format!("Value for {name} header is invalid."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(headers: &[(&'static str, &str)], body: &[u8]) -> Result<(), &'static str> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let mut digests = Digests::of(&map, true).map_err(|fault| fault.code)?;
        digests.update(body);
        digests.finish().map_err(|fault| fault.code)
    }

    /// The check values of "123456789" (CRC catalogue; RFC 1321, RFC 3174, FIPS 180), in base64.
    #[test]
    fn every_digest_is_the_published_one() {
        for (name, value) in [
            ("content-md5", "JfnnlDI7RTiF9RgfG2JNCw=="),
            ("x-amz-checksum-crc32", "y/Q5Jg=="),
            ("x-amz-checksum-crc32c", "4waSgw=="),
            ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
            ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
            ("x-amz-checksum-sha256", "FeKw08M4keuwjiefEuhSeE3+fKPBHtpdWuo5kUfErUk="),
        ] {
            assert_eq!(verdict(&[(name, value)], b"123456789"), Ok(()), "{name}");
            assert_eq!(verdict(&[(name, value)], b"12345678"), Err("BadDigest"), "{name}");
        }
    }

    #[test]
    fn what_is_no_digest_or_not_known_is_refused() {
        for value in ["", "?", "y/Q5", "JfnnlDI7RTiF9RgfG2JNCw"] {
            assert_eq!(verdict(&[("content-md5", value)], b""), Err("InvalidDigest"));
            assert_eq!(verdict(&[("x-amz-checksum-crc32", value)], b""), Err("InvalidRequest"));
        }
        assert_eq!(verdict(&[("x-amz-checksum-xxhash64", "AAAAAAAAAAA=")], b""), Err("InvalidRequest"));
        assert_eq!(verdict(&[("x-amz-trailer", "x-amz-meta-a")], b""), Err("InvalidRequest"));
        let two = [("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-checksum-crc32c", "AAAAAA==")];
        assert_eq!(verdict(&two, b""), Err("InvalidRequest"));
        assert_eq!(verdict(&[("x-amz-trailer", "x-amz-checksum-crc32")], b""), Err("MalformedTrailerError"));
        assert_eq!(verdict(&[("x-amz-checksum-mode", "ENABLED"), ("x-amz-checksum-type", "FULL_OBJECT")], b""), Ok(()));
    }
}
