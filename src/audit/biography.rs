//! `audit key`: everything that ever happened to a key, and what each event changed.
//!
//! Not here: what a leaked key did (`compromise`), which keys are too old (`rotation`).

use super::at::AsOf;
use super::describe::Change;
use super::gather::{Kept, gather};
use super::mention::{Mention, actor_key, is_made};
use super::names::{KeyPlace, Worlds};
use super::query::{both_uids, is_about_key};
use super::report::{Attribution, EventRef, FactRow, Stamp, org_kind};
use super::rights::{Bearing, InForce, bearing_facts, in_force};
use super::uses::{Profile, UseSummary, uses_in};
use super::{AuditError, History, Plan};
use crate::model::{Event, EventKind, KeyOwner, KeyUid, Time};
use crate::state::{Marks, SecretRecord, State};
use serde::Serialize;

/// The questions a biography answers.
pub const QUESTIONS: [&str; 6] = ["I1", "I3", "I5", "I7", "R3", "R9"];

/// An id's whole history, in every org it stands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Biography {
    pub questions: [&'static str; 6],
    pub access_key_id: String,
    /// Empty: no key of this id was ever here.
    pub lives: Vec<Life>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Life {
    pub org: String,
    pub org_kind: &'static str,
    pub owner: String,
    pub owner_kind: &'static str,
    pub status: &'static str,
    pub usable: bool,
    pub origin: &'static str,
    pub label: String,
    pub description: String,
    /// None: older than the evidence.
    pub created_at: Option<Stamp>,
    pub created: Option<Attribution>,
    pub last_changed: Option<Attribution>,
    pub expires_at: Option<Stamp>,
    pub revoked_at: Option<Stamp>,
    pub deleted_at: Option<Stamp>,
    /// Since when it is not usable.
    pub stopped_at: Option<Stamp>,
    pub flag: Option<String>,
    pub secrets: Vec<SecretRow>,
    pub replaces: Option<String>,
    pub replaced_by: Option<String>,
    /// The key that asked for it.
    pub made_by: Option<String>,
    /// Keys it asked for.
    pub made: Vec<MadeKey>,
    /// Names its owner, and labels it had before.
    pub earlier_names: Vec<EarlierName>,
    pub rights: Vec<InForce>,
    pub uses: UseSummary,
    pub history: Vec<Chapter>,
}

/// One version of a secret: never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct SecretRow {
    pub version: u32,
    pub set_at: Stamp,
    /// Not usable from this moment on.
    pub deadline: Option<Stamp>,
    pub retired: bool,
    pub shredded: bool,
    pub usable: bool,
    pub uses: u64,
    pub last_used: Option<Stamp>,
    /// Where it was last used from.
    pub last_used_from: Option<String>,
}

/// A key that this key made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct MadeKey {
    pub access_key_id: String,
    pub at: Stamp,
    pub status: &'static str,
    pub event: EventRef,
}

/// A name that is no longer the present one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct EarlierName {
    /// `owner` or `label`.
    pub of: &'static str,
    pub name: String,
    pub until: Stamp,
    pub event: EventRef,
}

/// One event of a life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Chapter {
    pub bearing: Bearing,
    /// The key did it; it did not happen to the key.
    pub caused: bool,
    #[serde(flatten)]
    pub row: FactRow,
    pub status_before: Option<&'static str>,
    pub status_after: Option<&'static str>,
}

/// What to tell.
#[derive(Debug, Clone, Copy)]
pub struct BiographyOptions {
    /// The moment statuses are told at.
    pub as_of: AsOf,
    /// Also what changed its rights without touching it: owner, groups, policies, org.
    pub with_rights: bool,
}

/// Tells the life of an id; `worlds` are those of `options.as_of`.
///
/// # Errors
/// Whatever keeps the log from being read.
pub fn biography(
    history: &dyn History,
    worlds: &Worlds,
    access_key_id: &str,
    options: &BiographyOptions,
) -> Result<Biography, AuditError> {
    let mut lives = Vec::new();
    for place in worlds.keys_of_id(access_key_id) {
        lives.push(life(history, worlds, &place, options)?);
    }
    Ok(Biography { questions: QUESTIONS, access_key_id: access_key_id.to_owned(), lives })
}

fn life(
    history: &dyn History,
    worlds: &Worlds,
    place: &KeyPlace,
    options: &BiographyOptions,
) -> Result<Life, AuditError> {
    let key = &place.record;
    let now = options.as_of.now(worlds);
    let facts = key_facts(history, place, options.as_of)?;
    let mut chapters: Vec<(Bearing, Kept)> = facts.iter().cloned().map(|kept| (Bearing::Key, kept)).collect();
    if options.with_rights {
        let bearing = bearing_facts(history, key.org, place.uid, &key.owner)?;
        chapters.extend(bearing.into_iter().filter(|(_, kept)| is_told(kept, options.as_of)));
        chapters.sort_by_key(|(_, kept)| kept.order());
    }
    let mut uses = Profile::default();
    let mut secrets: Vec<SecretRow> = key.secrets().map(|secret| secret_row(&secret, now)).collect();
    let mut last_id = None;
    for kept in &facts {
        kept.with(|fact| {
            let is_first = last_id != Some(fact.id);
            last_id = Some(fact.id);
            uses_in(fact, is_first, place.uid, &mut |used| {
                uses.add(&used);
                if let Some(row) = secrets.iter_mut().find(|row| Some(row.version) == used.secret_version) {
                    row.uses = row.uses.saturating_add(used.count);
                    if row.last_used.is_none_or(|last| last.0 < used.last) {
                        row.last_used = Some(used.last.into());
                        row.last_used_from = Some(used.address.to_owned());
                    }
                }
            });
        });
    }
    let status = worlds.status(key, now);
    let chapters = told(worlds, place.uid, &chapters);
    let mut life = Life {
        org: worlds.account(key.org),
        org_kind: org_kind(worlds.kind_of(key.org)),
        owner: worlds.owner_name(&key.owner),
        owner_kind: match &key.owner {
            KeyOwner::Org => "org",
            KeyOwner::User(_) => "user",
            KeyOwner::Bucket(_) => "bucket",
        },
        status: status.as_str(),
        usable: status.is_usable(),
        origin: key.origin().as_str(),
        label: key.label.to_string(),
        description: key.more().description.to_string(),
        created_at: key.created_at().map(Stamp),
        created: None,
        last_changed: None,
        expires_at: key.expires_at().map(Stamp),
        revoked_at: key.revoked_at().map(Stamp),
        deleted_at: key.deleted_at().map(Stamp),
        stopped_at: stopped_at(key, now).map(Stamp),
        flag: key.more().flag.as_ref().map(|flag| flag.note.to_string()),
        secrets,
        replaces: key.more().links.replaces.map(|uid| worlds.key_name(uid)),
        replaced_by: key.more().links.replaced_by.map(|uid| worlds.key_name(uid)),
        made_by: key.more().made_by.map(|uid| worlds.key_name(uid)),
        made: Vec::new(),
        earlier_names: Vec::new(),
        rights: in_force(worlds, place.uid, key),
        uses: UseSummary::from(&uses),
        history: chapters,
    };
    for kept in &facts {
        kept.with(|fact| attribute(fact, place, worlds, now, &mut life));
    }
    let names = life.history.iter().filter(|chapter| chapter.bearing == Bearing::Owner);
    let names = names.filter_map(|chapter| earlier("owner", "user name", &chapter.row)).collect::<Vec<_>>();
    life.earlier_names.extend(names);
    Ok(life)
}

/// Facts about the key and by the key.
fn key_facts(history: &dyn History, place: &KeyPlace, as_of: AsOf) -> Result<Vec<Kept>, AuditError> {
    let uid = place.uid;
    let plan = Plan::mentioning(vec![Mention::Key(uid).term(), Mention::ActorKey(uid).term()]);
    let mut facts = gather(history, &plan, &|fact| is_about_key(fact.event, uid) || actor_key(fact) == Some(uid))?;
    facts.retain(|kept| is_told(kept, as_of) && kept.with(|fact| fact.org == Some(place.record.org)) == Some(true));
    Ok(facts)
}

fn is_told(kept: &Kept, as_of: AsOf) -> bool {
    kept.with(|fact| as_of.shows(fact)) == Some(true)
}

/// The chapters, with the key's status before and after each.
fn told(worlds: &Worlds, uid: KeyUid, facts: &[(Bearing, Kept)]) -> Vec<Chapter> {
    let mut chapters: Vec<Chapter> = Vec::new();
    let mut state = State::empty();
    let mut org_suspended = false;
    let mut last = None;
    for (bearing, kept) in facts {
        let chapter = kept.with(|fact| {
            if is_mere_use(fact.event) {
                return None;
            }
            let about = is_about_key(fact.event, uid);
            let status = |state: &State, suspended| {
                state.key_by_uid(uid).map(|key| key.status(fact.effective_at, suspended).as_str())
            };
            let before = status(&state, org_suspended);
            if !is_made(fact) {
                kept.apply_to(&mut state);
                return None;
            }
            match fact.event {
                Event::OrgSuspended {} => org_suspended = true,
                Event::OrgResumed {} => org_suspended = false,
                _ if about => kept.apply_to(&mut state),
                _ => {}
            }
            Some(Chapter {
                bearing: *bearing,
                caused: *bearing == Bearing::Key && !about,
                row: FactRow::of(fact, worlds),
                status_before: before,
                status_after: status(&state, org_suspended),
            })
        });
        if let Some(Some(chapter)) = chapter {
            // A fact may bear on the key in two ways; the nearest is told.
            let is_new = last.as_ref() != Some(&(chapter.row.event, chapter.row.summary.clone()));
            last = Some((chapter.row.event, chapter.row.summary.clone()));
            if is_new {
                chapters.push(chapter);
            }
        }
    }
    chapters
}

/// Uses are summed up, not told one by one.
fn is_mere_use(event: &Event) -> bool {
    match event {
        Event::UsageRolledUp { .. } | Event::AttemptsRolledUp { .. } => true,
        Event::EvidenceObserved(observed) => observed.issued_key.is_none(),
        _ => false,
    }
}

fn attribute(fact: &crate::state::Fact<'_>, place: &KeyPlace, worlds: &Worlds, now: Time, life: &mut Life) {
    let about = is_about_key(fact.event, place.uid);
    match fact.event {
        Event::KeyCreated(created) | Event::KeyImported(created)
            if created.key == place.uid && is_made(fact) && life.created.is_none() =>
        {
            life.created = Some(Attribution::of(fact));
        }
        Event::KeyCreated(created) | Event::KeyImported(created)
            if created.key != place.uid
                && is_made(fact)
                && (actor_key(fact) == Some(place.uid) || created.made_by == Some(place.uid)) =>
        {
            let made = worlds.key(created.key);
            life.made.push(MadeKey {
                access_key_id: created.access_key_id.to_string(),
                at: fact.effective_at.into(),
                status: made.map_or("unknown", |made| worlds.status(&made.record, now).as_str()),
                event: fact.id.into(),
            });
        }
        Event::EvidenceObserved(observed) => {
            if let Some(issued) = &observed.issued_key {
                let row = |status| MadeKey {
                    access_key_id: issued.to_string(),
                    at: fact.effective_at.into(),
                    status,
                    event: fact.id.into(),
                };
                if actor_key(fact) == Some(place.uid) {
                    life.made.push(row("temporary"));
                } else if life.created.is_none() {
                    life.created = Some(Attribution::of(fact));
                }
            }
        }
        Event::KeyLabelled { before, .. } if about => {
            life.earlier_names.extend((!before.is_empty()).then(|| EarlierName {
                of: "label",
                name: before.to_string(),
                until: fact.effective_at.into(),
                event: fact.id.into(),
            }));
        }
        _ => {}
    }
    if about
        && is_made(fact)
        && !is_mere_use(fact.event)
        && !matches!(fact.event.kind(), EventKind::TokenOpened | EventKind::SessionOpened)
    {
        life.last_changed = Some(Attribution::of(fact));
    }
}

fn earlier(of: &'static str, field: &str, row: &FactRow) -> Option<EarlierName> {
    let change: &Change = row.changes.iter().find(|change| change.field == field)?;
    let name = change.before.clone()?;
    Some(EarlierName { of, name, until: row.effective_at, event: row.event })
}

fn secret_row(secret: &SecretRecord, now: Time) -> SecretRow {
    SecretRow {
        version: secret.version,
        set_at: secret.set_at.into(),
        deadline: (secret.deadline != Time::MAX).then_some(Stamp(secret.deadline)),
        retired: secret.retired,
        shredded: secret.shredded,
        usable: !secret.retired && !secret.shredded && now < secret.deadline,
        uses: 0,
        last_used: None,
        last_used_from: None,
    }
}

/// Since when a key is not usable, as far as the key itself says; the org's flag is the org's.
pub(super) fn stopped_at(key: &crate::state::KeyRecord, now: Time) -> Option<Time> {
    let suspended = key.marks.has(Marks::SUSPENDED).then(|| key.more().suspended_at).flatten();
    let expired = key.expires_at().filter(|at| *at <= now);
    [key.revoked_at(), key.deleted_at(), suspended, expired].into_iter().flatten().min()
}

/// The uids an id may have, for callers that search before they know its world.
#[must_use]
pub fn uids_of(access_key_id: &str) -> (KeyUid, KeyUid) {
    both_uids(access_key_id)
}
