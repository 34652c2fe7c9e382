//! What stands between `s3s` and the store: nobody passes without the gate's proof, and only for what the proof is of.
//!
//! Invariants
//! - INVARIANT: a request that comes to the store by any way but the front is refused: `s3s` skips access checks when it has no
//!   way to authenticate, so it is given one that knows nobody.
//! - Operation, bucket and key that `s3s` read are the ones that the gate decided on, and so is a copy's source.
//! - What can only be decided by the body is asked here, before the store sees the request: DeleteObjects key by key.
//!
//! Not here: the decision itself (`gate`).

use crate::gate::{Admitted, FromBody, Gate, Operation, Pending};
use crate::model::{OrgUid, Seq, Time};
use crate::sys::Clock;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
#[allow(clippy::wildcard_imports, reason = "the whole trait's types, by S3's own names")]
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The gate's proof, on its way with a request through `s3s`.
#[derive(Clone)]
pub struct Proof {
    admitted: Arc<Admitted>,
    request_id: Arc<str>,
    /// The newest state by which one of its decisions was made, for the reply.
    seq: Arc<AtomicU64>,
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof")
            .field("access_key_id", &self.access_key_id())
            .field("operation", &self.admitted.operation())
            .finish_non_exhaustive()
    }
}

impl Proof {
    pub(super) fn new(admitted: Admitted, request_id: &str) -> Self {
        let seq = AtomicU64::new(admitted.seq().0);
        Self { admitted: Arc::new(admitted), request_id: request_id.into(), seq: Arc::new(seq) }
    }

    /// What was asked for, by whom, and the decision.
    #[must_use]
    pub fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    #[must_use]
    pub fn org(&self) -> OrgUid {
        self.admitted.org()
    }

    #[must_use]
    pub fn access_key_id(&self) -> &str {
        self.admitted.access_key_id()
    }

    /// As in `x-amz-request-id`.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The newest state by which something of the request was decided.
    #[must_use]
    pub fn seq(&self) -> Seq {
        Seq(self.seq.load(Ordering::Relaxed))
    }

    pub(super) fn decided_at(&self, seq: Seq) {
        self.seq.fetch_max(seq.0, Ordering::Relaxed);
    }
}

/// The keys of a DeleteObjects that were refused, each with its error, on their way to the reply.
#[derive(Clone, Default)]
pub(super) struct Refused(pub Vec<Error>);

/// Knows nobody: the front has authenticated already.
pub(super) struct Nobody;

#[async_trait::async_trait]
impl S3Auth for Nobody {
    async fn get_secret_key(&self, _access_key: &str) -> S3Result<SecretKey> {
        Err(s3_error!(AccessDenied))
    }
}

/// Holds what `s3s` read against the proof.
pub(super) struct Held {
    pub gate: Arc<Gate>,
    pub clock: Arc<dyn Clock>,
}

/// What a hook below asks the gate for.
const ASKED_BY_BODY: [Operation; 5] = [
    Operation::CreateBucket,
    Operation::PutObjectTagging,
    Operation::PutBucketTagging,
    Operation::PutObjectRetention,
    Operation::PutObjectLegalHold,
];

impl Held {
    fn now(&self) -> Time {
        Time(self.clock.now().wall_ns)
    }

    fn ask<T>(&self, req: &S3Request<T>, body: &FromBody<'_>) -> S3Result<()> {
        let proof: &Proof = req.extensions.get().ok_or_else(|| s3_error!(AccessDenied))?;
        if proof.admitted.pending() != Pending::Body {
            return Ok(());
        }
        let access = self
            .gate
            .may_with(&proof.admitted, body, self.now())
            .map_err(|_| s3_error!(AccessDenied, "Access Denied"))?;
        proof.decided_at(access.seq);
        Ok(())
    }

    fn ask_tags<T>(&self, req: &S3Request<T>, tags: &[Tag]) -> S3Result<()> {
        let pairs: Vec<(&str, &str)> = tags
            .iter()
            .map(|tag| (tag.key.as_deref().unwrap_or_default(), tag.value.as_deref().unwrap_or_default()))
            .collect();
        self.ask(req, &FromBody { tags: &pairs, ..FromBody::default() })
    }
}

fn time_of(stamp: &Timestamp) -> Option<Time> {
    let mut text = Vec::with_capacity(32);
    stamp.format(TimestampFormat::DateTime, &mut text).ok()?;
    Time::parse(std::str::from_utf8(&text).ok()?).ok()
}

/// A copy's source is the one that the gate allowed.
fn same_source<T>(req: &S3Request<T>, source: &CopySource) -> S3Result<()> {
    let proof: Option<&Proof> = req.extensions.get();
    let allowed = proof.and_then(|proof| proof.admitted.copy_source());
    match (source, allowed) {
        (CopySource::Bucket { bucket, key, version_id }, Some(allowed))
            if **bucket == *allowed.bucket.as_str()
                && **key == *allowed.key
                && version_id.as_deref() == allowed.version_id.as_deref() =>
        {
            Ok(())
        }
        _ => Err(s3_error!(AccessDenied, "Access Denied")),
    }
}

#[async_trait::async_trait]
impl S3Access for Held {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let (bucket, key) = (cx.s3_path().get_bucket_name(), cx.s3_path().get_object_key());
        let (bucket, key) = (bucket.map(str::to_owned), key.map(str::to_owned));
        let operation = cx.s3_op().name().to_owned();
        let proof: &Proof = cx.extensions_mut().get().ok_or_else(|| s3_error!(AccessDenied))?;
        let admitted = &proof.admitted;
        let as_asked = bucket.as_deref() == admitted.bucket() && key.as_deref() == admitted.object_key();
        // A form is passed on as what it does.
        let allowed = match admitted.operation() {
            Operation::PostObject => Operation::PutObject,
            operation => operation,
        };
        if !as_asked || operation != allowed.as_str() {
            tracing::warn!(%operation, allowed = %admitted.operation(), "read a request otherwise than the gate did; refused");
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        match admitted.pending() {
            Pending::Nothing => Ok(()),
            Pending::EachKey if allowed == Operation::DeleteObjects => Ok(()),
            Pending::Body if ASKED_BY_BODY.contains(&allowed) => Ok(()),
            Pending::EachKey | Pending::Body => Err(s3_error!(AccessDenied, "Access Denied")),
        }
    }

    async fn delete_objects(&self, req: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let proof: Proof = req.extensions.get().cloned().ok_or_else(|| s3_error!(AccessDenied))?;
        if proof.admitted.pending() != Pending::EachKey {
            return Err(s3_error!(AccessDenied));
        }
        let mut refused = Vec::new();
        req.input.delete.objects.retain(|object| {
            match self.gate.may_delete(&proof.admitted, &object.key, object.version_id.as_deref(), self.now()) {
                Ok(access) => {
                    proof.decided_at(access.seq);
                    true
                }
                Err(denied) => {
                    refused.push(Error {
                        code: Some(denied.code().to_owned()),
                        key: Some(object.key.clone()),
                        message: Some(denied.message().to_owned()),
                        version_id: object.version_id.clone(),
                    });
                    false
                }
            }
        });
        req.extensions.insert(Refused(refused));
        Ok(())
    }

    async fn copy_object(&self, req: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        same_source(req, &req.input.copy_source)
    }

    async fn upload_part_copy(&self, req: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        same_source(req, &req.input.copy_source)
    }

    async fn create_bucket(&self, req: &mut S3Request<CreateBucketInput>) -> S3Result<()> {
        let configuration = req.input.create_bucket_configuration.as_ref();
        let place = configuration.and_then(|given| given.location_constraint.as_ref());
        // `s3s` reads no tags of a new bucket, so none are made either.
        let location_constraint = place.map(BucketLocationConstraint::as_str);
        self.ask(req, &FromBody { location_constraint, ..FromBody::default() })
    }

    async fn put_object_tagging(&self, req: &mut S3Request<PutObjectTaggingInput>) -> S3Result<()> {
        self.ask_tags(req, &req.input.tagging.tag_set)
    }

    async fn put_bucket_tagging(&self, req: &mut S3Request<PutBucketTaggingInput>) -> S3Result<()> {
        self.ask_tags(req, &req.input.tagging.tag_set)
    }

    async fn put_object_retention(&self, req: &mut S3Request<PutObjectRetentionInput>) -> S3Result<()> {
        let given = req.input.retention.as_ref();
        let until = given.and_then(|given| given.retain_until_date.as_ref()).and_then(time_of);
        let lock_mode = given.and_then(|given| given.mode.as_ref()).map(ObjectLockRetentionMode::as_str);
        self.ask(req, &FromBody { lock_mode, retain_until: until, ..FromBody::default() })
    }

    async fn put_object_legal_hold(&self, req: &mut S3Request<PutObjectLegalHoldInput>) -> S3Result<()> {
        let given = req.input.legal_hold.as_ref().and_then(|given| given.status.as_ref());
        let legal_hold = given.map(ObjectLockLegalHoldStatus::as_str);
        self.ask(req, &FromBody { legal_hold, ..FromBody::default() })
    }
}
