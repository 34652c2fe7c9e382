//! The table: one row for each thing that can be asked. Routing, 404 and 405, parameters, rights and the OpenAPI document come
//! from it, so that none of them can say otherwise than another.
//!
//! Not here: what a row does (one file a noun), and asking it (`super`).

use super::call::{Answer, Call};
use super::problem::Problem;
use super::{
    audit, buckets, events, evidence, groups, health, keys, node, org, policies, simulate, state, tokens, users,
};
use crate::ledger::{Command, Done};
use crate::sigv4::path_text;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// What stands before every path.
pub const PREFIX: &str = "/api/v1";

/// One thing that can be asked.
#[derive(Clone, Copy)]
pub struct Route {
    pub method: &'static str,
    /// Below [`PREFIX`]; `{name}` is one segment, percent-encoded.
    pub path: &'static str,
    /// In one line, and the operation's name in diagnostics.
    pub about: &'static str,
    pub query: &'static [Param],
    /// Takes `limit` and `cursor`.
    pub is_paged: bool,
    pub body: Option<SchemaOf>,
    pub answer: SchemaOf,
    pub status: u16,
    pub does: Does,
}

/// What a route does.
#[derive(Clone, Copy)]
pub enum Does {
    /// Answers from the published state, at once. For whoever may do the action; a Member too, of its own, where `own` says so.
    Look { action: &'static str, own: bool, run: fn(&Call<'_>) -> Result<Answer, Problem> },
    /// The same, where the log or every key is read: beside the tasks, so many at a time.
    Dig { action: &'static str, run: fn(&Call<'_>) -> Result<Answer, Problem> },
    /// Orders a command, for whom the ledger lets, and shows what came of it.
    Change { command: fn(&Call<'_>) -> Result<Command, Problem>, shows: Shows },
    /// Orders a command in a storage node's name, for whose key a policy allows the action.
    Report { action: &'static str, command: fn(&Call<'_>) -> Result<Command, Problem>, shows: Shows },
    /// The log as it grows.
    Stream { action: &'static str },
    /// This table. For anybody.
    Document,
}

/// What is shown of a change: its target as it is now.
pub type Shows = fn(&Call<'_>, &Done) -> Result<Answer, Problem>;

pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

pub fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A parameter of the query.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    pub name: &'static str,
    pub about: &'static str,
    pub kind: Kind,
    pub required: bool,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text,
    /// RFC 3339, an age (`7d`) or a commit (`seq:1234`).
    When,
    /// A number between two bounds, both included.
    Number(u64, u64),
    /// `true` or `false`.
    Flag,
    OneOf(&'static [&'static str]),
    /// May be given several times.
    Many,
}

impl Param {
    const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, about, kind, required: false }
    }

    pub const fn text(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Kind::Text, about)
    }

    pub const fn when(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Kind::When, about)
    }

    pub const fn flag(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Kind::Flag, about)
    }

    pub const fn many(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Kind::Many, about)
    }

    pub const fn number(name: &'static str, min: u64, max: u64, about: &'static str) -> Self {
        Self::new(name, Kind::Number(min, max), about)
    }

    pub const fn one_of(name: &'static str, words: &'static [&'static str], about: &'static str) -> Self {
        Self::new(name, Kind::OneOf(words), about)
    }

    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// The largest commit that can be asked for.
pub const SEQ_MAX: u64 = u64::MAX >> 1;

/// Of every read: the newest commit that must be in the answer.
pub const MIN_SEQ: Param =
    Param::number("min_seq", 0, SEQ_MAX, "Wait until this commit is there, for at most 2 s; else 409");
pub const LIMIT: Param = Param::number("limit", 1, 1_000, "Items of a page; 100 unless given");
pub const CURSOR: Param = Param::text("cursor", "`next_cursor` of the page before");
pub const EXPECTED: Param = Param::number(
    "expected_version",
    1,
    SEQ_MAX,
    "`changed_seq` that the target must have, else 412; the same as If-Match",
);

impl Route {
    const fn new(method: &'static str, path: &'static str, about: &'static str, answer: SchemaOf, does: Does) -> Self {
        Self { method, path, about, query: &[], is_paged: false, body: None, answer, status: 200, does }
    }

    pub const fn look(
        path: &'static str,
        about: &'static str,
        action: &'static str,
        answer: SchemaOf,
        run: fn(&Call<'_>) -> Result<Answer, Problem>,
    ) -> Self {
        Self::new("GET", path, about, answer, Does::Look { action, own: false, run })
    }

    /// A look that a Member may have at what is its own.
    pub const fn look_own(
        path: &'static str,
        about: &'static str,
        action: &'static str,
        answer: SchemaOf,
        run: fn(&Call<'_>) -> Result<Answer, Problem>,
    ) -> Self {
        Self::new("GET", path, about, answer, Does::Look { action, own: true, run })
    }

    pub const fn dig(
        path: &'static str,
        about: &'static str,
        action: &'static str,
        answer: SchemaOf,
        run: fn(&Call<'_>) -> Result<Answer, Problem>,
    ) -> Self {
        Self::new("GET", path, about, answer, Does::Dig { action, run })
    }

    pub const fn change(
        method: &'static str,
        path: &'static str,
        about: &'static str,
        command: fn(&Call<'_>) -> Result<Command, Problem>,
        answer: SchemaOf,
        shows: Shows,
    ) -> Self {
        Self::new(method, path, about, answer, Does::Change { command, shows })
    }

    pub const fn report(
        method: &'static str,
        path: &'static str,
        about: &'static str,
        action: &'static str,
        command: fn(&Call<'_>) -> Result<Command, Problem>,
        answer: SchemaOf,
        shows: Shows,
    ) -> Self {
        Self::new(method, path, about, answer, Does::Report { action, command, shows })
    }

    /// A question that has a body.
    pub const fn asked_by_post(mut self) -> Self {
        self.method = "POST";
        self
    }

    pub const fn query(mut self, query: &'static [Param]) -> Self {
        self.query = query;
        self
    }

    pub const fn paged(mut self) -> Self {
        self.is_paged = true;
        self
    }

    pub const fn takes(mut self, body: SchemaOf) -> Self {
        self.body = Some(body);
        self
    }

    pub const fn creates(mut self) -> Self {
        self.status = 201;
        self
    }

    /// Answers before what it began has ended.
    pub const fn begins(mut self) -> Self {
        self.status = 202;
        self
    }

    pub fn is_change(&self) -> bool {
        matches!(self.does, Does::Change { .. } | Does::Report { .. })
    }

    /// Every parameter that its query may have.
    pub fn params(&self) -> impl Iterator<Item = Param> + '_ {
        let paging = [LIMIT, CURSOR].into_iter().filter(|_| self.is_paged);
        let common = match self.does {
            Does::Look { .. } | Does::Dig { .. } => Some(MIN_SEQ),
            Does::Change { .. } => Some(EXPECTED),
            Does::Report { .. } | Does::Stream { .. } | Does::Document => None,
        };
        self.query.iter().copied().chain(paging).chain(common)
    }
}

const OWN: &[Route] = &[
    Route {
        query: events::QUERY,
        ..Route::new(
            "GET",
            "/events",
            "The log as server-sent events, each of them an entry of the audit log",
            schema::<String>,
            Does::Stream { action: "keyledger:ReadLog" },
        )
    },
    Route::new(
        "GET",
        "/openapi.json",
        "This document",
        schema::<serde_json::Map<String, serde_json::Value>>,
        Does::Document,
    ),
];

/// Every route.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    let all: [&'static [Route]; 14] = [
        OWN,
        org::ROUTES,
        users::ROUTES,
        groups::ROUTES,
        keys::ROUTES,
        policies::ROUTES,
        simulate::ROUTES,
        buckets::ROUTES,
        tokens::ROUTES,
        state::ROUTES,
        audit::ROUTES,
        evidence::ROUTES,
        health::ROUTES,
        node::ROUTES,
    ];
    all.into_iter().flatten()
}

/// The names in a path, with what stands there.
pub type Names = Vec<(&'static str, String)>;

/// What a path means.
#[derive(Debug)]
pub enum Found {
    Route(&'static Route, Names),
    /// Other methods are taken there: the value of Allow.
    Method(String),
    Nothing,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// Finds the route of a method and a path as sent. A literal segment comes before a name.
pub fn find(method: &str, path: &str) -> Found {
    let Some(below) = path.strip_prefix(PREFIX) else { return Found::Nothing };
    let fitting: Vec<(&'static Route, Names)> =
        routes().filter_map(|route| names(route.path, below).map(|names| (route, names))).collect();
    let Some(fewest) = fitting.iter().map(|(_, names)| names.len()).min() else { return Found::Nothing };
    let mut methods: Vec<&str> = Vec::new();
    for (route, names) in fitting.into_iter().filter(|(_, names)| names.len() == fewest) {
        if route.method == method {
            return Found::Route(route, names);
        }
        if !methods.contains(&route.method) {
            methods.push(route.method);
        }
    }
    Found::Method(methods.join(", "))
}

/// What stands for the names of `template` in `path`, when it fits.
fn names(template: &'static str, path: &str) -> Option<Names> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut names = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(names),
            (Some(wanted), Some(given)) => match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(name) => {
                    let text = path_text(given.as_bytes()).filter(|text| !text.is_empty())?;
                    names.push((name, text.into_owned()));
                }
                None if wanted == given => {}
                None => return None,
            },
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn found(method: &str, path: &str) -> String {
        match find(method, &format!("{PREFIX}{path}")) {
            Found::Route(route, names) => format!("{route:?} {names:?}"),
            Found::Method(allow) => format!("405 {allow}"),
            Found::Nothing => "404".to_owned(),
        }
    }

    #[test]
    fn a_path_means_one_route_and_its_names_are_decoded() {
        assert_eq!(found("GET", "/users/a%2Bb"), r#"GET /users/{user} [("user", "a+b")]"#);
        assert_eq!(found("POST", "/keys/import"), "POST /keys/import []");
        assert_eq!(found("PUT", "/users"), "405 GET, POST");
        for nothing in ["", "/", "/users/", "/users//role", "/nothing", "/users/%ff", "/users/a/b/c/d"] {
            assert_eq!(found("GET", nothing), "404", "{nothing}");
        }
        assert!(matches!(find("GET", "/api/v2/users"), Found::Nothing));
    }

    #[test]
    fn no_two_routes_are_the_same_and_no_parameter_stands_twice() {
        let mut seen = BTreeSet::new();
        for route in routes() {
            assert!(seen.insert((route.method, route.path)), "{route:?} stands twice");
            assert!(route.path.starts_with('/') && !route.about.ends_with('.'), "{route:?}");
            let names: Vec<_> = route.params().map(|param| param.name).collect();
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{route:?}: {names:?}");
        }
    }

    #[test]
    fn every_read_asks_for_a_right_of_its_own_kind() {
        for route in routes() {
            let (Does::Look { action, .. } | Does::Dig { action, .. } | Does::Stream { action }) = route.does else {
                continue;
            };
            assert!(action.starts_with("keyledger:Read"), "{route:?}: {action}");
        }
    }
}
