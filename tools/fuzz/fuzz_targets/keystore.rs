//! The keystore's two files, spoilt.
#![no_main]

use keyledger::model::id::World;
use keyledger::model::{AccessKeyId, KeyUid};
use keyledger::sys::Io;
use keyledger::vault::{Keystore, SecretKey, VaultKey};
use keyledger_fuzz::{LEDGER_ID, Memory, patched};
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::{Arc, LazyLock};

static FILES: LazyLock<Memory> = LazyLock::new(|| {
    let memory = Memory::default();
    let io: Arc<dyn Io> = Arc::new(memory.clone());
    let mut count = 0_u8;
    let mut dice = |bytes: &mut [u8]| {
        for byte in bytes {
            count = count.wrapping_mul(31).wrapping_add(7);
            *byte = count;
        }
    };
    let mut keystore =
        Keystore::create(io, Path::new("/keys"), LEDGER_ID, &vault_key(), &mut dice).expect("a keystore in memory");
    for number in 0..4 {
        let (id, uid) = id(number);
        let secret = SecretKey::generate(&mut dice);
        let slot = keystore.sealer().seal(uid, &id, 1, &secret, &mut dice);
        keystore.put(&slot).expect("room in memory");
    }
    keystore.sync().expect("a flush in memory");
    memory
});

fn vault_key() -> VaultKey {
    VaultKey::from_bytes([9; 32].into())
}

fn id(number: u32) -> (AccessKeyId, KeyUid) {
    let id = AccessKeyId::parse(&format!("NQAK{number:016}")).expect("an id");
    let uid = id.uid(World::Live);
    (id, uid)
}

fuzz_target!(|input: &[u8]| {
    let Some((&which, input)) = input.split_first() else { return };
    let memory = FILES.fork();
    let paths = memory.ending(if which & 1 == 0 { ".ks" } else { ".key" });
    for path in paths {
        let mut bytes = patched(memory.get(&path), input);
        if which & 64 != 0 {
            bytes.truncate(usize::from(which) * 8);
        }
        memory.put(&path, bytes);
    }
    let io: Arc<dyn Io> = Arc::new(memory);
    let _ = keyledger::vault::inspect(&*io, Path::new("/keys"), LEDGER_ID);
    let Ok((mut keystore, _)) = Keystore::open(io, Path::new("/keys"), LEDGER_ID, &vault_key()) else { return };
    for number in 0..5 {
        let (id, uid) = id(number);
        let _ = keystore.secret(uid, 1, &id);
    }
    let _ = keystore.verify();
    let _ = keystore.reconcile((0..2).map(|number| (id(number).1, 1)));
});
