//! The whole path of a command: decided, encoded, hashed, written, flushed, applied, published, acknowledged.
//!
//! Two loads. *Changes* attach and detach policies of keys that are there: their commits flush the log and, if strict,
//! the witness. *Creates* draw, seal and store a secret each: one flush more a group.
//!
//! Not here: the mixed history (`workload`), whose ids the ledger would not draw.

use crate::shim;
use crate::table::Sample;
use crate::workload::{OWNERS, POLICIES, owner_name, policy_name};
use crate::{Error, Result, ours};
use keyledger::ledger::command::{OwnerName, Target};
use keyledger::ledger::{
    Command, CreateAccessKey, Done, ExecuteError, InitOptions, Ledger, LedgerOptions, Outcome, Ticket,
};
use keyledger::log::WitnessMode;
use keyledger::model::{AccessKeyId, AccountId, Caller, OrgOwner, OrgUid};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Keys that changes go round; far more than are in flight at once, so that no two commands in flight meet.
const KEYS: u64 = 4096;

/// What a lane asks the ledger for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    Changes,
    Creates,
}

/// A ledger with an org, users, policies and keys.
#[derive(Debug)]
pub struct Commands {
    ledger: Ledger,
    load: Load,
    org: OrgUid,
    keys: Vec<AccessKeyId>,
    caller: Caller,
    next: AtomicU64,
}

/// How commands come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One after the other.
    One,
    /// So many at once, from one thread that waits for none in particular.
    Async(usize),
    /// So many blocked threads.
    Threads(usize),
}

impl Commands {
    /// Makes a ledger in `folder`.
    pub fn create(folder: &Path, witness: WitnessMode, load: Load) -> Result<Self> {
        let _ = std::fs::remove_dir_all(folder);
        let options =
            InitOptions { ledger: LedgerOptions { witness, ..LedgerOptions::default() }, ..InitOptions::default() };
        let ledger = Ledger::init(folder, &options)?;
        let mut caller = Caller::operator("operator-007@bench");
        caller.request_id = Some("7f3c2a10-5b1e-4c7d-9a54-0d1c2b3a4f5e".into());
        caller.source_ip = Some("198.51.100.7".into());
        caller.user_agent = Some("aws-cli/2.15.30 Python/3".into());
        let create = Command::CreateOrg {
            name: "benchmark".into(),
            account: Some(AccountId(123_456_789_012)),
            owner: OrgOwner::Operator,
            settings: Box::default(),
        };
        let Outcome::OrgCreated { org, .. } = ledger.execute_blocking(&caller, create, None)?.outcome else {
            return Err("an org was asked for".into());
        };
        let (keys, next) = (Vec::new(), AtomicU64::new(0));
        let mut made = Self { ledger, load, org, keys, caller, next };
        made.prepare()?;
        Ok(made)
    }

    fn prepare(&mut self) -> Result<()> {
        let org = self.org;
        let user = |owner| Command::CreateUser {
            org,
            name: owner_name(owner).into(),
            path: "".into(),
            external_id: None,
            tags: keyledger::model::Tags::new(),
            boundary: None,
        };
        let policy = |policy| Command::CreatePolicy {
            org,
            name: policy_name(policy).into(),
            path: "".into(),
            description: "".into(),
            tags: keyledger::model::Tags::new(),
            document: ours::document(policy).into(),
        };
        self.submit_all((0..OWNERS).map(user))?;
        self.submit_all((0..POLICIES).map(policy))?;
        if self.load == Load::Changes {
            let creates: Vec<Command> = (0..KEYS).map(|number| self.create_key(number)).collect();
            for done in self.submit_all(creates.into_iter())? {
                let Outcome::KeyCreated(made) = done.outcome else { return Err("a key was asked for".into()) };
                self.keys.push(made.access_key_id);
            }
        }
        Ok(())
    }

    fn submit_all(&self, commands: impl Iterator<Item = Command>) -> Result<Vec<Done>> {
        let tickets: Vec<Ticket> =
            commands.map(|command| self.ledger.submit(self.caller.clone(), command, None)).collect();
        Ok(tickets.into_iter().map(Ticket::wait).collect::<std::result::Result<_, ExecuteError>>()?)
    }

    fn create_key(&self, number: u64) -> Command {
        let key = CreateAccessKey {
            owner: OwnerName::User(owner_name((number % u64::from(OWNERS)) as u32).into()),
            label: format!("nightly backup {number}").into(),
            ..CreateAccessKey::default()
        };
        Command::CreateKey { org: self.org, key: Box::new(key) }
    }

    /// The next command of the load.
    fn draw(&self) -> Command {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if self.load == Load::Creates {
            return self.create_key(number);
        }
        // Each round over the keys attaches or detaches one policy everywhere.
        let (key, round) = (Target::Key(self.keys[(number % KEYS) as usize].clone()), number / KEYS);
        let policy = policy_name((round / 2 % u64::from(POLICIES)) as u8).into();
        let org = self.org;
        if round.is_multiple_of(2) {
            Command::AttachPolicy { org, policy, to: key }
        } else {
            Command::DetachPolicy { org, policy, from: key }
        }
    }

    /// Loads the ledger for `time`; every command must be accepted and change something.
    pub fn run(&self, shape: Shape, time: Duration) -> Result<Sample> {
        let (flushes, before, began) = (shim::flushes(), self.ledger.reader().last_seq(), Instant::now());
        let mut nanos = match shape {
            Shape::One => self.blocking(began, time)?,
            Shape::Async(clients) => self.asynchronous(clients, began, time)?,
            Shape::Threads(threads) => self.blocked(threads, began, time)?,
        };
        let (seconds, commands) = (began.elapsed().as_secs_f64(), nanos.len() as u64);
        let commits = self.ledger.reader().last_seq() - before;
        if commits < commands {
            return Err(Error::from(format!("{commands} commands made only {commits} commits")));
        }
        let flushes = (shim::flushes() - flushes) as f64 / commands.max(1) as f64;
        Ok(Sample { value: commands as f64 / seconds, flushes, ..Sample::default() }.with_nanos(&mut nanos))
    }

    fn blocking(&self, began: Instant, time: Duration) -> Result<Vec<u32>> {
        let mut nanos = Vec::new();
        while began.elapsed() < time {
            let start = Instant::now();
            self.ledger.execute_blocking(&self.caller, self.draw(), None)?;
            nanos.push(start.elapsed().as_nanos() as u32);
        }
        Ok(nanos)
    }

    fn asynchronous(&self, clients: usize, began: Instant, time: Duration) -> Result<Vec<u32>> {
        let (mut nanos, mut waiting) = (Vec::new(), VecDeque::with_capacity(clients));
        loop {
            let going_on = began.elapsed() < time;
            while going_on && waiting.len() < clients {
                waiting.push_back((Instant::now(), self.ledger.submit(self.caller.clone(), self.draw(), None)));
            }
            let Some((start, ticket)) = waiting.pop_front() else { return Ok(nanos) };
            ticket.wait()?;
            nanos.push(start.elapsed().as_nanos() as u32);
        }
    }

    fn blocked(&self, threads: usize, began: Instant, time: Duration) -> Result<Vec<u32>> {
        let results: Vec<Result<Vec<u32>>> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..threads).map(|_| scope.spawn(|| self.blocking(began, time))).collect();
            clients
                .into_iter()
                .map(|client| client.join().unwrap_or_else(|_| Err("a client panicked".into())))
                .collect()
        });
        let mut nanos = Vec::new();
        for result in results {
            nanos.extend(result?);
        }
        Ok(nanos)
    }
}
