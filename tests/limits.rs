//! tests/limits.rs: how many there may be, by which surface, and that nobody gets one more by being quick.

mod given;

use given::{Given, READ, a_busy_org, an_org, bucket, operator};
use keyledger::ledger::command::{OwnerName, Target};
use keyledger::ledger::{Command, CreateAccessKey, Refusal};
use keyledger::model::{Caller, Dialect, OrgSettings, Tags};

fn by_dialect(dialect: Dialect) -> Caller {
    Caller { dialect, ..operator() }
}

fn create(given: &Given, owner: OwnerName) -> Command {
    Command::CreateKey { org: given.org(), key: CreateAccessKey { owner, ..Default::default() }.into() }
}

#[test]
fn a_limit_is_that_of_the_surface_and_counts_every_key_that_is_not_deleted() {
    let mut given = an_org();
    given.user("alice");
    let alice = || OwnerName::User("alice".into());
    let iam = by_dialect(Dialect::AwsIam);
    // Two by the command line, one of them suspended: the IAM surface has no room left, the command line has.
    let first = given.key_of("alice");
    given.key_of("alice");
    given.done(Command::SuspendKey { key: first.id.clone() });
    let command = create(&given, alice());
    given.when_by(&iam, command).refused(&Refusal::KeyLimitReached { of: "alice".into(), found: 2, max: 2 });
    let third = given.key_of("alice");
    given.done(Command::RevokeKey { key: third.id.clone() });
    let command = create(&given, alice());
    given.when_by(&iam, command).refused(&Refusal::KeyLimitReached { of: "alice".into(), found: 3, max: 2 });
    for key in [first, third] {
        given.done(Command::DeleteKey { key: key.id });
    }
    let command = create(&given, alice());
    given.done_by(&iam, command);
}

#[test]
fn rotation_by_pair_and_import_count_too() {
    let mut given = an_org();
    let org = given.org();
    given.user("alice");
    let iam = by_dialect(Dialect::AwsIam);
    let key = given.key_of("alice").id;
    given.key_of("alice");
    let rotate = Command::RotateKey { key, grace_ns: None, expires_at: None };
    assert!(matches!(given.when_by(&iam, rotate).refusal(), Refusal::KeyLimitReached { found: 2, max: 2, .. }));
    let key = CreateAccessKey { owner: OwnerName::User("alice".into()), ..Default::default() };
    let import = given::imported(org, "AKIAIOSFODNN7EXAMPLE", key);
    assert!(matches!(given.when_by(&iam, import).refusal(), Refusal::KeyLimitReached { found: 2, max: 2, .. }));
}

#[test]
fn lightsail_has_two_keys_a_bucket_and_an_org_may_set_its_own_numbers() {
    let mut given = a_busy_org();
    let org = given.org();
    let photos = || OwnerName::Bucket(bucket("photos"));
    let lightsail = by_dialect(Dialect::Lightsail);
    for _ in 0..2 {
        let command = create(&given, photos());
        given.done_by(&lightsail, command);
    }
    let command = create(&given, photos());
    assert!(matches!(given.when_by(&lightsail, command.clone()).refusal(), Refusal::KeyLimitReached { max: 2, .. }));
    let settings =
        OrgSettings { lightsail_keys_per_bucket_max: Some(3), keys_per_owner_max: Some(0), ..OrgSettings::default() };
    given.done(Command::SetOrgSettings { org, settings: settings.into() });
    given.done_by(&lightsail, command.clone());
    assert!(matches!(given.when(command).refusal(), Refusal::KeyLimitReached { found: 3, max: 0, .. }));
}

#[test]
fn policies_versions_tags_and_memberships_have_their_numbers() {
    let mut given = a_busy_org();
    let org = given.org();
    let limit = |given: &mut Given, command: Command, expected: usize| match given.when(command).refusal() {
        Refusal::LimitReached { max, .. } => assert_eq!(max, expected),
        other => panic!("{other}"),
    };
    // Ten attached policies.
    for number in 0..11 {
        given.policy(&format!("p{number}"), READ);
    }
    let attach = |number: usize| Command::AttachPolicy {
        org,
        policy: format!("p{number}").into(),
        to: Target::User("bob".into()),
    };
    for number in 0..10 {
        given.done(attach(number));
    }
    limit(&mut given, attach(10), 10);
    let policies = (0..11).map(|number| format!("p{number}").into()).collect();
    let key = CreateAccessKey { policies, ..Default::default() };
    limit(&mut given, Command::CreateKey { org, key: key.into() }, 10);
    // Five versions; a replaced document makes room for itself, and numbers are never used again.
    let version =
        || Command::CreatePolicyVersion { org, policy: "reader".into(), document: READ.into(), set_default: false };
    for _ in 1..5 {
        given.done(version());
    }
    limit(&mut given, version(), 5);
    let replace = Command::ReplacePolicyDocument { org, policy: "reader".into(), document: given::ALLOW.into() };
    given.done(replace);
    let versions: Vec<_> =
        given.state.policy_by_name(org, "reader").unwrap().versions.iter().map(|version| version.version).collect();
    assert_eq!(versions, [1, 3, 4, 5, 6]);
    // Fifty tags.
    let tags = |from: usize, to: usize| (from..to).map(|n| (format!("k{n}").into(), "v".into())).collect::<Tags>();
    let tag =
        |set: Tags, remove: Vec<compact_str::CompactString>| Command::TagUser { org, user: "bob".into(), set, remove };
    given.done(tag(tags(0, 50), vec![]));
    limit(&mut given, tag(tags(50, 51), vec![]), 50);
    given.done(tag(tags(50, 51), vec!["k0".into()]));
    // Ten groups a user.
    for number in 0..11 {
        let name = format!("g{number}");
        given.done(Command::CreateGroup { org, name: name.into(), path: "".into() });
    }
    let join = |n: usize| Command::AddGroupMember { org, group: format!("g{n}").into(), user: "bob".into() };
    for number in 0..10 {
        given.done(join(number));
    }
    limit(&mut given, join(10), 10);
}

#[test]
fn inline_documents_of_one_holder_share_their_room() {
    let mut given = a_busy_org();
    let org = given.org();
    // 19 characters of an ARN's own and a long name: about 1,000 each.
    let document = |length: usize| {
        let arn = format!("arn:aws:s3:::{}", "b".repeat(length));
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"s3:GetObject","Resource":"{arn}"}}}}"#
        )
    };
    let put = |name: &str, length: usize| Command::PutInlinePolicy {
        org,
        holder: Target::User("bob".into()),
        name: name.into(),
        document: document(length).into(),
    };
    given.done(put("a", 900));
    given.done(put("b", 900));
    assert!(matches!(given.when(put("c", 100)).refusal(), Refusal::LimitReached { max: 2_048, .. }));
    // A shorter one in the place of another fits.
    given.done(put("b", 100));
    given.done(put("c", 100));
}

#[test]
fn an_org_has_its_number_of_users_groups_and_policies() {
    let mut given = an_org();
    let org = given.org();
    for number in 0..300 {
        given.done(Command::CreateGroup { org, name: format!("g{number}").into(), path: "".into() });
    }
    let one_more = Command::CreateGroup { org, name: "one-more".into(), path: "".into() };
    assert!(matches!(given.when(one_more).refusal(), Refusal::LimitReached { max: 300, .. }));
    for number in 0..5_000 {
        given.user(&format!("u{number}"));
    }
    let one_more = Command::CreateUser {
        org,
        name: "one-more".into(),
        path: "".into(),
        external_id: None,
        tags: Tags::new(),
        boundary: None,
    };
    assert!(matches!(given.when(one_more).refusal(), Refusal::LimitReached { max: 5_000, .. }));
}
