//! Whether the key is usable, and if not: since when, and by which event (I2).
//!
//! Not here: whether the nodes have applied that event.

use super::super::biography::stopped_at;
use super::super::gather::{Kept, gather};
use super::super::mention::Mention;
use super::super::names::{KeyPlace, Worlds};
use super::super::query::is_about_key;
use super::super::report::{Attribution, Stamp, org_kind};
use super::super::{AuditError, History, Plan};
use super::report::Usable;
use crate::model::{Event, EventKind, Time};
use crate::state::KeyStatus;

pub(super) fn usable(
    history: &dyn History,
    worlds: &Worlds,
    place: &KeyPlace,
    facts: &[Kept],
    now: Time,
) -> Result<Usable, AuditError> {
    let key = &place.record;
    let status = worlds.status(key, now);
    let mut stopped = stopped_at(key, now);
    let mut by = None;
    if status == KeyStatus::OrgSuspended {
        let plan = Plan::mentioning(vec![Mention::Kind(EventKind::OrgSuspended).term()]);
        let suspensions = gather(history, &plan, &|fact| {
            matches!(fact.event, Event::OrgSuspended {}) && fact.org == Some(key.org) && fact.effective_at <= now
        })?;
        by = suspensions.last().and_then(|kept| kept.with(Attribution::of));
        stopped = by.as_ref().map(|by| by.at.0);
    } else if !status.is_usable() {
        let stops = |event: &Event| {
            matches!(event, Event::KeySuspended { .. } | Event::KeyRevoked { .. } | Event::KeyDeleted { .. })
        };
        let own = facts.iter().filter_map(|kept| {
            let is_it = |at: Time| Some(at) == stopped;
            let stop = kept.with(|fact| {
                let fits = stops(fact.event) && is_about_key(fact.event, place.uid) && is_it(fact.effective_at);
                fits.then(|| Attribution::of(fact))
            });
            stop.flatten()
        });
        by = own.into_iter().next();
    }
    Ok(Usable {
        org: worlds.account(key.org),
        org_kind: org_kind(worlds.kind_of(key.org)),
        usable: status.is_usable(),
        status: status.as_str(),
        stopped_at: stopped.filter(|_| !status.is_usable()).map(Stamp),
        seq: by.as_ref().map(|by| by.event.0.seq),
        stopped_by: by,
        nodes: "no node has reported",
    })
}
