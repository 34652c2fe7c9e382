//! tests/gate.rs: who is let through, who is turned away, and with which words. Each bug that peers had here is a test.
//!
//! Not here: which rights an operation takes (`gate_s3`), signatures in all their forms (`sigv4`).

mod gated;

use gated::{ALL, Call, Key, REGION, SECOND, World, allow, code, noon, options};
use keyledger::gate::{Further, Gate, GateOptions, Operation, Pending};
use keyledger::ledger::Command;
use keyledger::model::{Grant, GrantRole, Seq, Time};
use keyledger::policy::Cidr;
use keyledger::state::KeyStatus;
use keyledger::state::access::Reason;

const HOUR: i64 = 3_600 * SECOND;

#[test]
fn a_signed_request_of_a_key_with_the_right_is_admitted_with_all_that_is_known_of_it() {
    let mut world = World::new();
    let key = world.key(&allow(r#""s3:GetObjectVersion""#));
    let admitted =
        world.check(&key, &Call::get("/photos/a%20b/c?versionId=3").header("User-Agent", "aws-cli/2")).unwrap();
    assert_eq!(admitted.access_key_id(), key.id.as_str());
    assert_eq!((admitted.org(), admitted.secret_version()), (world.org, 1));
    assert_eq!((admitted.operation(), admitted.pending()), (Operation::GetObject, Pending::Nothing));
    assert_eq!((admitted.bucket(), admitted.object_key()), (Some("photos"), Some("a b/c")));
    assert_eq!((admitted.version_id(), admitted.user_agent()), (Some("3"), "aws-cli/2"));
    let access = admitted.access().expect("decided");
    assert_eq!((access.seq, admitted.seq()), (world.ledger.state().seq(), world.ledger.state().seq()));
    assert!(matches!(access.reason, Reason::Allowed { .. }), "{access:?}");
}

#[test]
fn a_bucket_may_stand_in_the_host() {
    let mut world = World::new();
    let key = world.key(ALL);
    for host in ["photos.storage.example.com", "PHOTOS.Storage.Example.com:9000"] {
        let admitted = world.check(&key, &Call::get("/a/b").host(host)).unwrap();
        assert_eq!((admitted.bucket(), admitted.object_key()), (Some("photos"), Some("a/b")), "{host}");
    }
    let admitted = world.check(&key, &Call::get("/photos/a/b").host("10.0.0.1:9000")).unwrap();
    assert_eq!((admitted.bucket(), admitted.object_key()), (Some("photos"), Some("a/b")));
}

// Keys that cannot be used.

/// rclone CVE-2026-88018: a server without keys let everybody in.
#[test]
fn an_empty_ledger_denies_everything() {
    let world = World::empty();
    let key = Key::new("NQAKP9KGWNTD0GP5RENV", "rz9nBempcvb0UA09ty3ZSlAHkjDNgnGe5hh7hYuE");
    for call in [Call::get("/"), Call::get("/photos/a"), Call::put("/photos"), Call::new("DELETE", "/photos/a")] {
        assert_eq!(world.code(&key, &call), "InvalidAccessKeyId");
        assert_eq!(code(&world.send(&call)), "AccessDenied", "anonymous");
    }
}

#[test]
fn a_dead_key_looks_like_one_that_never_was_whatever_its_signature() {
    let mut world = World::new();
    let call = Call::get("/photos/a");
    let nobody = Key::new("NQAKP9KGWNTD0GP5RENV", "rz9nBempcvb0UA09ty3ZSlAHkjDNgnGe5hh7hYuE");
    let unknown = world.check(&nobody, &call).unwrap_err();
    assert_eq!((unknown.code(), unknown.status()), ("InvalidAccessKeyId", 403));
    let kill: [fn(&mut World, &Key); 6] = [
        |world, key| drop(world.done(Command::SuspendKey { key: key.id.clone() })),
        |world, key| drop(world.done(Command::RevokeKey { key: key.id.clone() })),
        |world, key| drop(world.done(Command::DeleteKey { key: key.id.clone() })),
        |world, key| {
            let expires_at = Some(world.now().plus_ns(SECOND));
            world.done(Command::SetKeyExpiry { key: key.id.clone(), expires_at });
            world.after(2 * SECOND);
        },
        |world, key| {
            world.done(Command::RotateKey { key: key.id.clone(), grace_ns: Some(HOUR), expires_at: None });
            world.after(HOUR + SECOND);
        },
        |world, _| drop(world.done(Command::SuspendOrg { org: world.org })),
    ];
    for (number, kill) in kill.into_iter().enumerate() {
        let key = world.key(ALL);
        assert_eq!(world.code(&key, &call), "ok", "{number}");
        kill(&mut world, &key);
        let wrong = Key { secret: "wrong".into(), ..key.clone() };
        for key in [&key, &wrong] {
            assert_eq!(world.check(key, &call).unwrap_err(), unknown, "{number}: word for word");
        }
    }
}

#[test]
fn a_live_key_with_a_wrong_secret_is_told_so() {
    let mut world = World::new();
    let key = world.key(ALL);
    let wrong = Key { secret: "wrong".into(), ..key.clone() };
    for _ in 0..2 {
        assert_eq!(world.code(&wrong, &Call::get("/photos/a")), "SignatureDoesNotMatch");
        assert_eq!(world.code(&key, &Call::get("/photos/a")), "ok");
    }
}

#[test]
fn a_suspended_key_comes_back_and_a_revoked_one_does_not() {
    let mut world = World::new();
    let key = world.key(ALL);
    world.done(Command::SuspendKey { key: key.id.clone() });
    assert_eq!(world.code(&key, &Call::get("/photos/a")), "InvalidAccessKeyId");
    world.done(Command::ResumeKey { key: key.id.clone() });
    assert_eq!(world.code(&key, &Call::get("/photos/a")), "ok");
    world.done(Command::RevokeKey { key: key.id.clone() });
    assert_eq!(world.code(&key, &Call::get("/photos/a")), "InvalidAccessKeyId");
}

#[test]
fn a_clock_that_is_set_back_revives_no_expired_key() {
    let mut world = World::new();
    let key = world.key(ALL);
    world.done(Command::SetKeyExpiry { key: key.id.clone(), expires_at: Some(world.now().plus_ns(60 * SECOND)) });
    world.after(120 * SECOND);
    world.user("alice");
    let back = world.now().plus_ns(-119 * SECOND);
    let call = Call::get("/photos/a").signed(&key, back);
    let answer = world.view(&call, |view| world.gate.check(view, back, None));
    assert_eq!(code(&answer), "InvalidAccessKeyId", "a commit was recorded after it had expired");
}

#[test]
fn an_imported_record_of_a_key_signs_nothing() {
    // Evidence stands in a world of its own: the same id is unknown to live lookups.
    let mut world = World::new();
    let key = world.key(ALL);
    let events = vec![];
    let account = keyledger::model::AccountId(999_999_999_999);
    let import = Command::ImportEvidence { account, source: "f".into(), events, duplicates: 0, rejected: 1 };
    world.done(import);
    assert_eq!(world.code(&key, &Call::get("/photos/a")), "ok");
    let evidence = Key::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    assert_eq!(world.code(&evidence, &Call::get("/photos/a")), "InvalidAccessKeyId");
}

#[test]
fn a_key_whose_secret_is_gone_denies() {
    let mut world = World::new();
    let key = world.key(ALL);
    let folder = world.dir.path().join("keys");
    #[allow(clippy::disallowed_methods, reason = "somebody loses a file")]
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "ks") {
            let bytes = std::fs::read(&path).unwrap();
            let zeros: Vec<u8> =
                bytes.iter().enumerate().map(|(at, byte)| if at < 4_096 { *byte } else { 0 }).collect();
            std::fs::write(&path, zeros).unwrap();
        }
    }
    assert_eq!(world.code(&key, &Call::get("/photos/a")), "InvalidAccessKeyId");
}

// Secrets.

#[test]
fn both_secrets_sign_during_the_grace_and_the_answer_says_which() {
    let mut world = World::new();
    let old = world.key(ALL);
    let call = Call::get("/photos/a");
    assert_eq!(world.check(&old, &call).unwrap().secret_version(), 1);
    let new = match world.done(Command::RotateSecret { key: old.id.clone(), grace_ns: Some(HOUR) }) {
        keyledger::ledger::Outcome::SecretRotated { secret, .. } => {
            Key { id: old.id.clone(), secret: secret.unwrap().expose_secret().to_owned() }
        }
        other => panic!("{other:?}"),
    };
    for _ in 0..2 {
        assert_eq!(world.check(&old, &call).unwrap().secret_version(), 1);
        assert_eq!(world.check(&new, &call).unwrap().secret_version(), 2);
    }
    let admitted = world.check(&old, &call).unwrap();
    assert!(world.gate.still_usable(&admitted, world.now()).is_ok());
    world.after(HOUR + SECOND);
    assert_eq!(world.code(&old, &call), "SignatureDoesNotMatch", "the key lives, this secret does not");
    assert_eq!(world.check(&new, &call).unwrap().secret_version(), 2);
    assert_eq!(world.gate.still_usable(&admitted, world.now()).unwrap_err().code(), "InvalidAccessKeyId");
}

#[test]
fn a_cached_signing_key_dies_with_its_secret_and_its_key() {
    let mut world = World::new();
    let key = world.key(ALL);
    let call = Call::get("/photos/a");
    let twice = |world: &World, expected: &str| {
        for _ in 0..2 {
            assert_eq!(world.code(&key, &call), expected);
        }
    };
    twice(&world, "ok");
    world.done(Command::RotateSecret { key: key.id.clone(), grace_ns: Some(0) });
    twice(&world, "SignatureDoesNotMatch");
    world.done(Command::DeleteKey { key: key.id.clone() });
    twice(&world, "InvalidAccessKeyId");
    assert!(world.gate.take_rollups(world.now()).iter().any(|rollup| !rollup.attempts.is_empty()));
}

#[test]
fn a_cached_key_needs_no_keystore() {
    let mut world = World::new();
    let key = world.key(ALL);
    assert_eq!(world.code(&key, &Call::get("/photos/a")), "ok");
    #[allow(clippy::disallowed_methods, reason = "somebody loses a folder")]
    std::fs::remove_dir_all(world.dir.path().join("keys")).unwrap();
    for target in ["/photos/b", "/photos?list-type=2", "/"] {
        assert_eq!(world.code(&key, &Call::get(target)), "ok", "{target}");
    }
}

// What the state says, and when.

#[test]
fn a_state_that_has_not_come_as_far_as_the_caller_decides_nothing() {
    let mut world = World::new();
    let key = world.key(ALL);
    let seq = world.ledger.state().seq();
    let call = Call::get("/photos/a").signed(&key, world.now());
    let at = |least| world.view(&call, |view| world.gate.check(view, world.now(), Some(least)));
    assert_eq!(at(seq).unwrap().seq(), seq);
    let denied = at(Seq(seq.0 + 1)).unwrap_err();
    assert_eq!((denied.code(), denied.status()), ("ServiceUnavailable", 503));
}

#[test]
fn a_revoke_during_a_slow_body_is_seen_before_it_is_committed() {
    let mut world = World::new();
    let key = world.key(ALL);
    let admitted = world.check(&key, &Call::put("/photos/a")).unwrap();
    world.done(Command::RevokeKey { key: key.id.clone() });
    assert_eq!(world.gate.still_usable(&admitted, world.now()).unwrap_err().code(), "InvalidAccessKeyId");
    let further = Further { operation: Operation::GetObject, bucket: Some("photos"), key: Some("b"), version_id: None };
    assert_eq!(world.gate.may(&admitted, &further, world.now()).unwrap_err().code(), "InvalidAccessKeyId");
}

#[test]
fn a_bucket_of_another_org_is_denied_and_nobodys_is_not_there() {
    let mut world = World::new();
    let key = world.key(ALL);
    let admin = world.user("root");
    world.done(Command::SetKeyGrants {
        key: admin.id.clone(),
        grants: vec![Grant { bucket: None, role: GrantRole::Admin }],
    });
    for key in [&key, &admin] {
        for method in ["GET", "PUT", "DELETE", "HEAD"] {
            assert_eq!(world.code(key, &Call::new(method, "/theirs/a")), "AccessDenied");
        }
        let denied = world.check(key, &Call::get("/nobodys/a")).unwrap_err();
        assert_eq!((denied.code(), denied.status()), ("NoSuchBucket", 404));
        let copy = Call::put("/photos/a").header("x-amz-copy-source", "theirs/secret");
        assert_eq!(world.code(key, &copy), "AccessDenied");
    }
}

#[test]
fn a_quarantined_key_reads_and_writes_nothing() {
    let mut world = World::new();
    let key = world.key(ALL);
    world.done(Command::FlagKey { key: key.id.clone(), quarantine: true, note: "leaked".into() });
    assert_eq!(world.code(&key, &Call::get("/photos/a")), "ok");
    for call in [
        Call::put("/photos/a"),
        Call::new("DELETE", "/photos/a"),
        Call::get("/photos?acl"),
        Call::put("/photos/a?tagging"),
    ] {
        assert_eq!(world.code(&key, &call), "AccessDenied", "{call:?}");
    }
}

#[test]
fn an_expected_owner_that_is_another_is_denied() {
    let mut world = World::new();
    let key = world.key(ALL);
    let expecting = |account| Call::get("/photos/a").header("x-amz-expected-bucket-owner", account);
    assert_eq!(world.code(&key, &expecting("123456789012")), "ok");
    assert_eq!(world.code(&key, &expecting("210987654321")), "AccessDenied");
}

// Peers' bugs (`reliability.md`).

#[test]
fn an_amz_header_that_arrives_unsigned_is_refused() {
    // MinIO CVE-2026-97731: a presigned PUT with an added x-amz-copy-source read anything.
    let mut world = World::new();
    let key = world.key(ALL);
    let call = Call::put("/photos/a").signed(&key, world.now());
    assert_eq!(code(&world.send(&call)), "ok");
    for (name, value) in [("x-amz-copy-source", "photos/secret"), ("X-Amz-Acl", "public-read"), ("x-amz-meta-a", "b")] {
        let denied = world.send(&call.clone().header(name, value)).unwrap_err();
        assert_eq!((denied.code(), denied.status()), ("AccessDenied", 403), "{name}");
    }
}

#[test]
fn a_request_that_is_signed_twice_is_refused() {
    // MinIO CVE-2026-40344: credentials were taken from the query while the gate looked at the header.
    let mut world = World::new();
    let key = world.key(ALL);
    let call = Call::get("/photos/a?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0").signed(&key, world.now());
    assert_eq!(world.send(&call).unwrap_err().status(), 400);
}

#[test]
fn an_old_signature_is_answered_with_what_to_use_instead() {
    let mut world = World::new();
    let key = world.key(ALL);
    let header = Call::get("/photos/a").header("Authorization", &format!("AWS {}:c2ln", key.id));
    let query = Call::get(&format!("/photos/a?AWSAccessKeyId={}&Signature=c2ln&Expires=1", key.id));
    for call in [header, query] {
        let denied = world.send(&call).unwrap_err();
        assert_eq!((denied.code(), denied.status()), ("InvalidRequest", 400));
        assert!(denied.message().contains("Please use AWS4-HMAC-SHA256"), "{denied}");
    }
}

#[test]
fn nothing_is_allowed_because_it_was_not_denied() {
    // MinIO CVE-2025-62506, RustFS CVE-2026-22043: a policy that only denies made an unrestricted key.
    let mut world = World::new();
    let deny = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}}"#;
    let key = world.key(deny);
    for call in [Call::get("/"), Call::get("/photos/a"), Call::put("/photos/a"), Call::put("/newbucket")] {
        assert_eq!(world.code(&key, &call), "AccessDenied", "{call:?}");
    }
    let unscoped = world.user("alice");
    assert_eq!(world.code(&unscoped, &Call::get("/photos/a")), "AccessDenied", "a user without any policy");
}

#[test]
fn no_path_reads_another_bucket() {
    // SeaweedFS CVE-2026-54917: the path was cleaned after it had been authorised.
    let mut world = World::new();
    let only = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}}"#;
    let key = world.key(only);
    for target in [
        "/photos/../backups/secret",
        "/photos/..%2Fbackups%2Fsecret",
        "/photos/%2E%2E/backups/secret",
        "/photos/%2e%2e%2fbackups/secret",
        "/photos//backups/secret",
        "/photos/%2Fetc/passwd",
        "/photos/a/../../backups/secret",
        "/photos/./secret",
        "/photos/a%00",
        "/photos/%FF",
    ] {
        for method in ["GET", "PUT", "DELETE", "HEAD"] {
            let denied = world.check(&key, &Call::new(method, target)).unwrap_err();
            assert_eq!(denied.status(), 400, "{method} {target}: {denied}");
        }
        let source = target.trim_start_matches('/');
        let denied = world.check(&key, &Call::put("/photos/a").header("x-amz-copy-source", source)).unwrap_err();
        assert_eq!(denied.status(), 400, "copy of {target}: {denied}");
    }
    assert_eq!(world.code(&key, &Call::get("/photos/%252e%252e/a")), "ok", "decoded once");
    assert_eq!(world.code(&key, &Call::get("/backups/secret")), "AccessDenied");
}

#[test]
fn a_forwarded_address_is_believed_of_a_trusted_proxy_alone() {
    // RustFS CVE-2026-21862: X-Forwarded-For was taken for aws:SourceIp.
    let policy = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*",
        "Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}}"#;
    let mut world = World::new();
    let key = world.key(policy);
    let call = Call::get("/photos/a").header("X-Forwarded-For", "10.0.0.1").signed(&key, world.now());
    assert_eq!(code(&world.send(&call)), "AccessDenied");
    let trusting =
        world.another_gate(GateOptions { trusted_proxies: vec![Cidr::parse("192.0.2.0/24").unwrap()], ..options() });
    assert_eq!(code(&world.send_to(&trusting, &call)), "ok");
    assert_eq!(world.send_to(&trusting, &call).unwrap().source_ip().to_string(), "10.0.0.1");
    let spoofed = Call::get("/photos/a").header("X-Forwarded-For", "10.0.0.1, 198.51.100.7").signed(&key, world.now());
    assert_eq!(code(&world.send_to(&trusting, &spoofed)), "AccessDenied", "what the client wrote itself");
    let unreadable = Call::get("/photos/a").header("X-Forwarded-For", "10.0.0.1, unknown").signed(&key, world.now());
    assert_eq!(code(&world.send_to(&trusting, &unreadable)), "InvalidRequest");
}

#[test]
fn an_unsigned_trailer_needs_a_signature_of_its_request() {
    // MinIO CVE-2025-31489: uploads with an unsigned trailer were accepted with a wrong signature.
    let mut world = World::new();
    let key = world.key(ALL);
    let call = Call::put("/photos/a")
        .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("x-amz-decoded-content-length", "5");
    assert_eq!(world.code(&key, &call), "ok");
    let wrong = Key { secret: "wrong".into(), ..key.clone() };
    assert_eq!(world.code(&wrong, &call), "SignatureDoesNotMatch");
    let strict = world.another_gate(GateOptions { unsigned_payload: false, ..options() });
    assert_eq!(code(&world.send_to(&strict, &call.signed(&key, world.now()))), "AccessDenied");
}

#[test]
fn a_session_token_is_nobodys() {
    let mut world = World::new();
    let key = world.key(ALL);
    for token in ["", "IQoJb3JpZ2luX2VjE"] {
        let denied = world.check(&key, &Call::get("/photos/a").header("x-amz-security-token", token)).unwrap_err();
        assert_eq!((denied.code(), denied.status()), ("InvalidToken", 400));
    }
}

#[test]
fn a_wrong_region_is_told_the_right_one() {
    let mut world = World::new();
    let key = world.key(ALL);
    let elsewhere = world.another_gate(GateOptions { regions: vec!["us-east-1".into()], ..options() });
    let denied = world.send_to(&elsewhere, &Call::get("/photos/a").signed(&key, world.now())).unwrap_err();
    assert_eq!(
        (denied.code(), denied.status(), denied.region()),
        ("AuthorizationHeaderMalformed", 400, Some("us-east-1"))
    );
    let both = GateOptions { regions: vec!["us-east-1".into(), REGION.into()], ..options() };
    assert_eq!(
        code(&world.send_to(&world.another_gate(both), &Call::get("/photos/a").signed(&key, world.now()))),
        "ok"
    );
}

#[test]
fn a_request_from_another_time_is_refused() {
    let mut world = World::new();
    let key = world.key(ALL);
    for (off, expected) in [(-901, "RequestTimeTooSkewed"), (-900, "ok"), (900, "ok"), (901, "RequestTimeTooSkewed")] {
        let call = Call::get("/photos/a").signed(&key, noon().plus_ns(off * SECOND));
        assert_eq!(code(&world.view(&call, |view| world.gate.check(view, noon(), None))), expected, "{off}");
    }
}

#[test]
fn options_that_make_no_gate_are_refused() {
    let world = World::new();
    let refused = |options: GateOptions| {
        let secrets = {
            let source = keyledger::vault::VaultKeySource::File(world.dir.path().join("vault.key"));
            let key = keyledger::vault::VaultKey::read(&keyledger::sys::RealIo, &source).unwrap();
            let (folder, id) = (world.dir.path().join("keys"), world.ledger.meta().ledger_id);
            let io = std::sync::Arc::new(keyledger::sys::RealIo);
            keyledger::vault::KeystoreReader::open(io, &folder, id, std::sync::Arc::new(key)).unwrap()
        };
        Gate::new(world.ledger.handle(), std::sync::Arc::new(secrets.into()), options).err().map(|error| error.option)
    };
    assert_eq!(refused(options()), None);
    assert_eq!(refused(GateOptions { regions: vec![], ..options() }), Some("regions"));
    assert_eq!(refused(GateOptions { regions: vec!["a/b".into()], ..options() }), Some("regions"));
    assert_eq!(refused(GateOptions { regions: vec!["r".into(); 17], ..options() }), Some("regions"));
    for domain in ["", ".a", "a:9000", "A.example.com"] {
        assert_eq!(refused(GateOptions { base_domains: vec![domain.into()], ..options() }), Some("base_domains"));
    }
}

// Use and rejection (`product.md` §9).

#[test]
fn uses_are_counted_exactly_and_written_when_something_is_new() {
    let mut world = World::new();
    let key = world.key(ALL);
    let get = Call::get("/photos/a").header("User-Agent", "rclone/1.60");
    let use_once = |world: &World, call: &Call| {
        let admitted = world.check(&key, call).unwrap();
        world.gate.used(&admitted, "ok", 3, 100, world.now());
    };
    for _ in 0..5 {
        use_once(&world, &get);
    }
    let rollups = world.gate.take_rollups(world.now());
    assert_eq!(rollups.len(), 1);
    let tuple = &rollups[0].usage[0].tuples[0];
    assert_eq!((rollups[0].org, rollups[0].usage.len(), rollups[0].usage[0].other), (world.org, 1, 0));
    assert_eq!((tuple.count, tuple.bytes_in, tuple.bytes_out, tuple.secret_version), (5, 15, 500, 1));
    assert_eq!((&*tuple.service, &*tuple.region, &*tuple.action_class), ("s3", REGION, "read"));
    assert_eq!((&*tuple.source_ip, &*tuple.user_agent), ("192.0.2.10", "rclone/1.60"));
    assert_eq!((&*tuple.signature, &*tuple.outcome), ("REST-HEADER", "ok"));
    assert_eq!(tuple.bucket.as_ref().map(|bucket| bucket.as_str()), Some("photos"));
    let counts = |world: &World| -> Vec<u64> {
        let rollups = world.gate.take_rollups(world.now());
        rollups.iter().flat_map(|r| &r.usage).flat_map(|u| &u.tuples).map(|t| t.count).collect()
    };
    // Nothing new: after 15 minutes, not before.
    use_once(&world, &get);
    assert_eq!(counts(world.after(61 * SECOND)), [] as [u64; 0]);
    use_once(&world, &get);
    assert_eq!(counts(world.after(14 * 60 * SECOND)), [2]);
    // Another kind of use: with the next rollup, a minute after the last.
    use_once(&world, &Call::put("/photos/a").header("User-Agent", "rclone/1.60"));
    assert_eq!(counts(world.after(59 * SECOND)), [] as [u64; 0]);
    assert_eq!(counts(world.after(SECOND)), [1]);
    // Another address: at once.
    world.peer = [192, 0, 2, 11].into();
    use_once(&world, &get);
    assert_eq!(counts(world.after(SECOND)), [1]);
    assert_eq!(counts(&world), [] as [u64; 0]);
}

#[test]
fn what_the_gate_refuses_for_want_of_rights_is_counted_as_a_use() {
    let mut world = World::new();
    let key = world.key(&allow(r#""s3:GetObject""#));
    assert_eq!(world.code(&key, &Call::put("/photos/a")), "AccessDenied");
    let rollups = world.gate.take_rollups(world.now());
    let tuple = &rollups[0].usage[0].tuples[0];
    assert_eq!((&*tuple.action_class, &*tuple.outcome, tuple.count), ("write", "AccessDenied", 1));
}

#[test]
fn attempts_with_a_dead_key_are_counted_by_source() {
    let mut world = World::new();
    let key = world.key(ALL);
    world.done(Command::RevokeKey { key: key.id.clone() });
    for peer in [1, 1, 2] {
        world.peer = [198, 51, 100, peer].into();
        assert_eq!(world.code(&key, &Call::get("/photos/a").header("user-agent", "curl/8")), "InvalidAccessKeyId");
    }
    let rollups = world.gate.take_rollups(world.now());
    let found: Vec<_> =
        rollups[0].attempts.iter().map(|a| (&*a.status, &*a.source_ip, &*a.user_agent, a.count)).collect();
    let status = KeyStatus::Revoked.as_str();
    assert_eq!(found, [(status, "198.51.100.1", "curl/8", 2), (status, "198.51.100.2", "curl/8", 1)]);
    assert!(world.gate.take_rollups(world.now()).is_empty());
}

#[test]
fn more_than_64_kinds_of_use_are_counted_together() {
    let mut world = World::new();
    let key = world.key(ALL);
    for number in 0..70_u8 {
        world.peer = [203, 0, 113, number].into();
        let admitted = world.check(&key, &Call::get("/photos/a")).unwrap();
        world.gate.used(&admitted, "ok", 0, 0, world.now());
    }
    let rollups = world.gate.take_rollups(world.now());
    assert_eq!((rollups[0].usage[0].tuples.len(), rollups[0].usage[0].other), (64, 6));
}

#[test]
fn many_threads_lose_no_count() {
    let mut world = World::new();
    let key = world.key(ALL);
    let call = Call::get("/photos/a").signed(&key, world.now());
    let (world, call) = (&world, &call);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                for _ in 0..500 {
                    let admitted = world.send(call).unwrap();
                    world.gate.used(&admitted, "ok", 1, 0, world.now());
                }
            });
        }
    });
    let later = Time(world.now().0 + 16 * 60 * SECOND);
    let rollups = world.gate.take_rollups(later);
    let counted: u64 = rollups.iter().flat_map(|r| &r.usage).flat_map(|u| &u.tuples).map(|t| t.count).sum();
    let dropped: u64 = rollups.iter().map(|rollup| rollup.usage_dropped).sum();
    assert_eq!((counted + dropped, dropped), (2_000, 0));
}
