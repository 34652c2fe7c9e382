//! tests/decide.rs: every command, what it becomes, and what it becomes the second time.

mod given;

use given::{ALLOW, DAY, FULL, Given, HOUR, READ, SECOND, a_busy_org, an_org, bucket, id, imported, operator};
use keyledger::ledger::command::{OwnerName, Target};
use keyledger::ledger::decide::{SECRET_GRACE_MAX_NS, decide};
use keyledger::ledger::{Command, CreateAccessKey, CreateKeyWith, NewPolicy, Noun, Outcome, Refusal, UpdateKeyRights};
use keyledger::ledger::{Fresh, Leap};
use keyledger::model::EventKind as Kind;
use keyledger::model::{
    AccountId, Caller, Dialect, Event, Grant, GrantRole, Holder, OrgOwner, OrgSettings, Role, Seq, Tags,
};
use keyledger::state::{KeyStatus, Marks};
use std::collections::BTreeSet;

/// What asking the same again gives.
enum Again {
    Nothing,
    /// Another one: it draws a new id or a new version.
    Another,
    Refused(fn(&Refusal) -> bool),
}

fn exists(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::AlreadyExists { .. })
}

fn gone(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::NotFound { .. })
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn batch(events: Vec<Event>, duplicates: u64) -> Command {
    let account = AccountId(111_122_223_333);
    Command::ImportEvidence { account, source: "logs/a.json".into(), events, duplicates, rejected: 0 }
}

/// Every command on the busy org: before it, itself, its events, and the same again.
fn table(given: &Given) -> Vec<(Vec<Command>, Command, Vec<Kind>, Again)> {
    use Again::{Another, Nothing, Refused};
    let org = given.org();
    let alice = given.state.user_by_name(org, "alice").expect("alice is there").user;
    let key = given.state.keys_where(|key| *key.owner() == keyledger::model::KeyOwner::User(alice)).remove(0).id;
    let reader = || "reader".into();
    let to = || Target::User("alice".into());
    let settings = OrgSettings { iam_keys_per_user_max: Some(5), ..OrgSettings::default() };
    let grants = vec![Grant { bucket: None, role: GrantRole::Editor }];
    let in_group = Command::AddGroupMember { org, group: "staff".into(), user: "alice".into() };
    let suspended = Command::SuspendKey { key: key.clone() };
    let flagged = Command::FlagKey { key: key.clone(), quarantine: true, note: "leaked".into() };
    let attached = Command::AttachPolicy { org, policy: reader(), to: to() };
    let second = Command::CreatePolicyVersion { org, policy: reader(), document: ALLOW.into(), set_default: false };
    let inline = Command::PutInlinePolicy { org, holder: to(), name: "mine".into(), document: READ.into() };
    let rotated = Command::RotateSecret { key: key.clone(), grace_ns: None };
    let provider = Command::CreateProvider { provider: "tig".into(), key_hash: [1; 32], explicit_orgs: false };
    let restored = Command::RecordRestore { from: "backup of 1 March".into(), backup_seq: Seq(9) };
    let new_user = Command::CreateUser {
        org,
        name: "carol".into(),
        path: "/ops/".into(),
        external_id: Some("c-1".into()),
        tags: tags(&[("team", "ops")]),
        boundary: Some(FULL.into()),
    };
    let new_policy = Command::CreatePolicy {
        org,
        name: "writer".into(),
        path: "/x/".into(),
        description: "writes".into(),
        tags: Tags::new(),
        document: ALLOW.into(),
    };
    let new_org = Command::CreateOrg {
        name: "other".into(),
        account: Some(AccountId(210_987_654_321)),
        owner: OrgOwner::Operator,
        settings: Box::default(),
    };
    let with = CreateKeyWith {
        key: CreateAccessKey { owner: OwnerName::External("u-9".into()), ..Default::default() },
        policies: vec![NewPolicy { name: "fresh".into(), description: "".into(), document: READ.into() }],
        bucket: Some(bucket("films")),
        once: false,
    };
    let rights = UpdateKeyRights {
        grants: Some(grants.clone()),
        default_allow: Some(true),
        remove: vec!["ghost".into()],
        add: vec![reader()],
    };
    let opened = Command::OpenToken { key: key.clone(), token_hash: [3; 32], lifetime_ns: HOUR };
    let signed_in = Command::OpenSession { key: key.clone(), session_hash: [4; 32], lifetime_ns: HOUR };
    let key_of_alice = CreateAccessKey { owner: OwnerName::User("alice".into()), ..Default::default() };
    vec![
        (vec![], new_org, vec![Kind::OrgCreated], Refused(exists)),
        (vec![], Command::SuspendOrg { org }, vec![Kind::OrgSuspended], Nothing),
        (vec![Command::SuspendOrg { org }], Command::ResumeOrg { org }, vec![Kind::OrgResumed], Nothing),
        (vec![], Command::SetOrgSettings { org, settings: settings.into() }, vec![Kind::OrgSettingsSet], Nothing),
        (vec![], Command::SetOrgAlias { org, alias: Some("acme".into()) }, vec![Kind::OrgAliasSet], Nothing),
        (vec![], provider.clone(), vec![Kind::ProviderCreated], Refused(exists)),
        (
            vec![provider],
            Command::ChangeProviderKey { provider: "tig".into(), key_hash: [2; 32] },
            vec![Kind::ProviderKeyChanged],
            Nothing,
        ),
        (vec![], new_user, vec![Kind::UserCreated, Kind::UserBoundarySet], Refused(exists)),
        (
            vec![],
            Command::UpdateUser { org, user: "bob".into(), name: Some("rob".into()), path: Some("/a/".into()) },
            vec![Kind::UserRenamed, Kind::UserMoved],
            Refused(gone),
        ),
        (
            vec![],
            Command::SetUserRole { org, user: "ALICE".into(), role: Role::Admin },
            vec![Kind::UserRoleSet],
            Nothing,
        ),
        (
            vec![],
            Command::TagUser { org, user: "bob".into(), set: tags(&[("a", "1")]), remove: vec!["z".into()] },
            vec![Kind::UserTagged],
            Nothing,
        ),
        (
            vec![],
            Command::SetUserBoundary { org, user: "bob".into(), policy: Some(reader()) },
            vec![Kind::UserBoundarySet],
            Nothing,
        ),
        (vec![], Command::DeleteUser { org, user: "bob".into() }, vec![Kind::UserDeleted], Refused(gone)),
        (
            vec![],
            Command::CreateGroup { org, name: "g".into(), path: "".into() },
            vec![Kind::GroupCreated],
            Refused(exists),
        ),
        (
            vec![],
            Command::UpdateGroup { org, group: "staff".into(), name: None, path: Some("/b/".into()) },
            vec![Kind::GroupMoved],
            Nothing,
        ),
        (vec![], Command::DeleteGroup { org, group: "staff".into() }, vec![Kind::GroupDeleted], Refused(gone)),
        (vec![], in_group.clone(), vec![Kind::GroupMemberAdded], Nothing),
        (
            vec![in_group],
            Command::RemoveGroupMember { org, group: "staff".into(), user: "alice".into() },
            vec![Kind::GroupMemberRemoved],
            Refused(gone),
        ),
        (vec![], Command::CreateKey { org, key: key_of_alice.into() }, vec![Kind::KeyCreated], Another),
        (
            vec![],
            imported(org, "AKIAIOSFODNN7EXAMPLE", CreateAccessKey::default()),
            vec![Kind::KeyImported],
            Refused(exists),
        ),
        (
            vec![],
            Command::CreateKeyWith { org, with: with.into() },
            vec![
                Kind::UserCreated,
                Kind::BucketRegistered,
                Kind::PolicyCreated,
                Kind::KeyCreated,
                Kind::PolicyAttached,
            ],
            Refused(exists),
        ),
        (
            vec![],
            Command::UpdateKeyRights { key: key.clone(), change: rights.into() },
            vec![Kind::KeyGrantsSet, Kind::KeyDefaultAllowSet, Kind::PolicyAttached],
            Nothing,
        ),
        (vec![], opened.clone(), vec![Kind::TokenOpened], Another),
        (vec![opened], Command::CloseToken { key: key.clone(), token_hash: [3; 32] }, vec![Kind::TokenClosed], Nothing),
        (vec![], signed_in.clone(), vec![Kind::SessionOpened], Another),
        (
            vec![signed_in],
            Command::CloseSession { key: key.clone(), session_hash: [4; 32], why: "signed out".into() },
            vec![Kind::SessionClosed],
            Nothing,
        ),
        (
            vec![],
            Command::RefuseSignIn { key: Some(key.clone()), source_ip: "192.0.2.1".into() },
            vec![Kind::SignInRefused],
            Another,
        ),
        (
            vec![],
            Command::UpdatePolicy {
                org,
                policy: reader(),
                document: ALLOW.into(),
                description: Some("all of it".into()),
            },
            vec![Kind::PolicyVersionCreated, Kind::PolicyDescribed],
            Nothing,
        ),
        (vec![], Command::LabelKey { key: key.clone(), label: "ci".into() }, vec![Kind::KeyLabelled], Nothing),
        (
            vec![],
            Command::DescribeKey { key: key.clone(), description: "for ci".into() },
            vec![Kind::KeyDescribed],
            Nothing,
        ),
        (
            vec![],
            Command::TagKey { key: key.clone(), set: tags(&[("a", "1")]), remove: vec![] },
            vec![Kind::KeyTagged],
            Nothing,
        ),
        (vec![], Command::SetKeyGrants { key: key.clone(), grants }, vec![Kind::KeyGrantsSet], Nothing),
        (
            vec![],
            Command::SetKeyDefaultAllow { key: key.clone(), default_allow: true },
            vec![Kind::KeyDefaultAllowSet],
            Nothing,
        ),
        (
            vec![],
            Command::SetKeyExpiry { key: key.clone(), expires_at: Some(given::START.plus_ns(DAY)) },
            vec![Kind::KeyExpirySet],
            Nothing,
        ),
        (vec![], suspended.clone(), vec![Kind::KeySuspended], Nothing),
        (vec![suspended], Command::ResumeKey { key: key.clone() }, vec![Kind::KeyResumed], Nothing),
        (vec![], Command::RevokeKey { key: key.clone() }, vec![Kind::KeyRevoked], Nothing),
        (vec![], Command::DeleteKey { key: key.clone() }, vec![Kind::KeyDeleted], Refused(gone)),
        (
            vec![],
            Command::RotateKey { key: key.clone(), grace_ns: None, expires_at: None },
            vec![Kind::KeyCreated, Kind::KeyRotated],
            Refused(|refusal| matches!(refusal, Refusal::InvalidTransition { status: KeyStatus::Rotating, .. })),
        ),
        (
            vec![],
            rotated.clone(),
            vec![Kind::KeySecretRotated],
            Refused(|refusal| matches!(refusal, Refusal::TooManySecrets { .. })),
        ),
        (
            vec![rotated],
            Command::RetireSecret { key: key.clone(), version: None },
            vec![Kind::KeySecretRetired],
            Refused(|refusal| matches!(refusal, Refusal::LastSecret { version: 2, .. })),
        ),
        (vec![], flagged.clone(), vec![Kind::KeyFlagged], Nothing),
        (vec![flagged], Command::ClearKey { key }, vec![Kind::KeyCleared], Nothing),
        (vec![], new_policy, vec![Kind::PolicyCreated], Refused(exists)),
        (
            vec![],
            Command::TagPolicy { org, policy: reader(), set: tags(&[("a", "1")]), remove: vec![] },
            vec![Kind::PolicyTagged],
            Nothing,
        ),
        (vec![], second.clone(), vec![Kind::PolicyVersionCreated], Another),
        (
            vec![],
            Command::ReplacePolicyDocument { org, policy: reader(), document: ALLOW.into() },
            vec![Kind::PolicyVersionCreated],
            Nothing,
        ),
        (
            vec![second.clone()],
            Command::SetDefaultPolicyVersion { org, policy: reader(), version: 2 },
            vec![Kind::PolicyDefaultSet],
            Nothing,
        ),
        (
            vec![second],
            Command::DeletePolicyVersion { org, policy: reader(), version: 2 },
            vec![Kind::PolicyVersionDeleted],
            Refused(gone),
        ),
        (
            vec![],
            Command::DeletePolicy { org, policy: reader(), force: false },
            vec![Kind::PolicyDeleted],
            Refused(gone),
        ),
        (vec![], attached.clone(), vec![Kind::PolicyAttached], Nothing),
        (
            vec![attached],
            Command::DetachPolicy { org, policy: reader(), from: to() },
            vec![Kind::PolicyDetached],
            Refused(gone),
        ),
        (vec![], inline.clone(), vec![Kind::InlinePolicyPut], Nothing),
        (
            vec![inline],
            Command::DeleteInlinePolicy { org, holder: to(), name: "mine".into() },
            vec![Kind::InlinePolicyDeleted],
            Refused(gone),
        ),
        (vec![], Command::RegisterBucket { org, bucket: bucket("films") }, vec![Kind::BucketRegistered], Nothing),
        (vec![], Command::ForgetBucket { org, bucket: bucket("photos") }, vec![Kind::BucketForgotten], Refused(gone)),
        (vec![], Command::AcceptClock {}, vec![], Nothing),
        (vec![restored.clone()], Command::AcceptRestore {}, vec![Kind::RestoreAccepted], Nothing),
        (vec![], restored, vec![Kind::LedgerRestored], Another),
        (
            vec![],
            Command::RecordTailAccepted { durable_seq_lost: Some(Seq(3)), note: "by hand".into() },
            vec![Kind::TailAccepted],
            Another,
        ),
        (vec![], batch(vec![], 1), vec![Kind::OrgCreated, Kind::EvidenceBatchImported], Again::Refused(|_| false)),
    ]
}

fn name(command: &Command) -> String {
    let text = format!("{command:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}

#[test]
fn every_command_has_its_events_and_the_same_again_changes_nothing_or_says_why() {
    let rows = table(&a_busy_org()).len();
    let mut names = BTreeSet::new();
    for row in 0..rows {
        let mut given = a_busy_org();
        let (before, command, kinds, again) = table(&given).remove(row);
        names.insert(name(&command));
        for command in before {
            given.done(command);
        }
        given.when(command.clone()).then(&kinds);
        match again {
            Again::Nothing => assert!(given.when(command).then(&[]).is_empty()),
            Again::Another => drop(given.when(command).then(&kinds)),
            // The org is there now: only the evidence follows.
            Again::Refused(_) if name(&command) == "ImportEvidence" => {
                given.when(command).then(&[Kind::EvidenceBatchImported]);
            }
            Again::Refused(fits) => {
                let what = name(&command);
                let refusal = given.when(command).refusal();
                assert!(fits(&refusal), "{what}: {refusal}");
            }
        }
    }
    // Each is ordered by one name in `Command`; `Expecting` has a test of its own.
    assert_eq!(names.len(), 61, "{names:?}");
}

#[test]
fn what_nobody_made_is_not_found_and_every_text_says_what_next() {
    let mut given = a_busy_org();
    let org = given.org();
    let nowhere = keyledger::model::OrgUid([9; 16]);
    given.when(Command::SuspendOrg { org: nowhere }).not_found(Noun::Org);
    given.when(Command::DeleteUser { org, user: "zoe".into() }).not_found(Noun::User);
    given.when(Command::DeleteUser { org: nowhere, user: "alice".into() }).not_found(Noun::Org);
    given.when(Command::DeleteGroup { org, group: "zoo".into() }).not_found(Noun::Group);
    given.when(Command::RevokeKey { key: id("NQAK0000000000000000") }).not_found(Noun::Key);
    given.when(Command::ForgetBucket { org, bucket: bucket("nope") }).not_found(Noun::Bucket);
    let create = |owner| Command::CreateKey { org, key: CreateAccessKey { owner, ..Default::default() }.into() };
    given.when(create(OwnerName::User("zoe".into()))).not_found(Noun::User);
    given.when(create(OwnerName::Bucket(bucket("nope")))).not_found(Noun::Bucket);
    let policies = vec!["reader".into(), "ghost\u{1b}[2J".into()];
    let key = CreateAccessKey { policies, ..Default::default() };
    let refusal = given.when(Command::CreateKey { org, key: key.into() }).refusal();
    assert_eq!(refusal.to_string(), "there is no policy `ghost\\u{1b}[2J` here; check the name, or list what there is");
}

#[test]
fn a_policy_is_named_by_name_or_by_its_whole_arn() {
    let mut given = a_busy_org();
    let org = given.org();
    let new = |path: &str, name: &str| Command::CreatePolicy {
        org,
        name: name.into(),
        path: path.into(),
        description: "".into(),
        tags: Tags::new(),
        document: READ.into(),
    };
    given.done(new("/a/b/", "deep"));
    let attach = |policy: &str| Command::AttachPolicy { org, policy: policy.into(), to: Target::User("bob".into()) };
    for good in ["READER", "arn:aws:iam::123456789012:policy/reader", "arn:aws:iam::123456789012:policy/a/b/Deep", FULL]
    {
        assert!(given.when(attach(good)).result.is_ok(), "{good}");
    }
    for bad in [
        "arn:aws:iam::123456789012:policy/deep",
        "arn:aws:iam::123456789012:policy/b/deep",
        "arn:aws:iam::999999999999:policy/reader",
        "arn:aws:iam::aws:policy/reader",
        "arn:aws:iam::aws:policy/AdministratorAccess",
        "arn:",
    ] {
        given.when(attach(bad)).not_found(Noun::Policy);
    }
    // What exists everywhere cannot be changed.
    let change = Command::ReplacePolicyDocument { org, policy: FULL.into(), document: READ.into() };
    given.when(change).refused(&Refusal::Unmodifiable { noun: Noun::Policy, name: FULL.into() });
    given.done(attach(FULL));
    assert_eq!(given.state.user_by_name(org, "bob").unwrap().attached.len(), 1);
}

#[test]
fn a_bad_document_or_field_names_the_place_and_the_bound() {
    let mut given = a_busy_org();
    let org = given.org();
    let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Perhaps","Action":"s3:*","Resource":"*"}}"#;
    let replace = Command::ReplacePolicyDocument { org, policy: "reader".into(), document: document.into() };
    match given.when(replace).refusal() {
        Refusal::BadDocument(error) => assert_eq!(error.path, "Statement.Effect"),
        other => panic!("{other}"),
    }
    let key = given.key_of("bob").id;
    let label = Command::LabelKey { key: key.clone(), label: "a\u{202e}b".into() };
    assert_eq!(
        given.when(label).refusal().to_string(),
        "label `a\\u{202e}b` is not valid: expected at most 256 characters without control characters"
    );
    let admin_on_one =
        Command::SetKeyGrants { key, grants: vec![Grant { bucket: Some(bucket("photos")), role: GrantRole::Admin }] };
    assert!(matches!(given.when(admin_on_one).refusal(), Refusal::InvalidField(invalid) if invalid.field == "grant"));
}

#[test]
fn grants_are_sorted_and_one_a_bucket_the_widest() {
    let mut given = a_busy_org();
    let grant = |name: Option<&str>, role| Grant { bucket: name.map(bucket), role };
    let key = given.key(CreateAccessKey {
        grants: vec![
            grant(Some("zoo"), GrantRole::ReadOnly),
            grant(Some("ant"), GrantRole::ReadOnly),
            grant(Some("zoo"), GrantRole::Editor),
            grant(None, GrantRole::ReadOnly),
            grant(Some("zoo"), GrantRole::ReadOnly),
        ],
        ..Default::default()
    });
    let sorted = vec![
        grant(None, GrantRole::ReadOnly),
        grant(Some("ant"), GrantRole::ReadOnly),
        grant(Some("zoo"), GrantRole::Editor),
    ];
    assert_eq!(key.rights().grants, sorted);
    let same = Command::SetKeyGrants { key: key.id, grants: sorted.into_iter().rev().collect() };
    given.when(same).then(&[]);
}

#[test]
fn a_lightsail_key_is_editor_on_its_bucket() {
    let mut given = a_busy_org();
    let key = given.key(CreateAccessKey { owner: OwnerName::Bucket(bucket("photos")), ..Default::default() });
    assert_eq!(key.rights().grants, [Grant { bucket: Some(bucket("photos")), role: GrantRole::Editor }]);
}

#[test]
fn an_id_is_never_used_again_not_even_after_delete() {
    let mut given = a_busy_org();
    let org = given.org();
    given.done(imported(org, "AKIAIOSFODNN7EXAMPLE", CreateAccessKey::default()));
    given.done(Command::DeleteKey { key: id("AKIAIOSFODNN7EXAMPLE") });
    let again = imported(org, "AKIAIOSFODNN7EXAMPLE", CreateAccessKey::default());
    given.when(again).refused(&Refusal::AlreadyExists { noun: Noun::Key, name: "AKIAIOSFODNN7EXAMPLE".into() });
}

#[test]
fn generated_ids_carry_the_prefix_of_the_org_or_of_the_surface() {
    let mut given = a_busy_org();
    let org = given.org();
    let create = || Command::CreateKey { org, key: Box::default() };
    let made = |outcome| match outcome {
        Outcome::KeyCreated(made) => made.access_key_id,
        other => panic!("{other:?}"),
    };
    let mut iam = operator();
    iam.dialect = Dialect::AwsIam;
    assert!(made(given.done(create())).as_str().starts_with("NQAK"));
    assert!(made(given.done_by(&iam, create())).as_str().starts_with("AKIA"));
    let settings = OrgSettings { key_prefix: Some("ZZZZ".into()), ..OrgSettings::default() };
    given.done(Command::SetOrgSettings { org, settings: settings.into() });
    assert!(made(given.done(create())).as_str().starts_with("ZZZZ"));
}

#[test]
fn a_change_is_refused_when_somebody_else_was_there_first() {
    let mut given = a_busy_org();
    let key = given.key_of("bob");
    let relabel = |label: &str| Command::LabelKey { key: key.id.clone(), label: label.into() };
    let read = given.again(&key).changed;
    given.done(relabel("theirs").expecting(read));
    let found = given.again(&key).changed;
    let name = key.id.as_str().into();
    given.when(relabel("mine").expecting(read)).refused(&Refusal::PreconditionFailed {
        noun: Noun::Key,
        name,
        expected: read,
        found,
    });
    given.when(relabel("mine").expecting(found)).then(&[Kind::KeyLabelled]);
}

#[test]
fn while_the_clock_is_in_doubt_only_what_takes_rights_away_in_an_emergency_is_done() {
    let mut given = a_busy_org();
    let org = given.org();
    let key = given.key_of("bob").id;
    let (from, to) = (given.now, given.now.plus_ns(400 * DAY));
    let fresh = Fresh { leap: Some(Leap { from, to }), ..Fresh::at(given.now.plus_ns(1)) };
    let flag = Command::FlagKey { key: key.clone(), quarantine: true, note: "".into() };
    for urgent in [
        Command::SuspendKey { key: key.clone() },
        Command::RevokeKey { key: key.clone() },
        flag.expecting(given.state.key(key.as_str()).unwrap().changed),
        Command::SuspendOrg { org },
    ] {
        assert_eq!(decide(&given.state, &operator(), &urgent, &fresh).unwrap().events.len(), 1, "{urgent:?}");
    }
    for stopped in [
        Command::DeleteKey { key: key.clone() },
        Command::ResumeKey { key: key.clone() },
        Command::CreateKey { org, key: Box::default() },
        Command::LabelKey { key, label: "x".into() },
    ] {
        let refusal = decide(&given.state, &operator(), &stopped, &fresh).unwrap_err();
        assert_eq!(refusal, Refusal::ClockStopped { from, to });
        assert!(refusal.to_string().contains("keyledger clock accept"));
    }
    let events = decide(&given.state, &operator(), &Command::AcceptClock {}, &fresh).unwrap().events;
    assert_eq!(events, [Event::ClockAccepted { before: from, after: fresh.now }]);
}

#[test]
fn nothing_with_dependents_is_deleted() {
    let mut given = a_busy_org();
    let org = given.org();
    let conflict = |given: &mut Given, command: Command, expected: &str| match given.when(command).refusal() {
        Refusal::DeleteConflict { what, .. } => assert_eq!(what, expected),
        other => panic!("{other}"),
    };
    let delete_user = || Command::DeleteUser { org, user: "alice".into() };
    let delete_group = || Command::DeleteGroup { org, group: "staff".into() };
    let delete_policy = |force| Command::DeletePolicy { org, policy: "reader".into(), force };
    let to = |name: &str| Target::User(name.into());
    conflict(&mut given, delete_user(), "access keys");
    let key = given.state.keys_where(|_| true).remove(0).id;
    given.done(Command::DeleteKey { key });
    given.done(Command::AttachPolicy { org, policy: "reader".into(), to: to("alice") });
    conflict(&mut given, delete_user(), "attached policies");
    conflict(&mut given, delete_policy(false), "users, groups or keys it is attached to");
    given.done(Command::DetachPolicy { org, policy: "reader".into(), from: to("alice") });
    given.done(Command::PutInlinePolicy { org, holder: to("alice"), name: "i".into(), document: READ.into() });
    conflict(&mut given, delete_user(), "inline policies");
    given.done(Command::DeleteInlinePolicy { org, holder: to("alice"), name: "i".into() });
    given.done(Command::AddGroupMember { org, group: "staff".into(), user: "alice".into() });
    conflict(&mut given, delete_user(), "groups it is in");
    conflict(&mut given, delete_group(), "members");
    given.done(Command::RemoveGroupMember { org, group: "staff".into(), user: "alice".into() });
    let version =
        Command::CreatePolicyVersion { org, policy: "reader".into(), document: ALLOW.into(), set_default: true };
    given.done(version);
    conflict(&mut given, delete_policy(false), "other versions");
    conflict(
        &mut given,
        Command::DeletePolicyVersion { org, policy: "reader".into(), version: 2 },
        "the rank of default",
    );
    // Not even force takes a boundary away: that would widen what the user may do.
    given.done(Command::SetUserBoundary { org, user: "alice".into(), policy: Some("reader".into()) });
    conflict(&mut given, delete_policy(true), "users whose permissions boundary it is");
    given.when(delete_user()).then(&[Kind::UserDeleted]);
    given.when(delete_group()).then(&[Kind::GroupDeleted]);
    given.when(delete_policy(true)).then(&[Kind::PolicyDeleted]);
}

#[test]
fn a_forced_policy_delete_names_every_holder_it_was_taken_from() {
    let mut given = a_busy_org();
    let org = given.org();
    let key = given.key_of("bob");
    for to in [Target::User("alice".into()), Target::Group("staff".into()), Target::Key(key.id.clone())] {
        given.done(Command::AttachPolicy { org, policy: "reader".into(), to });
    }
    let events = given
        .when(Command::DeletePolicy { org, policy: "reader".into(), force: true })
        .then(&[Kind::PolicyDetachedFromAll, Kind::PolicyDeleted]);
    let Event::PolicyDetachedFromAll { holders, .. } = &events[0] else { panic!("{events:?}") };
    let expected = [
        Holder::User(given.state.user_by_name(org, "alice").unwrap().user),
        Holder::Group(given.state.group_by_name(org, "staff").unwrap().group),
        Holder::Key(key.id.uid(keyledger::model::id::World::Live)),
    ];
    assert_eq!(holders.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
    assert!(given.again(&key).rights().attached.is_empty());
    assert!(given.state.user_by_name(org, "alice").unwrap().attached.is_empty());
}

/// A key of alice's brought into each status.
fn in_status(status: KeyStatus) -> (Given, keyledger::model::AccessKeyId) {
    let mut given = an_org();
    let org = given.org();
    given.user("alice");
    let key = given.key_of("alice").id;
    match status {
        KeyStatus::Active => {}
        KeyStatus::Rotating => drop(given.done(Command::RotateSecret { key: key.clone(), grace_ns: None })),
        KeyStatus::Expired => {
            let expires_at = Some(given.now.plus_ns(HOUR));
            given.done(Command::SetKeyExpiry { key: key.clone(), expires_at });
            given.after(HOUR);
        }
        KeyStatus::Inactive => drop(given.done(Command::SuspendKey { key: key.clone() })),
        KeyStatus::OrgSuspended => drop(given.done(Command::SuspendOrg { org })),
        KeyStatus::Revoked => drop(given.done(Command::RevokeKey { key: key.clone() })),
        KeyStatus::Deleted => drop(given.done(Command::DeleteKey { key: key.clone() })),
    }
    given.after(SECOND);
    let found = given.state.key(key.as_str()).expect("the key is there");
    assert_eq!(given.state.status(&found, given.now), status);
    (given, key)
}

#[test]
fn each_status_allows_its_transitions_and_no_others() {
    use KeyStatus::{Active, Deleted, Expired, Inactive, OrgSuspended, Revoked, Rotating};
    // y: events, n: nothing changes, i: InvalidTransition, g: not found, m: too many secrets
    let matrix = [
        //              suspend resume revoke delete rotate secret expiry label
        (Active, "y n y y y y y y"),
        (Rotating, "y n y y y m y y"),
        (Expired, "y i y y i i i y"),
        (Inactive, "n y y y i y y y"),
        (OrgSuspended, "y n y y i y y y"),
        (Revoked, "i i n y i i i y"),
        (Deleted, "g g g g g g g g"),
    ];
    for (status, row) in matrix {
        for (column, expected) in row.split(' ').enumerate() {
            let (mut given, key) = in_status(status);
            let later = Some(given.now.plus_ns(DAY));
            let command = match column {
                0 => Command::SuspendKey { key },
                1 => Command::ResumeKey { key },
                2 => Command::RevokeKey { key },
                3 => Command::DeleteKey { key },
                4 => Command::RotateKey { key, grace_ns: None, expires_at: None },
                5 => Command::RotateSecret { key, grace_ns: None },
                6 => Command::SetKeyExpiry { key, expires_at: later },
                _ => Command::LabelKey { key, label: "new".into() },
            };
            let what = format!("{} {}", status.as_str(), name(&command));
            let found = match given.when(command).result {
                Ok(decided) if decided.events.is_empty() => "n",
                Ok(_) => "y",
                Err(Refusal::InvalidTransition { .. }) => "i",
                Err(Refusal::NotFound { .. }) => "g",
                Err(Refusal::TooManySecrets { .. }) => "m",
                Err(other) => panic!("{what}: {other}"),
            };
            assert_eq!(found, expected, "{what}");
        }
    }
}

#[test]
fn a_key_deleted_while_usable_says_so() {
    for (status, unrevoked) in [
        (KeyStatus::Active, true),
        (KeyStatus::Rotating, true),
        (KeyStatus::Revoked, false),
        (KeyStatus::Expired, false),
    ] {
        let (mut given, key) = in_status(status);
        let events = given.when(Command::DeleteKey { key }).then(&[Kind::KeyDeleted]);
        assert!(matches!(events[0], Event::KeyDeleted { unrevoked: found, .. } if found == unrevoked));
    }
}

#[test]
fn an_expired_key_never_comes_back_but_expiry_never_came_for_one_that_was_extended() {
    let (mut given, key) = in_status(KeyStatus::Active);
    let expires_at = Some(given.now.plus_ns(HOUR));
    given.done(Command::SetKeyExpiry { key: key.clone(), expires_at });
    given.after(HOUR - 2 * SECOND);
    given.done(Command::SetKeyExpiry { key: key.clone(), expires_at: Some(given.now.plus_ns(DAY)) });
    given.after(DAY);
    let never = Command::SetKeyExpiry { key: key.clone(), expires_at: None };
    assert!(matches!(given.when(never).refusal(), Refusal::InvalidTransition { status: KeyStatus::Expired, .. }));
    let (mut given, key) = in_status(KeyStatus::Active);
    let past = Command::SetKeyExpiry { key, expires_at: Some(given.now) };
    assert!(matches!(given.when(past).refusal(), Refusal::InvalidField(invalid) if invalid.field == "expiry"));
}

#[test]
fn rotation_by_pair_makes_an_equal_successor_and_gives_the_old_key_a_deadline() {
    let mut given = a_busy_org();
    let org = given.org();
    let old = given.key(CreateAccessKey {
        owner: OwnerName::User("bob".into()),
        label: "ci".into(),
        description: "builds".into(),
        tags: tags(&[("app", "ci")]),
        grants: vec![Grant { bucket: Some(bucket("photos")), role: GrantRole::ReadOnly }],
        policies: vec!["reader".into(), FULL.into()],
        default_allow: true,
        expires_at: None,
    });
    let holder = Target::Key(old.id.clone());
    given.done(Command::PutInlinePolicy { org, holder, name: "own".into(), document: READ.into() });
    given.done(Command::FlagKey { key: old.id.clone(), quarantine: true, note: "seen in a repository".into() });
    let rotate = Command::RotateKey { key: old.id.clone(), grace_ns: Some(HOUR), expires_at: None };
    let events = given.when(rotate).then(&[
        Kind::KeyCreated,
        Kind::PolicyAttached,
        Kind::PolicyAttached,
        Kind::InlinePolicyPut,
        Kind::KeyFlagged,
        Kind::KeyRotated,
    ]);
    let Event::KeyCreated(created) = &events[0] else { panic!("{events:?}") };
    let (old, new) = (given.again(&old), given.state.key(created.access_key_id.as_str()).unwrap());
    let (a, b) = (old.more(), new.more());
    let (ra, rb) = (old.rights(), new.rights());
    assert_eq!((ra, &a.tags), (rb, &b.tags));
    assert_eq!((rb.grants.len(), rb.attached.len(), rb.inline.len()), (1, 2, 1));
    assert_eq!((&old.owner, &old.label, &a.description, &a.flag), (&new.owner, &new.label, &b.description, &a.flag));
    assert!(new.marks.has(Marks::QUARANTINED) && new.marks.has(Marks::DEFAULT_ALLOW));
    assert_eq!(b.links.replaces, a.links.replaced_by.map(|_| old.id.uid(keyledger::model::id::World::Live)));
    assert_eq!(given.state.status(&old, given.now), KeyStatus::Rotating);
    given.after(HOUR);
    assert_eq!(given.state.status(&given.again(&old), given.now), KeyStatus::Expired);
    assert_eq!(given.state.status(&given.again(&new), given.now), KeyStatus::Active);
}

#[test]
fn a_rotation_never_prolongs_the_old_key_and_its_successor_ends_with_it_unless_told() {
    let mut given = a_busy_org();
    let expires_at = given.now.plus_ns(2 * HOUR);
    let old = given.key(CreateAccessKey { expires_at: Some(expires_at), ..Default::default() });
    let rotate = Command::RotateKey { key: old.id.clone(), grace_ns: Some(DAY), expires_at: None };
    match given.done(rotate) {
        Outcome::KeyRotated { deadline, new, .. } => {
            assert_eq!(deadline, expires_at);
            assert_eq!(new.expires_at, Some(expires_at));
        }
        other => panic!("{other:?}"),
    }
    let too_long = Command::RotateKey { key: old.id, grace_ns: Some(91 * DAY), expires_at: None };
    assert!(matches!(given.when(too_long).refusal(), Refusal::InvalidField(invalid) if invalid.field == "grace"));
}

#[test]
fn rotation_in_place_keeps_two_live_secrets_at_most_for_seven_days_at_most() {
    let mut given = a_busy_org();
    let key = given.key_of("bob").id;
    let rotate = |grace_ns| Command::RotateSecret { key: key.clone(), grace_ns };
    let live = |given: &Given| {
        let found = given.state.key(key.as_str()).unwrap();
        found.live_secrets(given.now).map(|secret| secret.version).collect::<Vec<_>>()
    };
    given.done(rotate(None));
    let until = given.now.plus_ns(DAY);
    assert_eq!(live(&given), [2, 1]);
    given.when(rotate(None)).refused(&Refusal::TooManySecrets { key: key.as_str().into(), until });
    // The old one retired, a third may come.
    given.done(Command::RetireSecret { key: key.clone(), version: Some(1) });
    assert_eq!(live(&given), [2]);
    given.done(rotate(Some(SECRET_GRACE_MAX_NS)));
    assert_eq!(live(&given), [3, 2]);
    // Without grace the one before stops at once, so the one before that may go on.
    given.done(rotate(Some(0)));
    given.after(1);
    assert_eq!(live(&given), [4, 2]);
    given.after(7 * DAY);
    assert_eq!(live(&given), [4]);
    for out_of_bounds in [-1, SECRET_GRACE_MAX_NS + 1] {
        let refusal = given.when(rotate(Some(out_of_bounds))).refusal();
        assert!(matches!(refusal, Refusal::InvalidField(invalid) if invalid.field == "grace"));
    }
    given.when(Command::RetireSecret { key: key.clone(), version: Some(2) }).not_found(Noun::Secret);
    given
        .when(Command::RetireSecret { key: key.clone(), version: None })
        .refused(&Refusal::LastSecret { key: key.as_str().into(), version: 4 });
}

#[test]
fn lifetimes_follow_the_org() {
    let mut given = a_busy_org();
    let org = given.org();
    let settings = OrgSettings {
        key_lifetime_max_ns: Some(90 * DAY),
        key_lifetime_default_ns: Some(30 * DAY),
        ..OrgSettings::default()
    };
    given.done(Command::SetOrgSettings { org, settings: settings.clone().into() });
    let key = given.key_of("bob");
    assert_eq!(key.expires_at(), Some(key.created_at.plus_ns(30 * DAY)));
    let longer = CreateAccessKey { expires_at: Some(given.now.plus_ns(91 * DAY)), ..Default::default() };
    assert!(matches!(
        given.when(Command::CreateKey { org, key: longer.into() }).refusal(),
        Refusal::InvalidField(invalid) if invalid.field == "expiry"
    ));
    for beyond in [None, Some(key.created_at.plus_ns(90 * DAY + 1))] {
        let extend = Command::SetKeyExpiry { key: key.id.clone(), expires_at: beyond };
        assert!(matches!(given.when(extend).refusal(), Refusal::InvalidField(_)));
    }
    let unlike = OrgSettings { key_lifetime_default_ns: Some(91 * DAY), ..settings };
    let refusal = given.when(Command::SetOrgSettings { org, settings: unlike.into() }).refusal();
    assert!(matches!(refusal, Refusal::InvalidField(invalid) if invalid.field == "default key lifetime"));
}

#[test]
fn imports_write_to_evidence_orgs_alone_and_with_evidence_alone() {
    let mut given = an_org();
    let account = AccountId(111_122_223_333);
    let smuggled = batch(vec![Event::OrgResumed {}], 0);
    assert!(matches!(given.when(smuggled).refusal(), Refusal::InvalidField(invalid) if invalid.field == "evidence"));
    given.when(batch(vec![], 0)).then(&[]);
    // No ordinary command reaches the org that an import made.
    given.done(batch(vec![], 3));
    let org = keyledger::model::OrgUid::evidence(account);
    assert!(given.state.org(org).is_some());
    given.when(Command::SuspendOrg { org }).not_found(Noun::Org);
    given.when(Command::CreateKey { org, key: Box::default() }).not_found(Noun::Org);
}

#[test]
fn a_reason_is_bounded() {
    let mut given = a_busy_org();
    let key = given.key_of("bob").id;
    let mut caller = Caller::operator("ops");
    caller.reason = Some("x".repeat(513).into());
    let refusal = given.when_by(&caller, Command::RevokeKey { key }).refusal();
    assert!(matches!(refusal, Refusal::InvalidField(invalid) if invalid.field == "reason"));
}
