//! A node that is stopped in good order has written every use that it counted.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::{Client, Prepared, Running, new_org, uses};
use keyledger::ledger::{Command, CreateAccessKey, InitOptions, Ledger, LedgerOptions, Outcome};
use keyledger::model::{Caller, Grant, GrantRole};

/// More than the first use, which is written at once; the others would wait for a quarter of an hour.
const USES: u64 = 37;

#[test]
fn a_stop_in_good_order_writes_every_use_that_was_counted() {
    let dir = tempfile::tempdir().unwrap();
    let ledger_dir = dir.path().join("ledger");
    let ledger = Ledger::init(&ledger_dir, &InitOptions::default()).unwrap();
    let org = new_org(&ledger);
    let grants = vec![Grant { bucket: None, role: GrantRole::Admin }];
    let key = CreateAccessKey { grants, ..CreateAccessKey::default() };
    let create = Command::CreateKey { org, key: key.into() };
    let mut done = ledger.execute_blocking(&Caller::operator("test"), create, None).unwrap();
    let secret = done.outcome.take_secret().unwrap().expose_secret().to_owned();
    let Outcome::KeyCreated(made) = done.outcome else { panic!("no key was made") };
    let id = made.access_key_id;
    ledger.close().unwrap();

    let mut node = Running::start(&ledger_dir, &dir.path().join("root"), [], &[]);
    let list = Prepared::new(node.address, (id.as_str(), &secret), "GET", "/");
    let mut client = Client::connect(node.address);
    for _ in 0..USES {
        assert_eq!(client.ask(&list, None), 200);
    }
    drop(client);
    assert!(node.stop().success());
    let ledger = Ledger::open(&ledger_dir, LedgerOptions::default()).unwrap();
    assert_eq!(uses(&ledger, &id), USES);
}
