//! `serve`: every dialect over HTTP, with nothing to set up before.
//!
//! Not here: HTTP (`api`).

use super::context::Context;
use super::environment;
use super::exit::{Done, Exit, Failure};
use super::init::{ACCOUNT, is_ledger};
use super::writing;
use crate::api::dialect::partner::{ProviderKey, is_public_url};
use crate::api::start::{self, Brought};
use crate::api::{Api, ApiOptions, Server, ServerOptions, Tls};
use crate::ledger::{Command as Order, InitOptions, Ledger, LedgerOptions, OsDice};
use crate::model::{AccessKeyId, AccountId, Caller};
use crate::node::{self, Keys, Node, NodeError, NodeOptions};
use crate::policy::Cidr;
use crate::vault::SecretKey;
use clap::Args;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

const ROOT_ID: &str = "KEYLEDGER_ROOT_ACCESS_KEY_ID";
const ROOT_SECRET: &str = "KEYLEDGER_ROOT_SECRET_ACCESS_KEY";
const PARTNER: &str = "KEYLEDGER_PARTNER_PROVIDER";
const PARTNER_KEY: &str = "KEYLEDGER_PARTNER_SIGNING_KEY";

#[derive(Debug, Args)]
#[command(
    after_help = "On the first start the ledger, an org and its root access key are made; the secret is printed once. \
                        KEYLEDGER_ROOT_ACCESS_KEY_ID and KEYLEDGER_ROOT_SECRET_ACCESS_KEY (or …_FILE) bring one.\n\
                        The Partner API is served to the provider of KEYLEDGER_PARTNER_PROVIDER, whose signing key is \
                        KEYLEDGER_PARTNER_SIGNING_KEY (or …_FILE)."
)]
pub struct Serve {
    /// Where all dialects are served
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9400")]
    listen: SocketAddr,
    /// Where Prometheus metrics are served; `off` for nowhere
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9402")]
    metrics_listen: String,
    /// Serve S3 there, too: a storage node over a folder of files
    #[arg(long, value_name = "ADDRESS", requires = "s3_root")]
    s3_listen: Option<SocketAddr>,
    /// Where its objects are kept: a folder a bucket
    #[arg(long, value_name = "DIR", requires = "s3_listen")]
    s3_root: Option<PathBuf>,
    /// The account id of the first org: 12 digits
    #[arg(long, value_name = "ACCOUNT", default_value = ACCOUNT)]
    account_id: String,
    /// The region that signatures are for
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// TLS: the certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// TLS: the private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// How clients know this server, when a proxy stands before it: what partners sign
    #[arg(long, value_name = "URL", hide_short_help = true)]
    public_url: Option<String>,
    /// Where the storage answers: what the console's snippets say [default: --s3-listen, or where the console is]
    #[arg(long, value_name = "URL", hide_short_help = true)]
    s3_endpoint: Option<String>,
    /// A proxy whose X-Forwarded-For is believed: an address or range; may be repeated
    #[arg(long, value_name = "CIDR", hide_short_help = true)]
    trusted_proxy: Vec<String>,
    /// Verify the ledger soon after the start and then so often, beside what it does; `off` for never
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = every, hide_short_help = true)]
    verify_every: Every,
    /// Bytes a request's body may have
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, hide_short_help = true)]
    body_max: usize,
    /// Connections at a time
    #[arg(long, value_name = "N", default_value_t = 4_096, hide_short_help = true)]
    connections_max: usize,
    /// Requests at a time; more are answered 503
    #[arg(long, value_name = "N", default_value_t = 1_024, hide_short_help = true)]
    requests_max: usize,
}

/// A length of time, or never.
#[derive(Debug, Clone, Copy)]
struct Every(Option<Duration>);

/// What was made on the first start, and where it listens.
#[derive(Serialize)]
struct Started<'a> {
    endpoint: &'a str,
    console: String,
    /// Of S3, where it is served.
    s3: Option<String>,
    metrics: Option<String>,
    account_id: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<&'a str>,
}

impl Serve {
    pub fn run(self, cx: &mut Context) -> Done {
        environment::clear(&[ROOT_SECRET, PARTNER_KEY])?;
        let account = AccountId::parse(&self.account_id)?;
        let brought = brought(cx)?;
        let options = self.server(cx)?;
        let ledger = self.open(cx)?;
        let caller = writing::caller(cx)?;
        let mut root = start::first(&ledger, &caller, account, brought.as_ref())?;
        let provider_key = provider_key(cx)?;
        if let Some(provider_key) = &provider_key {
            known_provider(cx, &ledger, &caller, provider_key)?;
        }
        let dir = cx.dir();
        if root.is_none()
            && let Some(brought) = &brought
            && !start::is_known(&ledger.state(), &*ledger.secrets()?, brought)
        {
            cx.note(&format!("{ROOT_ID} is ignored: this ledger has its root access key already"));
        }
        let api_options = ApiOptions {
            region: self.region.clone(),
            trusted_proxies: self.proxies()?,
            public_url: self.public_url()?,
            provider_key,
            dir: dir.clone(),
        };
        let api = Api::new(Arc::new(ledger), api_options, cx.io.clone(), cx.clock.clone());
        let api = Arc::new(api.map_err(|error| Failure::of(Exit::Usage, &error))?);
        if let Every(Some(every)) = self.verify_every {
            api.verifications.repeat(every);
        }
        match &self.s3_endpoint {
            Some(url) if !is_public_url(url) => {
                return Err(Failure::usage("--s3-endpoint takes a scheme and a host, such as https://s3.example.com"));
            }
            Some(url) => api.console.s3_is_at(url),
            None => {}
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::of(Exit::Usage, &error))?;
        let tls = options.tls.clone();
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        runtime.block_on(async {
            // Before anything is said, so that whoever reads it can stop us in good order.
            let stop = Stop::new().map_err(|error| Failure::of(Exit::Usage, &error))?;
            let server = Server::bind(Arc::clone(&api), options);
            let server = server.await.map_err(|error| Failure::usage(format!("could not listen on {error}")))?;
            let address = server.address().map_err(|error| Failure::of(Exit::Usage, &error))?;
            let s3 = self.s3(&dir, &api, tls).await?;
            if let Some((node, _)) = &s3 {
                api.console.s3_is_at(&node.url());
            }
            let secret = root.as_mut().and_then(|root| root.secret.take());
            let endpoint = format!("{scheme}://{address}");
            say(
                cx,
                &Started {
                    console: format!("{endpoint}/console"),
                    s3: s3.as_ref().map(|(node, _)| node.url()),
                    endpoint: &endpoint,
                    metrics: server.metrics_address().map(|address| format!("http://{address}/metrics")),
                    account_id: root.as_ref().map(|root| root.account.to_string()),
                    access_key_id: root.as_ref().map(|root| root.id.to_string()),
                    secret_access_key: secret.as_ref().map(SecretKey::expose_secret),
                },
            )?;
            drop(secret);
            let (halt, halted) = oneshot::channel();
            let stop = async {
                stop.told().await;
                // Both stop taking in at once.
                let _ = halt.send(());
            };
            tokio::join!(server.run(stop), serve_s3(s3, halted));
            Ok::<_, Failure>(())
        })?;
        drop(runtime);
        // Nobody else has it any more: the ledger ends in good order.
        if let Ok(Ok(mut ledger)) = Arc::try_unwrap(api).map(|api| Arc::try_unwrap(api.ledger)) {
            ledger.finish()?;
        } else {
            tracing::warn!("something still goes on; the next open recovers");
        }
        Ok(Exit::Done)
    }

    /// Opens the ledger, or makes it where there is none.
    fn open(&self, cx: &mut Context) -> Result<Ledger, Failure> {
        let dir = cx.dir();
        let holder = format!("process {}, http://{}", std::process::id(), self.listen);
        let options = LedgerOptions { holder, ..writing::options(cx) };
        let (io, clock, dice) = (cx.io.clone(), cx.clock.clone(), Box::<OsDice>::default());
        if is_ledger(cx, &dir)? {
            return Ok(Ledger::open_with(io, clock, dice, &dir, options)?);
        }
        let init = InitOptions { ledger: options, ..InitOptions::default() };
        let ledger = Ledger::init_with(io, &dir, clock, dice, &init)?;
        let key = writing::vault_key_path(cx);
        cx.note(&format!(
            "made a ledger in {}; its vault key is {}: in production keep it elsewhere (--vault-key)",
            dir.display(),
            key.display()
        ));
        Ok(ledger)
    }

    fn server(&self, cx: &Context) -> Result<ServerOptions, Failure> {
        let metrics_listen = match self.metrics_listen.as_str() {
            "off" => None,
            address => {
                let parsed =
                    address.parse().map_err(|_| Failure::usage("--metrics-listen takes ADDRESS:PORT or off"))?;
                Some(parsed)
            }
        };
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => {
                let key = Zeroizing::new(read(cx, key)?);
                Some(Tls::from_pem(&read(cx, cert)?, &key).map_err(Failure::usage)?)
            }
            _ => None,
        };
        Ok(ServerOptions {
            listen: self.listen,
            metrics_listen,
            tls,
            body_bytes_max: self.body_max,
            connections_max: self.connections_max.max(1),
            requests_max: self.requests_max.max(1),
            ..ServerOptions::default()
        })
    }

    /// The storage node beside it, when one is asked for, with the same keys.
    async fn s3(&self, dir: &Path, api: &Api, tls: Option<Tls>) -> Result<Option<(Node, Arc<Keys>)>, Failure> {
        let (Some(listen), Some(root)) = (self.s3_listen, self.s3_root.clone()) else { return Ok(None) };
        let options = NodeOptions {
            ledger: dir.to_owned(),
            root,
            listen,
            follow: false,
            stale: Duration::MAX,
            tls,
            regions: vec![self.region.clone()],
            domains: Vec::new(),
            vault_key: None,
        };
        let failed = |error: NodeError| Failure::usage(error.to_string());
        let keys = Arc::new(Keys::of(Arc::clone(&api.ledger)).map_err(failed)?);
        let node = node::start(&options, Arc::clone(&keys)).await.map_err(failed)?;
        Ok(Some((node, keys)))
    }

    fn public_url(&self) -> Result<Option<String>, Failure> {
        match &self.public_url {
            Some(url) if !is_public_url(url) => {
                Err(Failure::usage("--public-url takes a scheme and a host, such as https://keys.example.com"))
            }
            url => Ok(url.clone()),
        }
    }

    fn proxies(&self) -> Result<Vec<Cidr>, Failure> {
        let parse = |text: &String| {
            Cidr::parse(text)
                .ok_or_else(|| Failure::usage(format!("`{text}` is no address or range such as 10.0.0.0/8")))
        };
        self.trusted_proxy.iter().map(parse).collect()
    }
}

/// Serves S3 until it is halted, and writes what was counted.
async fn serve_s3(s3: Option<(Node, Arc<Keys>)>, halted: oneshot::Receiver<()>) {
    let Some((node, keys)) = s3 else { return };
    let gate = node.gate();
    let flushing = tokio::spawn(node::flush_often(Arc::clone(&keys), Arc::clone(&gate)));
    node.serve(async {
        // Sent, or its sender gone: either way it is over.
        let _ = halted.await;
    })
    .await;
    flushing.abort();
    // It was told to end, and that is how it ended.
    let _ = flushing.await;
    node::flush_all(&keys, &gate).await;
}

fn every(text: &str) -> Result<Every, String> {
    if matches!(text, "off" | "0") {
        return Ok(Every(None));
    }
    let ns = super::args::span(text).map_err(|expected| format!("{expected}, or off"))?;
    Ok(Every(Some(Duration::from_nanos(ns.unsigned_abs()))))
}

fn read(cx: &Context, path: &Path) -> Result<Vec<u8>, Failure> {
    cx.io.read(path, 1 << 20).map_err(super::backup::at("read", path))
}

/// The root access key of the environment. Both or neither; nothing of it is kept but in the ledger.
fn brought(cx: &Context) -> Result<Option<Brought>, Failure> {
    let (id, secret) = (environment::secret(cx, ROOT_ID)?, environment::secret(cx, ROOT_SECRET)?);
    match (id, secret) {
        (None, None) => Ok(None),
        (Some(id), Some(secret)) => {
            let id = AccessKeyId::parse(&id)?;
            let secret = SecretKey::import(&secret).map_err(|error| Failure::of(Exit::Usage, &error))?;
            Ok(Some(Brought { id, secret: Arc::new(secret) }))
        }
        _ => Err(Failure::usage(format!("set both {ROOT_ID} and {ROOT_SECRET} (or their …_FILE), or neither"))),
    }
}

/// The provider that is served. Both or neither; its signing key is kept in memory alone.
fn provider_key(cx: &Context) -> Result<Option<ProviderKey>, Failure> {
    let (name, key) = (environment::secret(cx, PARTNER)?, environment::secret(cx, PARTNER_KEY)?);
    match (name, key) {
        (None, None) => Ok(None),
        (Some(name), Some(key)) => {
            let key = SecretKey::import(&key)
                .map_err(|_| Failure::usage(format!("{PARTNER_KEY} is not 1 to 128 visible characters")))?;
            Ok(Some(ProviderKey::new(&name, key)?))
        }
        _ => Err(Failure::usage(format!("set both {PARTNER} and {PARTNER_KEY} (or their …_FILE), or neither"))),
    }
}

/// Makes the provider when the ledger has none of that name; else its signing key must be the ledger's.
fn known_provider(cx: &mut Context, ledger: &Ledger, caller: &Caller, own: &ProviderKey) -> Result<(), Failure> {
    let provider = own.provider().clone();
    match ledger.state().provider(&provider) {
        Some(known) if known.key_hash == own.hash() => Ok(()),
        Some(_) => Err(Failure::usage(format!(
            "{PARTNER_KEY} is not the signing key of provider `{provider}`; `keyledger partner rotate` gives it another"
        ))),
        None => {
            let command = Order::CreateProvider { provider, key_hash: own.hash(), explicit_orgs: false };
            ledger.execute_blocking(caller, command, None)?;
            cx.note(&format!("made the provider `{}`", own.provider()));
            Ok(())
        }
    }
}

fn say(cx: &mut Context, started: &Started<'_>) -> Result<(), Failure> {
    if cx.out.json {
        cx.out.json(started)?;
    } else {
        cx.out.line(format!("endpoint  {}", started.endpoint))?;
        cx.out.line(format!("console   {}", started.console))?;
        if let Some(s3) = &started.s3 {
            cx.out.line(format!("s3        {s3}"))?;
        }
        if let Some(metrics) = &started.metrics {
            cx.out.line(format!("metrics   {metrics}"))?;
        }
        if let (Some(account), Some(id)) = (&started.account_id, &started.access_key_id) {
            cx.out.line(format!("account   {account}"))?;
            cx.out.line(format!("root access key id      {id}"))?;
            match started.secret_access_key {
                Some(secret) => {
                    cx.out.line(format!("root secret access key  {secret}"))?;
                    cx.out.line("the secret is shown this once; keep it now")?;
                }
                None => cx.out.line("root secret access key  (as it was given)")?,
            }
        }
    }
    cx.out.flush()
}

/// SIGTERM or SIGINT.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn told(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
