//! The object store behind the gate: what an `impl S3` must not be trusted with.
//!
//! - Upload ids: a store may take any part for any upload (`s3s-fs` does). The ids that clients see carry a tag over org,
//!   bucket and key, so a foreign one is unknown. Nothing is stored for it, and a restart changes nothing.
//! - Buckets belong to orgs: CreateBucket registers first, then creates, and is undone on failure; DeleteBucket wants the
//!   bucket empty and forgets it; ListBuckets shows the org's own.
//! - Lists: `encoding-type=url` is done here (`s3s-fs` says it did, and does not).
//! - DeleteObjects: keys that the hook before (`access`) refused are answered one by one.
//!
//! Not here: rights (`access` and the gate ask for them before anything here runs), objects.

use super::access::{Proof, Refused};
use super::form::encode;
use super::reply::Fault;
use crate::model::{BucketName, OrgUid};
#[allow(clippy::wildcard_imports, reason = "the whole trait's types, by S3's own names")]
use s3s::dto::*;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Who owns which bucket, and the way to change that.
#[async_trait::async_trait]
pub trait Buckets: Send + Sync + 'static {
    /// The org that a bucket is registered to, now.
    fn owner(&self, bucket: &BucketName) -> Option<OrgUid>;

    /// Registers a bucket to the org of whoever asks; returns when that is durable and [`Self::owner`] says so.
    ///
    /// # Errors
    /// What to answer instead; nothing was registered.
    async fn register(&self, proof: &Proof, bucket: &BucketName) -> Result<(), Fault>;

    /// Forgets a bucket that no longer exists.
    ///
    /// # Errors
    /// What to answer instead; it is still registered.
    async fn forget(&self, proof: &Proof, bucket: &BucketName) -> Result<(), Fault>;
}

/// Hex digits of the tag of an upload id: 128 bits.
const TAG_LETTERS: usize = 32;

/// An `impl S3` with everything bound to orgs, buckets and keys.
pub(super) struct Store<S> {
    inner: S,
    buckets: Arc<dyn Buckets>,
    upload_key: [u8; 32],
    /// Buckets are made and removed one at a time, so that registering and making cannot cross.
    turn: tokio::sync::Mutex<()>,
}

impl<S: S3> Store<S> {
    pub fn new(inner: S, buckets: Arc<dyn Buckets>, upload_key: [u8; 32]) -> Self {
        Self { inner, buckets, upload_key, turn: tokio::sync::Mutex::default() }
    }

    /// The id that a client sees of an upload.
    fn bind(&self, proof: &Proof, bucket: &str, key: &str, id: &str) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.upload_key);
        hasher.update(&proof.org().0);
        for part in [bucket, key, id] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        format!("{id}.{}", &hasher.finalize().to_hex()[..TAG_LETTERS])
    }

    /// The store's own id of an upload, if the client's names one of this key in this bucket.
    fn unbind(&self, proof: &Proof, bucket: &str, key: &str, given: &str) -> S3Result<String> {
        let id = given.rsplit_once('.').map(|(id, _)| id);
        let known = id.filter(|id| self.bind(proof, bucket, key, id).as_bytes().ct_eq(given.as_bytes()).into());
        known.map(str::to_owned).ok_or_else(|| {
            s3_error!(
                NoSuchUpload,
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted \
                 or completed."
            )
        })
    }

    async fn is_empty<T>(&self, req: &S3Request<T>, bucket: &str) -> S3Result<bool> {
        let input = ListObjectsV2Input { bucket: bucket.to_owned(), max_keys: Some(1), ..Default::default() };
        let listed = self.inner.list_objects_v2(request(req, input)).await?.output;
        Ok(listed.contents.is_none_or(|contents| contents.is_empty()))
    }
}

/// Another request by the same caller.
fn request<T, U>(req: &S3Request<T>, input: U) -> S3Request<U> {
    S3Request {
        input,
        method: req.method.clone(),
        uri: req.uri.clone(),
        headers: req.headers.clone(),
        extensions: req.extensions.clone(),
        credentials: None,
        region: req.region.clone(),
        service: req.service.clone(),
        trailing_headers: None,
    }
}

fn proof<T>(req: &S3Request<T>) -> S3Result<Proof> {
    req.extensions.get().cloned().ok_or_else(|| s3_error!(AccessDenied))
}

fn bucket_name(text: &str) -> S3Result<BucketName> {
    BucketName::parse(text).map_err(|_| s3_error!(InvalidBucketName, "The specified bucket is not valid."))
}

fn error(fault: &Fault) -> S3Error {
    let code = S3ErrorCode::from_bytes(fault.code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
    let mut error = S3Error::with_message(code, fault.message.clone());
    if let Ok(status) = http::StatusCode::from_u16(fault.status) {
        error.set_status_code(status);
    }
    error
}

/// The whole trait: what is written out, and everything else passed on.
macro_rules! passing_on {
    ({ $($own:tt)* } $($name:ident($input:ty) -> $output:ty;)*) => {
        #[async_trait::async_trait]
        impl<S: S3> S3 for Store<S> {
            $($own)*
            $(
                async fn $name(&self, req: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    self.inner.$name(req).await
                }
            )*
        }
    };
}

passing_on! {
    {
        async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
            let (proof, bucket) = (proof(&req)?, bucket_name(&req.input.bucket)?);
            let _turn = self.turn.lock().await;
            let is_new = match self.buckets.owner(&bucket) {
                Some(owner) if owner != proof.org() => return Err(s3_error!(BucketAlreadyExists)),
                Some(_) => false,
                None => true,
            };
            if is_new {
                self.buckets.register(&proof, &bucket).await.map_err(|fault| error(&fault))?;
            }
            let made = self.inner.create_bucket(req).await;
            let Err(failed) = made else { return made };
            if is_new {
                // A folder without an owner is nobody's: it is not taken over by making a bucket of its name.
                if let Err(fault) = self.buckets.forget(&proof, &bucket).await {
                    tracing::error!(%bucket, code = fault.code, "could not undo registering a bucket that was not made");
                }
            } else if *failed.code() == S3ErrorCode::BucketAlreadyExists {
                return Err(s3_error!(
                    BucketAlreadyOwnedByYou,
                    "Your previous request to create the named bucket succeeded and you already own it."
                ));
            }
            Err(failed)
        }

        async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
            let (proof, bucket) = (proof(&req)?, bucket_name(&req.input.bucket)?);
            let _turn = self.turn.lock().await;
            let deleted = match self.is_empty(&req, bucket.as_str()).await {
                Ok(true) => self.inner.delete_bucket(req).await,
                Ok(false) => {
                    return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty."));
                }
                Err(failed) => Err(failed),
            };
            match deleted {
                // Registered and not there: what an earlier attempt left. Now it is forgotten too.
                Err(failed) if *failed.code() != S3ErrorCode::NoSuchBucket => return Err(failed),
                _ => {}
            }
            self.buckets.forget(&proof, &bucket).await.map_err(|fault| error(&fault))?;
            Ok(S3Response::with_status(DeleteBucketOutput {}, http::StatusCode::NO_CONTENT))
        }

        async fn list_buckets(&self, req: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
            let proof = proof(&req)?;
            let mut reply = self.inner.list_buckets(req).await?;
            let own = |bucket: &Bucket| {
                let name = bucket.name.as_deref().and_then(|name| BucketName::parse(name).ok());
                name.is_some_and(|name| self.buckets.owner(&name) == Some(proof.org()))
            };
            if let Some(buckets) = &mut reply.output.buckets {
                buckets.retain(own);
                buckets.sort_by(|a, b| a.name.cmp(&b.name));
            }
            Ok(reply)
        }

        async fn delete_objects(&self, mut req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
            let Refused(refused) = req.extensions.remove().unwrap_or_default();
            let mut reply = if req.input.delete.objects.is_empty() && !refused.is_empty() {
                S3Response::new(DeleteObjectsOutput::default())
            } else {
                let quiet = req.input.delete.quiet == Some(true);
                let mut reply = self.inner.delete_objects(req).await?;
                if quiet {
                    reply.output.deleted = None;
                }
                reply
            };
            if !refused.is_empty() {
                reply.output.errors.get_or_insert_default().extend(refused);
            }
            Ok(reply)
        }

        async fn list_objects(&self, mut req: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
            let encoding = req.input.encoding_type.take();
            let mut reply = self.inner.list_objects(req).await?;
            if let Some(encoding) = encoding {
                check_encoding(&encoding)?;
                let out = &mut reply.output;
                encode_all(&mut out.contents, &mut out.common_prefixes);
                [&mut out.prefix, &mut out.delimiter, &mut out.marker, &mut out.next_marker].into_iter().for_each(encode_one);
                out.encoding_type = Some(encoding);
            }
            Ok(reply)
        }

        async fn list_objects_v2(
            &self,
            mut req: S3Request<ListObjectsV2Input>,
        ) -> S3Result<S3Response<ListObjectsV2Output>> {
            let encoding = req.input.encoding_type.take();
            let mut reply = self.inner.list_objects_v2(req).await?;
            if let Some(encoding) = encoding {
                check_encoding(&encoding)?;
                let out = &mut reply.output;
                encode_all(&mut out.contents, &mut out.common_prefixes);
                [&mut out.prefix, &mut out.delimiter, &mut out.start_after].into_iter().for_each(encode_one);
                out.encoding_type = Some(encoding);
            }
            Ok(reply)
        }

        async fn create_multipart_upload(
            &self,
            req: S3Request<CreateMultipartUploadInput>,
        ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
            let (proof, bucket, key) = (proof(&req)?, req.input.bucket.clone(), req.input.key.clone());
            let mut reply = self.inner.create_multipart_upload(req).await?;
            let id = reply.output.upload_id.take();
            reply.output.upload_id = id.map(|id| self.bind(&proof, &bucket, &key, &id));
            Ok(reply)
        }

        async fn upload_part(&self, mut req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
            let proof = proof(&req)?;
            part_number(req.input.part_number)?;
            req.input.upload_id = self.unbind(&proof, &req.input.bucket, &req.input.key, &req.input.upload_id)?;
            self.inner.upload_part(req).await
        }

        async fn upload_part_copy(
            &self,
            mut req: S3Request<UploadPartCopyInput>,
        ) -> S3Result<S3Response<UploadPartCopyOutput>> {
            let proof = proof(&req)?;
            part_number(req.input.part_number)?;
            req.input.upload_id = self.unbind(&proof, &req.input.bucket, &req.input.key, &req.input.upload_id)?;
            self.inner.upload_part_copy(req).await
        }

        async fn complete_multipart_upload(
            &self,
            mut req: S3Request<CompleteMultipartUploadInput>,
        ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
            let proof = proof(&req)?;
            req.input.upload_id = self.unbind(&proof, &req.input.bucket, &req.input.key, &req.input.upload_id)?;
            self.inner.complete_multipart_upload(req).await
        }

        async fn abort_multipart_upload(
            &self,
            mut req: S3Request<AbortMultipartUploadInput>,
        ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
            let proof = proof(&req)?;
            req.input.upload_id = self.unbind(&proof, &req.input.bucket, &req.input.key, &req.input.upload_id)?;
            self.inner.abort_multipart_upload(req).await
        }

        async fn list_parts(&self, mut req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
            let proof = proof(&req)?;
            let given = req.input.upload_id.clone();
            req.input.upload_id = self.unbind(&proof, &req.input.bucket, &req.input.key, &given)?;
            let mut reply = self.inner.list_parts(req).await?;
            reply.output.upload_id = Some(given);
            Ok(reply)
        }

        async fn list_multipart_uploads(
            &self,
            req: S3Request<ListMultipartUploadsInput>,
        ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
            let (proof, bucket) = (proof(&req)?, req.input.bucket.clone());
            let mut reply = self.inner.list_multipart_uploads(req).await?;
            for upload in reply.output.uploads.iter_mut().flatten() {
                let (Some(key), Some(id)) = (&upload.key, &upload.upload_id) else { continue };
                upload.upload_id = Some(self.bind(&proof, &bucket, key, id));
            }
            Ok(reply)
        }

        /// Forms were made PutObject before they came here.
        async fn post_object(&self, _req: S3Request<PostObjectInput>) -> S3Result<S3Response<PostObjectOutput>> {
            Err(s3_error!(NotImplemented))
        }
    }
    copy_object(CopyObjectInput) -> CopyObjectOutput;
    create_bucket_metadata_table_configuration(CreateBucketMetadataTableConfigurationInput) -> CreateBucketMetadataTableConfigurationOutput;
    create_session(CreateSessionInput) -> CreateSessionOutput;
    delete_bucket_analytics_configuration(DeleteBucketAnalyticsConfigurationInput) -> DeleteBucketAnalyticsConfigurationOutput;
    delete_bucket_cors(DeleteBucketCorsInput) -> DeleteBucketCorsOutput;
    delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput;
    delete_bucket_intelligent_tiering_configuration(DeleteBucketIntelligentTieringConfigurationInput) -> DeleteBucketIntelligentTieringConfigurationOutput;
    delete_bucket_inventory_configuration(DeleteBucketInventoryConfigurationInput) -> DeleteBucketInventoryConfigurationOutput;
    delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput;
    delete_bucket_metadata_table_configuration(DeleteBucketMetadataTableConfigurationInput) -> DeleteBucketMetadataTableConfigurationOutput;
    delete_bucket_metrics_configuration(DeleteBucketMetricsConfigurationInput) -> DeleteBucketMetricsConfigurationOutput;
    delete_bucket_ownership_controls(DeleteBucketOwnershipControlsInput) -> DeleteBucketOwnershipControlsOutput;
    delete_bucket_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput;
    delete_bucket_replication(DeleteBucketReplicationInput) -> DeleteBucketReplicationOutput;
    delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput;
    delete_bucket_website(DeleteBucketWebsiteInput) -> DeleteBucketWebsiteOutput;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput;
    delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput;
    delete_public_access_block(DeletePublicAccessBlockInput) -> DeletePublicAccessBlockOutput;
    get_bucket_accelerate_configuration(GetBucketAccelerateConfigurationInput) -> GetBucketAccelerateConfigurationOutput;
    get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput;
    get_bucket_analytics_configuration(GetBucketAnalyticsConfigurationInput) -> GetBucketAnalyticsConfigurationOutput;
    get_bucket_cors(GetBucketCorsInput) -> GetBucketCorsOutput;
    get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput;
    get_bucket_intelligent_tiering_configuration(GetBucketIntelligentTieringConfigurationInput) -> GetBucketIntelligentTieringConfigurationOutput;
    get_bucket_inventory_configuration(GetBucketInventoryConfigurationInput) -> GetBucketInventoryConfigurationOutput;
    get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
    get_bucket_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput;
    get_bucket_metadata_table_configuration(GetBucketMetadataTableConfigurationInput) -> GetBucketMetadataTableConfigurationOutput;
    get_bucket_metrics_configuration(GetBucketMetricsConfigurationInput) -> GetBucketMetricsConfigurationOutput;
    get_bucket_notification_configuration(GetBucketNotificationConfigurationInput) -> GetBucketNotificationConfigurationOutput;
    get_bucket_ownership_controls(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput;
    get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput;
    get_bucket_policy_status(GetBucketPolicyStatusInput) -> GetBucketPolicyStatusOutput;
    get_bucket_replication(GetBucketReplicationInput) -> GetBucketReplicationOutput;
    get_bucket_request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput;
    get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput;
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput;
    get_bucket_website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput;
    get_object(GetObjectInput) -> GetObjectOutput;
    get_object_acl(GetObjectAclInput) -> GetObjectAclOutput;
    get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput;
    get_object_legal_hold(GetObjectLegalHoldInput) -> GetObjectLegalHoldOutput;
    get_object_lock_configuration(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput;
    get_object_retention(GetObjectRetentionInput) -> GetObjectRetentionOutput;
    get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput;
    get_object_torrent(GetObjectTorrentInput) -> GetObjectTorrentOutput;
    get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput;
    head_bucket(HeadBucketInput) -> HeadBucketOutput;
    head_object(HeadObjectInput) -> HeadObjectOutput;
    list_bucket_analytics_configurations(ListBucketAnalyticsConfigurationsInput) -> ListBucketAnalyticsConfigurationsOutput;
    list_bucket_intelligent_tiering_configurations(ListBucketIntelligentTieringConfigurationsInput) -> ListBucketIntelligentTieringConfigurationsOutput;
    list_bucket_inventory_configurations(ListBucketInventoryConfigurationsInput) -> ListBucketInventoryConfigurationsOutput;
    list_bucket_metrics_configurations(ListBucketMetricsConfigurationsInput) -> ListBucketMetricsConfigurationsOutput;
    list_directory_buckets(ListDirectoryBucketsInput) -> ListDirectoryBucketsOutput;
    list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput;
    put_bucket_accelerate_configuration(PutBucketAccelerateConfigurationInput) -> PutBucketAccelerateConfigurationOutput;
    put_bucket_acl(PutBucketAclInput) -> PutBucketAclOutput;
    put_bucket_analytics_configuration(PutBucketAnalyticsConfigurationInput) -> PutBucketAnalyticsConfigurationOutput;
    put_bucket_cors(PutBucketCorsInput) -> PutBucketCorsOutput;
    put_bucket_encryption(PutBucketEncryptionInput) -> PutBucketEncryptionOutput;
    put_bucket_intelligent_tiering_configuration(PutBucketIntelligentTieringConfigurationInput) -> PutBucketIntelligentTieringConfigurationOutput;
    put_bucket_inventory_configuration(PutBucketInventoryConfigurationInput) -> PutBucketInventoryConfigurationOutput;
    put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput) -> PutBucketLifecycleConfigurationOutput;
    put_bucket_logging(PutBucketLoggingInput) -> PutBucketLoggingOutput;
    put_bucket_metrics_configuration(PutBucketMetricsConfigurationInput) -> PutBucketMetricsConfigurationOutput;
    put_bucket_notification_configuration(PutBucketNotificationConfigurationInput) -> PutBucketNotificationConfigurationOutput;
    put_bucket_ownership_controls(PutBucketOwnershipControlsInput) -> PutBucketOwnershipControlsOutput;
    put_bucket_policy(PutBucketPolicyInput) -> PutBucketPolicyOutput;
    put_bucket_replication(PutBucketReplicationInput) -> PutBucketReplicationOutput;
    put_bucket_request_payment(PutBucketRequestPaymentInput) -> PutBucketRequestPaymentOutput;
    put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput;
    put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput;
    put_bucket_website(PutBucketWebsiteInput) -> PutBucketWebsiteOutput;
    put_object(PutObjectInput) -> PutObjectOutput;
    put_object_acl(PutObjectAclInput) -> PutObjectAclOutput;
    put_object_legal_hold(PutObjectLegalHoldInput) -> PutObjectLegalHoldOutput;
    put_object_lock_configuration(PutObjectLockConfigurationInput) -> PutObjectLockConfigurationOutput;
    put_object_retention(PutObjectRetentionInput) -> PutObjectRetentionOutput;
    put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput;
    put_public_access_block(PutPublicAccessBlockInput) -> PutPublicAccessBlockOutput;
    restore_object(RestoreObjectInput) -> RestoreObjectOutput;
    select_object_content(SelectObjectContentInput) -> SelectObjectContentOutput;
    write_get_object_response(WriteGetObjectResponseInput) -> WriteGetObjectResponseOutput;
}

/// 1 to 10,000 (S3 User Guide, "Multipart upload limits").
fn part_number(number: i32) -> S3Result<()> {
    if (1..=10_000).contains(&number) {
        return Ok(());
    }
    Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"))
}

fn check_encoding(encoding: &EncodingType) -> S3Result<()> {
    if encoding.as_str() == EncodingType::URL {
        return Ok(());
    }
    Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request"))
}

fn encode_one(text: &mut Option<String>) {
    if let Some(text) = text {
        *text = encode(text, b"/");
    }
}

fn encode_all(objects: &mut Option<Vec<Object>>, prefixes: &mut Option<Vec<CommonPrefix>>) {
    objects.iter_mut().flatten().for_each(|object| encode_one(&mut object.key));
    prefixes.iter_mut().flatten().for_each(|common| encode_one(&mut common.prefix));
}
