//! What a call asked for and was answered: the fields that some change or observation needs, of all services at once.
//!
//! Services give one name many meanings, so every field takes any value (`fields`); whoever needs it judges it.
//!
//! Not here: what the fields mean (`change`, `observe`).

use super::Reject;
use super::fields::{Count, Flag, Obj, Text};
use super::record::broken;
use serde::Deserialize;
use serde_json::value::RawValue;

/// `requestParameters`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Asked<'a> {
    #[serde(borrow)]
    pub bucket_name: Text<'a>,
    #[serde(borrow)]
    pub key: Text<'a>,
    #[serde(borrow)]
    pub prefix: Text<'a>,
    #[serde(borrow)]
    pub user_name: Text<'a>,
    #[serde(borrow)]
    pub new_user_name: Text<'a>,
    #[serde(borrow)]
    pub group_name: Text<'a>,
    #[serde(borrow)]
    pub new_group_name: Text<'a>,
    #[serde(borrow)]
    pub path: Text<'a>,
    #[serde(borrow)]
    pub new_path: Text<'a>,
    #[serde(borrow)]
    pub policy_name: Text<'a>,
    #[serde(borrow)]
    pub policy_arn: Text<'a>,
    #[serde(borrow)]
    pub policy_document: Text<'a>,
    #[serde(borrow)]
    pub description: Text<'a>,
    #[serde(borrow)]
    pub permissions_boundary: Text<'a>,
    pub set_as_default: Flag,
    #[serde(borrow)]
    pub version_id: Text<'a>,
    #[serde(borrow)]
    pub access_key_id: Text<'a>,
    #[serde(borrow)]
    pub status: Text<'a>,
    #[serde(borrow)]
    pub role_name: Text<'a>,
    #[serde(borrow)]
    pub role_arn: Text<'a>,
    #[serde(borrow)]
    pub secret_id: Text<'a>,
    #[serde(borrow)]
    pub function_name: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub tags: Option<&'a RawValue>,
    #[serde(borrow)]
    pub tag_keys: Option<&'a RawValue>,
}

/// `additionalEventData`: bytes of S3's data events.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Transferred {
    pub bytes_transferred_in: Count,
    pub bytes_transferred_out: Count,
}

/// `responseElements`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub user: Obj<Made<'a>>,
    #[serde(borrow)]
    pub group: Obj<Made<'a>>,
    #[serde(borrow)]
    pub policy: Obj<Made<'a>>,
    #[serde(borrow)]
    pub access_key: Obj<Made<'a>>,
    #[serde(borrow)]
    pub policy_version: Obj<Made<'a>>,
    #[serde(borrow)]
    pub credentials: Obj<Made<'a>>,
    #[serde(borrow)]
    pub federated_user: Obj<Named<'a>>,
    #[serde(borrow)]
    pub assumed_role_user: Obj<Named<'a>>,
    #[serde(borrow, rename = "ConsoleLogin")]
    pub console_login: Text<'a>,
}

impl<'a> Answer<'a> {
    /// # Errors
    /// [`Reject`] when the answer is no object.
    pub(super) fn of(raw: Option<&'a RawValue>) -> Result<Self, Reject> {
        let Some(raw) = raw else { return Ok(Self::default()) };
        match serde_json::from_str::<Obj<Self>>(raw.get()) {
            Ok(Obj::Is(answer)) => Ok(answer),
            Ok(Obj::Absent) => Ok(Self::default()),
            Ok(Obj::Wrong(kind)) => Err(Reject::wrong("responseElements", "an object", kind)),
            Err(error) => {
                let reason = broken(&error, raw.get().as_bytes()).reason;
                Err(Reject::new(format!("`responseElements`: {reason}")))
            }
        }
    }
}

/// A noun in an answer, whatever its kind.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Made<'a> {
    #[serde(borrow)]
    pub arn: Text<'a>,
    #[serde(borrow)]
    pub path: Text<'a>,
    #[serde(borrow)]
    pub user_name: Text<'a>,
    #[serde(borrow)]
    pub access_key_id: Text<'a>,
    #[serde(borrow)]
    pub version_id: Text<'a>,
    pub is_default_version: Flag,
}

/// Something with an ARN, in an answer or among `resources`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named<'a> {
    #[serde(borrow, alias = "ARN")]
    pub arn: Text<'a>,
}

/// An element of `requestParameters.tags`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tag<'a> {
    #[serde(borrow, alias = "Key")]
    pub key: Text<'a>,
    #[serde(borrow, alias = "Value")]
    pub value: Text<'a>,
}
