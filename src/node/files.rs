//! `s3s-fs` with what it must not be asked: keys that are not one file's name.
//!
//! A key is a path here, and a file system has several spellings of one path: `a//b` is `a/b`, and `a/` is `a`. A policy that
//! speaks of one spelling would not hold for the other, so only the plain one is served. Names that a file system cannot
//! hold get S3's errors instead of 500.
//!
//! Not here: `.`, `..` and leading slashes (the gate refuses them).

use super::NodeError;
#[allow(clippy::wildcard_imports, reason = "the whole trait's types, by S3's own names")]
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use std::path::{Path, PathBuf};

/// Bytes of a path's segment (`NAME_MAX`).
const SEGMENT_BYTES_MAX: usize = 255;
/// `s3s-fs` keeps bucket and key as base64 in the name of a file beside: 255 bytes hold so many of both.
const METADATA_BYTES_MAX: usize = 130;

/// A folder of objects.
pub struct Files {
    inner: FileSystem,
    root: PathBuf,
}

/// What a key names.
enum Named {
    Object,
    /// `a/`: a folder, which clients make and list as an empty object.
    Folder,
}

impl Files {
    pub fn open(root: &Path) -> Result<Self, NodeError> {
        let inner = FileSystem::new(root)
            .map_err(|error| NodeError(format!("could not open `{}`: {error:?}", root.display())))?;
        Ok(Self { inner, root: root.to_path_buf() })
    }

    /// Refuses keys that are not the plain spelling of a path.
    fn named(bucket: &str, key: &str) -> S3Result<Named> {
        let (path, named) = match key.strip_suffix('/') {
            Some(path) => (path, Named::Folder),
            None => (key, Named::Object),
        };
        if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) || key.contains('\0') {
            return Err(s3_error!(
                InvalidArgument,
                "A key with an empty segment, `.` or `..` cannot be kept in files."
            ));
        }
        if path.split('/').any(|segment| segment.len() > SEGMENT_BYTES_MAX)
            || bucket.len() + key.len() > METADATA_BYTES_MAX
        {
            return Err(s3_error!(KeyTooLongError, "Your key is too long for a file system."));
        }
        Ok(named)
    }

    /// What can be read: an object that is a file. A folder is none, whatever its name ends in.
    fn readable(&self, bucket: &str, key: &str) -> S3Result<Named> {
        let named = Self::named(bucket, key)?;
        // Both parts are plain: the gate and the check above saw to it.
        let path = self.root.join(bucket).join(key);
        match (path.is_dir(), named) {
            (true, Named::Folder) => Ok(Named::Folder),
            (false, Named::Object) => Ok(Named::Object),
            _ => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
        }
    }

    fn source(&self, source: &CopySource) -> S3Result<()> {
        match source {
            CopySource::Bucket { bucket, key, .. } => match self.readable(bucket, key)? {
                Named::Object => Ok(()),
                Named::Folder => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
            },
            _ => Err(s3_error!(NotImplemented)),
        }
    }

    fn bucket_is_there(&self, bucket: &str) -> S3Result<()> {
        if self.root.join(bucket).is_dir() {
            Ok(())
        } else {
            Err(s3_error!(NoSuchBucket, "The specified bucket does not exist"))
        }
    }
}

/// Of an empty object.
fn empty_etag() -> ETag {
    ETag::Strong("d41d8cd98f00b204e9800998ecf8427e".to_owned())
}

#[async_trait::async_trait]
impl S3 for Files {
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let location = format!("/{}", req.input.bucket);
        let mut reply = self.inner.create_bucket(req).await?;
        reply.output.location = Some(location);
        Ok(reply)
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.inner.delete_bucket(req).await
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.inner.head_bucket(req).await
    }

    async fn list_buckets(&self, req: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        self.inner.list_buckets(req).await
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.inner.get_bucket_location(req).await
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        let (bucket, extensions) = (req.input.bucket.clone(), req.extensions.clone());
        let mut reply = self.inner.list_objects(req).await?;
        self.fill(&bucket, &extensions, reply.output.contents.as_mut()).await;
        Ok(reply)
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        let (bucket, extensions) = (req.input.bucket.clone(), req.extensions.clone());
        let mut reply = self.inner.list_objects_v2(req).await?;
        self.fill(&bucket, &extensions, reply.output.contents.as_mut()).await;
        Ok(reply)
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.bucket_is_there(&req.input.bucket)?;
        match self.readable(&req.input.bucket, &req.input.key)? {
            Named::Object => self.inner.get_object(req).await,
            Named::Folder => Ok(S3Response::new(GetObjectOutput {
                content_length: Some(0),
                e_tag: Some(empty_etag()),
                ..GetObjectOutput::default()
            })),
        }
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.bucket_is_there(&req.input.bucket)?;
        match self.readable(&req.input.bucket, &req.input.key)? {
            Named::Object => self.inner.head_object(req).await,
            Named::Folder => Ok(S3Response::new(HeadObjectOutput {
                content_length: Some(0),
                e_tag: Some(empty_etag()),
                ..HeadObjectOutput::default()
            })),
        }
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        self.bucket_is_there(&req.input.bucket)?;
        Self::named(&req.input.bucket, &req.input.key)?;
        self.inner.put_object(req).await
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        self.bucket_is_there(&req.input.bucket)?;
        self.source(&req.input.copy_source)?;
        match Self::named(&req.input.bucket, &req.input.key)? {
            Named::Object => self.inner.copy_object(req).await,
            Named::Folder => Err(s3_error!(InvalidArgument, "An object cannot be copied to the name of a folder.")),
        }
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.bucket_is_there(&req.input.bucket)?;
        // What cannot be there is deleted already.
        let deleted = match Self::named(&req.input.bucket, &req.input.key)
            .and_then(|_| self.readable(&req.input.bucket, &req.input.key))
        {
            Ok(_) => self.inner.delete_object(req).await?,
            Err(_) => S3Response::new(DeleteObjectOutput::default()),
        };
        Ok(S3Response { status: Some(http::StatusCode::NO_CONTENT), ..deleted })
    }

    async fn delete_objects(
        &self,
        mut req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let bucket = req.input.bucket.clone();
        self.bucket_is_there(&bucket)?;
        let (there, gone): (Vec<_>, Vec<_>) =
            req.input.delete.objects.into_iter().partition(|object| self.readable(&bucket, &object.key).is_ok());
        req.input.delete.objects = there;
        let mut reply = self.inner.delete_objects(req).await?;
        let gone = gone.into_iter().map(|object| DeletedObject { key: Some(object.key), ..DeletedObject::default() });
        reply.output.deleted.get_or_insert_default().extend(gone);
        Ok(reply)
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.bucket_is_there(&req.input.bucket)?;
        match Self::named(&req.input.bucket, &req.input.key)? {
            Named::Object => self.inner.create_multipart_upload(req).await,
            Named::Folder => Err(s3_error!(InvalidArgument, "An object cannot have the name of a folder.")),
        }
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.under_way(&req.input.upload_id)?;
        self.inner.upload_part(req).await
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        self.under_way(&req.input.upload_id)?;
        self.source(&req.input.copy_source)?;
        self.inner.upload_part_copy(req).await
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.under_way(&req.input.upload_id)?;
        let mut reply = self.inner.list_parts(req).await?;
        if let Some(parts) = &mut reply.output.parts {
            parts.sort_by_key(|part| part.part_number);
        }
        Ok(reply)
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.under_way(&req.input.upload_id)?;
        let parts = req.input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_deref()).unwrap_or_default();
        for part in parts {
            let number = part.part_number.unwrap_or(0);
            let path = self.root.join(format!(".upload_id-{}.part-{number}", req.input.upload_id));
            if !path.is_file() {
                return Err(s3_error!(InvalidPart, "One or more of the specified parts could not be found."));
            }
        }
        self.inner.complete_multipart_upload(req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.under_way(&req.input.upload_id)?;
        let aborted = self.inner.abort_multipart_upload(req).await?;
        Ok(S3Response { status: Some(http::StatusCode::NO_CONTENT), ..aborted })
    }
}

impl Files {
    /// Puts ETags into a list, which `s3s-fs` leaves out and s3cmd wants.
    async fn fill(&self, bucket: &str, extensions: &http::Extensions, objects: Option<&mut Vec<Object>>) {
        for object in objects.into_iter().flatten() {
            let Some(key) = object.key.clone() else { continue };
            let input = HeadObjectInput { bucket: bucket.to_owned(), key, ..HeadObjectInput::default() };
            let request = S3Request {
                input,
                method: http::Method::HEAD,
                uri: http::Uri::default(),
                headers: http::HeaderMap::default(),
                extensions: extensions.clone(),
                credentials: None,
                region: None,
                service: None,
                trailing_headers: None,
            };
            object.storage_class = Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD));
            // One that was deleted meanwhile has none.
            object.e_tag = self.inner.head_object(request).await.ok().and_then(|head| head.output.e_tag);
        }
    }

    /// The front knows that an id is one of this key's; this, that the upload is not over.
    fn under_way(&self, upload_id: &str) -> S3Result<()> {
        if self.root.join(format!(".upload-{upload_id}.json")).is_file() {
            return Ok(());
        }
        Err(s3_error!(NoSuchUpload, "The specified upload does not exist."))
    }
}
