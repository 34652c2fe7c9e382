//! The front before `s3s`: what a store gets to see of an upload, and what of it nobody gets past.
//!
//! The store here is the laziest there could be: it commits as soon as it has as many bytes as were announced, without waiting
//! for the end. Real clients and files are tried by `tools/clients/run`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use keyledger::front::{Buckets, Fault, Front, FrontOptions, OBJECT_BYTES_MAX, Peer, Proof};
use keyledger::gate::{Gate, GateOptions};
use keyledger::ledger::{Command, CreateAccessKey, InitOptions, Ledger, Outcome};
use keyledger::model::{AccessKeyId, BucketName, Caller, Grant, GrantRole, OrgOwner, OrgUid, Time};
use keyledger::sigv4::{Request as Signed, Rules, Signer, amz_date, sign_headers};
use keyledger::sys::{Clock as _, SystemClock};
use s3s::dto::{ListBucketsInput, ListBucketsOutput, PutObjectInput, PutObjectOutput};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

const PEER: Peer = Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), tls: None };

/// Takes the announced number of bytes and asks for no more.
#[derive(Clone, Default)]
struct Lazy(Arc<Mutex<Stored>>);

/// Keys and what was committed under them.
type Stored = Vec<(String, Vec<u8>)>;

#[async_trait::async_trait]
impl S3 for Lazy {
    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let wanted = usize::try_from(req.input.content_length.unwrap_or(0)).unwrap();
        let (mut body, mut got) = (req.input.body.ok_or_else(|| s3_error!(IncompleteBody))?, Vec::new());
        while got.len() < wanted {
            match std::future::poll_fn(|cx| futures_core::Stream::poll_next(Pin::new(&mut body), cx)).await {
                Some(Ok(piece)) => got.extend_from_slice(&piece),
                Some(Err(_)) | None => return Err(s3_error!(InternalError)),
            }
        }
        self.0.lock().unwrap().push((req.input.key, got));
        Ok(S3Response::new(PutObjectOutput::default()))
    }

    async fn list_buckets(&self, _req: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        Ok(S3Response::new(ListBucketsOutput::default()))
    }
}

struct Registered(Arc<Ledger>);

#[async_trait::async_trait]
impl Buckets for Registered {
    fn owner(&self, bucket: &BucketName) -> Option<OrgUid> {
        self.0.handle().state().bucket_org(bucket)
    }

    async fn register(&self, _proof: &Proof, _bucket: &BucketName) -> Result<(), Fault> {
        Err(Fault::new(403, "AccessDenied", "not here"))
    }

    async fn forget(&self, _proof: &Proof, _bucket: &BucketName) -> Result<(), Fault> {
        Ok(())
    }
}

struct Given {
    _dir: tempfile::TempDir,
    ledger: Arc<Ledger>,
    front: Front,
    store: Lazy,
    id: AccessKeyId,
    secret: String,
}

fn given() -> Given {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::init(&dir.path().join("ledger"), &InitOptions::default()).unwrap());
    let me = Caller::operator("test");
    let org =
        Command::CreateOrg { name: "acme".into(), account: None, owner: OrgOwner::Operator, settings: Box::default() };
    let Outcome::OrgCreated { org, .. } = ledger.execute_blocking(&me, org, None).unwrap().outcome else { panic!() };
    let bucket = BucketName::parse("ours").unwrap();
    ledger.execute_blocking(&me, Command::RegisterBucket { org, bucket: bucket.clone() }, None).unwrap();
    let grants = vec![Grant { bucket: Some(bucket), role: GrantRole::Editor }];
    let key = CreateAccessKey { grants, ..CreateAccessKey::default() };
    let mut done = ledger.execute_blocking(&me, Command::CreateKey { org, key: key.into() }, None).unwrap();
    let secret = done.outcome.take_secret().unwrap().expose_secret().to_owned();
    let Outcome::KeyCreated(made) = done.outcome else { panic!() };
    let gate = Gate::new(ledger.handle(), ledger.secrets().unwrap(), GateOptions::default()).unwrap();
    let store = Lazy::default();
    let options = FrontOptions { upload_key: [7; 32], object_bytes_max: OBJECT_BYTES_MAX };
    let buckets = Arc::new(Registered(Arc::clone(&ledger)));
    let front = Front::new(Arc::new(gate), Arc::new(SystemClock), store.clone(), buckets, &options);
    Given { _dir: dir, ledger, front, store, id: made.access_key_id, secret }
}

/// Pieces of a body, with something that happens before the last.
struct Pieces<F>(Vec<&'static [u8]>, Option<F>);

impl<F: FnOnce() + Unpin> futures_core::Stream for Pieces<F> {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.0.remove(0);
        if self.0.is_empty()
            && let Some(before) = self.1.take()
        {
            before();
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece)))))
    }
}

impl Given {
    /// Puts `/ours/key`, signed for `said`, sending these pieces; `before` happens before the last.
    async fn put<F>(&self, said: &[u8], pieces: Vec<&'static [u8]>, before: F) -> Response<Body>
    where
        F: FnOnce() + Send + Unpin + 'static,
    {
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>().to_string();
        let hash = Sha256::digest(said).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let now = Time(SystemClock.now().wall_ns);
        let date = amz_date(now);
        let headers = [("host", "s3.test"), ("x-amz-date", date.as_str()), ("x-amz-content-sha256", hash.as_str())];
        let bytes = headers.map(|(name, value)| (name, value.as_bytes()));
        let signed = Signed { method: "PUT", target: b"/ours/key", headers: &bytes };
        let signer = Signer {
            access_key_id: self.id.as_str(),
            secret: self.secret.as_bytes(),
            rules: Rules::s3(&["us-east-1"]),
        };
        let authorization = sign_headers(&signed, &signer, &hash, now).unwrap();
        let mut request = Request::builder().method("PUT").uri("/ours/key").header("content-length", length);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let body = StreamBody::new(Pieces(pieces, Some(before)));
        self.front.call(request.header("authorization", authorization).body(body).unwrap(), PEER).await
    }

    fn stored(&self) -> Stored {
        self.store.0.lock().unwrap().clone()
    }
}

async fn text(reply: Response<Body>) -> String {
    String::from_utf8(reply.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a_good_body_arrives_whole() {
    let given = given();
    let reply = given.put(b"one two", vec![b"one", b" ", b"two"], || {}).await;
    assert_eq!(reply.status(), 200, "{}", text(reply).await);
    assert_eq!(given.stored(), [("key".to_owned(), b"one two".to_vec())]);
}

#[tokio::test]
async fn a_store_that_does_not_wait_for_the_end_gets_no_bad_body_whole_either() {
    let given = given();
    for pieces in [vec![&b"one tw0"[..]], vec![b"one", b" ", b"tw0"], vec![b"0ne two", b""]] {
        let reply = given.put(b"one two", pieces, || {}).await;
        assert_eq!(reply.status(), 400);
        assert!(text(reply).await.contains("<Code>XAmzContentSHA256Mismatch</Code>"));
    }
    assert_eq!(given.stored(), []);
}

#[tokio::test]
async fn a_key_that_is_revoked_while_its_upload_comes_commits_nothing() {
    let given = given();
    let (ledger, key) = (Arc::clone(&given.ledger), given.id.clone());
    let revoke = move || {
        // A thread of its own: whoever waits for the ledger must not be what runs the front.
        let revoke =
            move || ledger.execute_blocking(&Caller::operator("test"), Command::RevokeKey { key }, None).map(drop);
        std::thread::spawn(revoke).join().unwrap().unwrap();
    };
    let reply = given.put(b"one two", vec![b"one", b" two"], revoke).await;
    assert_eq!(reply.status(), 403);
    assert!(text(reply).await.contains("<Code>InvalidAccessKeyId</Code>"));
    assert_eq!(given.stored(), []);
}

#[tokio::test]
async fn an_unsigned_request_is_denied_with_a_request_id() {
    let given = given();
    let request =
        Request::builder().uri("/").header("host", "s3.test").body(http_body_util::Empty::<Bytes>::new()).unwrap();
    let reply = given.front.call(request, PEER).await;
    assert_eq!(reply.status(), 403);
    let id = reply.headers()["x-amz-request-id"].to_str().unwrap().to_owned();
    assert!(text(reply).await.contains(&format!("<RequestId>{id}</RequestId>")));
}
