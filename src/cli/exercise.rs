//! `exercise`: a writer for tests, hidden from help: it holds the ledger, or writes as fast as it goes.
//!
//! What it prints was acknowledged before it was printed, so whoever reads the pipe knows what must survive a kill.

use super::writing::Writing;
use super::{Context, Done, Exit, Failure};
use crate::ledger::{Command as Order, CreateAccessKey};
use crate::model::{AccessKeyId, OrgUid};
use clap::Args;
use std::io::{Read, Write};

#[derive(Debug, Args)]
pub struct Exercise {
    /// Threads that create, label and revoke keys until the program is killed; 0 only holds the ledger
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

impl Exercise {
    pub fn run(self, cx: &mut Context) -> Done {
        let writing = cx.writing()?;
        say("ready\n")?;
        if self.threads == 0 {
            // Until whoever started it lets go.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            writing.close()?;
            return Ok(Exit::Done);
        }
        let org = writing.org(cx.global.org.as_deref())?.org;
        let failure = std::sync::Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    let error = lives(&writing, org);
                    failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
                });
            }
        });
        let failure = failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        failure.map_or(Ok(Exit::Done), Err)
    }
}

/// Lives of keys, one after another, until something fails.
fn lives(writing: &Writing, org: OrgUid) -> Failure {
    loop {
        if let Err(failure) = life(writing, org) {
            return failure;
        }
    }
}

/// One key's life, each step told when it is durable.
fn life(writing: &Writing, org: OrgUid) -> Result<(), Failure> {
    let key = CreateAccessKey::default();
    let wrote = writing.execute(Order::CreateKey { org, key: Box::new(key) })?;
    let Some(id) = wrote.key_made() else { return Err(Failure::usage("no key was made")) };
    say(&format!("created {id}\n"))?;
    let key = AccessKeyId::parse(id)?;
    writing.execute(Order::LabelKey { key: key.clone(), label: "labelled".into() })?;
    say(&format!("labelled {id}\n"))?;
    writing.execute(Order::RevokeKey { key: key.clone() })?;
    say(&format!("revoked {id}\n"))?;
    if id.as_bytes().last().is_some_and(|byte| byte % 2 == 0) {
        writing.execute(Order::DeleteKey { key })?;
        say(&format!("deleted {id}\n"))?;
    }
    Ok(())
}

/// In one write, so that a kill leaves whole lines.
fn say(line: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let said = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
    said.map_err(|_| Failure::closed())
}
