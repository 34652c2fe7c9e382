//! Buckets: registered before they are made, so that "all buckets" has a meaning at every past moment.
//!
//! Not here: what a bucket holds.

use super::super::command::Command;
use super::super::error::{Noun, Refusal};
use super::{Ask, Events, find};
use crate::model::{BucketName, Event, OrgUid, limits};

pub(super) fn decide(ask: Ask<'_>, command: &Command) -> Events {
    let state = ask.state;
    match command {
        Command::RegisterBucket { org, bucket } => register(ask, *org, bucket),
        Command::ForgetBucket { org, bucket } => {
            find::org(state, *org)?;
            if state.bucket_org(bucket) != Some(*org) {
                return Err(Refusal::not_found(Noun::Bucket, bucket));
            }
            Ok(vec![Event::BucketForgotten { bucket: bucket.clone() }])
        }
        _ => Ok(Vec::new()),
    }
}

/// None of the org's own is registered twice.
pub(super) fn register(ask: Ask<'_>, org: OrgUid, bucket: &BucketName) -> Events {
    find::org(ask.state, org)?;
    limits::bucket_name(bucket.as_str())?;
    match ask.state.bucket_org(bucket) {
        Some(of) if of == org => Ok(Vec::new()),
        // Bucket names are one for all orgs, as in S3.
        Some(_) => Err(Refusal::exists(Noun::Bucket, bucket)),
        None => Ok(vec![Event::BucketRegistered { bucket: bucket.clone() }]),
    }
}
