//! Policy engines a user might pick instead: iam-rs, which reads the same documents, and Cedar, with a policy a statement.

use crate::Result;
use crate::policy::{ACTIONS, Asked, Rule};
use cedar_policy::{Authorizer, Context, Entities, EntityUid, PolicySet, RestrictedExpression};
use iam_rs::{Arn, IAMPolicy, IAMRequest, PolicyEvaluator, Principal, PrincipalId};
use std::str::FromStr;

/// Documents and requests as iam-rs has them, built beforehand.
pub struct IamRs {
    evaluator: PolicyEvaluator,
    requests: Vec<IAMRequest>,
}

impl IamRs {
    pub fn new(document: &str, asked: &[Asked]) -> Result<Self> {
        let policy: IAMPolicy = serde_json::from_str(document)?;
        let requests = asked.iter().map(|asked| {
            let context = iam_rs::Context::new()
                .with_string("aws:SourceIp", asked.address.to_string())
                .with_string("aws:CurrentTime", asked.now_text());
            let principal = Principal::Aws(PrincipalId::String("arn:aws:iam::123456789012:user/alice".into()));
            let arn = Arn::parse(&asked.resource).map_err(|error| format!("{error:?}"))?;
            Ok(IAMRequest::new_with_context(principal, asked.action, arn, context))
        });
        let requests = requests.collect::<Result<_>>()?;
        Ok(Self { evaluator: PolicyEvaluator::with_policies(vec![policy]), requests })
    }

    pub fn allows(&self, at: usize) -> bool {
        self.evaluator.evaluate(&self.requests[at]).is_ok_and(|result| result.decision == iam_rs::Decision::Allow)
    }
}

/// Policies and requests as Cedar has them, built beforehand.
pub struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    requests: Vec<cedar_policy::Request>,
}

impl Cedar {
    pub fn new(rules: &[Rule], asked: &[Asked]) -> Result<Self> {
        let text: String = rules.iter().map(policy_of).collect();
        let requests = asked.iter().map(|asked| {
            let context = Context::from_pairs([
                ("resource".to_owned(), RestrictedExpression::new_string(asked.resource.clone())),
                ("ip".to_owned(), RestrictedExpression::new_ip(asked.address.to_string())),
                ("now".to_owned(), RestrictedExpression::new_long(asked.now)),
            ])?;
            let uid = |text: &str| EntityUid::from_str(text);
            let action = uid(&format!("Action::\"{}\"", asked.action))?;
            Ok(cedar_policy::Request::new(uid("User::\"alice\"")?, action, uid("Object::\"o\"")?, context, None)?)
        });
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: PolicySet::from_str(&text)?,
            entities: Entities::empty(),
            requests: requests.collect::<Result<_>>()?,
        })
    }

    pub fn allows(&self, at: usize) -> bool {
        let response = self.authorizer.is_authorized(&self.requests[at], &self.policies, &self.entities);
        response.decision() == cedar_policy::Decision::Allow
    }
}

fn policy_of(rule: &Rule) -> String {
    let actions: Vec<String> =
        ACTIONS.iter().filter(|action| rule.means(action)).map(|action| format!("Action::\"{action}\"")).collect();
    format!(
        "{}(principal, action in [{}], resource) when {{ context.resource like \"{}\" && \
         context.ip.isInRange(ip(\"{}\")) && context.now < {} }};\n",
        if rule.allow { "permit" } else { "forbid" },
        actions.join(", "),
        rule.resource,
        rule.range,
        rule.before
    )
}
