//! What a storage node would be built from otherwise: keys in SQLite, `aws-sigv4` to make the signature again, `iam-rs` to decide.
//!
//! Policies are parsed beforehand, the row is read for every request, the context is built for every request.

use crate::gate::{Asked, Bench, PEER, document, timed};
use crate::table::Lane;
use crate::{Error, Result};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign};
use aws_sigv4::sign::v4;
use iam_rs::{Arn, Context, IAMPolicy, IAMRequest, PolicyEvaluator, Principal, PrincipalId};
use keyledger::model::Time;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

struct Stack {
    connection: Mutex<Connection>,
    policies: Vec<PolicyEvaluator>,
    now: Time,
}

/// The lane.
pub fn lane<'a>(bench: &'a Bench, checks: usize, folder: &Path) -> Result<Lane<'a>> {
    let mut connection = Connection::open(folder.join("keys.sqlite"))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144; PRAGMA mmap_size = 17179869184;
         CREATE TABLE keys(id TEXT PRIMARY KEY, secret TEXT NOT NULL, policy INTEGER NOT NULL) WITHOUT ROWID;",
    )?;
    let fill = connection.transaction()?;
    for key in &bench.keys {
        let row = (&key.id, &key.secret, i64::try_from(key.policy)?);
        fill.prepare_cached("INSERT INTO keys VALUES (?, ?, ?)")?.execute(row)?;
    }
    fill.commit()?;
    let last = bench.keys.iter().map(|key| key.policy).max().unwrap_or(0);
    let policies = (0..=last).map(|policy| {
        let policy: IAMPolicy = serde_json::from_str(&document(policy))?;
        Ok(PolicyEvaluator::with_policies(vec![policy]))
    });
    let policies = policies.collect::<Result<_>>()?;
    let stack = Stack { connection: Mutex::new(connection), policies, now: bench.now };
    Ok(Lane::new(PEER, move || {
        timed(checks, &bench.requests, 1, &|asked| stack.answers(asked, &bench.keys[asked.key].id).unwrap_or(false))
    }))
}

impl Stack {
    /// Whether it says what must be said.
    fn answers(&self, asked: &Asked, id: &str) -> Result<bool> {
        let connection = self.connection.lock().map_err(|_| "a lane panicked")?;
        let mut find = connection.prepare_cached("SELECT secret, policy FROM keys WHERE id = ?")?;
        let (secret, policy): (String, usize) =
            find.query_row([id], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize)))?;
        Ok(self.signed(asked, id, &secret)? && self.allows(asked, policy)? == asked.allowed)
    }

    fn signed(&self, asked: &Asked, id: &str, secret: &str) -> Result<bool> {
        let identity = Credentials::new(id, secret, None, None, "bench").into();
        let params: SigningParams<'_> = v4::SigningParams::builder()
            .identity(&identity)
            .region(crate::signature::REGION)
            .name("s3")
            .time(UNIX_EPOCH + Duration::from_nanos(u64::try_from(self.now.0)?))
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = asked.signed.headers.iter();
        let signed = headers.filter(|(name, _)| matches!(name.as_str(), "host" | "x-amz-content-sha256"));
        let signed = signed.map(|(name, value)| (name.as_str(), value.as_str()));
        let uri = format!("http://storage.example.com{}", asked.signed.target);
        let signable = SignableRequest::new("HEAD", uri, signed, SignableBody::Bytes(&[]))?;
        let made = sign(signable, &params)?;
        let authorization = asked.signed.headers.iter().find(|(name, _)| name == "authorization");
        let sent = authorization.and_then(|(_, value)| value.rsplit_once("Signature=")).ok_or("it is signed")?.1;
        Ok::<_, Error>(made.signature() == sent)
    }

    fn allows(&self, asked: &Asked, policy: usize) -> Result<bool> {
        let context = Context::new()
            .with_string("aws:SourceIp", asked.address.to_string())
            .with_string("aws:CurrentTime", self.now.to_string());
        let principal = Principal::Aws(PrincipalId::String("arn:aws:iam::123456789012:root".into()));
        let arn = Arn::parse(&asked.resource).map_err(|error| format!("{error:?}"))?;
        let request = IAMRequest::new_with_context(principal, "s3:GetObject", arn, context);
        let result = self.policies[policy].evaluate(&request).map_err(|error| format!("{error:?}"))?;
        Ok(result.decision == iam_rs::Decision::Allow)
    }
}
