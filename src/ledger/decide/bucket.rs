//! Buckets: registered before they are made, so that "all buckets" has a meaning at every past moment.
//!
//! Not here: what a bucket holds.

use super::super::command::Command;
use super::super::error::{Noun, Refusal};
use super::{Ask, Events, find};
use crate::model::{BucketName, Event, limits};

pub(super) fn decide(ask: Ask<'_>, command: &Command) -> Events {
    let state = ask.state;
    match command {
        Command::RegisterBucket { org, bucket } => {
            find::org(state, *org)?;
            check(bucket)?;
            match state.bucket_org(bucket) {
                Some(of) if of == *org => Ok(Vec::new()),
                // Bucket names are one for all orgs, as in S3.
                Some(_) => Err(Refusal::exists(Noun::Bucket, bucket)),
                None => Ok(vec![Event::BucketRegistered { bucket: bucket.clone() }]),
            }
        }
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

fn check(bucket: &BucketName) -> Result<(), Refusal> {
    limits::bucket_name(bucket.as_str()).map_err(Refusal::from)
}
