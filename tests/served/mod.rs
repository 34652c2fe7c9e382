//! A server in this process, and requests to it byte by byte.
#![allow(dead_code, reason = "each test file uses a part")]

use keyledger::api::{Api, ApiOptions, Server, ServerOptions};
use keyledger::ledger::{InitOptions, Ledger};
use keyledger::sys::{Clock, RealIo, SystemClock};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server over a ledger of its own.
pub struct Served {
    pub ledger: Arc<Ledger>,
    pub address: SocketAddr,
    pub stop: oneshot::Sender<()>,
    pub running: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

pub async fn served(options: ServerOptions) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::init(folder.path(), &InitOptions::default()).unwrap());
    let (address, stop, running) = serve(Arc::clone(&ledger), Arc::new(SystemClock), folder.path(), options).await;
    Served { ledger, address, stop, running, _folder: folder }
}

pub async fn serve(
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    dir: &Path,
    options: ServerOptions,
) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let api_options = ApiOptions {
        region: "us-east-1".to_owned(),
        trusted_proxies: Vec::new(),
        dir: dir.to_owned(),
        public_url: None,
        provider_key: None,
    };
    let api = Api::new(ledger, api_options, Arc::new(RealIo), clock).unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = ServerOptions { listen, metrics_listen: None, ..options };
    let server = Server::bind(Arc::new(api), options).await.unwrap();
    let address = server.address().unwrap();
    let (stop, told) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = told.await;
    }));
    (address, stop, running)
}

impl Served {
    pub async fn connect(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// A request whose connection is closed after it; the whole reply.
    pub async fn ask(&self, head: &str) -> String {
        reply(self.connect(head).await).await
    }

    pub async fn end(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(20), self.running).await.expect("it ends").unwrap();
    }
}

pub async fn reply(mut stream: TcpStream) -> String {
    let mut text = String::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut text)).await;
    let _ = read.expect("it answers in time");
    text
}
