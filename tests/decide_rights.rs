//! tests/decide_rights.rs: who may command what, and that nobody makes more than they have.

mod given;

use given::{ALLOW, DAY, DENY, FULL, Given, HOUR, a_busy_org, an_org, bucket, by, imported, operator};
use keyledger::ledger::command::{OwnerName, Target};
use keyledger::ledger::{Command, CreateAccessKey, Noun, Outcome, Refusal};
use keyledger::model::{
    AccountId, ActorKind, Caller, Dialect, EventKind as Kind, Grant, GrantRole, OrgOwner, OrgSettings, Principal, Role,
};
use keyledger::state::{KeyRecord, Marks};
use proptest::prelude::*;

fn admin_grant() -> Vec<Grant> {
    vec![Grant { bucket: None, role: GrantRole::Admin }]
}

fn root(given: &mut Given) -> KeyRecord {
    given.key(CreateAccessKey { grants: admin_grant(), ..Default::default() })
}

fn role(given: &mut Given, user: &str, role: Role) {
    let org = given.org();
    given.done(Command::SetUserRole { org, user: user.into(), role });
}

fn for_user(name: &str) -> CreateAccessKey {
    CreateAccessKey { owner: OwnerName::User(name.into()), ..Default::default() }
}

/// A few commands of every kind of reach, on bob's key `key`.
fn commands(given: &Given, key: &KeyRecord) -> Vec<(&'static str, Command)> {
    let (org, id) = (given.org(), key.id.clone());
    vec![
        ("ledger", Command::AcceptRestore {}),
        ("ledger", Command::SetOrgSettings { org, settings: Box::default() }),
        ("life", Command::SuspendOrg { org }),
        ("org", Command::SetOrgAlias { org, alias: Some("acme".into()) }),
        ("org", Command::SetUserRole { org, user: "bob".into(), role: Role::Admin }),
        ("org", Command::CreateGroup { org, name: "g".into(), path: "".into() }),
        ("org", imported(org, "AKIAIOSFODNN7EXAMPLE", for_user("bob"))),
        ("org", Command::SetKeyGrants { key: id.clone(), grants: admin_grant() }),
        ("org", Command::SetKeyDefaultAllow { key: id.clone(), default_allow: true }),
        ("org", Command::FlagKey { key: id.clone(), quarantine: true, note: "".into() }),
        ("org", Command::ClearKey { key: id.clone() }),
        ("org", Command::AttachPolicy { org, policy: FULL.into(), to: Target::Key(id.clone()) }),
        ("org", Command::AttachPolicy { org, policy: FULL.into(), to: Target::User("bob".into()) }),
        ("org", Command::CreateKey { org, key: for_user("alice").into() }),
        ("org", Command::CreateKey { org, key: Box::default() }),
        ("own", Command::CreateKey { org, key: for_user("bob").into() }),
        ("own", Command::LabelKey { key: id.clone(), label: "x".into() }),
        ("own", Command::RotateKey { key: id.clone(), grace_ns: None, expires_at: None }),
        ("own", Command::RotateSecret { key: id.clone(), grace_ns: None }),
        ("own", Command::SetKeyExpiry { key: id.clone(), expires_at: Some(given.now.plus_ns(DAY)) }),
        ("own", Command::SuspendKey { key: id.clone() }),
        ("own", Command::RevokeKey { key: id.clone() }),
        ("own", Command::DeleteKey { key: id }),
        ("bucket", Command::RegisterBucket { org, bucket: bucket("films") }),
    ]
}

/// RustFS GHSA-mm2q-qcmx-gw4w: an update that did not ask whose the key is.
#[test]
fn each_kind_of_caller_has_its_reach_and_no_more() {
    let mut given = a_busy_org();
    let org = given.org();
    // Room enough: limits are not what is asked here.
    let settings = OrgSettings { iam_keys_per_user_max: Some(99), ..OrgSettings::default() };
    given.done(Command::SetOrgSettings { org, settings: settings.into() });
    let key = given.key_of("bob");
    let root = root(&mut given);
    let editor = given
        .key(CreateAccessKey { grants: vec![Grant { bucket: None, role: GrantRole::Editor }], ..Default::default() });
    given.user("ann").user("audrey").user("carl");
    role(&mut given, "ann", Role::Admin);
    role(&mut given, "audrey", Role::Auditor);
    let (admin, auditor, other) = (given.key_of("ann"), given.key_of("audrey"), given.key_of("carl"));
    let scoped_admin = given.key(CreateAccessKey { policies: vec![FULL.into()], ..for_user("ann") });
    let root_of_user = given.key(CreateAccessKey { grants: admin_grant(), ..for_user("bob") });
    let in_dialect = |key: &KeyRecord, dialect| Caller::key(key.id.clone(), dialect);
    let node = Caller::new(Principal::Node { name: "node-1".into() }, Dialect::S3);
    let everything = ["ledger", "life", "org", "own", "bucket"].as_slice();
    let in_org = ["org", "own", "bucket"].as_slice();
    let callers = [
        ("operator", operator(), everything),
        ("keyledger", Caller::system("recovery"), everything),
        ("root", by(&root), in_org),
        ("root by iam", in_dialect(&root, Dialect::AwsIam), in_org),
        ("admin", by(&admin), in_org),
        ("admin by console", in_dialect(&admin, Dialect::Console), in_org),
        ("admin by iam", in_dialect(&admin, Dialect::AwsIam), &[]),
        ("admin, scoped", by(&scoped_admin), &[]),
        ("member", by(&key), &["own"]),
        ("member by lightsail", in_dialect(&key, Dialect::Lightsail), &[]),
        ("member, another", by(&other), &[]),
        ("member's key with Admin on *", by(&root_of_user), &[]),
        ("auditor", by(&auditor), &[]),
        ("editor of the org", by(&editor), &[]),
        ("node", node, &["bucket"]),
    ];
    for (who, caller, allowed) in callers {
        for (reach, command) in commands(&given, &key) {
            let what = format!("{who}: {command:?}");
            match given.decide(&caller, &command) {
                Ok(_) => assert!(allowed.contains(&reach), "{what} was allowed"),
                Err(Refusal::Forbidden { .. }) => assert!(!allowed.contains(&reach), "{what} was forbidden"),
                Err(other) => panic!("{what}: {other}"),
            }
        }
    }
}

#[test]
fn another_org_does_not_exist_whatever_is_asked_of_it() {
    let mut given = a_busy_org();
    let theirs = given.key_of("bob");
    let commands = commands(&given, &theirs);
    let other = given.done(Command::CreateOrg {
        name: "other".into(),
        account: Some(AccountId(210_987_654_321)),
        owner: OrgOwner::Operator,
        settings: Box::default(),
    });
    let Outcome::OrgCreated { org, .. } = other else { panic!("{other:?}") };
    let key = CreateAccessKey { grants: admin_grant(), ..Default::default() };
    let made = given.done(Command::CreateKey { org, key: key.into() });
    let Outcome::KeyCreated(made) = made else { panic!("{made:?}") };
    let foreign_root = Caller::key(made.access_key_id, Dialect::Native);
    for (_, command) in commands {
        match given.when_by(&foreign_root, command.clone()).refusal() {
            Refusal::NotFound { .. } | Refusal::Forbidden { .. } => {}
            other => panic!("{command:?}: {other}"),
        }
    }
    let unknown = keyledger::model::AccessKeyId::parse("NQAK0000000000000000").unwrap();
    let refusals = [theirs.id, unknown].map(|key| {
        let refusal = given.when_by(&foreign_root, Command::RevokeKey { key: key.clone() }).refusal().to_string();
        refusal.replace(key.as_str(), "KEY")
    });
    assert_eq!(refusals[0], refusals[1], "a key of another org and one that never was look alike");
}

#[test]
fn a_key_that_is_not_usable_commands_nothing_whatever_else_it_has() {
    for spoil in 0..6 {
        let mut given = a_busy_org();
        let org = given.org();
        let root = root(&mut given);
        let key = root.id.clone();
        let spoil = match spoil {
            0 => Command::SuspendKey { key },
            1 => Command::RevokeKey { key },
            2 => Command::DeleteKey { key },
            3 => Command::FlagKey { key, quarantine: true, note: "leaked".into() },
            4 => Command::SuspendOrg { org },
            _ => Command::RecordRestore { from: "backup".into(), backup_seq: given.state.seq() },
        };
        let label = Command::LabelKey { key: root.id.clone(), label: "x".into() };
        assert!(given.decide(&by(&root), &label).is_ok());
        given.done(spoil);
        given.when_by(&by(&root), label).forbidden();
        given.when_by(&by(&root), Command::ClearKey { key: root.id.clone() }).forbidden();
    }
    let mut given = a_busy_org();
    let root = root(&mut given);
    let expires_at = Some(given.now.plus_ns(HOUR));
    given.done(Command::SetKeyExpiry { key: root.id.clone(), expires_at });
    given.after(HOUR);
    given.when_by(&by(&root), Command::RevokeKey { key: root.id.clone() }).forbidden();
}

#[test]
fn only_an_administrator_resumes_what_one_suspended_extends_expiry_and_clears_flags() {
    let mut given = a_busy_org();
    let (mine, spare) = (given.key_of("bob"), given.key_of("bob"));
    let member = by(&mine);
    let suspend = || Command::SuspendKey { key: spare.id.clone() };
    let resume = || Command::ResumeKey { key: spare.id.clone() };
    given.when_by(&member, suspend()).then(&[Kind::KeySuspended]);
    given.when_by(&member, resume()).then(&[Kind::KeyResumed]);
    given.when_by(&member, suspend()).then(&[Kind::KeySuspended]);
    // The Admin's word weighs more than the owner's.
    given.when(suspend()).then(&[Kind::KeySuspended]);
    assert!(given.again(&spare).marks.has(Marks::SUSPENDED_BY_ADMIN));
    given.when_by(&member, suspend()).then(&[]);
    given.when_by(&member, resume()).forbidden();
    given.when(resume()).then(&[Kind::KeyResumed]);
    let expiry =
        |days| Command::SetKeyExpiry { key: spare.id.clone(), expires_at: Some(given::START.plus_ns(days * DAY)) };
    given.when_by(&member, expiry(9)).then(&[Kind::KeyExpirySet]);
    given.when_by(&member, expiry(8)).then(&[Kind::KeyExpirySet]);
    given.when_by(&member, expiry(9)).forbidden();
    given.when_by(&member, Command::SetKeyExpiry { key: spare.id.clone(), expires_at: None }).forbidden();
    given.when(expiry(9)).then(&[Kind::KeyExpirySet]);
}

#[test]
fn a_member_gets_no_secret_of_a_key_that_could_do_more_than_the_key_it_asks_with() {
    let mut given = a_busy_org();
    let org = given.org();
    let mine = given.key_of("bob");
    let member = by(&mine);
    let wide =
        given.key(CreateAccessKey { grants: vec![Grant { bucket: None, role: GrantRole::Editor }], ..for_user("bob") });
    let with_policy = given.key(CreateAccessKey { policies: vec![FULL.into()], ..for_user("bob") });
    let with_default = given.key(CreateAccessKey { default_allow: true, ..for_user("bob") });
    let with_inline = given.key_of("bob");
    let holder = Target::Key(with_inline.id.clone());
    given.done(Command::PutInlinePolicy { org, holder, name: "i".into(), document: ALLOW.into() });
    for target in [&wide, &with_policy, &with_default, &with_inline] {
        let key = || target.id.clone();
        given.when_by(&member, Command::RotateKey { key: key(), grace_ns: None, expires_at: None }).forbidden();
        given.when_by(&member, Command::RotateSecret { key: key(), grace_ns: None }).forbidden();
        // Taking rights away is another matter.
        given.when_by(&member, Command::RevokeKey { key: key() }).then(&[Kind::KeyRevoked]);
    }
    // A key that ends sooner gives nothing that ends later.
    let short = given.key(CreateAccessKey { expires_at: Some(given.now.plus_ns(HOUR)), ..for_user("bob") });
    let rotate = |key: &KeyRecord| Command::RotateKey { key: key.id.clone(), grace_ns: None, expires_at: None };
    given.when_by(&by(&short), rotate(&mine)).forbidden();
    given.when_by(&by(&short), Command::RotateSecret { key: mine.id.clone(), grace_ns: None }).forbidden();
    let extend = Command::RotateKey { key: short.id.clone(), grace_ns: None, expires_at: Some(given.now.plus_ns(DAY)) };
    given.when_by(&by(&short), extend).forbidden();
    // By itself it gets an equal, no longer.
    let new = given.done_by(&by(&short), rotate(&short));
    let Outcome::KeyRotated { new, .. } = new else { panic!("{new:?}") };
    assert_eq!(new.expires_at, short.expires_at());
    let child = given.done_by(&by(&short), Command::CreateKey { org, key: for_user("bob").into() });
    let Outcome::KeyCreated(child) = child else { panic!("{child:?}") };
    assert_eq!(child.expires_at, short.expires_at());
}

#[test]
fn a_role_gives_nothing_that_a_deny_or_a_boundary_takes_away() {
    let deny = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"keyledger:Label*","Resource":"*"}}"#;
    for how in 0..4 {
        let mut given = a_busy_org();
        let org = given.org();
        role(&mut given, "bob", Role::Admin);
        let key = given.key_of("bob");
        given.policy("never", deny).policy("other", DENY);
        let label = || Command::LabelKey { key: key.id.clone(), label: "x".into() };
        // An Allow takes nothing away, nor does a Deny of something else.
        let bob = || Target::User("bob".into());
        for policy in ["reader", "other"] {
            given.done(Command::AttachPolicy { org, policy: policy.into(), to: bob() });
        }
        assert!(given.decide(&by(&key), &label()).is_ok());
        match how {
            0 => drop(given.done(Command::AttachPolicy { org, policy: "never".into(), to: bob() })),
            1 => {
                given.done(Command::AttachPolicy { org, policy: "never".into(), to: Target::Group("staff".into()) });
                given.done(Command::AddGroupMember { org, group: "staff".into(), user: "bob".into() });
            }
            2 => {
                let (holder, name) = (bob(), "i".into());
                given.done(Command::PutInlinePolicy { org, holder, name, document: deny.into() });
            }
            _ => {
                let policy = Some("reader".into());
                given.done(Command::SetUserBoundary { org, user: "bob".into(), policy });
            }
        }
        given.when_by(&by(&key), label()).forbidden();
    }
}

#[test]
fn by_an_aws_dialect_policies_decide_and_a_scoped_key_makes_no_more_than_itself() {
    let mut given = a_busy_org();
    let org = given.org();
    let settings = OrgSettings { iam_keys_per_user_max: Some(99), ..OrgSettings::default() };
    given.done(Command::SetOrgSettings { org, settings: settings.into() });
    // AWS's documented policy for managing one's own keys.
    let own = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*AccessKey*",
                  "Resource":"arn:aws:iam::*:user/${aws:username}"}}"#;
    given.policy("self-service", own);
    let bob = Target::User("bob".into());
    given.done(Command::AttachPolicy { org, policy: "self-service".into(), to: bob });
    let key = given.key_of("bob");
    let iam = |key: &KeyRecord| Caller::key(key.id.clone(), Dialect::AwsIam);
    let create = |name| Command::CreateKey { org, key: for_user(name).into() };
    given.when_by(&iam(&key), create("bob")).then(&[Kind::KeyCreated]);
    given.when_by(&iam(&key), create("alice")).forbidden();
    given.when_by(&iam(&key), Command::CreateKey { org, key: Box::default() }).forbidden();
    given.when_by(&iam(&key), Command::SetUserRole { org, user: "bob".into(), role: Role::Admin }).forbidden();
    // With a policy of its own the same right makes a key with that policy alone, and only for the same owner.
    let scoped = given.key(CreateAccessKey { policies: vec!["self-service".into()], ..for_user("bob") });
    given.when_by(&iam(&scoped), create("bob")).then(&[Kind::KeyCreated, Kind::PolicyAttached]);
    let wide = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*","Resource":"*"}}"#;
    given.policy("iam", wide);
    let scoped = given.key(CreateAccessKey { policies: vec!["iam".into()], ..for_user("bob") });
    given.when_by(&iam(&scoped), create("alice")).forbidden();
    // A Deny of the owner's is heeded, and so is quarantine.
    let deny =
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"iam:CreateAccessKey","Resource":"*"}}"#;
    let holder = Target::User("bob".into());
    given.done(Command::PutInlinePolicy { org, holder, name: "no".into(), document: deny.into() });
    given.when_by(&iam(&key), create("bob")).forbidden();
    given.when_by(&iam(&scoped), create("bob")).forbidden();
}

/// MinIO CVE-2024-55949, RustFS CVE-2026-22042 and CVE-2026-45043: an import that was authorised as another action, and believed
/// whose child the imported key said it was.
#[test]
fn an_import_is_authorised_as_an_import_and_is_given_to_nobody_above_its_maker() {
    let mut given = a_busy_org();
    let org = given.org();
    let settings = OrgSettings { iam_keys_per_user_max: Some(99), ..OrgSettings::default() };
    given.done(Command::SetOrgSettings { org, settings: settings.into() });
    let allowing = |actions: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":{actions},"Resource":"arn:aws:iam::*:user/bob"}}}}"#
        )
    };
    given.policy("creates", &allowing(r#"["iam:*", "keyledger:ExportKeys"]"#));
    given.policy("imports", &allowing(r#""keyledger:ImportKey""#));
    let creates = given.key(CreateAccessKey { policies: vec!["creates".into()], ..for_user("bob") });
    let imports = given.key(CreateAccessKey { policies: vec!["imports".into()], ..for_user("bob") });
    let iam = |key: &KeyRecord| Caller::key(key.id.clone(), Dialect::AwsIam);
    let bring = |key| imported(org, "AKIAIOSFODNN7EXAMPLE", key);
    given.when_by(&iam(&creates), bring(for_user("bob"))).forbidden();
    // The root, another user, and more than the importing key has: each as it stands in the file.
    for more in [
        CreateAccessKey { grants: admin_grant(), ..Default::default() },
        for_user("alice"),
        CreateAccessKey { grants: admin_grant(), ..for_user("bob") },
        CreateAccessKey { policies: vec![FULL.into()], ..for_user("bob") },
        CreateAccessKey { default_allow: true, ..for_user("bob") },
    ] {
        given.when_by(&iam(&imports), bring(more)).forbidden();
    }
    // What is left is an equal of its own.
    given.when_by(&iam(&imports), bring(for_user("bob"))).then(&[Kind::KeyImported, Kind::PolicyAttached]);
}

#[test]
fn a_provider_manages_its_own_orgs_by_the_role_it_claims() {
    let mut given = an_org();
    let mine = OrgOwner::Provider { provider: "tig".into(), external_id: "org-1".into() };
    given.done(Command::CreateProvider { provider: "tig".into(), key_hash: [1; 32], explicit_orgs: false });
    let claims = |role, user: Option<&str>| {
        let principal = Principal::Provider { provider: "tig".into(), role, user: user.map(Into::into) };
        Caller::new(principal, Dialect::Partner)
    };
    let create = Command::CreateOrg { name: "one".into(), account: None, owner: mine, settings: Box::default() };
    let Outcome::OrgCreated { org, .. } = given.done_by(&claims(Role::Member, None), create) else { panic!() };
    let user = |org, name: &str| Command::CreateUser {
        org,
        name: name.into(),
        path: "".into(),
        external_id: Some(name.into()),
        tags: Default::default(),
        boundary: None,
    };
    let admin = claims(Role::Admin, None);
    for name in ["u1", "u2"] {
        given.done_by(&admin, user(org, name));
    }
    given.when_by(&claims(Role::Member, Some("u1")), user(org, "u3")).forbidden();
    let stranger = given.org();
    given.when_by(&admin, user(stranger, "u3")).not_found(Noun::Org);
    given.when_by(&admin, Command::SetOrgSettings { org, settings: Box::default() }).forbidden();
    let create = |name: &str| Command::CreateKey { org, key: for_user(name).into() };
    given.when_by(&claims(Role::Member, Some("u1")), create("u1")).then(&[Kind::KeyCreated]);
    given.when_by(&claims(Role::Member, Some("u1")), create("u2")).forbidden();
    given.when_by(&claims(Role::Member, None), create("u1")).forbidden();
    given.when_by(&admin, create("u2")).then(&[Kind::KeyCreated]);
    given.when_by(&admin, Command::SuspendOrg { org }).then(&[Kind::OrgSuspended]);
}

#[test]
fn the_log_remembers_who_it_was() {
    let mut given = a_busy_org();
    let key = given.key_of("bob");
    let root = root(&mut given);
    let actor = |caller: &Caller, given: &Given| keyledger::ledger::decide::actor_of(&given.state, caller);
    let bob = actor(&by(&key), &given);
    assert_eq!((bob.kind, bob.name.as_str(), bob.key), (ActorKind::User, "bob", Some(key.id)));
    assert_eq!(actor(&by(&root), &given).kind, ActorKind::Root);
    assert_eq!(actor(&operator(), &given).kind, ActorKind::Operator);
}

/// What a key is allowed, by the simplest model there is: (bucket, role) pairs and policy names, or "what its owner has".
#[derive(Debug)]
struct Rights {
    owner: keyledger::model::KeyOwner,
    /// `None`: unscoped, all that the owner has.
    own: Option<(Vec<Grant>, usize, usize)>,
    default_allow: bool,
    expires_at: keyledger::model::Time,
}

fn rights(key: &KeyRecord) -> Rights {
    let rights = key.rights();
    Rights {
        owner: key.owner.clone(),
        own: key.is_scoped().then(|| (rights.grants.clone(), rights.attached.len(), rights.inline.len())),
        default_allow: key.marks.has(Marks::DEFAULT_ALLOW),
        expires_at: key.expires_at,
    }
}

fn is_within(child: &Rights, maker: &Rights) -> bool {
    let own = match (&child.own, &maker.own) {
        (None, None) => child.owner == maker.owner,
        (None, Some(_)) => false,
        (Some((grants, attached, inline)), None) => grants.is_empty() && *attached == 0 && *inline == 0,
        (Some((grants, ..)), Some((of_maker, ..))) => grants.iter().all(|grant| {
            of_maker.iter().any(|own| own.role >= grant.role && (own.bucket.is_none() || own.bucket == grant.bucket))
        }),
    };
    own && (maker.default_allow || !child.default_allow) && child.expires_at <= maker.expires_at
}

prop_compose! {
    fn a_grant()(all in any::<bool>(), name in 0..3_usize, role in 0..3_usize) -> Grant {
        let role = [GrantRole::ReadOnly, GrantRole::Editor, GrantRole::Admin][role];
        let all = all || role == GrantRole::Admin;
        Grant { bucket: (!all).then(|| bucket(["photos", "films", "notes"][name])), role }
    }
}

prop_compose! {
    fn a_key(user: &'static str)(
        owner in 0..4_usize,
        grants in prop::collection::vec(a_grant(), 0..3),
        policies in prop::sample::subsequence(vec!["reader", FULL], 0..=2),
        default_allow in any::<bool>(),
        days in prop::option::of(1..5_i64),
    ) -> CreateAccessKey {
        CreateAccessKey {
            owner: match owner {
                0 => OwnerName::Org,
                1 => OwnerName::User("alice".into()),
                _ => OwnerName::User(user.into()),
            },
            grants,
            policies: policies.into_iter().map(Into::into).collect(),
            default_allow,
            expires_at: days.map(|days| given::START.plus_ns(days * DAY)),
            ..Default::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// MinIO CVE-2024-24747 and CVE-2025-62506, RustFS CVE-2026-22043: children with more than their parents.
    #[test]
    fn what_a_member_makes_is_never_more_than_its_maker_has(
        maker in a_key("bob"),
        other in a_key("bob"),
        child in a_key("bob"),
        how in 0..3_usize,
    ) {
        let mut given = a_busy_org();
        let org = given.org();
        let to = Target::User("bob".into());
        given.done(Command::AttachPolicy { org, policy: "reader".into(), to });
        let (maker, other) = (given.key(maker), given.key(other));
        let before: std::collections::BTreeSet<_> =
            given.state.keys_where(|_| true).into_iter().map(|key| key.id).collect();
        let command = match how {
            0 => Command::CreateKey { org, key: child.into() },
            1 => Command::RotateKey { key: other.id.clone(), grace_ns: None, expires_at: child.expires_at },
            _ => Command::RotateSecret { key: other.id.clone(), grace_ns: None },
        };
        let caller = by(&maker);
        let is_admin = maker.owner == keyledger::model::KeyOwner::Org;
        if let Ok(decided) = given.decide(&caller, &command) {
            prop_assume!(!is_admin);
            let given_out = given.when_by(&caller, command).then(
                &decided.events.iter().map(keyledger::model::Event::kind).collect::<Vec<_>>(),
            );
            prop_assert!(!given_out.is_empty());
            let mut secrets: Vec<KeyRecord> = given.state.keys_where(|key| !before.contains(&key.id()));
            if how == 2 {
                secrets.push(given.again(&other));
            }
            for child in secrets {
                prop_assert!(is_within(&rights(&child), &rights(&maker)), "{child:?} of {maker:?}");
            }
        }
    }
}
