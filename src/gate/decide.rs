//! The decision on a request that is authentic: by one state, read after the signature was checked.
//!
//! Invariants
//! - The key is looked at again here: whether it can be used, and whether the secret that signed still may.
//! - `min_seq` was compared before; a published state never goes back.
//!
//! Not here: the rights themselves (`rights`).

use super::admitted::{Admitted, FromBody, Further, Pending};
use super::path;
use super::request::Asked;
use super::rights::{Answer, Question, Target};
use super::s3::table::Row;
use super::{Denied, Gate, Operation, RequestView, facts};
use crate::model::{BucketName, Seq, Time};
use crate::sigv4::Verified;
use crate::state::access::Reason;
use crate::state::{Access, KeyStatus};
use compact_str::CompactString;

/// A proof and what is known of its key.
pub(super) struct Proven {
    pub verified: Verified,
    pub looked: super::authenticate::Looked,
    pub secret_version: u32,
}

/// What a look at the state brought.
enum Seen {
    /// The key cannot be used any more, or the secret that signed may not.
    Dead(KeyStatus),
    /// The bucket is not of the account that the request expects.
    OtherOwner(Seq),
    Decided(Answer, Seq),
}

impl Gate {
    /// # Errors
    /// [`Denied`] when the state is older than `min_seq`.
    pub(super) fn is_fresh(&self, min_seq: Option<Seq>) -> Result<(), Denied> {
        let seq = self.state.seq();
        match min_seq {
            Some(least) if seq < least => {
                Err(Denied::new("ServiceUnavailable", 503, "Service is unable to handle request.").at_seq(seq))
            }
            _ => Ok(()),
        }
    }

    /// Decides what `asked` asks for.
    pub(super) fn admit(
        &self,
        view: &RequestView<'_>,
        proven: Proven,
        mut asked: Asked<'_>,
        mut pending: Pending,
        now: Time,
        arn: &mut String,
    ) -> Result<Admitted, Denied> {
        let Proven { verified, looked, secret_version } = proven;
        let facts = asked.facts(view, &self.options)?;
        let body = FromBody::default();
        let question = Question {
            row: asked.row,
            target: Target {
                bucket: asked.named.bucket.as_ref().map(BucketName::as_str),
                key: asked.named.key.as_deref(),
                version_id: asked.version_id(),
                own: true,
            },
            copy_source: asked.copy_source.as_deref(),
            facts: &facts,
            verified: &verified,
            body: (pending != Pending::Body).then_some(&body),
            tags: self.options.object_tags.as_deref(),
            now,
        };
        let owners = [asked.headers.expected_owner, asked.headers.expected_source_owner];
        let seen = self.see(&looked.id, secret_version, &question, owners, arn);
        if let Seen::Decided(answer, _) = &seen
            && pending == Pending::Body
            && !answer.asked_body
            && asked.row.operation != Operation::CreateBucket
        {
            pending = Pending::Nothing;
        }
        let (result, seq) = self.result_of(&seen, asked.row.operation, question.target.bucket);
        let version_id = asked.version_id().map(CompactString::new);
        let key = asked.named.key.as_deref().map(CompactString::new);
        let mut admitted = Admitted {
            verified,
            key_uid: looked.uid,
            org: looked.org,
            secret_version,
            operation: asked.row.operation,
            bucket: asked.named.bucket,
            object_key: key,
            version_id,
            copy_source: asked.copy_source,
            pending,
            access: None,
            seq,
            facts,
        };
        match result {
            Ok(access) => {
                admitted.access = access.filter(|_| pending == Pending::Nothing);
                Ok(admitted)
            }
            Err((denied, None)) => {
                self.count(&admitted, denied.code(), 0, 0, now);
                Err(denied)
            }
            Err((denied, Some(status))) => {
                let from = (admitted.source_ip(), admitted.user_agent());
                self.meter.rejected(admitted.key_uid, admitted.org, status, from, now);
                self.keys.forget(admitted.key_uid);
                Err(denied)
            }
        }
    }

    /// Looks at key and rights in the newest state, all at one seq.
    fn see(
        &self,
        id: &crate::model::AccessKeyId,
        version: u32,
        question: &Question<'_>,
        owners: [Option<&str>; 2],
        arn: &mut String,
    ) -> Seen {
        let now = question.now;
        let seen = self.state.with_standing(id.as_str(), |standing, _| {
            let status = standing.status(now);
            if !status.is_usable() || !standing.live_secrets(now).any(|secret| secret.version == version) {
                return Seen::Dead(if status.is_usable() { KeyStatus::Expired } else { status });
            }
            if owners.iter().any(Option::is_some) {
                let account = standing.org_record().map(|org| org.account.to_string());
                if owners.iter().flatten().any(|owner| account.as_deref() != Some(*owner)) {
                    return Seen::OtherOwner(standing.seq());
                }
            }
            Seen::Decided(question.decide(standing, arn), standing.seq())
        });
        seen.unwrap_or(Seen::Dead(KeyStatus::Deleted))
    }

    /// The answer, with the key's status where that is the reason.
    #[allow(clippy::type_complexity)]
    fn result_of(
        &self,
        seen: &Seen,
        operation: Operation,
        bucket: Option<&str>,
    ) -> (Result<Option<Access>, (Denied, Option<KeyStatus>)>, Seq) {
        match *seen {
            Seen::Dead(status) => (Err((Denied::unknown_key(), Some(status))), self.state.seq()),
            Seen::OtherOwner(seq) => (Err((Denied::access_denied().at_seq(seq), None)), seq),
            Seen::Decided(Answer { result: Ok(access), .. }, seq) => (Ok(access), seq),
            // What the body says may still allow it.
            Seen::Decided(Answer { result: Err(_), asked_body: true }, seq) => (Ok(None), seq),
            Seen::Decided(Answer { result: Err(access), .. }, seq) => {
                (Err((self.refusal(access, operation, bucket), None)), seq)
            }
        }
    }

    fn refusal(&self, access: Access, operation: Operation, bucket: Option<&str>) -> Denied {
        let nobodys = |bucket: &str| {
            BucketName::parse(bucket).is_ok_and(|bucket| self.state.state().bucket_org(&bucket).is_none())
        };
        let denied = if access.reason == Reason::OtherBucket
            && operation != Operation::CreateBucket
            && bucket.is_some_and(nobodys)
        {
            Denied::new("NoSuchBucket", 404, "The specified bucket does not exist")
        } else {
            Denied::access_denied()
        };
        denied.at_seq(access.seq)
    }

    /// Decides a question under an old proof.
    fn ask(
        &self,
        admitted: &Admitted,
        row: &'static Row,
        target: Target<'_>,
        body: &FromBody<'_>,
        now: Time,
    ) -> Result<Access, Denied> {
        let id = crate::model::AccessKeyId::parse(admitted.access_key_id()).map_err(|_| Denied::unknown_key())?;
        let question = Question {
            row,
            target,
            copy_source: admitted.copy_source().filter(|_| target.own),
            facts: &admitted.facts,
            verified: &admitted.verified,
            body: Some(body),
            tags: self.options.object_tags.as_deref(),
            now,
        };
        let seen = self.see(&id, admitted.secret_version, &question, [None, None], &mut String::new());
        match self.result_of(&seen, row.operation, target.bucket).0 {
            Ok(Some(access)) => Ok(access),
            // A row without an action of its own allows nothing.
            Ok(None) => Err(Denied::access_denied()),
            Err((denied, _)) => Err(denied),
        }
    }

    /// Whether another thing may be done under the same proof. Reads the state anew. The request's headers say nothing about it.
    ///
    /// # Errors
    /// [`Denied`]: `AccessDenied`, `InvalidAccessKeyId` when the key has died meanwhile, `InvalidArgument` for a key and
    /// `InvalidBucketName` for a bucket that are refused in a path too.
    pub fn may(&self, admitted: &Admitted, further: &Further<'_>, now: Time) -> Result<Access, Denied> {
        if let Some(bucket) = further.bucket {
            path::bucket_name(bucket)?;
        }
        if let Some(key) = further.key {
            path::check_key(key)?;
        }
        let row = Row::of(further.operation).ok_or_else(Denied::access_denied)?;
        if !row.is_about(further.bucket.is_some(), further.key.is_some()) {
            return Err(Denied::invalid_argument("This operation is about something else"));
        }
        let Further { bucket, key, version_id, .. } = *further;
        let target = Target { bucket, key, version_id, own: false };
        self.ask(admitted, row, target, &FromBody::default(), now)
    }

    /// Whether DeleteObjects may delete one of its keys ([`Pending::EachKey`]): `s3:DeleteObject`, or with a version
    /// `s3:DeleteObjectVersion`, and `s3:BypassGovernanceRetention` where the request asks for that.
    ///
    /// # Errors
    /// As [`Gate::may`].
    pub fn may_delete(
        &self,
        admitted: &Admitted,
        key: &str,
        version_id: Option<&str>,
        now: Time,
    ) -> Result<Access, Denied> {
        if version_id == Some("") {
            return Err(Denied::invalid_argument("Version id cannot be the empty string"));
        }
        let further =
            Further { operation: Operation::DeleteObject, bucket: admitted.bucket(), key: Some(key), version_id };
        self.may(admitted, &further, now)
    }

    /// Decides the request itself, now that its body has been read ([`Pending::Body`]).
    ///
    /// # Errors
    /// As [`Gate::may`].
    pub fn may_with(&self, admitted: &Admitted, body: &FromBody<'_>, now: Time) -> Result<Access, Denied> {
        let row = Row::of(admitted.operation).ok_or_else(Denied::access_denied)?;
        let target = Target {
            bucket: admitted.bucket(),
            key: admitted.object_key(),
            version_id: admitted.version_id(),
            own: true,
        };
        self.ask(admitted, row, target, body, now)
    }

    /// Whether key and secret version can still be used: ask before a body that took long is committed. The seq by which they
    /// can.
    ///
    /// # Errors
    /// [`Denied`] as for an unknown key.
    pub fn still_usable(&self, admitted: &Admitted, now: Time) -> Result<Seq, Denied> {
        let seen = self.state.with_standing(admitted.access_key_id(), |standing, _| {
            let live = standing.live_secrets(now).any(|secret| secret.version == admitted.secret_version);
            (live && standing.status(now).is_usable()).then(|| standing.seq())
        });
        seen.flatten().ok_or_else(Denied::unknown_key)
    }

    /// Counts an attempt with a key that cannot be used.
    pub(super) fn count_rejected(&self, looked: &super::authenticate::Looked, view: &RequestView<'_>, now: Time) {
        let address = facts::source_ip(view, &self.options.trusted_proxies).unwrap_or(view.peer);
        let agent = view.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
        let agent = agent.map(|(_, value)| String::from_utf8_lossy(value)).unwrap_or_default();
        self.meter.rejected(looked.uid, looked.org, looked.status, (address, &agent), now);
    }
}
