//! What checks or makes signatures elsewhere: the `s3s` crate's check, and the `aws-sigv4` crate, which signs.

use crate::signature::{ID, PEER, REGION, SECRET, Signed, timed};
use crate::table::{Lane, Sample};
use crate::{Error, Result};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign};
use aws_sigv4::sign::v4;
use s3s::auth::SimpleAuth;
use s3s::dto::{HeadObjectInput, HeadObjectOutput};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpRequest, S3, S3Request, S3Response, S3Result};
use std::time::SystemTime;

/// A store that holds every object.
struct Everything;

#[async_trait::async_trait]
impl S3 for Everything {
    async fn head_object(&self, _: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        Ok(S3Response::new(HeadObjectOutput::default()))
    }
}

fn service(checks: bool) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Everything);
    if checks {
        builder.set_auth(SimpleAuth::from_single(ID, SECRET));
    }
    builder.build()
}

fn http(request: &Signed, signed: bool) -> Result<HttpRequest> {
    let mut http = http::Request::builder().method("HEAD").uri(&request.target);
    for (name, value) in &request.headers {
        if signed || name != "authorization" {
            http = http.header(name, value);
        }
    }
    Ok(http.body(Body::empty())?)
}

/// Mean ns of a call, the making of the request included.
fn calls(service: &S3Service, checks: usize, requests: &[Signed], signed: bool) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let call = |request: &Signed| {
        let Ok(http) = http(request, signed) else { return false };
        runtime.block_on(service.call(http)).is_ok_and(|answer| answer.status().is_success())
    };
    Ok(timed(checks, requests, call)?.value)
}

/// The peers' lanes.
pub fn lanes(checks: usize, requests: &[Signed]) -> Result<Vec<Lane<'_>>> {
    let (open, guarded) = (service(false), service(true));
    let identity = Credentials::new(ID, SECRET, None, None, "bench").into();
    let lane = Lane::new(PEER, move || {
        let with = calls(&guarded, checks, requests, true)?;
        let without = calls(&open, checks, requests, false)?;
        Ok(Sample::of(with - without))
    });
    let sign_one = move |request: &Signed| -> Result<bool> {
        let params: SigningParams<'_> = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name("s3")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let uri = format!("http://storage.example.com{}", request.target);
        let headers = request.headers.iter().take(1).map(|(name, value)| (name.as_str(), value.as_str()));
        let signable = SignableRequest::new("HEAD", uri, headers, SignableBody::Bytes(&[]))?;
        Ok::<_, Error>(!sign(signable, &params)?.signature().is_empty())
    };
    let signs =
        Lane::new("aws-sigv4 signs it", move || timed(checks, requests, |request| sign_one(request).unwrap_or(false)));
    Ok(vec![lane, signs])
}
