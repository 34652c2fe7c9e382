//! What a key may do when the request is not known: always, sometimes, or never.
//!
//! Conditions about the caller and the time are decided; those about the request stay open. A Deny whose open conditions could hold
//! makes *always* into *sometimes*; an Allow whose open conditions could hold makes *never* into *sometimes*. Whether open
//! conditions can all hold together is not looked into, so *sometimes* may be never, and never the other way round.
//!
//! Not here: a question with all its context (`decide`).

use super::{Question, bearer_name, document_name, statement_of, why};
use crate::audit::names::Worlds;
use crate::model::{KeyOwner, OrgKind, Time};
use crate::policy::{Condition, Effect, Statement};
use crate::state::access::{About, Access, Bearer, By, Reason};
use crate::state::{KeyRecord, Standing};
use serde::Serialize;

/// Whether it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum May {
    Never,
    /// Some requests.
    Sometimes,
    Always,
}

impl May {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            May::Never => "never",
            May::Sometimes => "sometimes",
            May::Always => "always",
        }
    }
}

/// Whether a key may, and what says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Power {
    pub may: May,
    /// In words.
    pub why: String,
    /// The statements that allow it, or might.
    pub allows: Vec<Because>,
    /// The statements that deny it, or might.
    pub denies: Vec<Because>,
    /// A document is not in evidence, so it may be otherwise.
    pub uncertain: bool,
    /// Never, although something gives it: a Deny, the boundary or the quarantine takes it away.
    #[serde(skip)]
    pub taken_away: bool,
}

/// A statement that bears on an answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Because {
    /// ``policy `reader` ``, ``inline policy `home` ``, `role Editor`
    pub policy: String,
    /// ``user `alice` ``, ``group `staff` ``, ``key `NQAK…` ``
    pub held_by: String,
    /// Its place in the document, counted from 0, and its Sid.
    pub statement: u32,
    pub sid: Option<String>,
    /// `Allow` or `Deny`.
    pub effect: &'static str,
    pub says: String,
    /// What it asks of the request, each in words.
    pub conditions: Vec<String>,
}

impl Because {
    pub(super) fn of(worlds: &Worlds, standing: &Standing<'_>, key: &KeyRecord, by: By) -> Option<Self> {
        let statement = statement_of(standing, by)?;
        Some(Self::new(worlds, standing, key, by, statement))
    }

    fn new(worlds: &Worlds, standing: &Standing<'_>, key: &KeyRecord, by: By, statement: &Statement) -> Self {
        Self {
            policy: document_name(worlds, standing, by.document),
            held_by: bearer_name(worlds, key, by.document.holder),
            statement: by.statement,
            sid: statement.sid.as_deref().filter(|sid| !sid.is_empty()).map(str::to_owned),
            effect: statement.effect.as_str(),
            says: statement.grant().to_string(),
            conditions: statement.conditions.iter().map(in_words).collect(),
        }
    }
}

/// `aws:sourceip NotIpAddress 203.0.113.0/24`
pub(super) fn in_words(condition: &Condition) -> String {
    format!("{} {} {}", condition.key.as_str(), condition.operator, condition.values.as_written().join(" or "))
}

/// What `key` may do of `question`, whose context is what is known of the request.
#[must_use]
pub fn power(worlds: &Worlds, key: &KeyRecord, question: &Question, now: Time) -> Power {
    let state = worlds.state_of(key.org);
    let standing = state.standing(key);
    let (access, about) =
        question.with_request(|request| (standing.decide(request, now), standing.statements_about(request, now)));
    let in_evidence = worlds.kind_of(key.org) == OrgKind::Evidence;
    // Of an evidence org's own keys nothing is known but that they exist.
    let uncertain = access.unread.is_some() || (in_evidence && key.owner == KeyOwner::Org && !key.is_scoped());
    let because = |it: &About<'_>| Because::new(worlds, &standing, key, it.by, it.statement);
    let open = |it: &About<'_>| it.of_request.iter().any(|condition| !is_given(question, condition));
    let closed_hold = |it: &About<'_>| {
        let given = it.of_request.iter().filter(|condition| is_given(question, condition));
        it.of_caller_hold && question.with_request(|request| given.clone().all(|it| it.holds(request.context)))
    };
    let (boundary, others): (Vec<About<'_>>, Vec<About<'_>>) =
        about.into_iter().filter(closed_hold).partition(|it| it.by.document.holder == Bearer::Boundary);
    let denies: Vec<&About<'_>> = others.iter().filter(|it| it.statement.effect == Effect::Deny).collect();
    let allows: Vec<&About<'_>> =
        others.iter().filter(|it| it.statement.effect == Effect::Allow && it.counts).collect();
    // A role or default needs no statement; they decide if nothing else comes before.
    let by_role = question.with_request(|request| standing.by_role(request));
    let is_given_something = !allows.is_empty() || by_role.is_some();
    let never = |why: String, denies: Vec<Because>, taken_away: bool| {
        let taken_away = taken_away && is_given_something;
        Power { may: May::Never, why, allows: vec![], denies, uncertain, taken_away }
    };
    match access.reason {
        Reason::Quarantined => return never(why(&access, key), vec![], true),
        Reason::Unusable { .. } | Reason::OtherBucket | Reason::Unreadable { .. } => {
            return never(why(&access, key), vec![], false);
        }
        Reason::Admin => {
            let (why, allows, denies) = (why(&access, key), vec![], vec![]);
            return Power { may: May::Always, why, allows, denies, uncertain, taken_away: false };
        }
        _ => {}
    }
    if let Some(deny) = denies.iter().find(|it| !open(it)) {
        return never("a Deny".to_owned(), vec![because(deny)], true);
    }
    let mut always = denies.is_empty();
    if standing.boundary().is_some() {
        let of = |effect| boundary.iter().filter(move |it: &&About<'_>| it.statement.effect == effect);
        if let Some(deny) = of(Effect::Deny).find(|it| !open(it)) {
            return never("a Deny in the permissions boundary".to_owned(), vec![because(deny)], true);
        }
        if of(Effect::Allow).next().is_none() {
            return never("the permissions boundary does not allow it".to_owned(), vec![], true);
        }
        always &= of(Effect::Deny).next().is_none() && of(Effect::Allow).any(|it| !open(it));
    }
    if allows.is_empty() && by_role.is_none() {
        return never(why(&access, key), denies.into_iter().map(because).collect(), false);
    }
    always &= by_role.is_some() || allows.iter().any(|it| !open(it));
    let why = match by_role {
        Some(reason) => why(&Access { reason, ..access }, key),
        None if always => "an Allow".to_owned(),
        None => "an Allow, for some requests".to_owned(),
    };
    Power {
        may: if always { May::Always } else { May::Sometimes },
        why,
        allows: allows.into_iter().map(because).collect(),
        denies: denies.into_iter().map(because).collect(),
        uncertain,
        taken_away: false,
    }
}

fn is_given(question: &Question, condition: &Condition) -> bool {
    question.context.iter().any(|(key, _)| key.is(condition.key.as_str()))
}
