//! The condition keys that say who asks and when: a caller's, whatever the request brings.
//!
//! | key | a user's key | the org's, or a bucket's |
//! |---|---|---|
//! | `aws:username` | the user's name | absent |
//! | `aws:userid` | the user's uid | the account id |
//! | `aws:PrincipalArn` | `arn:aws:iam::ACCOUNT:user/PATH/NAME` | `arn:aws:iam::ACCOUNT:root` |
//! | `aws:PrincipalType` | `User` | `Account` |
//! | `aws:PrincipalTag/…` | the user's tags | absent |
//!
//! Invariants
//! - A request cannot speak for these: they are never asked of its own context.
//!
//! Not here: what the request brings (`gate`).

use super::Standing;
use crate::model::Time;
use crate::policy::{ConditionKey, Context, Found, KnownKey, Value};
use crate::state::{OrgRecord, UserRecord};
use compact_str::{CompactString, ToCompactString as _, format_compact};
use std::cell::OnceCell;
use std::sync::Arc;

/// A request's context with the caller's keys before it.
pub(super) struct WithPrincipal<'a, C: ?Sized> {
    request: &'a C,
    now: Time,
    org: Option<&'a Arc<OrgRecord>>,
    user: Option<&'a Arc<UserRecord>>,
    /// Written out when they are asked for.
    account: OnceCell<CompactString>,
    user_id: OnceCell<CompactString>,
    arn: OnceCell<CompactString>,
}

impl<'a, C: Context + ?Sized> WithPrincipal<'a, C> {
    pub fn new(standing: &Standing<'a>, request: &'a C, now: Time) -> Self {
        Self {
            request,
            now,
            org: standing.org_record(),
            user: standing.user(),
            account: OnceCell::new(),
            user_id: OnceCell::new(),
            arn: OnceCell::new(),
        }
    }

    fn account(&self) -> &str {
        self.account.get_or_init(|| self.org.map(|org| org.account.to_compact_string()).unwrap_or_default())
    }

    fn arn(&self) -> &str {
        self.arn.get_or_init(|| match self.user {
            Some(user) => format_compact!("arn:aws:iam::{}:user{}{}", self.account(), user.path, user.name),
            None => format_compact!("arn:aws:iam::{}:root", self.account()),
        })
    }

    fn user_id(&self) -> &str {
        match self.user {
            Some(user) => self.user_id.get_or_init(|| user.user.aws_id()),
            None => self.account(),
        }
    }

    /// A user's tag: written as in the policy if there is such a one, else whatever its case.
    fn tag(&self, key: &ConditionKey) -> Option<&str> {
        let tags = &self.user?.tags;
        let exact = tags.get(key.tag());
        let any = || tags.iter().find(|(name, _)| same_tag(name, key.tag())).map(|(_, value)| value);
        exact.or_else(any).map(CompactString::as_str)
    }
}

fn same_tag(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || one.chars().flat_map(char::to_lowercase).eq(other.chars().flat_map(char::to_lowercase))
}

/// Whether a key is answered here, so that no request can have another value for it.
pub(super) fn is_answered(key: &ConditionKey) -> bool {
    use KnownKey::{
        CurrentTime, EpochTime, PrincipalAccount, PrincipalArn, PrincipalIsAwsService, PrincipalTag, PrincipalType,
        ResourceAccount, S3ResourceAccount, UserId, UserName, ViaAwsService,
    };
    matches!(
        key.known(),
        Some(
            CurrentTime
                | EpochTime
                | PrincipalAccount
                | PrincipalArn
                | PrincipalIsAwsService
                | PrincipalTag
                | PrincipalType
                | ResourceAccount
                | S3ResourceAccount
                | UserId
                | UserName
                | ViaAwsService
        )
    )
}

impl<C: Context + ?Sized> Context for WithPrincipal<'_, C> {
    fn find(&self, key: &ConditionKey) -> Found<'_> {
        let text = |text| Found::One(Value::Text(text));
        match key.known() {
            Some(KnownKey::CurrentTime) => Found::One(Value::Time(self.now)),
            Some(KnownKey::EpochTime) => Found::One(Value::Integer(self.now.0.div_euclid(1_000_000_000))),
            Some(KnownKey::UserName) => self.user.map_or(Found::Absent, |user| text(&user.name)),
            Some(KnownKey::UserId) => text(self.user_id()),
            Some(KnownKey::PrincipalArn) => text(self.arn()),
            Some(KnownKey::PrincipalAccount | KnownKey::ResourceAccount | KnownKey::S3ResourceAccount) => {
                text(self.account())
            }
            Some(KnownKey::PrincipalType) => text(if self.user.is_some() { "User" } else { "Account" }),
            Some(KnownKey::PrincipalTag) => self.tag(key).map_or(Found::Absent, text),
            Some(KnownKey::PrincipalIsAwsService | KnownKey::ViaAwsService) => Found::One(Value::Bool(false)),
            _ => self.request.find(key),
        }
    }
}
