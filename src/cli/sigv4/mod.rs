//! `sigv4`: why a signature does or does not match.
//!
//! Needs no ledger: the key is given.
//!
//! Not here: how signatures are checked (`crate::sigv4`).

mod cases;
mod check;
mod explain;
mod http;

use super::input::INPUT_BYTES_MAX;
use super::{Context, Done, Exit, Failure};
use crate::model::Time;
use crate::sigv4::{Rules, scope_of};
use clap::{Args, Subcommand};
use explain::Explained;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

#[derive(Debug, Subcommand)]
pub enum Sigv4 {
    /// Show step by step why a request's signature does or does not match
    #[command(after_help = "The secret is read from --secret-file, or else from KEYLEDGER_SECRET_ACCESS_KEY or \
                            AWS_SECRET_ACCESS_KEY; never from the command line.\n\
                            Exit codes: 0 it matches, 4 it does not (also in S3's words), 2 could not ask.\n\
                            Example:  keyledger sigv4 verify request.txt --secret-file secret.txt --now 2013-05-24T00:00:00Z")]
    Verify(Verify),
}

#[derive(Debug, Args)]
pub struct Verify {
    /// The HTTP request as it was sent: a file, or - for standard input
    #[arg(default_value = "-", value_name = "REQUEST")]
    request: String,
    /// The access key id that is known [default: the one that the request names]
    #[arg(long, value_name = "ID")]
    access_key: Option<String>,
    /// The file with the secret access key
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The endpoint's region [default: the one that the request names]
    #[arg(long)]
    region: Option<String>,
    /// The endpoint's service [default: the one that the request names]
    #[arg(long)]
    service: Option<String>,
    /// When the request arrived: RFC 3339 [default: now]
    #[arg(long, value_name = "WHEN")]
    now: Option<String>,
    /// Whether `..` and `//` are taken out of the path first [default: for every service but S3]
    #[arg(long, value_name = "BOOL")]
    normalize_path: Option<bool>,
    /// Check many: JSON lines with id, method, target, headers, body, access_key, secret_key, region, service, now,
    /// normalize_path; answers one line each, in order
    #[arg(long, value_name = "FILE", conflicts_with_all = ["request", "access_key", "secret_file", "region", "service", "now", "normalize_path"])]
    cases: Option<String>,
}

impl Sigv4 {
    pub fn run(self, cx: &mut Context) -> Done {
        let Sigv4::Verify(verify) = self;
        match &verify.cases {
            Some(source) => cases::run(cx, source),
            None => verify.one(cx),
        }
    }
}

impl Verify {
    fn one(&self, cx: &mut Context) -> Done {
        let bytes = cx.bytes_of(&self.request)?;
        let request = http::RawRequest::parse(&bytes).map_err(Failure::usage)?;
        let secret = self.secret(cx)?;
        let now = match &self.now {
            Some(text) => Time::parse(text)?,
            None => cx.now(),
        };
        let headers = request.headers();
        let view = request.view(&headers);
        let (region, service) = scope_of(&view).unwrap_or_default();
        let service = self.service.as_deref().unwrap_or(&service);
        let regions = [self.region.as_deref().unwrap_or(&region)];
        let rules = Rules::of(service, &regions);
        let rules = Rules { normalize_path: self.normalize_path.unwrap_or(rules.normalize_path), ..rules };
        let explained = Explained::of(&view, request.body, &rules, now, self.access_key.as_deref(), secret.as_bytes());
        explained.print(cx)?;
        Ok(if explained.is_accepted() { Exit::Done } else { Exit::Refused })
    }

    fn secret(&self, cx: &Context) -> Result<Zeroizing<String>, Failure> {
        let from_file = |path: &Path| {
            let bytes = cx.io.read(path, 4_096).map_err(|error| {
                Failure::usage(format!("could not read the secret in `{}`: {error}", path.display()))
            })?;
            let bytes = Zeroizing::new(bytes);
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| Failure::usage(format!("the secret in `{}` is not UTF-8", path.display())))?;
            Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
        };
        if let Some(path) = &self.secret_file {
            return from_file(path);
        }
        ["KEYLEDGER_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|secret| !secret.is_empty()))
            .map(Zeroizing::new)
            .ok_or_else(|| Failure::usage("no secret: give --secret-file, or set KEYLEDGER_SECRET_ACCESS_KEY"))
    }
}

impl Context {
    /// A whole file, or standard input for `-`.
    fn bytes_of(&self, source: &str) -> Result<Vec<u8>, Failure> {
        use std::io::Read as _;
        let read = if source == "-" {
            let mut bytes = Vec::new();
            std::io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes).map(|_| bytes)
        } else {
            self.io.read(Path::new(source), INPUT_BYTES_MAX)
        };
        let bytes = read.map_err(|error| Failure::usage(format!("could not read `{source}`: {error}")))?;
        if bytes.len() as u64 > INPUT_BYTES_MAX {
            return Err(Failure::usage(format!("`{source}` is longer than the {INPUT_BYTES_MAX} bytes allowed")));
        }
        Ok(bytes)
    }
}
