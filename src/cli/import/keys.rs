//! `import keys`: existing ids and secrets, from CSV or JSON lines.
//!
//! A key at a time, each its own commit; what cannot be taken is named by its line, and the rest goes in. Secrets are read from
//! the file alone, wiped after use, and never in a message.

use crate::cli::Desk;
use crate::cli::args::grant;
use crate::cli::input::{INPUT_BYTES_MAX, rows, text_of};
use crate::cli::print::{Cell, Paint, Table, grouped};
use crate::cli::progress::Progress;
use crate::cli::{Context, Done, Exit, Failure};
use crate::ledger::command::OwnerName;
use crate::ledger::{Command, CreateAccessKey, ImportAccessKey};
use crate::model::{AccessKeyId, BucketName, OrgUid, Time};
use crate::vault::SecretKey;
use clap::Args;
use serde::Serialize;
use std::sync::Arc;
use zeroize::Zeroizing;

const COLUMNS: [&str; 10] = [
    "access_key_id",
    "secret_access_key",
    "user_name",
    "bucket",
    "label",
    "description",
    "buckets",
    "policies",
    "status",
    "expires_at",
];

#[derive(Debug, Args)]
pub struct Keys {
    /// The file, or - for standard input
    file: String,
    /// The owner of keys that name none [default: the org]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

/// What became of one line.
#[derive(Serialize)]
struct Row<'a> {
    line: usize,
    access_key_id: &'a str,
    /// `imported`, `unchanged` or `rejected`.
    result: &'static str,
    reason: Option<String>,
}

/// The last line.
#[derive(Serialize, Default)]
struct Totals {
    records: u64,
    imported: u64,
    duplicates: u64,
    rejected: u64,
}

impl Keys {
    pub fn run(self, cx: &mut Context) -> Done {
        let text = Zeroizing::new(text_of(cx.io.as_ref(), &self.file, INPUT_BYTES_MAX)?);
        let rows = rows(&text, &COLUMNS)?;
        let desk = Desk::open(cx)?;
        let org = desk.org(cx.global.org.as_deref())?;
        let bar = Progress::count("importing", rows.len() as u64);
        let mut totals = Totals::default();
        let mut table = Table::new(&["line", "access key id", "result", "reason"]);
        for (at, (line, fields)) in rows.into_iter().enumerate() {
            bar.at(at as u64);
            totals.records += 1;
            let id = fields[0].clone().unwrap_or_default();
            let taken = self.take(&desk, org, fields);
            let (result, reason) = match taken {
                Ok(true) => ("imported", None),
                Ok(false) => ("unchanged", None),
                // What is no rule's no would be the same for every line.
                Err(failure) if !matches!(failure.exit, Exit::Refused | Exit::Usage) => return Err(failure),
                Err(failure) => ("rejected", Some(failure.to_string())),
            };
            match result {
                "imported" => totals.imported += 1,
                "unchanged" => totals.duplicates += 1,
                _ => totals.rejected += 1,
            }
            if cx.out.json {
                cx.out.json(&Row { line, access_key_id: &id, result, reason })?;
            } else if let Some(reason) = reason {
                let cells = [line.to_string(), id, result.to_owned()].map(Cell::from);
                table.row(cells.into_iter().chain([Cell::new(reason, Paint::Warn)]).collect());
            }
        }
        bar.finish();
        if cx.out.json {
            cx.out.json(&totals)?;
        } else {
            cx.out.table(&table)?;
            let numbers = [totals.records, totals.imported, totals.duplicates, totals.rejected].map(grouped);
            let [records, imported, unchanged, rejected] = numbers;
            cx.out
                .line(format!("{records} keys: {imported} imported, {unchanged} already there, {rejected} rejected"))?;
        }
        Ok(if totals.rejected > 0 && totals.imported == 0 { Exit::Refused } else { Exit::Done })
    }

    /// Imports one key; whether anything changed.
    fn take(&self, desk: &Desk, org: OrgUid, fields: Vec<Option<String>>) -> Result<bool, Failure> {
        let Ok(fields) = <[Option<String>; COLUMNS.len()]>::try_from(fields) else {
            return Err(Failure::usage("not all columns are there"));
        };
        let [id, secret, user, bucket, label, description, buckets, policies, status, expires_at] = fields;
        let secret = Zeroizing::new(secret.ok_or_else(|| Failure::usage("no secret_access_key"))?);
        let id = AccessKeyId::parse(&id.ok_or_else(|| Failure::usage("no access_key_id"))?)?;
        let secret = SecretKey::import(&secret).map_err(|error| Failure::usage(error.to_string()))?;
        let owner = match (user.or_else(|| self.user.clone()), bucket) {
            (_, Some(bucket)) => OwnerName::Bucket(BucketName::parse(&bucket)?),
            (Some(user), None) => OwnerName::User(user.into()),
            (None, None) => OwnerName::Org,
        };
        let list = |text: &Option<String>| -> Vec<String> {
            let text = text.as_deref().unwrap_or_default();
            text.split([' ', ';', ',']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let grants: Result<Vec<_>, _> = list(&buckets).iter().map(|text| grant(text)).collect();
        let key = CreateAccessKey {
            owner,
            label: label.unwrap_or_default().into(),
            description: description.unwrap_or_default().into(),
            grants: grants.map_err(Failure::usage)?,
            policies: list(&policies).into_iter().map(Into::into).collect(),
            expires_at: expires_at.as_deref().map(Time::parse).transpose()?,
            ..CreateAccessKey::default()
        };
        let import = ImportAccessKey { access_key_id: id.clone(), secret: Arc::new(secret), key };
        let wrote = desk.execute(Command::ImportKey { org, key: Box::new(import) })?;
        let inactive =
            |text: &str| ["inactive", "suspended", "disabled"].iter().any(|word| text.eq_ignore_ascii_case(word));
        if status.is_some_and(|status| inactive(&status)) {
            desk.execute(Command::SuspendKey { key: id })?;
        }
        Ok(wrote.changed())
    }
}
