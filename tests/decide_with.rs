//! tests/decide_with.rs: what a partner asks for at once is made whole or not at all, and a provider's Member has its own keys.

#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod given;

use given::{ALLOW, DAY, FULL, Given, HOUR, READ, a_busy_org, an_org, bucket, by};
use keyledger::ledger::command::OwnerName;
use keyledger::ledger::{Command, CreateAccessKey, CreateKeyWith, NewPolicy, Noun, Outcome, Refusal, UpdateKeyRights};
use keyledger::model::EventKind as Kind;
use keyledger::model::{AccountId, Caller, Dialect, Grant, GrantRole, KeyOwner, OrgOwner, OrgUid, Principal, Role};
use keyledger::state::{KeyRecord, Marks};

fn new_policy(name: &str, document: &str) -> NewPolicy {
    NewPolicy { name: name.into(), description: "made here".into(), document: document.into() }
}

fn for_external(id: &str) -> CreateAccessKey {
    CreateAccessKey { owner: OwnerName::External(id.into()), ..Default::default() }
}

fn whole() -> CreateKeyWith {
    CreateKeyWith {
        key: CreateAccessKey {
            label: "ci".into(),
            grants: vec![Grant { bucket: Some(bucket("films")), role: GrantRole::Editor }],
            policies: vec!["reader".into(), FULL.into()],
            default_allow: true,
            ..for_external("u-1")
        },
        policies: vec![new_policy("one", ALLOW), new_policy("two", READ)],
        bucket: Some(bucket("films")),
        once: false,
    }
}

/// Makes one thing wrong.
type Spoil = Box<dyn Fn(&mut CreateKeyWith)>;

fn create(org: OrgUid, with: CreateKeyWith) -> Command {
    Command::CreateKeyWith { org, with: with.into() }
}

fn made(given: &Given, outcome: Outcome) -> KeyRecord {
    match outcome {
        Outcome::KeyCreated(made) => given.state.key(made.access_key_id.as_str()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_its_user_its_policies_and_its_bucket_are_one_commit() {
    let mut given = a_busy_org();
    let org = given.org();
    let outcome = given.done(create(org, whole()));
    let key = made(&given, outcome);
    let user = given.state.user_by_external_id(org, "u-1").expect("made on first use");
    assert_eq!(user.name, "u-1");
    assert_eq!(key.owner, KeyOwner::User(user.user));
    assert!(key.marks.has(Marks::DEFAULT_ALLOW));
    let names = ["reader", "one", "two"].map(|name| given.state.policy_by_name(org, name).unwrap().policy);
    assert!(names.iter().all(|policy| key.rights().attached.contains(policy)));
    assert_eq!(key.rights().attached.len(), 4);
    assert_eq!(given.state.bucket_org(&bucket("films")), Some(org));
    // The second key of the same user finds it.
    let again = given.done(create(org, CreateKeyWith { key: for_external("u-1"), ..Default::default() }));
    assert_eq!(made(&given, again).owner, key.owner);
}

#[test]
fn whatever_is_wrong_leaves_no_key_no_policy_no_user_and_no_bucket() {
    let mut given = a_busy_org();
    let org = given.org();
    let wrong: Vec<(&str, Spoil)> = vec![
        ("unknown policy", Box::new(|with| with.key.policies.push("ghost".into()))),
        ("taken name", Box::new(|with| with.policies.push(new_policy("READER", ALLOW)))),
        ("the same name twice", Box::new(|with| with.policies.push(new_policy("ONE", ALLOW)))),
        ("bad name", Box::new(|with| with.policies.push(new_policy("a b", ALLOW)))),
        ("bad document", Box::new(|with| with.policies.push(new_policy("three", "{}")))),
        (
            "too many policies",
            Box::new(|with| {
                with.policies.extend((0..7).map(|n| new_policy(&format!("p{n}"), READ)));
            }),
        ),
        ("bad label", Box::new(|with| with.key.label = "a\u{7}".into())),
        ("Admin on one bucket", Box::new(|with| with.key.grants[0].role = GrantRole::Admin)),
        ("no external id", Box::new(|with| with.key.owner = OwnerName::External("".into()))),
        ("expired", Box::new(|with| with.key.expires_at = Some(given::START))),
    ];
    for (what, spoil) in wrong {
        let mut with = whole();
        spoil(&mut with);
        let before = given.state.seq();
        let result = given.when(create(org, with)).result;
        assert!(result.is_err(), "{what}");
        assert_eq!(given.state.seq(), before);
    }
    assert!(given.state.policy_by_name(org, "one").is_none());
    assert!(given.state.user_by_external_id(org, "u-1").is_none());
    given.done(create(org, whole()));
}

#[test]
fn an_external_id_that_is_no_name_or_a_taken_one_gets_a_name_made_of_it() {
    let mut given = a_busy_org();
    let org = given.org();
    for external in ["alice", "ü user/1", &"x".repeat(256)] {
        let key = given.done(create(org, CreateKeyWith { key: for_external(external), ..Default::default() }));
        let key = made(&given, key);
        let user = given.state.user_by_external_id(org, external).unwrap();
        assert!(user.name.starts_with("user-") && user.name.len() == 21, "{}", user.name);
        assert_eq!(key.owner, KeyOwner::User(user.user));
    }
}

#[test]
fn once_makes_no_second_key_while_the_first_can_be_used() {
    let mut given = a_busy_org();
    let org = given.org();
    let once = || CreateKeyWith { once: true, policies: vec![], ..whole() };
    let first = given.done(create(org, once()));
    let first = made(&given, first);
    assert!(given.when(create(org, once())).then(&[]).is_empty());
    given.done(Command::RevokeKey { key: first.id });
    let second = given.done(create(org, once()));
    made(&given, second);
}

#[test]
fn rights_change_together_remove_comes_first_and_the_same_again_changes_nothing() {
    let mut given = a_busy_org();
    for name in 0..10 {
        given.policy(&format!("p{name}"), READ);
    }
    let policies = (0..10).map(|name| format!("p{name}").into()).collect();
    let key = given.key(CreateAccessKey { policies, ..Default::default() });
    let update = |change: UpdateKeyRights| Command::UpdateKeyRights { key: key.id.clone(), change: change.into() };
    // Ten is the most, so one must go before another comes.
    let add = UpdateKeyRights { add: vec!["reader".into()], ..Default::default() };
    assert!(matches!(given.when(update(add.clone())).refusal(), Refusal::LimitReached { .. }));
    let swap = UpdateKeyRights { remove: vec!["p3".into(), "ghost".into()], ..add };
    given.when(update(swap.clone())).then(&[Kind::PolicyDetached, Kind::PolicyAttached]);
    given.when(update(swap)).then(&[]);
    let unknown = UpdateKeyRights { add: vec!["ghost".into()], default_allow: Some(true), ..Default::default() };
    given.when(update(unknown)).not_found(Noun::Policy);
    assert!(!given.again(&key).marks.has(Marks::DEFAULT_ALLOW), "nothing of it was done");
    let rights = UpdateKeyRights {
        grants: Some(vec![Grant { bucket: None, role: GrantRole::ReadOnly }]),
        default_allow: Some(true),
        ..Default::default()
    };
    given.when(update(rights)).then(&[Kind::KeyGrantsSet, Kind::KeyDefaultAllowSet]);
    given.done(Command::RevokeKey { key: key.id.clone() });
    let less = UpdateKeyRights { remove: vec!["p1".into()], ..Default::default() };
    given.when(update(less)).then(&[Kind::PolicyDetached]);
    let more = UpdateKeyRights { add: vec!["p1".into()], ..Default::default() };
    assert!(matches!(given.when(update(more)).refusal(), Refusal::InvalidTransition { .. }));
}

/// An org of the provider `tig`, and one of another.
fn a_provider_and_another() -> (Given, OrgUid, OrgUid) {
    let mut given = an_org();
    let orgs = ["tig", "fly"].map(|provider| {
        given.done(Command::CreateProvider { provider: provider.into(), key_hash: [1; 32], explicit_orgs: false });
        let owner = OrgOwner::Provider { provider: provider.into(), external_id: "o1".into() };
        let account = Some(AccountId(if provider == "tig" { 1 } else { 2 }));
        match given.done(Command::CreateOrg { name: "o".into(), account, owner, settings: Box::default() }) {
            Outcome::OrgCreated { org, .. } => org,
            other => panic!("{other:?}"),
        }
    });
    (given, orgs[0], orgs[1])
}

fn claims(role: Role, user: Option<&str>) -> Caller {
    let principal = Principal::Provider { provider: "tig".into(), role, user: user.map(Into::into) };
    Caller::new(principal, Dialect::Partner)
}

#[test]
fn a_providers_member_has_its_own_keys_and_another_providers_org_does_not_exist() {
    let (mut given, org, theirs) = a_provider_and_another();
    let member = claims(Role::Member, Some("u-1"));
    let own = |org| create(org, CreateKeyWith { key: for_external("u-1"), ..Default::default() });
    let key = given.done_by(&member, own(org));
    let key = made(&given, key);
    let other = given.done_by(
        &claims(Role::Admin, Some("u-2")),
        create(org, CreateKeyWith { key: for_external("u-2"), ..Default::default() }),
    );
    let other = made(&given, other);
    let change = || UpdateKeyRights { default_allow: Some(true), ..Default::default() };
    let update = |key: &KeyRecord| Command::UpdateKeyRights { key: key.id.clone(), change: change().into() };
    let rotate = |key: &KeyRecord| Command::RotateSecret { key: key.id.clone(), grace_ns: Some(0) };
    given.when_by(&member, update(&key)).then(&[Kind::KeyDefaultAllowSet]);
    given.when_by(&member, rotate(&key)).then(&[Kind::KeySecretRotated]);
    for command in [update(&other), rotate(&other), Command::DeleteKey { key: other.id.clone() }] {
        given.when_by(&member, command).forbidden();
    }
    let for_another = CreateKeyWith { key: for_external("u-2"), ..Default::default() };
    given.when_by(&member, create(org, for_another)).forbidden();
    given.when_by(&claims(Role::Member, None), own(org)).forbidden();
    given.when_by(&claims(Role::Admin, None), update(&other)).then(&[Kind::KeyDefaultAllowSet]);
    // Nobody else's.
    given.when_by(&member, own(theirs)).not_found(Noun::Org);
    let operators = given.org();
    given.when_by(&claims(Role::Admin, None), own(operators)).not_found(Noun::Org);
}

#[test]
fn a_member_by_its_own_key_cannot_go_round_what_bounds_it() {
    let mut given = a_busy_org();
    let org = given.org();
    let key = given.key_of("bob");
    let all = vec![Grant { bucket: None, role: GrantRole::Editor }];
    let with = CreateKeyWith {
        key: CreateAccessKey { owner: OwnerName::User("bob".into()), grants: all.clone(), ..Default::default() },
        ..Default::default()
    };
    given.when_by(&by(&key), create(org, with)).forbidden();
    let change = UpdateKeyRights { grants: Some(all), ..Default::default() };
    given.when_by(&by(&key), Command::UpdateKeyRights { key: key.id.clone(), change: change.into() }).forbidden();
    let wide = given.key(CreateAccessKey {
        owner: OwnerName::User("bob".into()),
        policies: vec![FULL.into()],
        ..Default::default()
    });
    let open = Command::OpenToken { key: wide.id, token_hash: [1; 32], lifetime_ns: HOUR };
    given.when_by(&by(&key), open).forbidden();
}

#[test]
fn a_token_lives_no_longer_than_its_key_and_expired_ones_are_swept() {
    let mut given = a_busy_org();
    let expires_at = Some(given.now.plus_ns(2 * HOUR));
    let key = given.key(CreateAccessKey { expires_at, ..Default::default() });
    let open = |n: u8, lifetime_ns| Command::OpenToken { key: key.id.clone(), token_hash: [n; 32], lifetime_ns };
    given.when(open(1, HOUR)).then(&[Kind::TokenOpened]);
    given.when(open(2, DAY)).then(&[Kind::TokenOpened]);
    assert_eq!(given.state.api_token(&[2; 32]).unwrap().expires_at, key.expires_at);
    for bad in [0, -1, 31 * DAY] {
        assert!(matches!(given.when(open(3, bad)).refusal(), Refusal::InvalidField(_)));
    }
    given.after(HOUR + 1);
    given.when(open(3, HOUR)).then(&[Kind::TokenClosed, Kind::TokenOpened]);
    assert!(given.state.api_token(&[1; 32]).is_none());
    let other = given.key_of("bob").id;
    given.when(Command::CloseToken { key: other, token_hash: [2; 32] }).then(&[]);
    given.done(Command::SuspendKey { key: key.id.clone() });
    assert!(matches!(given.when(open(4, HOUR)).refusal(), Refusal::InvalidTransition { .. }));
    given.when(Command::CloseToken { key: key.id.clone(), token_hash: [2; 32] }).then(&[Kind::TokenClosed]);
}

#[test]
fn a_page_of_an_orgs_keys_follows_the_one_before_while_keys_are_made() {
    use std::ops::ControlFlow;
    let mut given = a_busy_org();
    let org = given.org();
    let mut seen = Vec::new();
    let mut after = None;
    for round in 0..30 {
        if round < 9 {
            given.key_of("bob");
        }
        let mut page = Vec::new();
        given.state.for_keys_of_org(org, after, |key| {
            page.push(key.uid());
            if page.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        after = page.last().copied().or(after);
        seen.extend(page);
    }
    let all: std::collections::BTreeSet<_> = given.state.keys_where(|_| true).iter().map(KeyRecord::uid).collect();
    assert_eq!(seen.len(), all.len(), "none twice");
    assert_eq!(seen.into_iter().collect::<std::collections::BTreeSet<_>>(), all, "none left out");
}
