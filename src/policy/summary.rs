//! What a document grants, in words and in the two questions every access review asks.
//!
//! Not here: whether a grant has effect; that needs the other documents of its holder and a request.

use super::arn::ResourcePattern;
use super::document::{Document, Effect, Listed, Statement};
use super::pattern::ActionPattern;
use serde::Serialize;
use std::fmt;

/// One statement as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// `Allow` or `Deny`.
    pub effect: &'static str,
    pub actions: Vec<String>,
    /// `NotAction`: all but `actions`.
    pub actions_excluded: bool,
    pub resources: Vec<String>,
    /// `NotResource`: all but `resources`.
    pub resources_excluded: bool,
    /// It holds only for some requests.
    pub has_condition: bool,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let but = |excluded| if excluded { "all but " } else { "" };
        write!(
            f,
            "{} {}{} on {}{}{}",
            self.effect,
            but(self.actions_excluded),
            self.actions.join(", "),
            but(self.resources_excluded),
            self.resources.join(", "),
            if self.has_condition { " (with conditions)" } else { "" }
        )
    }
}

impl Statement {
    /// Whether it names every action there is, or every one of a service. `NotAction` does: it leaves all but a few.
    pub fn is_wildcard_action(&self) -> bool {
        match &self.actions {
            Listed::Only(actions) => actions.iter().any(ActionPattern::is_wildcard),
            Listed::AllBut(_) => true,
        }
    }

    /// Whether it reaches into every bucket. `NotResource` does, unless what it leaves out does too.
    pub fn names_all_buckets(&self) -> bool {
        match &self.resources {
            Listed::Only(resources) => resources.iter().any(ResourcePattern::names_all_buckets),
            Listed::AllBut(resources) => !resources.contains(&ResourcePattern::Any),
        }
    }

    /// The statement as it is shown.
    pub fn grant(&self) -> Grant {
        Grant {
            effect: self.effect.as_str(),
            actions: self.actions.items().iter().map(|action| action.source().to_owned()).collect(),
            actions_excluded: self.actions.is_all_but(),
            resources: self.resources.items().iter().map(ResourcePattern::source).collect(),
            resources_excluded: self.resources.is_all_but(),
            has_condition: !self.conditions.is_empty(),
        }
    }
}

impl Document {
    /// Each statement as it is shown, in order.
    pub fn summary(&self) -> Vec<Grant> {
        self.statements().iter().map(Statement::grant).collect()
    }

    /// Whether some statement allows every action, or every action of a service.
    pub fn allows_wildcard_action(&self) -> bool {
        self.allowing().any(Statement::is_wildcard_action)
    }

    /// Whether some statement allows something in every bucket.
    pub fn allows_all_buckets(&self) -> bool {
        self.allowing().any(|statement| statement.names_all_buckets() && touches_s3(statement))
    }

    fn allowing(&self) -> impl Iterator<Item = &Statement> {
        self.statements().iter().filter(|statement| statement.effect == Effect::Allow)
    }
}

/// `iam:*` on `*` says nothing about buckets.
fn touches_s3(statement: &Statement) -> bool {
    match &statement.actions {
        Listed::Only(actions) => actions.iter().any(|action| match action.source().split_once(':') {
            Some((service, _)) => service == "*" || service.eq_ignore_ascii_case("s3"),
            None => true,
        }),
        Listed::AllBut(actions) => !actions.iter().any(|action| {
            action.is_wildcard() && matches!(action.source().split_once(':'), None | Some(("s3" | "S3" | "*", _)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::DocumentKind;
    use super::*;

    fn document(statement: &str) -> Document {
        let text = format!(r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", {statement}}}}}"#);
        Document::parse(&text, DocumentKind::Managed).unwrap()
    }

    #[test]
    fn grants_read_as_sentences() {
        let shown = |statement| document(statement).summary()[0].to_string();
        assert_eq!(
            shown(r#""Action": ["s3:Get*", "s3:List*"], "Resource": "arn:aws:s3:::b/*""#),
            "Allow s3:Get*, s3:List* on arn:aws:s3:::b/*"
        );
        assert_eq!(
            shown(
                r#""NotAction": "iam:*", "NotResource": "arn:aws:s3:::b", "Condition": {"Bool": {"aws:SecureTransport": true}}"#
            ),
            "Allow all but iam:* on all but arn:aws:s3:::b (with conditions)"
        );
    }

    #[test]
    fn wide_grants_are_told() {
        for (statement, wild, all) in [
            (r#""Action": "*", "Resource": "*""#, true, true),
            (r#""Action": ["s3:GetObject", "s3:*"], "Resource": "arn:aws:s3:::b/*""#, true, false),
            (r#""Action": "s3:GetObject", "Resource": ["arn:aws:s3:::b/*", "arn:aws:s3:::*/*"]"#, false, true),
            (r#""Action": "iam:GetUser", "Resource": "*""#, false, false),
            (r#""NotAction": "iam:*", "Resource": "*""#, true, true),
            (r#""NotAction": "s3:*", "Resource": "*""#, true, false),
            (r#""Action": "s3:Get*", "NotResource": "arn:aws:s3:::b""#, false, true),
        ] {
            let document = document(statement);
            assert_eq!((document.allows_wildcard_action(), document.allows_all_buckets()), (wild, all), "{statement}");
        }
    }
}
