//! Where keys and buckets come from: a ledger of the node's own, or one that another process writes.
//!
//! Not here: deciding by them (`keyledger::gate`).

use crate::Failure;
use crate::options::Options;
use crate::report::{Changed, Reporter};
use keyledger::front::{Buckets, Fault, Proof};
use keyledger::ledger::{Command, CreateAccessKey, ExecuteError, InitOptions, Ledger, LedgerOptions, Outcome, Refusal};
use keyledger::model::{AccountId, BucketName, Caller, Dialect, Grant, GrantRole, OrgOwner, OrgUid, Principal};
use keyledger::state::{Follower, StateHandle};
use keyledger::sys::{Io, RealIo, SystemClock};
use keyledger::vault::{KeystoreReader, SecretSource, VaultKey, VaultKeySource};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The account of AWS's own documentation: every tool takes it.
const ACCOUNT: AccountId = AccountId(123_456_789_012);
/// How long a change that the server made may take to be followed.
const FOLLOW_WITHIN: Duration = Duration::from_secs(5);
/// How often that is looked at.
const FOLLOW_EVERY: Duration = Duration::from_millis(5);

/// The ledger that the node asks.
pub struct Keys {
    source: Source,
    secrets: Arc<SecretSource>,
    /// What was made at the start, to be shown this once.
    made: Vec<String>,
    stale: Duration,
    reporter: Option<Arc<Reporter>>,
}

enum Source {
    Own(Arc<Ledger>),
    Followed(Follower),
}

impl Keys {
    /// Opens what `options` name. A folder without a ledger gets one, unless another process is to write it.
    pub fn open(options: &Options) -> Result<Self, Failure> {
        let dir = &options.ledger;
        let opening = || format!("could not open the ledger in `{}`", dir.display());
        let vault_key = VaultKeySource::File(options.vault_key.clone().unwrap_or_else(|| dir.join("vault.key")));
        let (source, made) = if options.follow {
            let io: Arc<dyn Io> = Arc::new(RealIo);
            let follower = Follower::open(&io, Arc::new(SystemClock), dir);
            (Source::Followed(follower.map_err(|error| Failure::new(opening(), &error))?), Vec::new())
        } else {
            let ledger_options = LedgerOptions {
                vault_key: Some(vault_key.clone()),
                holder: format!("storage-node, process {}", std::process::id()),
                ..LedgerOptions::default()
            };
            let is_new = std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
            let (ledger, made) = if is_new {
                make(dir, ledger_options)?
            } else {
                (Ledger::open(dir, ledger_options).map_err(|error| Failure::new(opening(), &error))?, Vec::new())
            };
            (Source::Own(Arc::new(ledger)), made)
        };
        let secrets = match &source {
            Source::Own(ledger) => ledger.secrets().map_err(|error| Failure::new(opening(), &error))?,
            Source::Followed(follower) => {
                let vault_key = VaultKey::read(&RealIo, &vault_key).map_err(|error| Failure::new(opening(), &error))?;
                let (folder, id) = (dir.join("keys"), follower.reader().meta().ledger_id);
                let reader = KeystoreReader::open(Arc::new(RealIo), &folder, id, Arc::new(vault_key));
                Arc::new(SecretSource::new(reader.map_err(|error| Failure::new(opening(), &error))?))
            }
        };
        let reporter = match &source {
            Source::Followed(follower) => Reporter::open(options, follower.handle())?,
            Source::Own(_) => None,
        };
        Ok(Self { source, secrets, made, stale: options.stale.0, reporter })
    }

    pub fn handle(&self) -> StateHandle {
        match &self.source {
            Source::Own(ledger) => ledger.handle(),
            Source::Followed(follower) => follower.handle(),
        }
    }

    pub fn secrets(&self) -> Arc<SecretSource> {
        Arc::clone(&self.secrets)
    }

    /// Lines about what was made at the start. A secret is among them.
    pub fn made(&self) -> &[String] {
        &self.made
    }

    /// The node's own ledger; none when it follows one.
    pub fn ledger(&self) -> Option<&Arc<Ledger>> {
        match &self.source {
            Source::Own(ledger) => Some(ledger),
            Source::Followed(_) => None,
        }
    }

    /// The way to the server of a ledger that is followed.
    pub fn reporter(&self) -> Option<&Arc<Reporter>> {
        self.reporter.as_ref()
    }

    /// Whether the state may still be served from.
    ///
    /// # Errors
    /// 503 when the ledger was not followed for too long, or can no longer be.
    pub fn fresh(&self) -> Result<(), Fault> {
        let Source::Followed(follower) = &self.source else { return Ok(()) };
        let contact = follower.contact();
        if contact.lost || contact.ago > self.stale {
            return Err(Fault::new(
                503,
                "ServiceUnavailable",
                "The node has lost contact with its ledger. Please try again.",
            ));
        }
        Ok(())
    }

    pub fn buckets(self: &Arc<Self>) -> Arc<dyn Buckets> {
        Arc::new(OfLedger(Arc::clone(self)))
    }

    /// Ends the ledger in good order.
    pub fn close(self: Arc<Self>) -> Result<(), Failure> {
        // Connections that did not end in time still hold it: then it is left as after a crash, which loses nothing.
        match Arc::into_inner(self).map(|keys| keys.source) {
            Some(Source::Own(ledger)) => match Arc::into_inner(ledger) {
                Some(ledger) => ledger.close().map_err(|error| Failure::new("could not close the ledger", &error)),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// A new ledger with an org and its root key.
fn make(dir: &Path, ledger: LedgerOptions) -> Result<(Ledger, Vec<String>), Failure> {
    let making = || format!("could not make a ledger in `{}`", dir.display());
    let options = InitOptions { ledger, ..InitOptions::default() };
    let ledger = Ledger::init(dir, &options).map_err(|error| Failure::new(making(), &error))?;
    let me = Caller::operator("storage-node");
    let execute = |command| ledger.execute_blocking(&me, command, None).map_err(|error| Failure::new(making(), &error));
    let org = Command::CreateOrg {
        name: "main".into(),
        account: Some(ACCOUNT),
        owner: OrgOwner::Operator,
        settings: Box::default(),
    };
    let Outcome::OrgCreated { org, .. } = execute(org)?.outcome else { return Err(Failure(making())) };
    let grants = vec![Grant { bucket: None, role: GrantRole::Admin }];
    let key = CreateAccessKey { label: "root".into(), grants, ..CreateAccessKey::default() };
    let mut done = execute(Command::CreateKey { org, key: key.into() })?;
    let secret = done.outcome.take_secret().ok_or_else(|| Failure(making()))?;
    let Outcome::KeyCreated(key) = done.outcome else { return Err(Failure(making())) };
    let made = vec![
        format!("made a ledger in {} with org {ACCOUNT}", dir.display()),
        format!("access key id      {}", key.access_key_id),
        format!("secret access key  {}", secret.expose_secret()),
        "the secret is shown this once; keep it now".to_owned(),
    ];
    Ok((ledger, made))
}

struct OfLedger(Arc<Keys>);

impl OfLedger {
    async fn execute(&self, proof: &Proof, command: Command) -> Result<(), Fault> {
        let Some(ledger) = self.0.ledger() else {
            if let Some(reporter) = self.0.reporter() {
                return self.report(reporter, proof, command).await;
            }
            return Err(Fault::new(
                403,
                "AccessDenied",
                "This node follows a ledger that another process writes: register the bucket there first \
                 (keyledger bucket register NAME).",
            ));
        };
        let mut caller = Caller::new(Principal::Node { name: "storage-node".into() }, Dialect::S3);
        caller.request_id = Some(proof.request_id().into());
        caller.source_ip = Some(proof.admitted().source_ip().to_string().as_str().into());
        caller.reason = Some(format!("asked for by {}", proof.access_key_id()).as_str().into());
        match ledger.execute(&caller, command, None).await {
            Ok(_) => Ok(()),
            Err(ExecuteError::Refused(Refusal::AlreadyExists { .. })) => {
                Err(Fault::new(409, "BucketAlreadyExists", "The requested bucket name is not available."))
            }
            Err(ExecuteError::Refused(Refusal::NotFound { .. })) => {
                Err(Fault::new(404, "NoSuchBucket", "The specified bucket does not exist"))
            }
            Err(error) => {
                tracing::error!(%error, "could not change the registration of a bucket");
                Err(unwritable())
            }
        }
    }
}

impl OfLedger {
    /// Has the server change a bucket, and waits until that is followed.
    async fn report(&self, reporter: &Arc<Reporter>, proof: &Proof, command: Command) -> Result<(), Fault> {
        let (bucket, register) = match command {
            Command::RegisterBucket { bucket, .. } => (bucket, true),
            Command::ForgetBucket { bucket, .. } => (bucket, false),
            _ => return Err(unwritable()),
        };
        if reporter.org() != Some(proof.org()) {
            return Err(Fault::new(403, "AccessDenied", "This node makes and removes buckets of another org only."));
        }
        let (asked, name) = (Arc::clone(reporter), bucket.clone());
        let changed = tokio::task::spawn_blocking(move || asked.change(&name, register)).await;
        match changed.unwrap_or(Changed::Unknown) {
            Changed::Done => {}
            Changed::Taken => {
                return Err(Fault::new(409, "BucketAlreadyExists", "The requested bucket name is not available."));
            }
            Changed::Missing => return Err(Fault::new(404, "NoSuchBucket", "The specified bucket does not exist")),
            Changed::Denied => {
                return Err(Fault::new(403, "AccessDenied", "This node may not make or remove buckets."));
            }
            Changed::Unknown => return Err(unwritable()),
        }
        let wanted = register.then(|| proof.org());
        let followed = async {
            while self.owner(&bucket) != wanted {
                tokio::time::sleep(FOLLOW_EVERY).await;
            }
        };
        tokio::time::timeout(FOLLOW_WITHIN, followed).await.map_err(|_| unwritable())
    }
}

fn unwritable() -> Fault {
    Fault::new(503, "ServiceUnavailable", "The ledger cannot be written now. Please try again.")
}

#[async_trait::async_trait]
impl Buckets for OfLedger {
    fn owner(&self, bucket: &BucketName) -> Option<OrgUid> {
        self.0.handle().state().bucket_org(bucket)
    }

    async fn register(&self, proof: &Proof, bucket: &BucketName) -> Result<(), Fault> {
        self.execute(proof, Command::RegisterBucket { org: proof.org(), bucket: bucket.clone() }).await
    }

    async fn forget(&self, proof: &Proof, bucket: &BucketName) -> Result<(), Fault> {
        if self.0.ledger().is_none() && self.0.reporter().is_none() {
            // Whoever registered it forgets it (`keyledger bucket forget`).
            return Ok(());
        }
        self.execute(proof, Command::ForgetBucket { org: proof.org(), bucket: bucket.clone() }).await
    }
}
