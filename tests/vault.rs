//! tests/vault.rs: what happens to sealed secrets when files are torn, swapped, flipped, copied, filled up or rekeyed.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use keyledger::model::{AccessKeyId, KeyUid};
use keyledger::sys::{Entry, FileId, Io, IoFile, LockHeld, LockToken, OpenMode, RealIo};
use keyledger::vault::{
    Keystore, KeystoreReader, LedgerId, SecretKey, VaultDice, VaultError, VaultKey, fingerprints_equal, inspect,
};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use zeroize::Zeroizing;

const LEDGER: LedgerId = *b"ledger of a test";
const SLOT: u64 = 512;
const HEADER: u64 = 4096;

/// Foreseeable dice: BLAKE3 of a counter.
struct Dice(u64);

impl VaultDice for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0 += 1;
        blake3::Hasher::new().update(&self.0.to_le_bytes()).finalize_xof().fill(bytes);
    }
}

fn vault_key(byte: u8) -> VaultKey {
    VaultKey::from_bytes(Zeroizing::new([byte; 32]))
}

fn key(n: u32) -> (KeyUid, AccessKeyId) {
    let id = AccessKeyId::parse(&format!("NQAK{n:016}")).unwrap();
    (id.uid(keyledger::model::id::World::Live), id)
}

fn secret(n: u32) -> SecretKey {
    SecretKey::import(&format!("canary-{n:033}")).unwrap()
}

fn create(io: Arc<dyn Io>, folder: &Path) -> Result<Keystore, VaultError> {
    Keystore::create(io, folder, LEDGER, &vault_key(1), &mut Dice(0))
}

fn open(folder: &Path, vault: u8) -> Result<Keystore, VaultError> {
    Keystore::open(Arc::new(RealIo), folder, LEDGER, &vault_key(vault)).map(|(keystore, _)| keystore)
}

fn put(keystore: &mut Keystore, n: u32) -> Result<[u8; 32], VaultError> {
    let (uid, id) = key(n);
    let sealed = keystore.sealer().seal(uid, &id, 1, &secret(n), &mut Dice(1000 + u64::from(n)));
    keystore.put(&sealed)?;
    keystore.sync()?;
    Ok(sealed.commitment)
}

fn read(keystore: &Keystore, n: u32) -> Result<SecretKey, VaultError> {
    let (uid, id) = key(n);
    keystore.secret(uid, 1, &id)
}

fn holds(keystore: &Keystore, n: u32) -> bool {
    read(keystore, n).is_ok_and(|found| found.same_as(&secret(n)))
}

fn keystore_of(folder: &Path, keys: u32) -> Keystore {
    let mut keystore = create(Arc::new(RealIo), folder).unwrap();
    for n in 0..keys {
        put(&mut keystore, n).unwrap();
    }
    keystore
}

fn load(path: &Path) -> Vec<u8> {
    RealIo.read(path, 1 << 30).unwrap()
}

fn store(path: &Path, bytes: &[u8]) {
    RealIo.replace(path, bytes).unwrap();
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = RealIo.read_dir(folder).unwrap();
    entries.into_iter().map(|entry| (entry.name.clone(), load(&folder.join(entry.name)))).collect()
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    RealIo.open(path, OpenMode::ReadWrite).unwrap().write_all_at(bytes, at).unwrap();
}

fn fix_crc(block: &mut [u8]) {
    let end = block.len() - 4;
    let crc = crc32fast::hash(&block[..end]);
    block[end..].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn secrets_survive_a_reopen_with_their_commitments() {
    let folder = tempfile::tempdir().unwrap();
    let mut keystore = keystore_of(folder.path(), 0);
    // More than one growth of the file.
    let commitments: Vec<_> = (0..600).map(|n| put(&mut keystore, n).unwrap()).collect();
    drop(keystore);
    let (keystore, report) = Keystore::open(Arc::new(RealIo), folder.path(), LEDGER, &vault_key(1)).unwrap();
    assert_eq!((report.generation, report.used, report.slots), (1, 600, 768));
    assert!(report.damaged.is_empty() && report.removed.is_empty());
    for (n, commitment) in (0..600).zip(commitments) {
        let (uid, id) = key(n);
        let opened = keystore.opened(uid, 1, &id).unwrap();
        assert!(opened.secret.same_as(&secret(n)));
        assert_eq!(opened.commitment, commitment);
    }
    assert_eq!(keystore.verify().unwrap(), []);
    let seen = inspect(&RealIo, folder.path(), LEDGER).unwrap();
    assert_eq!((seen.used, seen.vault_key), (600, vault_key(1).id()), "without any key");
}

#[test]
fn two_versions_of_one_key_live_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let mut keystore = keystore_of(folder.path(), 1);
    let (uid, id) = key(0);
    let second = SecretKey::generate(&mut Dice(5));
    let sealed = keystore.sealer().seal(uid, &id, 2, &second, &mut Dice(6));
    keystore.put(&sealed).unwrap();
    keystore.sync().unwrap();
    assert!(matches!(keystore.put(&sealed), Err(VaultError::AlreadyStored { version: 2, .. })));
    assert!(holds(&keystore, 0) && keystore.secret(uid, 2, &id).unwrap().same_as(&second));
    assert_eq!(keystore.shred(&[(uid, 1)]).unwrap(), 1);
    assert!(matches!(read(&keystore, 0), Err(VaultError::UnknownVersion { version: 1, .. })));
    assert!(keystore.secret(uid, 2, &id).unwrap().same_as(&second));
    assert!(fingerprints_equal(&second.fingerprint(), &keystore.secret(uid, 2, &id).unwrap().fingerprint()));
    assert_eq!(keystore.find(&second).unwrap(), [(uid, 2)]);
    assert_eq!(keystore.find(&secret(0)).unwrap(), []);
}

#[test]
fn no_secret_is_in_any_file_or_message() {
    let folder = tempfile::tempdir().unwrap();
    let mut keystore = keystore_of(folder.path(), 3);
    let shown = format!("{keystore:?} {:?} {:?}", read(&keystore, 1).unwrap(), keystore.sealer());
    keystore.rekey(&vault_key(2), &mut Dice(9)).unwrap();
    let errors = [
        read(&keystore, 9).unwrap_err(),
        open(folder.path(), 1).unwrap_err(),
        Keystore::open(Arc::new(RealIo), folder.path(), [0; 16], &vault_key(2)).unwrap_err(),
    ];
    let said = format!("{shown} {errors:?} {}", errors.iter().map(ToString::to_string).collect::<String>());
    assert!(!said.contains("canary") && !said.contains("01010101") && !said.contains("1, 1, 1, 1"), "{said}");
    for (name, bytes) in files(folder.path()) {
        assert!(!bytes.windows(6).any(|window| window == b"canary"), "{name}");
        assert!(!bytes.windows(32).any(|window| window == [1; 32] || window == [2; 32]), "{name}");
    }
}

/// Ceph CVE-2025-30156: ciphertext that was not bound to whom it belonged.
#[test]
fn a_sealed_secret_moved_to_another_key_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    drop(keystore_of(folder.path(), 2));
    let path = folder.path().join("keystore-1.ks");
    let bytes = load(&path);
    let slot = |n: usize| bytes[4096 + n * 512..4096 + (n + 1) * 512].to_vec();
    // Nonce, cipher text and tag of key 0 under the name of key 1, with a checksum that holds.
    let mut forged = slot(1);
    forged[160..368].copy_from_slice(&slot(0)[160..368]);
    fix_crc(&mut forged);
    overwrite(&path, HEADER + SLOT, &forged);
    let keystore = open(folder.path(), 1).unwrap();
    assert!(holds(&keystore, 0));
    assert!(matches!(read(&keystore, 1), Err(VaultError::SlotDamaged { offset: 4608, .. })));
    assert_eq!(keystore.verify().unwrap()[0].offset, 4608);
    // Whole slots may lie anywhere: each knows whose it is.
    overwrite(&path, HEADER, &[slot(1), slot(0)].concat());
    let keystore = open(folder.path(), 1).unwrap();
    assert!(holds(&keystore, 0) && holds(&keystore, 1));
    // The right slot asked for under another access key id.
    assert!(keystore.secret(key(0).0, 1, &key(1).1).is_err());
}

#[test]
fn the_wrong_vault_key_ledger_or_format_is_named() {
    let folder = tempfile::tempdir().unwrap();
    drop(keystore_of(folder.path(), 1));
    let before = files(folder.path());
    match open(folder.path(), 2) {
        Err(VaultError::WrongVaultKey { expected, given, .. }) => {
            assert_eq!((expected, given), (vault_key(1).id().to_string(), vault_key(2).id().to_string()));
        }
        other => panic!("{other:?}"),
    }
    let foreign = Keystore::open(Arc::new(RealIo), folder.path(), [7; 16], &vault_key(1));
    assert!(matches!(foreign, Err(VaultError::ForeignKeystore { .. })));
    assert!(matches!(create(Arc::new(RealIo), folder.path()), Err(VaultError::AlreadyThere { .. })));
    let nowhere = open(&folder.path().join("none"), 1);
    assert!(matches!(nowhere, Err(VaultError::NoKeystore { .. })));
    assert_eq!(files(folder.path()), before, "refusing changes nothing");
    for name in ["keystore-1.ks", "filekey-1.key"] {
        let mut bytes = before[name].clone();
        bytes[8] = 2;
        let header = if name == "filekey-1.key" { 256 } else { 4096 };
        fix_crc(&mut bytes[..header]);
        store(&folder.path().join(name), &bytes);
        assert!(matches!(open(folder.path(), 1), Err(VaultError::UnknownFormat { major: 2, minor: 0, .. })), "{name}");
        store(&folder.path().join(name), &before[name]);
    }
}

#[test]
fn a_file_key_or_header_of_another_generation_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut keystore = keystore_of(folder.path(), 1);
    let first = files(folder.path());
    keystore.rekey(&vault_key(1), &mut Dice(7)).unwrap();
    drop(keystore);
    for name in ["keystore-#.ks", "filekey-#.key"] {
        let path = folder.path().join(name.replace('#', "2"));
        let good = load(&path);
        store(&path, &first[&name.replace('#', "1")]);
        assert!(matches!(open(folder.path(), 1), Err(VaultError::Damaged { offset: 32, .. })), "{name}");
        store(&path, &good);
    }
    // A keystore whose file key somebody removed must not let an older pair come back.
    for (name, bytes) in &first {
        store(&folder.path().join(name), bytes);
    }
    RealIo.remove_file(&folder.path().join("filekey-2.key")).unwrap();
    assert!(matches!(open(folder.path(), 1), Err(VaultError::Damaged { .. })));
}

#[test]
fn no_flipped_bit_ever_yields_a_wrong_secret() {
    let folder = tempfile::tempdir().unwrap();
    drop(keystore_of(folder.path(), 2));
    let (mut refused, mut lost) = (0, 0);
    for (name, len) in [("filekey-1.key", 256), ("keystore-1.ks", HEADER + 3 * SLOT)] {
        let path = folder.path().join(name);
        let original = load(&path);
        for at in 0..len {
            let byte = original[usize::try_from(at).unwrap()];
            for flip in [0x01, 0x80] {
                overwrite(&path, at, &[byte ^ flip]);
                let in_slot = (name == "keystore-1.ks" && at >= HEADER).then(|| (at - HEADER) / SLOT);
                match (open(folder.path(), 1), in_slot) {
                    (Err(_), None) => refused += 1,
                    (Ok(keystore), Some(slot)) => {
                        for n in 0..2 {
                            let hit = u64::from(n) == slot;
                            assert_eq!(holds(&keystore, n), !hit, "{name} {at}");
                            assert_eq!(read(&keystore, n).is_err(), hit, "{name} {at}: wrong, not missing");
                        }
                        lost += 1;
                    }
                    (opened, _) => panic!("{name} {at}: {opened:?}"),
                }
            }
            overwrite(&path, at, &[byte]);
        }
    }
    assert_eq!((refused, lost), (2 * (256 + 4096), 2 * 3 * 512));
}

#[test]
fn every_truncation_refuses_or_loses_only_what_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    drop(keystore_of(folder.path(), 2));
    let path = folder.path().join("keystore-1.ks");
    let whole = load(&path);
    for len in (0..HEADER + 3 * SLOT).step_by(64) {
        store(&path, &whole[..usize::try_from(len).unwrap()]);
        match open(folder.path(), 1) {
            Err(VaultError::Damaged { offset, .. }) => assert!(len < HEADER && offset == len),
            Err(error) => panic!("{error}"),
            Ok(mut keystore) => {
                for n in 0..2 {
                    assert_eq!(holds(&keystore, n), len >= HEADER + SLOT * u64::from(n + 1), "{len}");
                }
                // And it can be written to again.
                keystore
                    .reconcile((0..2).map(|n| (key(n).0, 1)).filter(|key| keystore_has(&whole, len, *key)))
                    .unwrap();
                put(&mut keystore, 7).unwrap();
                assert!(holds(&keystore, 7) && holds(&open(folder.path(), 1).unwrap(), 7));
            }
        }
    }
}

/// Whether the slot of `key` lies whole within the first `len` bytes.
fn keystore_has(whole: &[u8], len: u64, key: (KeyUid, u32)) -> bool {
    let len = usize::try_from(len).unwrap();
    whole[4096..len].chunks_exact(512).any(|slot| slot[8..24] == key.0.0)
}

#[test]
fn a_torn_slot_is_free_unless_the_log_knows_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    drop(keystore_of(folder.path(), 3));
    let path = folder.path().join("keystore-1.ks");
    let whole = load(&path);
    let slot = &whole[4096 + 1024..4096 + 1536];
    for kept in 1..512 {
        let mut torn = slot.to_vec();
        torn[kept..].fill(0);
        if torn == slot {
            continue;
        }
        overwrite(&path, HEADER + 2 * SLOT, &torn);
        // The log never heard of it: cleared.
        let mut keystore = open(folder.path(), 1).unwrap();
        let reconciled = keystore.reconcile([(key(0).0, 1), (key(1).0, 1)]).unwrap();
        assert_eq!((reconciled.orphans_zeroed, reconciled.torn_freed), (0, 1), "{kept}");
        assert!(reconciled.missing.is_empty() && reconciled.damaged.is_empty());
        assert!(load(&path)[4096 + 1024..4096 + 1536].iter().all(|byte| *byte == 0));
        // The log knows it: kept for whoever may mend it, named, and its key denies.
        overwrite(&path, HEADER + 2 * SLOT, &torn);
        let mut keystore = open(folder.path(), 1).unwrap();
        let reconciled = keystore.reconcile((0..3).map(|n| (key(n).0, 1))).unwrap();
        assert_eq!(reconciled.missing, [(key(2).0, 1)]);
        assert_eq!(reconciled.damaged[0].offset, HEADER + 2 * SLOT);
        assert!(read(&keystore, 2).is_err() && holds(&keystore, 0) && holds(&keystore, 1));
        assert_eq!(load(&path)[4096 + 1024..4096 + 1536], torn);
    }
}

#[test]
fn a_copied_slot_is_told_and_cleared() {
    let folder = tempfile::tempdir().unwrap();
    drop(keystore_of(folder.path(), 2));
    let path = folder.path().join("keystore-1.ks");
    overwrite(&path, HEADER + 5 * SLOT, &load(&path)[4096..4608]);
    let (mut keystore, report) = Keystore::open(Arc::new(RealIo), folder.path(), LEDGER, &vault_key(1)).unwrap();
    assert_eq!((report.damaged[0].offset, report.damaged[0].claims), (HEADER + 5 * SLOT, Some((key(0).0, 1))));
    assert_eq!(keystore.reconcile((0..2).map(|n| (key(n).0, 1))).unwrap().torn_freed, 1);
    assert!(holds(&keystore, 0) && load(&path)[6656..7168].iter().all(|byte| *byte == 0));
}

#[test]
fn an_orphan_is_zeroed_and_its_room_used_again() {
    let folder = tempfile::tempdir().unwrap();
    drop(keystore_of(folder.path(), 3));
    let mut keystore = open(folder.path(), 1).unwrap();
    let reconciled = keystore.reconcile([(key(0).0, 1), (key(2).0, 1)]).unwrap();
    assert_eq!((reconciled.orphans_zeroed, keystore.len()), (1, 2));
    let path = folder.path().join("keystore-1.ks");
    assert!(load(&path)[4608..5120].iter().all(|byte| *byte == 0));
    let before = load(&path).len();
    put(&mut keystore, 1).unwrap();
    assert!((0..3).all(|n| holds(&keystore, n)) && load(&path).len() == before);
}

#[test]
fn a_shredded_secret_is_gone_from_the_live_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut keystore = keystore_of(folder.path(), 3);
    let path = folder.path().join("keystore-1.ks");
    let sealed = load(&path)[4608..5120].to_vec();
    assert_eq!(keystore.shred(&[(key(1).0, 1), (key(9).0, 1)]).unwrap(), 1);
    assert_eq!(keystore.shred(&[(key(1).0, 1)]).unwrap(), 0, "twice is fine");
    let live = load(&path);
    assert!(live[4608..5120].iter().all(|byte| *byte == 0));
    assert!(!live.windows(24).any(|window| window == &sealed[160..184]));
    assert!(read(&keystore, 1).is_err() && holds(&keystore, 0) && holds(&keystore, 2));
}

#[test]
fn a_damaged_slot_is_shredded_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    drop(keystore_of(folder.path(), 2));
    let path = folder.path().join("keystore-1.ks");
    overwrite(&path, HEADER + SLOT + 400, &[1]);
    let mut keystore = open(folder.path(), 1).unwrap();
    assert!(matches!(read(&keystore, 1), Err(VaultError::SlotDamaged { offset: 4608, .. })));
    assert_eq!(keystore.shred(&[(key(1).0, 1)]).unwrap(), 1);
    assert!(load(&path)[4608..5120].iter().all(|byte| *byte == 0));
}

#[test]
fn rekey_makes_old_copies_useless() {
    let folder = tempfile::tempdir().unwrap();
    let mut keystore = keystore_of(folder.path(), 3);
    let commitment = keystore.opened(key(2).0, 1, &key(2).1).unwrap().commitment;
    keystore.shred(&[(key(1).0, 1)]).unwrap();
    let stale = keystore.sealer().seal(key(5).0, &key(5).1, 1, &secret(5), &mut Dice(3));
    let backup = files(folder.path());
    let rekeyed = keystore.rekey(&vault_key(2), &mut Dice(50)).unwrap();
    assert_eq!((rekeyed.generation, rekeyed.resealed, rekeyed.lost.len()), (2, 2, 0));
    rekeyed.old_destroyed.unwrap();
    assert!(matches!(keystore.put(&stale), Err(VaultError::StaleSeal { sealed: 1, current: 2 })));
    put(&mut keystore, 4).unwrap();
    drop(keystore);
    assert_eq!(files(folder.path()).keys().collect::<Vec<_>>(), ["filekey-2.key", "keystore-2.ks"]);
    assert!(matches!(open(folder.path(), 1), Err(VaultError::WrongVaultKey { .. })));
    let keystore = open(folder.path(), 2).unwrap();
    assert!(holds(&keystore, 0) && read(&keystore, 1).is_err() && holds(&keystore, 2) && holds(&keystore, 4));
    assert_eq!(keystore.opened(key(2).0, 1, &key(2).1).unwrap().commitment, commitment);
    // The backup with the new vault key: nothing.
    let restored = tempfile::tempdir().unwrap();
    for (name, bytes) in &backup {
        store(&restored.path().join(name), bytes);
    }
    assert!(matches!(open(restored.path(), 2), Err(VaultError::WrongVaultKey { .. })));
}

#[test]
fn rekey_leaves_behind_what_does_not_open_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    drop(keystore_of(folder.path(), 3));
    overwrite(&folder.path().join("keystore-1.ks"), HEADER + SLOT + 200, b"rot");
    let mut keystore = open(folder.path(), 1).unwrap();
    let rekeyed = keystore.rekey(&vault_key(1), &mut Dice(50)).unwrap();
    assert_eq!((rekeyed.resealed, rekeyed.lost[0].claims), (2, Some((key(1).0, 1))));
    assert!(holds(&keystore, 0) && read(&keystore, 1).is_err() && holds(&keystore, 2));
}

#[test]
fn the_bytes_on_disk_are_those_of_format_1() {
    let folder = tempfile::tempdir().unwrap();
    drop(keystore_of(folder.path(), 3));
    let hashes: Vec<_> =
        files(folder.path()).into_iter().map(|(name, bytes)| format!("{name} {}", blake3::hash(&bytes))).collect();
    // Frozen: a change here is a new format, not a new hash.
    assert_eq!(
        hashes,
        [
            "filekey-1.key 23fb90cd15b25f26afdb365d02d8646312d9b7eea980fe12fe1c24cde68dcabc",
            "keystore-1.ks 0f3a6318d42d01055248ea553056a087eca2f5e9416b7a7bdff0a8bdb1e85c5f"
        ]
    );
}

#[test]
fn another_process_sees_what_the_writer_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut keystore = keystore_of(folder.path(), 2);
    let key_1 = Arc::new(vault_key(1));
    let mut reader = KeystoreReader::open(Arc::new(RealIo), folder.path(), LEDGER, key_1).unwrap();
    let mut sees = |n| {
        let (uid, id) = key(n);
        reader.secret(uid, 1, &id).is_ok_and(|found| found.same_as(&secret(n)))
    };
    assert!(sees(0) && sees(1) && !sees(2));
    put(&mut keystore, 2).unwrap();
    assert!(sees(2), "in a slot that was free");
    keystore.shred(&[(key(0).0, 1)]).unwrap();
    assert!(!sees(0), "shredded");
    put(&mut keystore, 3).unwrap();
    assert!(sees(3), "in the slot of the shredded one");
    for n in 10..400 {
        put(&mut keystore, n).unwrap();
    }
    assert!(sees(399), "behind what the file had");
    keystore.rekey(&vault_key(1), &mut Dice(77)).unwrap();
    put(&mut keystore, 5).unwrap();
    assert!(sees(1) && sees(5) && !sees(0), "in the next generation");
    keystore.rekey(&vault_key(2), &mut Dice(78)).unwrap();
    let (uid, id) = key(1);
    assert!(matches!(reader.secret(uid, 1, &id), Err(VaultError::WrongVaultKey { .. })));
}

/// A disk that stops at a chosen call: that call is done by half, all later ones fail.
#[derive(Debug, Default)]
struct Faults {
    calls: AtomicUsize,
    /// The number of the call that fails; 0 for none.
    at: AtomicUsize,
    /// Only that call fails, and writes nothing: a full disk rather than a crash.
    once: AtomicBool,
}

#[derive(Debug, Clone)]
struct FaultyIo(Arc<Faults>);

#[derive(Debug)]
struct FaultyFile(Arc<dyn IoFile>, Arc<Faults>);

impl Faults {
    /// Counts a call that changes something; whether it happens, happens by half, or fails.
    fn next(&self) -> Result<bool, io::Error> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let at = self.at.load(Ordering::Relaxed);
        let once = self.once.load(Ordering::Relaxed);
        match at {
            0 => Ok(true),
            _ if call < at => Ok(true),
            _ if call == at && !once => Ok(false),
            _ if call > at && once => Ok(true),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

impl FaultyIo {
    fn change(&self, change: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match self.0.next() {
            Ok(true) => change(),
            Ok(false) => Err(io::Error::other("crash")),
            Err(error) => Err(error),
        }
    }
}

impl IoFile for FaultyFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.1.next() {
            Ok(true) => self.0.write_all_at(bytes, offset),
            Ok(false) => {
                self.0.write_all_at(&bytes[..bytes.len() / 2], offset)?;
                Err(io::Error::other("crash"))
            }
            Err(error) => Err(error),
        }
    }
    fn datasync(&self) -> io::Result<()> {
        if self.1.next()? { self.0.datasync() } else { Err(io::Error::other("crash")) }
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn id(&self) -> io::Result<FileId> {
        self.0.id()
    }
    fn as_std(&self) -> Option<&std::fs::File> {
        None
    }
}

impl Io for FaultyIo {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn IoFile>> {
        if mode == OpenMode::CreateNew && !self.0.next()? {
            return Err(io::Error::other("crash"));
        }
        Ok(Arc::new(FaultyFile(RealIo.open(path, mode)?, self.0.clone())))
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.change(|| RealIo.create_dir_all(path))
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<Entry>> {
        RealIo.read_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|| RealIo.rename(from, to))
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|| RealIo.hard_link(from, to))
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change(|| RealIo.remove_file(path))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|| RealIo.sync_dir(path))
    }
    fn lock(&self, path: &Path, note: &str) -> Result<Box<dyn LockToken>, LockHeld> {
        RealIo.lock(path, note)
    }
    fn lock_holder(&self, path: &Path) -> io::Result<Option<String>> {
        RealIo.lock_holder(path)
    }
}

/// Puts three secrets with a growth, shreds one, rekeys, puts one more; what is known to be there when it stops.
fn whole_life(faults: &Arc<Faults>, folder: &Path) -> (Vec<u32>, Vec<u32>, Option<VaultError>) {
    let (mut acknowledged, mut shredded) = (Vec::new(), Vec::new());
    let mut run = || -> Result<(), VaultError> {
        let mut keystore = create(Arc::new(FaultyIo(faults.clone())), folder)?;
        keystore.reserve(257)?;
        for n in 0..3 {
            put(&mut keystore, n)?;
            acknowledged.push(n);
        }
        shredded.push(1);
        acknowledged.retain(|n| *n != 1);
        keystore.shred(&[(key(1).0, 1)])?;
        keystore.rekey(&vault_key(2), &mut Dice(99))?.old_destroyed?;
        put(&mut keystore, 3)?;
        acknowledged.push(3);
        Ok(())
    };
    let error = run().err();
    (acknowledged, shredded, error)
}

#[test]
fn stopping_at_any_call_loses_no_acknowledged_secret() {
    let faults = Arc::new(Faults::default());
    let folder = tempfile::tempdir().unwrap();
    assert!(whole_life(&faults, folder.path()).2.is_none());
    let calls = faults.calls.load(Ordering::Relaxed);
    assert!(calls > 40, "{calls}");
    for at in 1..=calls {
        let faults = Arc::new(Faults { at: at.into(), ..Faults::default() });
        let folder = tempfile::tempdir().unwrap();
        let (acknowledged, shredded, error) = whole_life(&faults, folder.path());
        assert!(error.is_some(), "call {at}");
        let mut keystore = match open(folder.path(), 1) {
            Err(VaultError::NoKeystore { .. }) => {
                assert!(acknowledged.is_empty(), "call {at}");
                create(Arc::new(RealIo), folder.path()).expect("what a crashed create left is replaced")
            }
            Err(VaultError::WrongVaultKey { .. }) => open(folder.path(), 2).expect("one of the two keys opens it"),
            opened => opened.unwrap_or_else(|error| panic!("call {at}: {error}")),
        };
        let reconciled = keystore.reconcile(acknowledged.iter().map(|n| (key(*n).0, 1))).unwrap();
        assert!(reconciled.missing.is_empty(), "call {at}");
        assert_eq!(keystore.len(), acknowledged.len());
        for n in acknowledged {
            assert!(holds(&keystore, n), "call {at}: {n}");
        }
        for n in shredded {
            assert!(read(&keystore, n).is_err(), "call {at}: {n}");
        }
        put(&mut keystore, 8).unwrap();
        assert!(holds(&keystore, 8));
        let left: Vec<PathBuf> = files(folder.path()).into_keys().map(PathBuf::from).collect();
        assert_eq!(left.len(), 2, "call {at}: {left:?}");
    }
}

#[test]
fn a_full_disk_stops_creates_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Arc::new(Faults::default());
    let mut keystore = create(Arc::new(FaultyIo(faults.clone())), folder.path()).unwrap();
    for n in 0..256 {
        put(&mut keystore, n).unwrap();
    }
    faults.once.store(true, Ordering::Relaxed);
    faults.at.store(faults.calls.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    let error = put(&mut keystore, 256).unwrap_err();
    assert!(matches!(&error, VaultError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull), "{error}");
    assert!(holds(&keystore, 255));
    assert_eq!(keystore.shred(&[(key(0).0, 1)]).unwrap(), 1, "shredding needs no room");
    put(&mut keystore, 256).unwrap();
    assert!(holds(&keystore, 256) && holds(&open(folder.path(), 1).unwrap(), 256));
}

#[test]
fn a_failed_flush_poisons_the_writer_and_not_the_readers() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Arc::new(Faults::default());
    let mut keystore = create(Arc::new(FaultyIo(faults.clone())), folder.path()).unwrap();
    put(&mut keystore, 0).unwrap();
    faults.once.store(true, Ordering::Relaxed);
    // The slot is written, the flush fails.
    faults.at.store(faults.calls.load(Ordering::Relaxed) + 2, Ordering::Relaxed);
    assert!(matches!(put(&mut keystore, 1), Err(VaultError::Io { .. })));
    assert!(matches!(put(&mut keystore, 2), Err(VaultError::Poisoned { .. })));
    assert!(matches!(keystore.shred(&[(key(0).0, 1)]), Err(VaultError::Poisoned { .. })));
    assert!(keystore.rekey(&vault_key(2), &mut Dice(1)).is_err());
    assert!(holds(&keystore, 0));
    let mut keystore = open(folder.path(), 1).unwrap();
    assert_eq!(keystore.reconcile([(key(0).0, 1)]).unwrap().orphans_zeroed, 1);
    put(&mut keystore, 1).unwrap();
    assert!(holds(&keystore, 1));
}
