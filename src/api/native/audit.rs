//! Questions about the org's past: the reports that the command line prints as JSON, cut to the caller's org.
//!
//! Invariants
//! - Every report is asked of a history that holds the org's own commits alone.
//! - A key of another org and one that never was get the same answer.
//!
//! Not here: the questions themselves (`audit`), who may ask (`rights`), imported records (`evidence`).

use super::body::IdentifySecret;
use super::call::{Answer, Call, Report};
use super::page::{Page, bad_cursor, cursor_of};
use super::problem::Problem;
use super::state::asked_nouns;
use super::table::{Param, Route, schema};
use crate::audit::access::blast::blast_radius;
use crate::audit::access::compare::changes;
use crate::audit::access::intervals::{Interval, Window, intervals};
use crate::audit::access::table::table;
use crate::audit::access::told::{ToldRadius, ToldRights, What};
use crate::audit::access::who::{Able, who_could};
use crate::audit::access::{Question, decide, power};
use crate::audit::at::{AsOf, time_of, worlds_at};
use crate::audit::biography::{Biography, BiographyOptions, biography};
use crate::audit::compromise::{CompromiseOptions, CompromiseReport, compromise};
use crate::audit::diff::{DiffRow, diff};
use crate::audit::identify::{Identified, identify};
use crate::audit::listing::ListingOptions;
use crate::audit::query::KeyPart;
use crate::audit::rotation::{QUESTIONS, RotationOptions, RotationReport, rotation};
use crate::audit::{Archive, Asked, AuditError, FactRow, OrgCut, Query, Worlds, log as facts};
use crate::model::{AccessKeyId, EventId, KeyUid, OrgUid, SecretVersion, Seq, Time, When};
use crate::state::KeyRecord;
use crate::vault::{SecretKey, fingerprints_equal};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

pub const READ: &str = "keyledger:ReadAudit";
const READ_LOG: &str = "keyledger:ReadLog";
/// Rows of a report that has no pages.
const ROWS_MAX: usize = 10_000;

const AT: Param = Param::when("at", "As it was then: RFC 3339, an age such as 7d, or seq:1234");
const KNOWN_AT: Param = Param::when("known_at", "Hide what was recorded later");
pub const SINCE: Param = Param::when("since", "From here on");
pub const UNTIL: Param = Param::when("until", "Until here, exclusive");
const ACTION: Param = Param::text("action", "What is asked, such as s3:GetObject");
const RESOURCE: Param = Param::text("resource", "Of what, such as arn:aws:s3:::bucket/key");
const CONTEXT: Param = Param::many("context", "A condition key of the request, KEY=VALUE; may be repeated");

pub const ROUTES: &[Route] = &[
    Route::dig("/audit/log", "What happened, event by event", READ_LOG, schema::<Page<FactRow>>, log)
        .query(&[
            Param::text("key", "About this access key, or caused by it"),
            Param::one_of(
                "key_part",
                &["either", "about", "caused"],
                "Only what is about the key, or only what it caused",
            ),
            Param::text("user", "About this user or caused by it, under any name it had"),
            Param::text("policy", "About this policy"),
            Param::text("bucket", "About this bucket"),
            Param::text("actor", "Caused by this user, operator or access key"),
            Param::text("address", "From this address or network (203.0.113.0/24)"),
            Param::many("kind", "Of this kind: key-created, policy-attached, …; may be repeated"),
            Param::text("dialect", "By this surface: cli, native, console, aws-iam, …"),
            SINCE,
            UNTIL,
            KNOWN_AT,
            Param::flag("reverse", "Newest first"),
        ])
        .paged(),
    Route::dig("/audit/keys/{key}", "An access key's whole life", READ, schema::<Report<Biography>>, key).query(&[
        AT,
        KNOWN_AT,
        Param::flag("rights", "Also what changed its rights without touching it"),
    ]),
    Route::dig(
        "/audit/rotation",
        "Old, unused and badly rotated keys",
        READ,
        schema::<Report<RotationReport>>,
        rotated,
    )
    .query(&[
        AT,
        KNOWN_AT,
        SINCE,
        UNTIL,
        Param::number("max_age", 1, 100_000, "Days after which a secret is old; the org's setting unless given"),
        Param::number("unused", 1, 100_000, "Days without use after which a key is idle; 45 unless given"),
        Param::number("overlap", 1, 100_000, "Days two keys of one user may both be usable; 30 unless given"),
        Param::many("question", "Only this question, R1 to R14; may be repeated"),
        Param::flag("attribution", "Also who made and last changed each usable key"),
    ]),
    Route::dig(
        "/audit/compromise/{key}",
        "What a leaked key did and made, and what of that is alive",
        READ,
        schema::<Report<CompromiseReport>>,
        compromised,
    )
    .query(&[
        AT,
        KNOWN_AT,
        Param::when("since", "When it leaked: what it did before is its own habit"),
        UNTIL,
        Param::number("widened_days", 0, 3_650, "Also who widened its rights so many days before; 7 unless given"),
        Param::number(
            "ransom_deletes",
            1,
            1_000_000,
            "Deletes from one address that look like ransom; 50 unless given",
        ),
        Param::number("timeline", 0, 10_000, "Rows of the timeline; 200 unless given"),
        Param::number("depth", 1, 64, "Generations of keys and users that are followed; 16 unless given"),
    ]),
    Route::dig(
        "/audit/rights/{key}",
        "What an access key could do",
        READ,
        schema::<Report<ToldRights<'static>>>,
        rights,
    )
    .query(&[AT, Param::when("compare", "Only what became different since then"), ACTION, RESOURCE, CONTEXT]),
    Route::dig(
        "/audit/blast-radius/{key}",
        "What an access key reaches, and could make itself into",
        READ,
        schema::<Report<ToldRadius<'static>>>,
        blast,
    )
    .query(&[AT]),
    Route::dig("/audit/who-could", "Every access key that could do something", READ, schema::<Report<Could>>, who)
        .query(&[
            ACTION.required(),
            RESOURCE.required(),
            CONTEXT,
            AT,
            Param::when("from", "Between two moments: from when to when each key could; with `to`"),
            Param::when("to", "With `from`"),
            Param::text("key", "Only this key, between two moments"),
        ]),
    Route::dig("/audit/diff", "What changed between two moments", READ, schema::<Report<Rows<DiffRow>>>, difference)
        .query(&[
            Param::when("from", "RFC 3339, an age such as 7d, or seq:1234").required(),
            Param::when("to", "Now unless given"),
            Param::many("noun", "Only these: org, user, group, policy, bucket or key; may be repeated"),
        ]),
    Route::dig(
        "/audit/identify",
        "Which access key a leaked secret belongs to",
        READ,
        schema::<Report<Rows<Identified>>>,
        identified,
    )
    .asked_by_post()
    .takes(schema::<IdentifySecret>),
];

/// The worlds of a moment: the live orgs, of which only the caller's is asked about.
pub struct Reading {
    pub worlds: Worlds,
    /// The moment that statuses are told for.
    pub now: Time,
}

impl Reading {
    /// Of the present, or of a past moment.
    ///
    /// # Errors
    /// 409 for a commit that is not there yet.
    pub fn at(call: &Call<'_>, when: Option<When>) -> Result<Self, Problem> {
        Self::known(call, when, None)
    }

    fn known(call: &Call<'_>, when: Option<When>, known_at: Option<Time>) -> Result<Self, Problem> {
        if when.is_none() && known_at.is_none() {
            return Ok(Self { worlds: Worlds::live(call.state.share()), now: call.now() });
        }
        let as_of = AsOf { when: when.unwrap_or(When::At(call.now())), known_at };
        with_archive(call, |archive| {
            let worlds = worlds_at(&OrgCut::new(archive, call.org_uid()), as_of)?;
            let now = as_of.now(&worlds);
            Ok(Self { worlds, now })
        })
    }

    /// The org's key of this id.
    fn key(&self, call: &Call<'_>) -> Result<KeyRecord, Problem> {
        let missing = || Problem::no_such("access key");
        let id = AccessKeyId::parse(call.name("key")).map_err(|_| missing())?;
        let key = self.worlds.live_state().key(id.as_str());
        key.filter(|key| key.org == call.org_uid()).ok_or_else(missing)
    }
}

/// Calls `f` with the log and its index, as far as they are now.
fn with_archive<R>(call: &Call<'_>, f: impl FnOnce(&Archive) -> Result<R, Problem>) -> Result<R, Problem> {
    call.api.past.ask_whole(call.api, f)
}

/// A moment of the query as a time.
pub fn time(call: &Call<'_>, name: &'static str) -> Result<Option<Time>, Problem> {
    let when = call.when(name)?;
    Ok(when.map(|when| time_of(when, call.api.ledger.reader())).transpose()?)
}

fn own(call: &Call<'_>) -> BTreeSet<OrgUid> {
    BTreeSet::from([call.org_uid()])
}

/// Who could, at a moment or between two.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Could {
    Now(Rows<Able>),
    Between(Rows<Interval>),
}

/// Rows of a report that has no pages.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RowsOf{T}")]
struct Rows<T> {
    rows: Vec<T>,
    /// There are more than are told.
    cut_off: bool,
}

impl<T> Rows<T> {
    fn of(mut rows: Vec<T>) -> Self {
        let cut_off = rows.len() > ROWS_MAX;
        rows.truncate(ROWS_MAX);
        Self { rows, cut_off }
    }
}

fn log(call: &Call<'_>) -> Result<Answer, Problem> {
    let text = |name| call.query.text(name).map(str::to_owned);
    let paging = super::page::Paging::of(call.query)?;
    let asked = Asked {
        key: text("key"),
        key_part: match call.query.text("key_part") {
            Some("about") => KeyPart::About,
            Some("caused") => KeyPart::Caused,
            _ => KeyPart::Either,
        },
        user: text("user"),
        policy: text("policy"),
        bucket: text("bucket"),
        actor: text("actor"),
        address: text("address"),
        kinds: call.query.all("kind").to_vec(),
        call: None,
        dialect: text("dialect"),
        org: None,
        since: call.when("since")?,
        until: call.when("until")?,
        known_at: time(call, "known_at")?,
        limit: None,
        reverse: call.query.flag("reverse"),
    };
    let after = paging.after.as_deref().map(|after| event_id(after).ok_or_else(bad_cursor)).transpose()?;
    let worlds = Worlds::live(call.state.share());
    let mut items: Vec<FactRow> = Vec::new();
    let (mut last, mut more) = (None, false);
    with_archive(call, |archive| {
        let history = OrgCut::new(archive, call.org_uid());
        let mut query = match Query::of(&asked, &history, &worlds) {
            Ok(query) => query,
            // Whether another org has somebody of that name is nobody's business here: nothing is found.
            Err(AuditError::Unknown { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        query.orgs = Some(own(call));
        if let Some(after) = after {
            let seq = after.seq.0;
            if asked.reverse {
                query.to_seq = Some(query.to_seq.map_or(seq, |to| to.min(seq)));
            } else {
                query.from_seq = Some(query.from_seq.map_or(seq, |from| from.max(seq)));
            }
        }
        facts::rows(&history, &worlds, &query, &mut |row| {
            let id = row.event.0;
            let was_told = after.is_some_and(|after| if asked.reverse { id >= after } else { id <= after });
            if was_told {
                return ControlFlow::Continue(());
            }
            if items.len() == paging.items_max {
                more = true;
                return ControlFlow::Break(());
            }
            last = Some(id);
            items.push(row);
            ControlFlow::Continue(())
        })?;
        Ok(())
    })?;
    let next_cursor = last.filter(|_| more).map(|last| cursor_of(&last.to_string()));
    Answer::json(&Page { items, next_cursor, seq: call.state.seq().0 })
}

/// `seq.index`
pub fn event_id(text: &str) -> Option<EventId> {
    let (seq, index) = text.split_once('.')?;
    Some(EventId { seq: Seq(seq.parse().ok()?), index: index.parse().ok()? })
}

fn key(call: &Call<'_>) -> Result<Answer, Problem> {
    let (at, known_at) = (call.when("at")?, time(call, "known_at")?);
    let reading = Reading::known(call, at, known_at)?;
    let key = reading.key(call)?;
    let as_of = AsOf { when: at.unwrap_or(When::At(call.now())), known_at };
    let options = BiographyOptions { as_of, with_rights: call.query.flag("rights") };
    with_archive(call, |archive| {
        let history = OrgCut::new(archive, call.org_uid());
        call.told(biography(&history, &reading.worlds, key.id.as_str(), &options)?)
    })
}

fn days(call: &Call<'_>, name: &str) -> Option<u32> {
    call.query.number(name).and_then(|days| u32::try_from(days).ok())
}

pub fn count(call: &Call<'_>, name: &str) -> Option<usize> {
    call.query.number(name).and_then(|count| usize::try_from(count).ok())
}

fn rotated(call: &Call<'_>) -> Result<Answer, Problem> {
    let (at, known_at) = (call.when("at")?, time(call, "known_at")?);
    let questions: BTreeSet<String> = call.query.all("question").iter().map(|it| it.to_uppercase()).collect();
    if questions.iter().any(|asked| !QUESTIONS.contains(&asked.as_str())) {
        return Err(Problem::invalid("question", QUESTIONS.join(", ")));
    }
    let (since, until) = (time(call, "since")?, time(call, "until")?);
    let reading = Reading::known(call, at, known_at)?;
    let defaults = RotationOptions::at(AsOf { when: at.unwrap_or(When::At(call.now())), known_at });
    let options = RotationOptions {
        max_age_days: days(call, "max_age"),
        unused_days: days(call, "unused").unwrap_or(defaults.unused_days),
        overlap_days: days(call, "overlap").unwrap_or(defaults.overlap_days),
        since,
        until,
        orgs: Some(own(call)),
        questions,
        attribution: call.query.flag("attribution"),
        ..defaults
    };
    with_archive(call, |archive| {
        let history = OrgCut::new(archive, call.org_uid());
        call.told(rotation(&history, &reading.worlds, &options)?)
    })
}

fn compromised(call: &Call<'_>) -> Result<Answer, Problem> {
    let (at, known_at) = (call.when("at")?, time(call, "known_at")?);
    let (since, until) = (time(call, "since")?, time(call, "until")?);
    let reading = Reading::known(call, at, known_at)?;
    let key = reading.key(call)?;
    let defaults = CompromiseOptions::at(AsOf { when: at.unwrap_or(When::At(call.now())), known_at });
    let options = CompromiseOptions {
        since,
        until,
        widened_days: days(call, "widened_days").unwrap_or(defaults.widened_days),
        ransom_deletes: call.query.number("ransom_deletes").unwrap_or(defaults.ransom_deletes),
        timeline_max: count(call, "timeline").unwrap_or(200),
        depth_max: count(call, "depth").unwrap_or(defaults.depth_max),
        ..defaults
    };
    with_archive(call, |archive| {
        let history = OrgCut::new(archive, call.org_uid());
        call.told(compromise(&history, &reading.worlds, key.id.as_str(), &options)?)
    })
}

/// The question of the query, where there is one.
fn question(call: &Call<'_>) -> Result<Option<Question>, Problem> {
    let given = call.query.all("context");
    match (call.query.text("action"), call.query.text("resource")) {
        (Some(action), Some(resource)) => Ok(Some(Question::new(action, resource).with_context(given)?)),
        (None, None) if given.is_empty() => Ok(None),
        (Some(_), None) => Err(Problem::invalid("resource", "a resource beside the action")),
        _ => Err(Problem::invalid("action", "an action beside the resource or context")),
    }
}

fn rights(call: &Call<'_>) -> Result<Answer, Problem> {
    let question = question(call)?;
    let compare = call.when("compare")?;
    if question.is_some() && compare.is_some() {
        return Err(Problem::invalid("compare", "no action beside it"));
    }
    let reading = Reading::at(call, call.when("at")?)?;
    let key = reading.key(call)?;
    let (worlds, now) = (&reading.worlds, reading.now);
    let told = |what| call.told(ToldRights::of(worlds, &key, now, what));
    if let Some(question) = &question {
        let (answer, in_general) = (decide(worlds, &key, question, now), power(worlds, &key, question, now));
        return told(What::Answer { question, answer: &answer, in_general: &in_general });
    }
    let table_now = table(worlds, &key, now);
    let Some(compare) = compare else { return told(What::Table(&table_now)) };
    let before = Reading::at(call, Some(compare))?;
    let old = before.worlds.key(key.uid()).map(|place| table(&before.worlds, &place.record, before.now));
    let changes = changes(old.as_ref(), &table_now);
    told(What::Changes { since: before.now.into(), changes: &changes })
}

fn blast(call: &Call<'_>) -> Result<Answer, Problem> {
    let reading = Reading::at(call, call.when("at")?)?;
    let key = reading.key(call)?;
    let radius = blast_radius(&reading.worlds, &key, reading.now);
    call.told(ToldRadius::of(&reading.worlds, &key, reading.now, &radius))
}

fn who(call: &Call<'_>) -> Result<Answer, Problem> {
    let question = question(call)?.ok_or_else(|| Problem::invalid("action", "an action"))?;
    let orgs = own(call);
    let (from, to) = match (time(call, "from")?, time(call, "to")?) {
        (None, None) => {
            if call.query.text("key").is_some() {
                return Err(Problem::invalid("key", "two moments beside it"));
            }
            let reading = Reading::at(call, call.when("at")?)?;
            let found = who_could(&reading.worlds, &question, reading.now, Some(&orgs));
            return call.told(Could::Now(Rows::of(found.able)));
        }
        (Some(from), Some(to)) if from < to && call.query.text("at").is_none() => (from, to),
        _ => return Err(Problem::invalid("to", "a moment behind `from`, and no `at`")),
    };
    let key = match call.query.text("key") {
        None => None,
        Some(id) => {
            let missing = || Problem::no_such("access key");
            AccessKeyId::parse(id).map_err(|_| missing())?;
            let key = call.state.key(id).filter(|key| key.org == call.org_uid());
            Some(key.ok_or_else(missing)?.uid())
        }
    };
    with_archive(call, |archive| {
        let history = OrgCut::new(archive, call.org_uid());
        let window = Window { question: &question, from, to, key, orgs: Some(&orgs) };
        call.told(Could::Between(Rows::of(intervals(&history, &window)?)))
    })
}

fn difference(call: &Call<'_>) -> Result<Answer, Problem> {
    let nouns = asked_nouns(call)?;
    let before = Reading::at(call, call.when("from")?)?;
    let after = Reading::at(call, call.when("to")?)?;
    let options = ListingOptions { nouns, orgs: Some(own(call)), ..ListingOptions::default() };
    let rows = diff((&before.worlds, before.now), (&after.worlds, after.now), &options);
    call.told(Rows::of(rows))
}

fn identified(call: &Call<'_>) -> Result<Answer, Problem> {
    let asked: IdentifySecret = call.body()?;
    let secret = SecretKey::import(asked.secret_access_key.expose());
    let secret = secret.map_err(|_| Problem::invalid("secret_access_key", "1 to 128 visible ASCII characters"))?;
    let fingerprint = secret.fingerprint();
    let reading = Reading::at(call, None)?;
    // An imported secret has no fingerprint in the log; while its slot lives, the vault can tell.
    let is_it = |key: KeyUid, version: &SecretVersion| {
        if let Some(known) = &version.fingerprint {
            return fingerprints_equal(known, &fingerprint);
        }
        let Some(record) = call.state.key_by_uid(key) else { return false };
        let known = call.api.secrets.secret(key, version.version, &record.id);
        known.is_ok_and(|known| known.same_as(&secret))
    };
    with_archive(call, |archive| {
        let history = OrgCut::new(archive, call.org_uid());
        let found: Vec<Identified> = identify(&history, &reading.worlds, reading.now, &is_it)?;
        call.told(Rows::of(found))
    })
}
