//! tests/access.rs: what a key may do, and why: the one function that writer, gate and audit ask.

mod given;

use given::{ALLOW, DAY, DENY, FULL, Given, HOUR, READ, a_busy_org, bucket};
use keyledger::ledger::command::{OwnerName, Target};
use keyledger::ledger::{Command, CreateAccessKey, Outcome};
use keyledger::model::{AccountId, Caller, Dialect, Grant, GrantRole, OrgOwner, OrgSettings};
use keyledger::policy::{Context, Request, Value};
use keyledger::state::access::{Bearer, Held, Reason, role_document};
use keyledger::state::{Access, KeyRecord, KeyStatus, StateHandle};
use proptest::prelude::*;

type Keys<'a> = [(&'a str, Value<'a>)];

fn ask<C: Context + ?Sized>(given: &Given, key: &KeyRecord, action: &str, resource: &str, context: &C) -> Access {
    let key = given.again(key);
    given.state.standing(&key).decide(&Request::new(action, resource, context), given.now)
}

fn reason(given: &Given, key: &KeyRecord, action: &str, resource: &str) -> Reason {
    ask(given, key, action, resource, &()).reason
}

const PHOTO: &str = "arn:aws:s3:::photos/a.jpg";
const FILM: &str = "arn:aws:s3:::films/a.mp4";

/// The busy org with a second bucket, and another org with one.
fn orgs() -> Given {
    let mut given = a_busy_org();
    let org = given.org();
    given.done(Command::RegisterBucket { org, bucket: bucket("films") });
    let other = given.done(Command::CreateOrg {
        name: "other".into(),
        account: Some(AccountId(210_987_654_321)),
        owner: OrgOwner::Operator,
        settings: Box::default(),
    });
    let Outcome::OrgCreated { org: other, .. } = other else { panic!("{other:?}") };
    given.done(Command::RegisterBucket { org: other, bucket: bucket("theirs") });
    given
}

fn with_grants(given: &mut Given, grants: &[(Option<&str>, GrantRole)]) -> KeyRecord {
    let grants = grants.iter().map(|(name, role)| Grant { bucket: name.map(bucket), role: *role }).collect();
    given.key(CreateAccessKey { grants, ..Default::default() })
}

fn for_bob() -> CreateAccessKey {
    CreateAccessKey { owner: OwnerName::User("bob".into()), ..Default::default() }
}

fn attach(given: &mut Given, policy: &str, to: Target) {
    let org = given.org();
    given.done(Command::AttachPolicy { org, policy: policy.into(), to });
}

fn bob() -> Target {
    Target::User("bob".into())
}

#[test]
fn a_role_is_for_its_bucket_and_a_bucket_is_its_orgs() {
    let mut given = orgs();
    let editor = with_grants(&mut given, &[(Some("photos"), GrantRole::Editor)]);
    let reader = with_grants(&mut given, &[(None, GrantRole::ReadOnly)]);
    let root = with_grants(&mut given, &[(None, GrantRole::Admin)]);
    assert_eq!(reason(&given, &editor, "s3:PutObject", PHOTO), Reason::Role { grant: 0 });
    assert_eq!(reason(&given, &editor, "s3:GetObject", FILM), Reason::Implicit);
    assert_eq!(reason(&given, &editor, "s3:ListAllMyBuckets", "*"), Reason::Implicit);
    assert_eq!(reason(&given, &reader, "s3:GetObject", FILM), Reason::Role { grant: 0 });
    assert_eq!(reason(&given, &reader, "s3:PutObject", FILM), Reason::Implicit);
    assert_eq!(reason(&given, &reader, "s3:ListAllMyBuckets", "*"), Reason::Role { grant: 0 });
    assert_eq!(reason(&given, &root, "iam:CreateUser", "*"), Reason::Admin);
    for key in [&editor, &reader, &root] {
        for name in ["theirs", "nobodys"] {
            let resource = format!("arn:aws:s3:::{name}/x");
            assert_eq!(reason(&given, key, "s3:GetObject", &resource), Reason::OtherBucket);
        }
    }
    // A bucket that is to be created belongs to nobody yet.
    assert_eq!(reason(&given, &root, "s3:CreateBucket", "arn:aws:s3:::nobodys"), Reason::Admin);
    let settings = OrgSettings { open_buckets: true, ..OrgSettings::default() };
    let org = given.org();
    given.done(Command::SetOrgSettings { org, settings: settings.into() });
    assert!(reason(&given, &root, "s3:GetObject", "arn:aws:s3:::nobodys/x").allows());
    assert_eq!(reason(&given, &root, "s3:GetObject", "arn:aws:s3:::theirs/x"), Reason::OtherBucket);
}

#[test]
fn admin_on_everything_is_for_s3_alone_unless_the_org_owns_the_key() {
    let mut given = orgs();
    let grants = vec![Grant { bucket: None, role: GrantRole::Admin }];
    let key = given.key(CreateAccessKey { grants, ..for_bob() });
    given.policy("never", DENY);
    attach(&mut given, "never", bob());
    assert_eq!(
        reason(&given, &key, "s3:DeleteBucket", "arn:aws:s3:::photos"),
        Reason::Admin,
        "no policy bears on Admin"
    );
    assert_eq!(reason(&given, &key, "iam:CreateUser", "*"), Reason::Implicit);
}

#[test]
fn an_unscoped_key_has_what_its_owner_has_and_a_scoped_one_only_its_own() {
    let mut given = orgs();
    let plain = given.key_of("bob");
    assert_eq!(reason(&given, &plain, "s3:GetObject", PHOTO), Reason::Implicit);
    let org = given.org();
    attach(&mut given, FULL, Target::Group("staff".into()));
    given.done(Command::AddGroupMember { org, group: "staff".into(), user: "bob".into() });
    let by = reason(&given, &plain, "s3:PutObject", PHOTO).by().unwrap();
    assert!(matches!((by.document.holder, by.document.document), (Bearer::Group(_), Held::Attached(_))), "{by:?}");
    let scoped = given.key(CreateAccessKey { policies: vec!["reader".into()], ..for_bob() });
    assert_eq!(reason(&given, &scoped, "s3:PutObject", PHOTO), Reason::Implicit);
    assert_eq!(reason(&given, &scoped, "s3:GetObject", PHOTO).by().unwrap().document.holder, Bearer::Key);
    // What the owner is denied, every key of it is denied.
    let deny = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},
                   {"Effect":"Deny","Action":"s3:GetObject","Resource":"*"}]}"#;
    given.done(Command::PutInlinePolicy { org, holder: bob(), name: "d".into(), document: deny.into() });
    for key in [&plain, &scoped] {
        let Reason::Denied { by } = reason(&given, key, "s3:GetObject", PHOTO) else { panic!("not denied") };
        assert_eq!((by.document.holder, by.document.document, by.statement), (Bearer::Owner, Held::Inline(0), 1));
    }
    assert_eq!(
        reason(&given, &scoped, "s3:PutObject", PHOTO),
        Reason::Implicit,
        "an owner's Allow is not a scoped key's"
    );
    // A key of the org or of a bucket has an owner without policies.
    let of_org = given.key(CreateAccessKey::default());
    assert_eq!(reason(&given, &of_org, "s3:GetObject", PHOTO), Reason::Implicit);
    let of_bucket = given.key(CreateAccessKey { owner: OwnerName::Bucket(bucket("photos")), ..Default::default() });
    assert!(reason(&given, &of_bucket, "s3:PutObject", PHOTO).allows());
    assert_eq!(reason(&given, &of_bucket, "s3:PutObject", FILM), Reason::Implicit);
}

#[test]
fn a_boundary_bounds_roles_policies_and_what_is_allowed_by_default() {
    let mut given = orgs();
    let org = given.org();
    attach(&mut given, FULL, bob());
    let plain = given.key_of("bob");
    let editor = Grant { bucket: Some(bucket("photos")), role: GrantRole::Editor };
    let scoped = given.key(CreateAccessKey { grants: vec![editor], default_allow: true, ..for_bob() });
    assert_eq!(reason(&given, &scoped, "s3:CreateBucket", "arn:aws:s3:::new"), Reason::Default);
    given.done(Command::SetUserBoundary { org, user: "bob".into(), policy: Some("reader".into()) });
    for key in [&plain, &scoped] {
        assert_eq!(reason(&given, key, "s3:PutObject", PHOTO), Reason::Boundary { by: None });
        assert!(reason(&given, key, "s3:GetObject", PHOTO).allows());
    }
    assert_eq!(reason(&given, &scoped, "s3:CreateBucket", "arn:aws:s3:::new"), Reason::Boundary { by: None });
    // A boundary gives nothing.
    let fresh = given.key(CreateAccessKey { grants: vec![], policies: vec!["reader".into()], ..for_bob() });
    assert_eq!(reason(&given, &fresh, "s3:ListBucket", "arn:aws:s3:::photos"), Reason::Boundary { by: None });
}

#[test]
fn a_quarantined_key_reads_and_does_nothing_else_and_so_does_a_restored_ledger() {
    for restored in [false, true] {
        let mut given = orgs();
        let root = with_grants(&mut given, &[(None, GrantRole::Admin)]);
        given.done(if restored {
            Command::RecordRestore { from: "backup".into(), backup_seq: given.state.seq() }
        } else {
            Command::FlagKey { key: root.id.clone(), quarantine: true, note: "".into() }
        });
        assert_eq!(reason(&given, &root, "s3:GetObject", PHOTO), Reason::Admin);
        assert_eq!(reason(&given, &root, "s3:ListAllMyBuckets", "*"), Reason::Admin);
        for action in ["s3:PutObject", "s3:DeleteObject", "s3:GetBucketAcl", "s3:GetBucketPolicy", "iam:GetUser"] {
            assert_eq!(reason(&given, &root, action, "arn:aws:s3:::photos"), Reason::Quarantined, "{action}");
        }
    }
}

#[test]
fn a_key_that_is_not_usable_may_nothing_and_a_clock_set_back_revives_none() {
    let mut given = orgs();
    let root = with_grants(&mut given, &[(None, GrantRole::Admin)]);
    let expires_at = Some(given.now.plus_ns(HOUR));
    given.done(Command::SetKeyExpiry { key: root.id.clone(), expires_at });
    assert!(reason(&given, &root, "s3:GetObject", PHOTO).allows());
    given.after(DAY).user("carl");
    given.now = given::START;
    let expired = Reason::Unusable { status: KeyStatus::Expired };
    assert_eq!(reason(&given, &root, "s3:GetObject", PHOTO), expired);
    let live = with_grants(&mut given, &[(None, GrantRole::Admin)]);
    let org = given.org();
    given.done(Command::SuspendOrg { org });
    let suspended = Reason::Unusable { status: KeyStatus::OrgSuspended };
    assert_eq!(reason(&given, &live, "s3:GetObject", PHOTO), suspended);
}

#[test]
fn who_asks_and_when_is_told_by_the_state_and_not_by_the_request() {
    let mut given = orgs();
    let org = given.org();
    let home = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*",
        "Resource":"arn:aws:s3:::photos/${aws:username}/*",
        "Condition":{"StringEquals":{"aws:PrincipalTag/team":"red","aws:PrincipalType":"User"},
                     "ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::123456789012:user/bob"},
                     "DateLessThan":{"aws:CurrentTime":"2026-03-02T00:00:00Z"}}}}"#;
    given.done(Command::PutInlinePolicy { org, holder: bob(), name: "home".into(), document: home.into() });
    let key = given.key_of("bob");
    let own = "arn:aws:s3:::photos/bob/x";
    let lies: &Keys<'_> = &[("aws:PrincipalTag/team", "red".into()), ("aws:username", "alice".into())];
    assert_eq!(ask(&given, &key, "s3:GetObject", own, lies).reason, Reason::Implicit);
    let set = [("Team".into(), "red".into())].into();
    given.done(Command::TagUser { org, user: "bob".into(), set, remove: vec![] });
    assert!(ask(&given, &key, "s3:GetObject", own, lies).is_allow());
    assert!(!ask(&given, &key, "s3:GetObject", "arn:aws:s3:::photos/alice/x", lies).is_allow());
    given.after(2 * DAY);
    assert!(!ask(&given, &key, "s3:GetObject", own, lies).is_allow());
}

#[test]
fn a_changed_policy_counts_for_every_holder_at_once_and_a_past_state_keeps_the_old() {
    let mut given = orgs();
    let org = given.org();
    let key = given.key(CreateAccessKey { policies: vec!["reader".into()], ..Default::default() });
    let (before, record) = (given.state.share(), given.again(&key));
    given.done(Command::ReplacePolicyDocument { org, policy: "reader".into(), document: DENY.into() });
    assert!(matches!(reason(&given, &key, "s3:GetObject", PHOTO), Reason::Denied { .. }));
    let then = before.standing(&record).decide(&Request::new("s3:GetObject", PHOTO, &()), given.now);
    assert!(then.is_allow() && then.seq == before.seq());
    given.done(Command::DeletePolicy { org, policy: "reader".into(), force: true });
    assert_eq!(reason(&given, &key, "s3:GetObject", PHOTO), Reason::Implicit);
}

#[test]
fn a_reader_of_the_published_state_gets_the_same_answer() {
    let mut given = orgs();
    let key = with_grants(&mut given, &[(Some("photos"), GrantRole::ReadOnly)]);
    let by_record = ask(&given, &key, "s3:GetObject", PHOTO, &());
    let state = std::mem::replace(&mut given.state, keyledger::state::State::empty());
    let (handle, _writer) = StateHandle::publish_first(state);
    let request = Request::new("s3:GetObject", PHOTO, &());
    let by_view = handle.with_standing(key.id.as_str(), |standing, _| standing.decide(&request, given.now)).unwrap();
    assert_eq!(by_view, by_record);
    assert_eq!(handle.with_standing("NQAK0000000000000000", |_, _| ()), None);
}

#[test]
fn roles_are_shown_as_the_documents_they_stand_for() {
    let grant = Grant { bucket: Some(bucket("photos")), role: GrantRole::ReadOnly };
    let document = role_document(&grant);
    assert!(document.contains(r#"["s3:Get*","s3:List*"]"#) && document.contains("arn:aws:s3:::photos/*"), "{document}");
}

const DOCUMENTS: [&str; 6] = [
    ALLOW,
    READ,
    DENY,
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:Put*","Resource":"arn:aws:s3:::photos/*"}}"#,
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","NotAction":"s3:Delete*","Resource":"arn:aws:s3:::films/*"}}"#,
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["iam:*","keyledger:*"],"Resource":"*"}}"#,
];
const ACTIONS: [&str; 8] = [
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:ListBucket",
    "s3:CreateBucket",
    "s3:ListAllMyBuckets",
    "iam:CreateUser",
    "iam:CreateAccessKey",
];
const RESOURCES: [&str; 6] =
    ["*", PHOTO, FILM, "arn:aws:s3:::photos", "arn:aws:s3:::theirs/x", "arn:aws:iam::123456789012:user/bob"];

prop_compose! {
    fn a_grant()(name in prop::option::of(0..2_usize), role in 0..3_usize) -> Grant {
        let role = [GrantRole::ReadOnly, GrantRole::Editor, GrantRole::Admin][role];
        let name = name.filter(|_| role != GrantRole::Admin);
        Grant { bucket: name.map(|name| bucket(["photos", "films"][name])), role }
    }
}

prop_compose! {
    fn a_key()(
        grants in prop::collection::vec(a_grant(), 0..3),
        policies in prop::sample::subsequence(vec!["p0", "p1", "p2", "p3", "p4", "p5"], 0..=3),
        default_allow in any::<bool>(),
        days in prop::option::of(1..5_i64),
    ) -> CreateAccessKey {
        CreateAccessKey {
            grants,
            policies: policies.into_iter().map(Into::into).collect(),
            default_allow,
            expires_at: days.map(|days| given::START.plus_ns(days * DAY)),
            ..for_bob()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// MinIO CVE-2024-24747, CVE-2025-62506, RustFS CVE-2026-22043: no question that a child may and its maker may not.
    #[test]
    fn a_child_is_within_its_parent_denies_included(
        maker in a_key(),
        child in a_key(),
        of_owner in prop::sample::subsequence(vec!["p0", "p1", "p2", "p3", "p4", "p5"], 0..=3),
        of_group in prop::sample::subsequence(vec!["p0", "p1", "p2", "p3", "p4", "p5"], 0..=2),
        boundary in prop::option::of(0..6_usize),
        dialect in prop::sample::select(vec![Dialect::Native, Dialect::AwsIam, Dialect::TigrisIam]),
        rotate in any::<bool>(),
        later in 0..3_i64,
    ) {
        let mut given = orgs();
        let org = given.org();
        let settings = OrgSettings { iam_keys_per_user_max: Some(99), ..OrgSettings::default() };
        given.done(Command::SetOrgSettings { org, settings: settings.into() });
        for (number, document) in DOCUMENTS.iter().enumerate() {
            given.policy(&format!("p{number}"), document);
        }
        given.done(Command::AddGroupMember { org, group: "staff".into(), user: "bob".into() });
        for policy in of_owner {
            attach(&mut given, policy, bob());
        }
        for policy in of_group {
            attach(&mut given, policy, Target::Group("staff".into()));
        }
        if let Some(number) = boundary {
            let policy = Some(format!("p{number}").as_str().into());
            given.done(Command::SetUserBoundary { org, user: "bob".into(), policy });
        }
        let maker = given.key(maker);
        let command = if rotate {
            Command::RotateKey { key: maker.id.clone(), grace_ns: None, expires_at: child.expires_at }
        } else {
            Command::CreateKey { org, key: child.into() }
        };
        let caller = Caller::key(maker.id.clone(), dialect);
        let made = match given.decide(&caller, &command) {
            Ok(_) => given.done_by(&caller, command),
            Err(_) => return Ok(()),
        };
        let id = match made {
            Outcome::KeyCreated(made) => made.access_key_id,
            Outcome::KeyRotated { new, .. } => new.access_key_id,
            other => panic!("{other:?}"),
        };
        let child = given.state.key(id.as_str()).unwrap();
        given.after(later * DAY);
        for action in ACTIONS {
            for resource in RESOURCES {
                let by_child = reason(&given, &child, action, resource);
                if by_child.allows() {
                    // A rotated key ends before its successor: what counts is what it could do until then.
                    let key = given.again(&maker);
                    let at = if rotate { given::START.plus_ns(1) } else { given.now };
                    let by_maker = given.state.standing(&key).decide(&Request::new(action, resource, &()), at).reason;
                    let ended = matches!(by_maker, Reason::Unusable { status: KeyStatus::Expired }) && rotate;
                    prop_assert!(by_maker.allows() || ended, "{action} {resource}: {by_child:?}, maker {by_maker:?}");
                }
            }
        }
    }
}
