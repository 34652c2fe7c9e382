//! A key as a form asks for it.
//!
//! Not here: whether its maker may have it made (`ledger::decide`).

use super::form::Form;
use super::refused::Refused;
use super::visitor::{Role, Visitor};
use crate::ledger::{CreateAccessKey, OwnerName};
use crate::model::{BucketName, Grant, GrantRole, Time};
use std::collections::BTreeMap;

/// How a new key gets its rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    All,
    Some,
    /// By policies alone.
    Policies,
}

/// What was typed.
#[derive(Debug)]
pub struct Draft {
    pub label: String,
    pub description: String,
    pub reach: Reach,
    pub all_role: Option<GrantRole>,
    /// Roles of buckets that were offered.
    pub roles: BTreeMap<String, GrantRole>,
    /// Names of others, and their role.
    pub more: String,
    pub more_role: GrantRole,
    pub policies: Vec<String>,
    pub default_allow: bool,
    /// As the form has it: a moment, or nothing for never.
    pub expires: String,
    /// A day, which counts before [`Draft::expires`].
    pub on_day: String,
    /// Makes sending the form twice safe.
    pub token: String,
}

fn role(text: &str) -> Option<GrantRole> {
    [GrantRole::ReadOnly, GrantRole::Editor, GrantRole::Admin].into_iter().find(|role| role.as_str() == text)
}

impl Draft {
    pub fn empty(token: String) -> Self {
        Self {
            label: String::new(),
            description: String::new(),
            reach: Reach::Some,
            all_role: Some(GrantRole::Editor),
            roles: BTreeMap::new(),
            more: String::new(),
            more_role: GrantRole::Editor,
            policies: Vec::new(),
            default_allow: false,
            expires: String::new(),
            on_day: String::new(),
            token,
        }
    }

    pub fn of(form: &Form) -> Self {
        Self {
            label: form.text("label").to_owned(),
            description: form.text("description").to_owned(),
            reach: match form.text("reach") {
                "all" => Reach::All,
                "policies" => Reach::Policies,
                _ => Reach::Some,
            },
            all_role: role(form.text("all_role")),
            roles: form.below("role.").filter_map(|(name, value)| Some((name.to_owned(), role(value)?))).collect(),
            more: form.verbatim("more"),
            more_role: role(form.text("more_role")).unwrap_or(GrantRole::Editor),
            policies: form.all("policy").map(str::to_owned).collect(),
            default_allow: form.text("default_allow") == "yes",
            expires: form.text("expires").to_owned(),
            on_day: form.text("on_day").to_owned(),
            token: form.text("token").to_owned(),
        }
    }

    /// The key, for its maker.
    ///
    /// # Errors
    /// 400 with what to fill in.
    pub fn key(&self, visitor: &Visitor) -> Result<CreateAccessKey, Refused> {
        if self.label.is_empty() {
            return Err(Refused::input("Give the key a label that says which program uses it, and where."));
        }
        let grants = self.grants()?;
        if grants.is_empty() && self.policies.is_empty() {
            return Err(Refused::input(match self.reach {
                Reach::Policies => "Choose at least one policy.",
                _ => "Choose at least one bucket.",
            }));
        }
        let expires = if self.on_day.is_empty() { &self.expires } else { &self.on_day };
        let owner = match visitor.role {
            Role::Member(user) => {
                OwnerName::User(visitor.state.user(user).map(|user| user.name.clone()).unwrap_or_default())
            }
            _ => OwnerName::Org,
        };
        Ok(CreateAccessKey {
            owner,
            label: self.label.as_str().into(),
            description: self.description.as_str().into(),
            grants,
            policies: self.policies.iter().map(Into::into).collect(),
            default_allow: self.default_allow,
            expires_at: Some(expires).filter(|text| !text.is_empty()).map(|text| Time::parse(text)).transpose()?,
            ..CreateAccessKey::default()
        })
    }

    fn grants(&self) -> Result<Vec<Grant>, Refused> {
        match self.reach {
            Reach::Policies => Ok(Vec::new()),
            Reach::All => {
                let role = self.all_role.ok_or_else(|| Refused::input("Choose what the key may do."))?;
                Ok(vec![Grant { bucket: None, role }])
            }
            Reach::Some => {
                let more = self.more.split([',', '\n', ' ']).filter(|name| !name.is_empty());
                let more = more.map(|name| (name, self.more_role));
                let named = self.roles.iter().map(|(name, role)| (name.as_str(), *role)).chain(more);
                let grants = named.map(|(name, role)| Ok(Grant { bucket: Some(BucketName::parse(name)?), role }));
                grants.collect()
            }
        }
    }
}
