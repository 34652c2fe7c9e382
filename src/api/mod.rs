//! HTTP: the surfaces that clients of other systems already speak to, over one ledger.
//!
//! ```text
//!   bytes ──server──▶ Incoming ──route──▶ a dialect: authenticate → its own words → Command │ question → its own words ──▶ Reply
//! ```
//!
//! A dialect is a function `async fn answer(&Api, &Incoming) -> Reply`, beside a `fn fault(Fault, &str) -> Reply` that says in its own
//! words what the server refuses before the dialect is asked. It translates and prints; what is allowed and what comes of it is
//! decided below.
//!
//! Invariants
//! - A dialect never panics on input, and a client's fault is never a 5xx.
//! - Whatever a reply says was done is durable; what cannot be known is said to be unknown.
//! - An id that is revoked, unknown or never was gets the same answer at the same cost.
//!
//! Not here: rules (`ledger::decide`), rights (`state::access`), signatures (`sigv4`, `gate`).

pub mod authenticate;
pub mod console;
pub mod dialect;
pub mod health;
pub mod incoming;
mod lasting;
pub mod metrics;
pub mod native;
mod once;
mod past;
pub mod route;
pub mod server;
pub mod start;
pub(crate) mod upkeep;

pub use incoming::{Fault, Incoming, Reply, reply};
pub use once::{OnceShown, draw_token, token_hash};
pub use server::{Server, ServerOptions, Tls};

use crate::gate::{Gate, GateOptions, OptionsRefused};
use crate::ledger::Ledger;
use crate::model::Time;
use crate::policy::Cidr;
use crate::sys::{Clock, Io};
use crate::vault::{SecretSource, VaultError};
use metrics::Metrics;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// How the dialects answer.
#[derive(Debug, Clone)]
pub struct ApiOptions {
    /// The region that signatures may be for, beside the ones a service has of its own; `us-east-1`.
    pub region: String,
    /// Peers whose `X-Forwarded-For` is believed. None: the address is always the peer's.
    pub trusted_proxies: Vec<Cidr>,
    /// How clients know this server, `https://host`, when a proxy stands before it: what a partner signs. `None`: by `Host`.
    pub public_url: Option<String>,
    /// The partner provider that is served, with its signing key.
    pub provider_key: Option<dialect::partner::ProviderKey>,
    /// The ledger's folder: where snapshots and the audit's index are.
    pub dir: PathBuf,
}

/// What every dialect answers from. Share it behind an `Arc`.
#[derive(Debug)]
pub struct Api {
    pub ledger: Arc<Ledger>,
    /// Authenticates, and counts uses.
    pub gate: Gate,
    pub secrets: Arc<SecretSource>,
    pub options: ApiOptions,
    pub metrics: Metrics,
    pub io: Arc<dyn Io>,
    pub clock: Arc<dyn Clock>,
    /// When the ledger was last verified, and what was found.
    pub verifications: Arc<health::Verifications>,
    /// The log with its index, for questions about the past.
    pub(crate) past: past::Past,
    /// The nonces of partners' requests.
    pub(crate) partner: dialect::partner::Kept,
    /// What the IAM dialect made and answers for a while: reports.
    pub(crate) iam: dialect::aws_iam::Kept,
    /// What the Lightsail dialect tells of what it did.
    pub(crate) lightsail: dialect::lightsail::Operations,
    /// Who is signed in to the console.
    pub console: console::Kept,
    /// The log's index, and places for those who read the log.
    pub(crate) native: native::Kept,
    /// True once the server stops: what streams ends.
    pub(crate) stopping: watch::Sender<bool>,
}

/// Why there is no [`Api`] over a ledger.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Options(#[from] OptionsRefused),
}

impl Api {
    /// # Errors
    /// [`ApiError`]: the keystore cannot be read, or the region is no region.
    pub fn new(
        ledger: Arc<Ledger>,
        options: ApiOptions,
        io: Arc<dyn Io>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ApiError> {
        let secrets = ledger.secrets()?;
        let gate_options = GateOptions {
            regions: vec![options.region.clone()],
            trusted_proxies: options.trusted_proxies.clone(),
            ..GateOptions::default()
        };
        let gate = Gate::new(ledger.handle(), Arc::clone(&secrets), gate_options)?;
        let metrics = Metrics::default();
        let partner = dialect::partner::Kept::new(clock.now());
        let iam = dialect::aws_iam::Kept::new(Time(clock.now().wall_ns));
        let lightsail = dialect::lightsail::Operations::default();
        let past = past::Past::default();
        let console = console::Kept::default();
        let native = native::Kept::new(Time(clock.now().wall_ns));
        let stopping = watch::Sender::new(false);
        let ledger_id = ledger.meta().ledger_id;
        let dir = options.dir.clone();
        let verifications = health::Verifications::new(Arc::clone(&io), Arc::clone(&clock), dir, ledger_id);
        let verifications = Arc::new(verifications);
        Ok(Self {
            ledger,
            gate,
            secrets,
            options,
            metrics,
            io,
            clock,
            verifications,
            past,
            partner,
            iam,
            lightsail,
            console,
            native,
            stopping,
        })
    }

    /// The wall clock; rights and statuses guard it by what was recorded.
    pub fn now(&self) -> Time {
        Time(self.clock.now().wall_ns)
    }
}
