//! Bucket and key of a request, from its path and host, decoded once.
//!
//! Invariants
//! - What is decided here is what was signed: `%2F` is a slash, and nothing is decoded twice.
//! - A key that a file system could read as another place (`..`, a leading slash) is refused, in a path, a copy source, a list
//!   of keys or a form.
//!
//! Not here: whether there is such a bucket or object.

use super::Denied;
use super::admitted::CopySource;
use super::s3::table::Place;
use crate::model::BucketName;
use crate::sigv4::path_text;
use std::borrow::Cow;

/// Bytes of an object's key (Amazon S3 User Guide, "Naming Amazon S3 objects").
const KEY_BYTES_MAX: usize = 1_024;

/// What a path names.
#[derive(Debug)]
pub(super) struct Named<'a> {
    pub bucket: Option<BucketName>,
    pub key: Option<Cow<'a, str>>,
}

impl Named<'_> {
    pub fn place(&self) -> Place {
        match (&self.bucket, &self.key) {
            (None, _) => Place::Service,
            (Some(_), None) => Place::Bucket,
            (Some(_), Some(_)) => Place::Object,
        }
    }
}

/// Reads the path of a request that was sent to `host`. `base_domains` are lowercase.
///
/// # Errors
/// [`Denied`]: `InvalidURI`, `InvalidBucketName`, `KeyTooLongError`, or `InvalidArgument` for a key that [`check_key`] refuses.
pub(super) fn read<'a>(path: &'a [u8], host: &[u8], base_domains: &[String]) -> Result<Named<'a>, Denied> {
    let path = if path.is_empty() { b"/" } else { path };
    let bad_path = || Denied::new("InvalidURI", 400, "Couldn't parse the specified URI.");
    let path = path_text(path).ok_or_else(bad_path)?;
    if !path.starts_with('/') {
        return Err(bad_path());
    }
    let named = if let Some(bucket) = bucket_of_host(host, base_domains)? {
        Named { bucket: Some(bucket), key: Some(behind(path, 1)) }
    } else {
        match path[1..].find('/') {
            None if path.len() == 1 => return Ok(Named { bucket: None, key: None }),
            None => return Ok(Named { bucket: Some(bucket_name(&path[1..])?), key: None }),
            Some(at) => Named { bucket: Some(bucket_name(&path[1..=at])?), key: Some(behind(path, at + 2)) },
        }
    };
    let key = named.key.filter(|key| !key.is_empty());
    if let Some(key) = &key {
        check_key(key)?;
    }
    Ok(Named { key, ..named })
}

fn behind(text: Cow<'_, str>, at: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[at..]),
        Cow::Owned(mut text) => {
            text.drain(..at);
            Cow::Owned(text)
        }
    }
}

/// The bucket in front of a base domain; none when the host is a base domain itself, or another.
fn bucket_of_host(host: &[u8], base_domains: &[String]) -> Result<Option<BucketName>, Denied> {
    if base_domains.is_empty() {
        return Ok(None);
    }
    let without_port = match host.iter().rposition(|byte| *byte == b':') {
        Some(at) if host[at + 1..].iter().all(u8::is_ascii_digit) => &host[..at],
        _ => host,
    };
    let domain = base_domains.iter().find_map(|domain| {
        let at = without_port.len().checked_sub(domain.len())?;
        without_port[at..].eq_ignore_ascii_case(domain.as_bytes()).then_some(at)
    });
    match domain {
        Some(at) if at > 0 && without_port[at - 1] == b'.' => {
            let name = String::from_utf8_lossy(&without_port[..at - 1]).to_ascii_lowercase();
            bucket_name(&name).map(Some)
        }
        _ => Ok(None),
    }
}

/// A name that S3 takes for a bucket.
pub(super) fn bucket_name(text: &str) -> Result<BucketName, Denied> {
    BucketName::parse(text).map_err(|_| Denied::new("InvalidBucketName", 400, "The specified bucket is not valid."))
}

/// Refuses keys that are too long or that a file system could read as another place.
pub(super) fn check_key(key: &str) -> Result<(), Denied> {
    if key.len() > KEY_BYTES_MAX {
        return Err(Denied::new("KeyTooLongError", 400, "Your key is too long"));
    }
    let bytes = key.as_bytes();
    if key.is_empty() || bytes[0] == b'/' || bytes.contains(&0) {
        return Err(Denied::invalid_argument("Object key is empty, begins with a slash or contains a NUL"));
    }
    // Most keys have no segment that begins with a dot.
    let dots = |segment: &[u8]| matches!(segment, b"." | b"..");
    if bytes.contains(&b'.') && bytes.split(|byte| *byte == b'/').any(dots) {
        return Err(Denied::invalid_argument("Object key has a segment that is . or .."));
    }
    Ok(())
}

/// Reads `x-amz-copy-source`: `[/]bucket/key[?versionId=id]`, percent-encoded.
///
/// # Errors
/// [`Denied`]: as [`read`]; `NotImplemented` for the ARN of an access point.
pub(super) fn copy_source(header: &[u8]) -> Result<CopySource, Denied> {
    let malformed =
        || Denied::invalid_argument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
    let mark = b"?versionId=";
    let at = memchr::memmem::find(header, mark);
    let (path, version) = match at {
        Some(at) => (&header[..at], Some(&header[at + mark.len()..])),
        None => (header, None),
    };
    let path = path_text(path).ok_or_else(malformed)?;
    if path.starts_with("arn:") {
        return Err(Denied::new("NotImplemented", 501, "Copying from an access point is not implemented."));
    }
    let (bucket, key) = path.strip_prefix('/').unwrap_or(&path).split_once('/').ok_or_else(malformed)?;
    if key.is_empty() {
        return Err(malformed());
    }
    let bucket = bucket_name(bucket)?;
    check_key(key)?;
    let version_id = match version {
        Some(text) => Some(path_text(text).filter(|text| !text.is_empty()).ok_or_else(malformed)?.into_owned()),
        None => None,
    };
    Ok(CopySource { bucket, key: key.to_owned(), version_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &str, host: &str) -> Result<(String, String), &'static str> {
        let domains = ["s3.example.com".to_owned(), "localhost".to_owned()];
        let named = read(path.as_bytes(), host.as_bytes(), &domains).map_err(|denied| denied.code())?;
        let bucket = named.bucket.map(|bucket| bucket.to_string()).unwrap_or_default();
        Ok((bucket, named.key.map(Cow::into_owned).unwrap_or_default()))
    }

    #[test]
    fn a_bucket_stands_in_the_path_or_before_a_base_domain() {
        let is = |path, host, bucket: &str, key: &str| {
            assert_eq!(named(path, host), Ok((bucket.to_owned(), key.to_owned())), "{host} {path}");
        };
        is("/", "s3.example.com", "", "");
        is("", "s3.example.com", "", "");
        is("/photos", "s3.example.com:9000", "photos", "");
        is("/photos/", "S3.Example.COM", "photos", "");
        is("/photos/a/b", "10.0.0.1:9000", "photos", "a/b");
        is("/photos%2Fa%2fb", "[::1]:9000", "photos", "a/b");
        is("/", "photos.s3.example.com", "photos", "");
        is("/a/b", "photos.s3.example.com:9000", "photos", "a/b");
        is("/a", "my.photos.localhost:9000", "my.photos", "a");
        is("/photos/a", "photoss3.example.com", "photos", "a");
        is("/photos/%C3%A4%20+%2B?", "h", "photos", "\u{e4} ++?");
        is("/photos/a//b/", "h", "photos", "a//b/");
        is("/photos/%252e%252e/a", "h", "photos", "%2e%2e/a");
    }

    #[test]
    fn what_could_be_another_place_or_is_no_name_is_refused() {
        for (path, code) in [
            ("/photos//a", "InvalidArgument"),
            ("/photos//", "InvalidArgument"),
            ("/photos/%2Fetc/passwd", "InvalidArgument"),
            ("/photos/../other/secret", "InvalidArgument"),
            ("/photos/..%2Fother%2Fsecret", "InvalidArgument"),
            ("/photos/%2E%2E/other", "InvalidArgument"),
            ("/photos/a/./b", "InvalidArgument"),
            ("/photos/a/..", "InvalidArgument"),
            ("/photos/a%00b", "InvalidArgument"),
            ("/photos/%ff", "InvalidURI"),
            ("/photos/%zz", "InvalidURI"),
            ("/photos/%", "InvalidURI"),
            ("//photos/a", "InvalidBucketName"),
            ("/../photos/a", "InvalidBucketName"),
            ("/Photos/a", "InvalidBucketName"),
            ("/ph", "InvalidBucketName"),
            ("/10.0.0.1/a", "InvalidBucketName"),
            ("photos", "InvalidURI"),
        ] {
            assert_eq!(named(path, "h"), Err(code), "{path}");
        }
        assert_eq!(named(&format!("/photos/{}", "a".repeat(1_025)), "h"), Err("KeyTooLongError"));
        assert!(named(&format!("/photos/{}", "a".repeat(1_024)), "h").is_ok());
        assert_eq!(named("/a", "..s3.example.com"), Err("InvalidBucketName"));
        assert_eq!(named("//a", "photos.s3.example.com"), Err("InvalidArgument"));
    }

    #[test]
    fn a_copy_source_is_read_like_a_path() {
        let source = |text: &str| copy_source(text.as_bytes());
        let found = source("/photos/a%20b/c?versionId=3%2F1").unwrap();
        assert_eq!((found.bucket.as_str(), &*found.key, found.version_id.as_deref()), ("photos", "a b/c", Some("3/1")));
        assert_eq!(
            source("photos/a%3FversionId=1").unwrap().key,
            "a?versionId=1",
            "an escaped mark is part of the key"
        );
        for bad in [
            "",
            "/",
            "photos",
            "photos/",
            "//photos/a",
            "photos//a",
            "photos/../b",
            "photos/a?versionId=",
            "p/a",
            "photos/%zz",
            "photos/%ff",
        ] {
            assert_eq!(source(bad).unwrap_err().status(), 400, "{bad}");
        }
        assert_eq!(source("arn:aws:s3:us-east-1:1:accesspoint/a/object/b").unwrap_err().code(), "NotImplemented");
    }
}
