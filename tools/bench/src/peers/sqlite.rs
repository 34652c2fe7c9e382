//! SQLite through rusqlite: one table of events, an index on the key, and on request on actor and address.

use crate::Result;
use crate::durable::{SharedStore, Store};
use crate::floor::{fold, postings};
use crate::workload::{Entry, actor_name, address_text, decode, key_id};
use rusqlite::{Connection, OpenFlags, params};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

const INSERT: &str = "INSERT INTO events(seq, key_id, actor, address, at, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// The table, with one connection.
#[derive(Debug)]
pub struct Table {
    connection: Connection,
    path: PathBuf,
}

fn connect(path: &Path, synchronous: &str) -> Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(Duration::from_secs(20))?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA cache_size = -65536;
         PRAGMA mmap_size = 17179869184;"
    ))?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

impl Table {
    /// An empty table with its key index. `durable` is WAL FULL, else WAL NORMAL for filling.
    pub fn create(folder: &Path, durable: bool) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("events.sqlite");
        let connection = connect(&path, if durable { "FULL" } else { "NORMAL" })?;
        connection.execute_batch(
            "CREATE TABLE events(seq INTEGER PRIMARY KEY, key_id TEXT NOT NULL, actor TEXT NOT NULL,
                                 address TEXT NOT NULL, at INTEGER NOT NULL, payload BLOB NOT NULL);
             CREATE INDEX by_key ON events(key_id, seq);",
        )?;
        Ok(Self { connection, path })
    }

    /// Adds the indexes for audits.
    pub fn index_actors_and_addresses(&self) -> Result<()> {
        self.connection.execute_batch(
            "CREATE INDEX by_actor ON events(actor, seq); CREATE INDEX by_address ON events(address, seq);",
        )?;
        self.settle()
    }

    /// Moves the write-ahead log into the file.
    pub fn settle(&self) -> Result<()> {
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    /// Length of the file, in bytes.
    pub fn bytes(&self) -> Result<u64> {
        self.settle()?;
        Ok(std::fs::metadata(&self.path)?.len())
    }

    fn insert(&self, batch: &[Entry<'_>]) -> Result<()> {
        let mut insert = self.connection.prepare_cached(INSERT)?;
        for entry in batch {
            let id = key_id(entry.op.key);
            insert.execute(params![
                entry.seq.cast_signed(),
                std::str::from_utf8(&id)?,
                actor_name(entry.op.actor),
                address_text(entry.op.address),
                entry.op.at_ns,
                entry.payload
            ])?;
        }
        Ok(())
    }

    /// Every event up to `seq`, folded the plain way.
    pub fn fold(&self, seq: u64) -> Result<fold::PlainState> {
        let mut state = fold::PlainState::new();
        let mut select = self.connection.prepare_cached("SELECT payload FROM events WHERE seq <= ?1 ORDER BY seq")?;
        let mut rows = select.query([seq.cast_signed()])?;
        while let Some(row) = rows.next()? {
            fold::apply_plain(&mut state, row.get_ref(0)?.as_blob()?)?;
        }
        Ok(state)
    }

    /// One key as of `seq`, as `floor::postings::Postings::key_at`.
    pub fn key_at(&self, id: &[u8; 20], seq: u64) -> Result<Option<(bool, i32)>> {
        let sql = "SELECT payload FROM events WHERE key_id = ?1 AND seq <= ?2 ORDER BY seq";
        let mut select = self.connection.prepare_cached(sql)?;
        let mut rows = select.query(params![std::str::from_utf8(id)?, seq.cast_signed()])?;
        let mut key = None;
        while let Some(row) = rows.next()? {
            key = postings::step(key, &decode(row.get_ref(0)?.as_blob()?)?);
        }
        Ok(key)
    }

    /// Reads every event whose `column` is `value`, by its index or, with `scan`, without. Returns how many.
    pub fn matching(&self, column: &str, value: &str, scan: bool) -> Result<u64> {
        // A unary plus keeps SQLite from the column's index.
        let plus = if scan { "+" } else { "" };
        let sql = format!("SELECT payload FROM events WHERE {plus}{column} = ?1 ORDER BY seq");
        let mut select = self.connection.prepare_cached(&sql)?;
        let mut rows = select.query([value])?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            std::hint::black_box(decode(row.get_ref(0)?.as_blob()?)?);
            found += 1;
        }
        Ok(found)
    }
}

impl Store for Table {
    fn commit(&mut self, batch: &[Entry<'_>]) -> Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        self.insert(batch)?;
        Ok(self.connection.execute_batch("COMMIT")?)
    }
}

/// A transaction an event, threads taking turns at one connection: what a program does that groups nothing. (With a
/// connection a thread, SQLite's own waiting makes it slower still.)
#[derive(Debug)]
pub struct InTurns(Mutex<Table>);

impl InTurns {
    pub fn create(folder: &Path) -> Result<Self> {
        Ok(Self(Mutex::new(Table::create(folder, true)?)))
    }
}

impl SharedStore for InTurns {
    fn append(&self, entry: &Entry<'_>) -> Result<()> {
        self.0.lock().map_err(|_| "a client panicked")?.commit(&[*entry])
    }
}
