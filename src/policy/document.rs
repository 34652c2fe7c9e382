//! A policy document: what IAM's grammar allows an identity policy to be.
//!
//! Source: IAM User Guide, "Grammar of the IAM JSON policy language" and "IAM and AWS STS quotas". Stricter than
//! AWS in these points, each of which would otherwise mean more or less than its author can see: keys must not
//! be doubled, lists must not be empty, ARNs must have all six parts, a four-digit date must say what it is. A document that
//! is only asked about ([`DocumentKind::Simulated`]) may have empty lists and short ARNs: they are read as AWS does.
//!
//! Not here: conditions and patterns (`condition`, `pattern`), and resource policies: a `Principal` is refused.

use super::arn::ResourcePattern;
use super::condition::{Condition, parse_block};
use super::error::{DocumentError, Path};
use super::json::Json;
use super::pattern::ActionPattern;
use super::program::Program;

/// Bytes of a text that is looked at at all, white space included: as much as IAM's API takes.
const TEXT_BYTES_MAX: usize = 131_072;

/// What a document is for, which decides how long it may be and how strictly it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    /// A policy with a name of its own: 6,144 characters.
    Managed,
    /// Inside a user: 2,048, which all inline documents of the user share (the caller adds them up).
    UserInline,
    /// Inside a group: 5,120, which all inline documents of the group share (the caller adds them up).
    GroupInline,
    /// From outside evidence, where AWS already took it: 10,240, the most for any identity policy (a role's).
    Evidence,
    /// Asked about and never stored, so read as AWS reads it where we are stricter with what we keep: incomplete
    /// ARNs are completed with `*`, empty lists mean nothing, and no size counts but that of the text.
    Simulated,
}

impl DocumentKind {
    /// Characters allowed, white space not counted.
    #[must_use]
    pub fn chars_max(self) -> usize {
        match self {
            DocumentKind::Managed => 6_144,
            DocumentKind::UserInline => 2_048,
            DocumentKind::GroupInline => 5_120,
            DocumentKind::Evidence => 10_240,
            DocumentKind::Simulated => TEXT_BYTES_MAX,
        }
    }
}

/// Characters of a document as IAM counts them: white space is free.
#[must_use]
pub fn size_non_blank(text: &str) -> usize {
    // Characters begin at bytes that go on no other.
    text.bytes().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x80..=0xbf)).count()
}

/// The version of the policy language, by its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// `2008-10-17`, and a document without `Version`: `${…}` is plain text.
    V2008,
    /// `2012-10-17`: with policy variables.
    V2012,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    Allow,
    Deny,
}

impl Effect {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Allow => "Allow",
            Effect::Deny => "Deny",
        }
    }
}

/// `Action` and `Resource`, or `NotAction` and `NotResource`. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed<T> {
    /// These.
    Only(Vec<T>),
    /// Everything but these.
    AllBut(Vec<T>),
}

impl<T> Listed<T> {
    /// What is listed, whichever way it is meant.
    pub fn items(&self) -> &[T] {
        match self {
            Listed::Only(items) | Listed::AllBut(items) => items,
        }
    }

    pub fn is_all_but(&self) -> bool {
        matches!(self, Listed::AllBut(_))
    }
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// `[A-Za-z0-9]*`, once in a document unless empty.
    pub sid: Option<Box<str>>,
    pub effect: Effect,
    pub actions: Listed<ActionPattern>,
    pub resources: Listed<ResourcePattern>,
    /// All must hold.
    pub conditions: Vec<Condition>,
}

/// A policy document, checked and compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    language: Language,
    id: Option<Box<str>>,
    statements: Vec<Statement>,
    program: Program,
    minified: Box<str>,
}

impl Document {
    /// Parses and checks `text`.
    ///
    /// # Errors
    /// The first thing that is wrong: its JSON path, what stands there and what was expected. Fix it and try again.
    pub fn parse(text: &str, kind: DocumentKind) -> Result<Document, DocumentError> {
        if text.len() > TEXT_BYTES_MAX {
            let expected = format!("at most {TEXT_BYTES_MAX}, white space included");
            return Err(DocumentError::new(&Path::Root, format!("{} bytes", text.len()), expected));
        }
        let (size, chars_max) = (size_non_blank(text), kind.chars_max());
        if size > chars_max {
            let expected = format!("at most {chars_max}, white space not counted");
            return Err(DocumentError::new(&Path::Root, format!("{size} characters"), expected));
        }
        let json = Json::parse(text)?;
        let Json::Map(elements) = &json else {
            return Err(DocumentError::new(&Path::Root, json.describe(), "an object with a `Statement`"));
        };
        let mut language = Language::V2008;
        let mut id = None;
        let mut statement = None;
        for (name, value) in elements {
            let path = Path::Root.name(name);
            match &**name {
                "Version" => language = parse_version(value, &path)?,
                "Id" => id = Some(text_at(value, &path, "text")?.into()),
                "Statement" => statement = Some(value),
                _ => return Err(DocumentError::text(&path, name, "only `Version`, `Id` and `Statement`")),
            }
        }
        let path = Path::Root.name("Statement");
        let reading = Reading { variables: language == Language::V2012, as_aws: kind == DocumentKind::Simulated };
        let statements: Vec<_> = match statement {
            None => return Err(DocumentError::new(&path, "nothing", "a statement or a list of statements")),
            Some(Json::List(list)) if list.is_empty() => {
                return Err(DocumentError::new(&path, "an empty list", "at least one statement"));
            }
            Some(Json::List(list)) => {
                let each = list.iter().enumerate();
                each.map(|(index, json)| parse_statement(json, &path.index(index), reading))
                    .collect::<Result<_, _>>()?
            }
            Some(json) => vec![parse_statement(json, &path, reading)?],
        };
        refuse_doubled_sids(&statements, &path)?;
        let mut minified = String::with_capacity(text.len());
        json.minify(&mut minified);
        let program = Program::of(&statements);
        Ok(Document { language, id, statements, program, minified: minified.into() })
    }

    pub fn language(&self) -> Language {
        self.language
    }

    /// The document's own `Id`, which means nothing to IAM.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// At least one.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The first action that is like nothing the engine knows: it would never match a request.
    pub fn unknown_action(&self) -> Option<&str> {
        let actions = self.statements.iter().flat_map(|statement| statement.actions.items());
        actions.into_iter().find(|action| !super::action::is_about_known(action)).map(ActionPattern::source)
    }

    #[inline]
    pub(super) fn program(&self) -> &Program {
        &self.program
    }

    /// The document without white space between its parts, keys in the order they were written.
    pub fn minified(&self) -> &str {
        &self.minified
    }

    /// Characters as IAM counts them.
    pub fn size_non_blank(&self) -> usize {
        size_non_blank(&self.minified)
    }

    /// BLAKE3 of the minified text: equal for documents that differ in white space alone.
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(self.minified.as_bytes()).as_bytes()
    }
}

fn parse_version(json: &Json<'_>, path: &Path<'_>) -> Result<Language, DocumentError> {
    match json {
        Json::Text(text) if text == "2012-10-17" => Ok(Language::V2012),
        Json::Text(text) if text == "2008-10-17" => Ok(Language::V2008),
        other => Err(DocumentError::new(path, other.describe(), "`2012-10-17` (or `2008-10-17`)")),
    }
}

/// How texts in a document are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// `${…}` is a variable.
    pub(super) variables: bool,
    /// Take what AWS takes, where we would rather have it said plainly.
    pub(super) as_aws: bool,
}

fn parse_statement(json: &Json<'_>, path: &Path<'_>, reading: Reading) -> Result<Statement, DocumentError> {
    let Json::Map(elements) = json else {
        return Err(DocumentError::new(path, json.describe(), "a statement, which is an object"));
    };
    let mut sid = None;
    let mut effect = None;
    let mut actions = None;
    let mut resources = None;
    let mut conditions = Vec::new();
    for (name, value) in elements {
        let at = path.name(name);
        match &**name {
            "Sid" => sid = Some(parse_sid(value, &at)?),
            "Effect" => effect = Some(parse_effect(value, &at)?),
            "Action" | "NotAction" => {
                let parse = |text: &str| ActionPattern::parse(text).ok_or(ActionPattern::EXPECTED);
                let items = texts_at(value, &at, "an action or a list of actions", reading, parse)?;
                set_once(&mut actions, listed(items, name == "NotAction"), &at, "`Action` or `NotAction`, not both")?;
            }
            "Resource" | "NotResource" => {
                let parse = |text: &str| ResourcePattern::parse(text, reading);
                let items = texts_at(value, &at, "a resource or a list of resources", reading, parse)?;
                let both = "`Resource` or `NotResource`, not both";
                set_once(&mut resources, listed(items, name == "NotResource"), &at, both)?;
            }
            "Condition" => conditions = parse_block(value, &at, reading)?,
            "Principal" | "NotPrincipal" => {
                let expected = "no principal: whoever holds an identity policy is meant";
                return Err(DocumentError::new(&at, value.describe(), expected));
            }
            _ => {
                let expected = "only `Sid`, `Effect`, `Action`, `NotAction`, `Resource`, `NotResource` and `Condition`";
                return Err(DocumentError::text(&at, name, expected));
            }
        }
    }
    let missing = |name, expected| DocumentError::new(&path.name(name), "nothing", expected);
    Ok(Statement {
        sid,
        effect: effect.ok_or_else(|| missing("Effect", "`Allow` or `Deny`"))?,
        actions: actions.ok_or_else(|| missing("Action", "an action or a list of actions"))?,
        resources: resources.ok_or_else(|| missing("Resource", "a resource or a list of resources"))?,
        conditions,
    })
}

fn listed<T>(items: Vec<T>, all_but: bool) -> Listed<T> {
    if all_but { Listed::AllBut(items) } else { Listed::Only(items) }
}

fn set_once<T>(slot: &mut Option<T>, value: T, path: &Path<'_>, expected: &str) -> Result<(), DocumentError> {
    if slot.is_some() {
        return Err(DocumentError::new(path, "both", expected));
    }
    *slot = Some(value);
    Ok(())
}

fn parse_sid(json: &Json<'_>, path: &Path<'_>) -> Result<Box<str>, DocumentError> {
    let expected = "a statement id of letters and digits";
    let text = text_at(json, path, expected)?;
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(DocumentError::text(path, text, expected));
    }
    Ok(text.into())
}

fn parse_effect(json: &Json<'_>, path: &Path<'_>) -> Result<Effect, DocumentError> {
    match json {
        Json::Text(text) if text == "Allow" => Ok(Effect::Allow),
        Json::Text(text) if text == "Deny" => Ok(Effect::Deny),
        other => Err(DocumentError::new(path, other.describe(), "`Allow` or `Deny`")),
    }
}

/// AWS takes any number of empty ids, which tools write when they have none to give.
fn refuse_doubled_sids(statements: &[Statement], path: &Path<'_>) -> Result<(), DocumentError> {
    let mut seen = std::collections::HashSet::new();
    for (index, statement) in statements.iter().enumerate() {
        let Some(sid) = statement.sid.as_deref().filter(|sid| !sid.is_empty()) else { continue };
        if !seen.insert(sid) {
            return Err(DocumentError::text(
                &path.index(index).name("Sid"),
                sid,
                "an id that no earlier statement has",
            ));
        }
    }
    Ok(())
}

fn text_at<'a>(json: &'a Json<'_>, path: &Path<'_>, expected: &str) -> Result<&'a str, DocumentError> {
    match json {
        Json::Text(text) => Ok(text),
        other => Err(DocumentError::new(path, other.describe(), expected)),
    }
}

/// One text or a list of at least one.
fn texts_at<T>(
    json: &Json<'_>,
    path: &Path<'_>,
    expected: &str,
    reading: Reading,
    parse: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Vec<T>, DocumentError> {
    let one = |json: &Json<'_>, path: &Path<'_>| {
        let text = text_at(json, path, expected)?;
        parse(text).map_err(|expected| DocumentError::text(path, text, expected))
    };
    match json {
        Json::List(list) if list.is_empty() && !reading.as_aws => {
            Err(DocumentError::new(path, json.describe(), expected))
        }
        Json::List(list) => list.iter().enumerate().map(|(index, json)| one(json, &path.index(index))).collect(),
        json => one(json, path).map(|value| vec![value]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str =
        r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#;

    #[test]
    fn one_statement_and_a_list_of_one_mean_the_same() {
        let one = Document::parse(PLAIN, DocumentKind::Managed).unwrap();
        let list = PLAIN.replace("{\"Effect\"", "[{\"Effect\"").replace("}}", "}]}");
        let list = Document::parse(&list, DocumentKind::Managed).unwrap();
        assert_eq!(one.statements(), list.statements());
        assert_ne!(one.hash(), list.hash());
    }

    #[test]
    fn white_space_counts_for_nothing_and_hashes_alike() {
        let spread = PLAIN.replace(": ", "\n:\t ");
        let (a, b) = (Document::parse(PLAIN, DocumentKind::Managed), Document::parse(&spread, DocumentKind::Managed));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!((a.hash(), a.size_non_blank()), (b.hash(), size_non_blank(&spread)));
        assert_eq!(a, b);
        assert_eq!(Document::parse(a.minified(), DocumentKind::Managed).unwrap(), a);
    }

    #[test]
    fn each_kind_has_its_size() {
        for kind in [DocumentKind::Managed, DocumentKind::UserInline, DocumentKind::GroupInline, DocumentKind::Evidence]
        {
            let empty = PLAIN.replace("\"Version\"", "\"Id\": \"\", \"Version\"");
            let room = kind.chars_max() - size_non_blank(&empty);
            let sized =
                |extra: usize| empty.replace("\"Id\": \"\"", &format!("\"Id\": \"{}\"", "ü".repeat(room + extra)));
            assert!(Document::parse(&sized(0), kind).is_ok(), "characters are counted, not bytes");
            let error = Document::parse(&sized(1), kind).unwrap_err();
            assert_eq!(error.path, "document");
            assert!(error.found.ends_with("characters"), "{error}");
        }
        let blank = format!("{PLAIN}{}", " ".repeat(TEXT_BYTES_MAX));
        assert!(Document::parse(&blank, DocumentKind::Managed).unwrap_err().found.ends_with("bytes"));
    }

    #[test]
    fn a_document_that_is_only_asked_about_is_read_as_aws_reads_it() {
        for (strict, short) in [
            ("\"Resource\": \"arn:aws:sqs:*:*:*\"", "\"Resource\": \"arn:aws:sqs\""),
            ("\"Resource\": \"arn:aws:s3:::*\"", "\"Resource\": \"arn:aws:s3::\""),
            ("\"Resource\": \"arn:aws:s3:*:*:*\"", "\"Resource\": \"arn:aws:s3:*\""),
            (
                "\"Resource\": \"*\", \"Condition\": {\"Bool\": {\"aws:SecureTransport\": true}}",
                "\"Resource\": \"*\", \"Condition\": {\"Bool\": {\"aws:SecureTransport\": \"True\"}}",
            ),
        ] {
            let [strict, short] = [strict, short].map(|resource| PLAIN.replace("\"Resource\": \"*\"", resource));
            let stored = Document::parse(&strict, DocumentKind::Managed).expect(&strict);
            assert!(Document::parse(&short, DocumentKind::Managed).is_err(), "{short}");
            let asked = Document::parse(&short, DocumentKind::Simulated).expect(&short);
            let resources = |of: &Document| of.statements()[0].resources.items()[0].source();
            assert_eq!(resources(&asked), resources(&stored));
            assert_eq!(asked.statements()[0].conditions, stored.statements()[0].conditions);
        }
        for resource in ["[]", "\"arn:aws:s3\""] {
            let text = PLAIN.replace("\"Resource\": \"*\"", &format!("\"NotResource\": {resource}"));
            assert!(Document::parse(&text, DocumentKind::Simulated).is_ok(), "{text}");
        }
    }

    #[test]
    fn variables_are_plain_text_before_2012() {
        let odd = PLAIN.replace("\"Resource\": \"*\"", "\"Resource\": \"arn:aws:s3:::b/${oops\"");
        assert!(Document::parse(&odd, DocumentKind::Managed).is_err());
        let old = odd.replace("2012", "2008");
        assert_eq!(Document::parse(&old, DocumentKind::Managed).unwrap().language(), Language::V2008);
    }
}
