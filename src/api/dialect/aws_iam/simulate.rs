//! The policy simulator, and what condition keys policies ask for. With a context entry `keyledger:AsOf` of type `date` it answers
//! for the past: by the policies that were in force then.
//!
//! Not here: simulating (`simulation`); what a key could really do then (`audit::rights`).

use super::call::{Answer, Call};
use super::error::IamError;
use super::form::{Shape, missing};
use super::names::{AnyPolicy, group_by_arn, user_by_arn};
use super::page::Paging;
use super::simulation::{Asked, Entries, Source, Supposed, inputs, key_name, simulate};
use super::xml::Xml;
use crate::audit::{Archive, AuditError, History};
use crate::model::{PolicyUid, Time};
use crate::policy::{ArnPattern, ConditionKey, Document, Listed, Pattern, ResourcePattern, Values};
use crate::state::{GroupRecord, PolicyText, State, UserRecord};
use compact_str::CompactString;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Pairs of action and resource of a call.
const PAIRS_MAX: usize = 10_000;

pub fn principal(call: &Call<'_>) -> Answer {
    let arn = call.form.required("PolicySourceArn", Shape::ARN)?;
    let asked = Question::read(call)?;
    call.authorize(arn)?;
    match asked.entries.as_of {
        Some(at) => {
            // Replaying the log takes its time, which is not the other requests'.
            let past = tokio::task::block_in_place(|| past(call, at))?;
            of_principal(call, &past, arn, &asked, at)
        }
        None => of_principal(call, call.state(), arn, &asked, call.now()),
    }
}

/// The state as of `at`.
fn past(call: &Call<'_>, at: Time) -> Result<State, IamError> {
    if at > call.now() {
        return Err(IamError::input("keyledger:AsOf is in the future"));
    }
    let failed = |error: AuditError| {
        tracing::warn!(%error, "the past could not be read");
        IamError::new(500, "ServiceFailure", "The past cannot be read now.")
    };
    let api = call.api;
    let reader = api.ledger.reader().clone();
    let archive = Archive::without_index(Arc::clone(&api.io), reader.clone());
    let seq = archive.seq_at(at).map_err(failed)?;
    let replayed = crate::state::at::at(api.io.as_ref(), &api.options.dir, &reader, seq, &mut |_| {});
    replayed.map(|replayed| replayed.state).map_err(|error| failed(error.into()))
}

/// What is asked, beside of whom.
struct Question {
    inputs: Vec<Source>,
    boundary: Vec<Source>,
    entries: Entries,
    actions: Vec<String>,
    resources: Vec<String>,
    paging: Paging,
    excluded: Vec<Excluded>,
}

/// A policy that is to be left out.
struct Excluded {
    kind: Option<&'static str>,
    arn: Option<String>,
    /// Name, and of whom.
    inline: Option<(String, &'static str, String)>,
}

impl Question {
    fn read(call: &Call<'_>) -> Result<Self, IamError> {
        let form = &call.form;
        for unknown in ["ResourcePolicy", "ResourceHandlingOption"] {
            if form.raw(unknown).is_some_and(|value| !value.is_empty()) {
                return Err(IamError::input(format!(
                    "{unknown} is not offered here: buckets have no policies of their own"
                )));
            }
        }
        if form.has_member("OrderedOrganizationPolicyInputList", 1) {
            return Err(IamError::input("OrderedOrganizationPolicyInputList is not offered here"));
        }
        let actions = form.list("ActionNames", Shape::ACTION)?.filter(|actions| !actions.is_empty());
        let actions = actions.ok_or_else(|| missing("ActionNames"))?;
        if let Some(bad) = actions.iter().find(|action| !action.contains(':') || action.contains(['*', '?'])) {
            let bad = crate::model::text::excerpt(bad, 64);
            return Err(IamError::input(format!(
                "Invalid Entity Arn or action: {bad} is no action such as s3:GetObject"
            )));
        }
        let resources = form.list("ResourceArns", Shape::RESOURCE)?.filter(|resources| !resources.is_empty());
        let resources = resources.unwrap_or_else(|| vec!["*"]);
        if actions.len() * resources.len() > PAIRS_MAX {
            return Err(IamError::input(format!("More than {PAIRS_MAX} pairs of action and resource; ask in parts")));
        }
        if let Some(bad) = resources.iter().find(|resource| **resource != "*" && !resource.starts_with("arn:")) {
            return Err(IamError::input(format!("Invalid resource {}", crate::model::text::excerpt(bad, 64))));
        }
        Ok(Self {
            inputs: inputs(form, "PolicyInputList")?,
            boundary: inputs(form, "PermissionsBoundaryPolicyInputList")?,
            entries: Entries::read(form)?,
            actions: actions.into_iter().map(str::to_owned).collect(),
            resources: resources.into_iter().map(str::to_owned).collect(),
            paging: Paging::read(form)?,
            excluded: Excluded::read(call)?,
        })
    }

    /// A page of the pairs, in the order they were asked.
    fn answer(&self, sources: &[Source], boundary: &[Source], who: &Supposed<'_>, now: Time) -> Xml {
        let asked = Asked::new(&self.entries, who, now);
        let pairs =
            self.actions.iter().flat_map(|action| self.resources.iter().map(move |resource| (action, resource)));
        let page = self.paging.page_of_all((0_u32..).zip(pairs), |(place, _)| format!("{place:010}"));
        let mut xml = Xml::default();
        xml.list("EvaluationResults", &page.items, |xml, (_, (action, resource))| {
            simulate(sources, boundary, &asked, action, resource).write(xml);
        });
        page.write_end(&mut xml);
        xml
    }
}

impl Excluded {
    fn read(call: &Call<'_>) -> Result<Vec<Self>, IamError> {
        const KINDS: [&str; 6] = ["inline", "aws-managed", "user-managed", "permission-boundary", "scp", "rcp"];
        let form = &call.form;
        let mut all = Vec::new();
        for number in 1..=256 {
            if !form.has_member("PolicyExclusionList", number) {
                break;
            }
            let part = |part: &str| format!("PolicyExclusionList.member.{number}.{part}");
            let name = form.optional(&part("InlinePolicyIdentifier.PolicyName"), Shape::NAME)?;
            let kinds = ["user", "group", "role"];
            let inline = match (name, form.one_of(&part("InlinePolicyIdentifier.AttachmentType"), &kinds)?) {
                (Some(name), Some(kind)) => {
                    let of = form.required(&part("InlinePolicyIdentifier.AttachmentName"), Shape::NAME)?;
                    Some((name.to_owned(), kind, of.to_owned()))
                }
                _ => None,
            };
            all.push(Self {
                kind: form.one_of(&part("PolicyType"), &KINDS)?,
                arn: form.optional(&part("PolicyArn"), Shape::ARN)?.map(str::to_owned),
                inline,
            });
        }
        Ok(all)
    }

    fn is_inline(&self, name: &str, kind: &str, of: &str) -> bool {
        match &self.inline {
            Some((own, own_kind, own_of)) => own == name && *own_kind == kind && own_of.eq_ignore_ascii_case(of),
            None => self.arn.is_none() && self.kind == Some("inline"),
        }
    }

    fn is_managed(&self, policy: &AnyPolicy, arn: &str) -> bool {
        if let Some(own) = &self.arn {
            return own.eq_ignore_ascii_case(arn);
        }
        let kind = if matches!(policy, AnyPolicy::Own(_)) { "user-managed" } else { "aws-managed" };
        self.inline.is_none() && self.kind == Some(kind)
    }
}

/// Collects what bears on a principal.
struct Gathered<'c> {
    call: &'c Call<'c>,
    state: &'c State,
    excluded: &'c [Excluded],
    sources: Vec<Source>,
}

impl Gathered<'_> {
    fn holder(
        &mut self,
        (kind, name): (&'static str, &str),
        attached: &BTreeSet<PolicyUid>,
        inline: &BTreeMap<CompactString, PolicyText>,
    ) -> Result<(), IamError> {
        for (policy, text) in inline {
            if !self.excluded.iter().any(|it| it.is_inline(policy, kind, name)) {
                self.sources.push(Source::new(format!("{kind}_{name}_{policy}"), kind, text)?);
            }
        }
        for policy in attached.iter().filter_map(|uid| AnyPolicy::by_uid(self.state, *uid)) {
            let arn = policy.arn(self.call.account);
            if !self.excluded.iter().any(|it| it.is_managed(&policy, &arn)) {
                self.sources.push(managed_source(&policy)?);
            }
        }
        Ok(())
    }

    fn group(&mut self, group: &GroupRecord) -> Result<(), IamError> {
        self.holder(("group", &group.name), &group.attached, &group.inline)
    }

    fn user(&mut self, user: &UserRecord) -> Result<(), IamError> {
        self.holder(("user", &user.name), &user.attached, &user.inline)?;
        let state = self.state;
        user.groups.iter().filter_map(|group| state.group(*group)).try_for_each(|group| self.group(group))
    }
}

fn managed_source(policy: &AnyPolicy) -> Result<Source, IamError> {
    let kind = if matches!(policy, AnyPolicy::Own(_)) { "user-managed" } else { "aws-managed" };
    Source::new(policy.name().to_owned(), kind, policy.document())
}

fn of_principal(call: &Call<'_>, state: &State, arn: &str, asked: &Question, now: Time) -> Answer {
    let mut gathered = Gathered { call, state, excluded: &asked.excluded, sources: Vec::new() };
    let (org, account) = (call.org, call.account);
    let (who, boundary) = if let Some(user) = user_by_arn(state, org, account, arn) {
        gathered.user(user)?;
        (Supposed::user(account, user), user.boundary)
    } else if let Some(group) = group_by_arn(state, org, account, arn) {
        gathered.group(group)?;
        (caller(call, state)?, None)
    } else {
        let arn = crate::model::text::excerpt(arn, 128);
        return Err(IamError::no_such(format!("The policy source {arn} cannot be found.")));
    };
    let mut sources = gathered.sources;
    for source in &asked.inputs {
        sources.push(Source::new(source.id.clone(), source.kind, &source.text)?);
    }
    let leave_out = asked.excluded.iter().any(|it| it.kind == Some("permission-boundary"));
    let own = match boundary.filter(|_| asked.boundary.is_empty() && !leave_out) {
        Some(uid) => AnyPolicy::by_uid(state, uid).map(|policy| managed_source(&policy)).transpose()?,
        None => None,
    };
    let own: Vec<Source> = own.into_iter().collect();
    Ok(Some(asked.answer(&sources, if own.is_empty() { &asked.boundary } else { &own }, &who, now)))
}

/// `CallerArn`: the user that is supposed to ask.
fn caller<'a>(call: &Call<'_>, state: &'a State) -> Result<Supposed<'a>, IamError> {
    let Some(arn) = call.form.optional("CallerArn", Shape::RESOURCE)? else { return Ok(Supposed::default()) };
    match user_by_arn(state, call.org, call.account, arn) {
        Some(user) => Ok(Supposed::user(call.account, user)),
        None => Err(IamError::input(format!("CallerArn {} is no user here", crate::model::text::excerpt(arn, 128)))),
    }
}

pub fn custom(call: &Call<'_>) -> Answer {
    if call.form.list("PolicyInputList", Shape::DOCUMENT)?.is_none() {
        return Err(missing("PolicyInputList"));
    }
    let asked = Question::read(call)?;
    call.authorize("*")?;
    let who = caller(call, call.state())?;
    let now = asked.entries.as_of.unwrap_or_else(|| call.now());
    Ok(Some(asked.answer(&asked.inputs, &asked.boundary, &who, now)))
}

pub fn keys_for_custom(call: &Call<'_>) -> Answer {
    if call.form.list("PolicyInputList", Shape::DOCUMENT)?.is_none() {
        return Err(missing("PolicyInputList"));
    }
    let sources = inputs(&call.form, "PolicyInputList")?;
    call.authorize("*")?;
    Ok(Some(keys_of(&sources)))
}

pub fn keys_for_principal(call: &Call<'_>) -> Answer {
    let arn = call.form.required("PolicySourceArn", Shape::ARN)?;
    let more = inputs(&call.form, "PolicyInputList")?;
    call.authorize(arn)?;
    let (state, org, account) = (call.state(), call.org, call.account);
    let mut gathered = Gathered { call, state, excluded: &[], sources: more };
    if let Some(user) = user_by_arn(state, org, account, arn) {
        gathered.user(user)?;
        if let Some(policy) = user.boundary.and_then(|uid| AnyPolicy::by_uid(state, uid)) {
            gathered.sources.push(managed_source(&policy)?);
        }
    } else if let Some(group) = group_by_arn(state, org, account, arn) {
        gathered.group(group)?;
    } else {
        let arn = crate::model::text::excerpt(arn, 128);
        return Err(IamError::no_such(format!("The policy source {arn} cannot be found.")));
    }
    Ok(Some(keys_of(&gathered.sources)))
}

/// Every key that conditions or variables of the documents ask for, each once.
fn keys_of(sources: &[Source]) -> Xml {
    let mut keys = BTreeSet::new();
    for source in sources {
        keys_in(source.document(), &mut |key| {
            keys.insert(key_name(key));
        });
    }
    let mut xml = Xml::default();
    xml.texts("ContextKeyNames", &keys);
    xml
}

fn keys_in(document: &Document, each: &mut dyn FnMut(&ConditionKey)) {
    let variables = |pattern: &Pattern, each: &mut dyn FnMut(&ConditionKey)| {
        pattern.variables().for_each(|variable| each(&variable.key));
    };
    for statement in document.statements() {
        let (Listed::Only(resources) | Listed::AllBut(resources)) = &statement.resources;
        for resource in resources {
            if let ResourcePattern::Arn(arn) = resource {
                arn.patterns().for_each(|pattern: &Pattern| variables(pattern, each));
            }
        }
        for condition in &statement.conditions {
            each(&condition.key);
            match &condition.values {
                Values::Text(patterns) => patterns.iter().for_each(|pattern| variables(pattern, each)),
                Values::Arn(arns) => {
                    let all = arns.iter().flat_map(ArnPattern::patterns);
                    all.for_each(|pattern: &Pattern| variables(pattern, each));
                }
                _ => {}
            }
        }
    }
}
