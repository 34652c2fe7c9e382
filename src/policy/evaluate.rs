//! Deciding a request: an explicit deny wins, else an allow, else it is denied implicitly.
//!
//! A statement matches when its action, its resource and all its conditions do. Nothing is allocated, unless a pattern
//! has a policy variable. Statements are looked at in order and the first deny ends it; once something allowed, later
//! allows are passed over, so [`Decision::by`] names the first.
//!
//! Not here: whose documents bear on a request (`state::access`); the statements that did not match (`explain`).

use super::arn::ResourcePattern;
use super::decision::{Decision, StatementAt, Verdict};
use super::document::{Document, Effect, Listed, Statement};
use super::pattern::ActionPattern;
use super::request::{Context, Request};

/// Decides `request` by all of `documents` together.
///
/// Which of them allows and which denies does not matter, nor their order: only [`Decision::by`] depends on it.
pub fn evaluate<'d, C: Context + ?Sized>(
    documents: impl IntoIterator<Item = &'d Document>,
    request: &Request<'_, C>,
) -> Decision {
    let mut decision = Decision::IMPLICIT_DENY;
    for (document, number) in documents.into_iter().zip(0..) {
        let allow = decision.by.is_none();
        match document.first_match(request, allow) {
            Some((statement, Effect::Deny)) => {
                let by = Some(StatementAt { document: number, statement });
                return Decision { verdict: Verdict::ExplicitDeny, by };
            }
            Some((statement, Effect::Allow)) => {
                let by = Some(StatementAt { document: number, statement });
                decision = Decision { verdict: Verdict::Allow, by };
            }
            None => {}
        }
    }
    decision
}

/// The first statement of `documents` that denies `request`; what allows is not looked at.
pub fn first_deny<'d, C: Context + ?Sized>(
    documents: impl IntoIterator<Item = &'d Document>,
    request: &Request<'_, C>,
) -> Option<StatementAt> {
    documents.into_iter().zip(0..).find_map(|(document, number)| {
        let (statement, _) = document.first_match(request, false)?;
        Some(StatementAt { document: number, statement })
    })
}

impl Document {
    /// The first deny that matches; without one and with `allow`, the first allow.
    fn first_match<C: Context + ?Sized>(&self, request: &Request<'_, C>, mut allow: bool) -> Option<(u32, Effect)> {
        let mut allowed = None;
        let numbered = request.action.number().map(|number| self.program().column(number));
        for (at, statement) in self.statements().iter().enumerate() {
            if statement.effect == Effect::Allow && !allow {
                continue;
            }
            let action = match numbered {
                Some(column) => column.has(at),
                None => statement.matches_action(request.action.as_str()),
            };
            if !action
                || !statement.matches_resource(request.resource, request.context)
                || !statement.conditions.iter().all(|condition| condition.holds(request.context))
            {
                continue;
            }
            // A document has less than 2^17 bytes, so less statements than that.
            let found = (u32::try_from(at).unwrap_or(u32::MAX), statement.effect);
            if statement.effect == Effect::Deny {
                return Some(found);
            }
            allowed = Some(found);
            allow = false;
        }
        allowed
    }
}

impl Document {
    /// The statements that are about `request`'s action and resource, whatever their conditions, with their places.
    pub fn about<'d, C: Context + ?Sized>(
        &'d self,
        request: &Request<'_, C>,
    ) -> impl Iterator<Item = (u32, &'d Statement)> {
        (0..).zip(self.statements()).filter(|(_, statement)| {
            statement.matches_action(request.action.as_str())
                && statement.matches_resource(request.resource, request.context)
        })
    }
}

impl Statement {
    pub(super) fn matches_action(&self, action: &str) -> bool {
        let listed = |actions: &[ActionPattern]| actions.iter().any(|pattern| pattern.matches(action));
        match &self.actions {
            Listed::Only(actions) => listed(actions),
            Listed::AllBut(actions) => !listed(actions),
        }
    }

    #[inline]
    pub(super) fn matches_resource<C: Context + ?Sized>(&self, resource: &str, context: &C) -> bool {
        let listed = |patterns: &[ResourcePattern]| patterns.iter().any(|pattern| pattern.matches(resource, context));
        match &self.resources {
            Listed::Only(patterns) => listed(patterns),
            Listed::AllBut(patterns) => !listed(patterns),
        }
    }
}
