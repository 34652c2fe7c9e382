//! What concerns the ledger as a whole: its clock, restores, an accepted tail, and imported evidence.
//!
//! Not here: reading evidence (`ledger::import`), folding it (`state::evidence`).

use super::super::command::Command;
use super::super::error::{Noun, Refusal};
use super::{Ask, Events};
use crate::model::limits::COMMIT_EVENTS_MAX;
use crate::model::{AccountId, Event, Invalid, OrgKind, OrgOwner, OrgSettings, OrgUid, limits};
use compact_str::CompactString;

pub(super) fn decide(ask: Ask<'_>, command: &Command) -> Events {
    match command {
        Command::AcceptClock {} => Ok(match ask.fresh.leap {
            Some(leap) => vec![Event::ClockAccepted { before: leap.from, after: ask.fresh.now }],
            None => Vec::new(),
        }),
        Command::AcceptRestore {} => Ok(match ask.state.restored() {
            Some(_) => vec![Event::RestoreAccepted {}],
            None => Vec::new(),
        }),
        Command::RecordRestore { from, backup_seq } => {
            limits::reason(from)?;
            Ok(vec![Event::LedgerRestored { from: from.clone(), backup_seq: *backup_seq }])
        }
        Command::RecordTailAccepted { durable_seq_lost, note } => {
            limits::reason(note)?;
            Ok(vec![Event::TailAccepted { durable_seq_lost: *durable_seq_lost, note: note.clone() }])
        }
        Command::ImportEvidence { account, source, events, duplicates, rejected } => {
            let imported = events.len() as u64;
            let batch = Event::EvidenceBatchImported {
                source: source.clone(),
                records: imported.saturating_add(*duplicates).saturating_add(*rejected),
                imported,
                duplicates: *duplicates,
                rejected: *rejected,
            };
            limits::reason(source)?;
            if imported == 0 && *duplicates == 0 && *rejected == 0 {
                Ok(Vec::new())
            } else {
                import(ask, *account, batch, events)
            }
        }
        _ => Ok(Vec::new()),
    }
}

fn import(ask: Ask<'_>, account: AccountId, batch: Event, events: &[Event]) -> Events {
    if account.0 > 999_999_999_999 {
        return Err(Invalid::new("account id", &account.to_string(), "12 digits").into());
    }
    if events.len() + 2 > COMMIT_EVENTS_MAX {
        return Err(Invalid::new("evidence", &events.len().to_string(), "at most 65533 events a batch").into());
    }
    let is_record = |event: &Event| matches!(event, Event::EvidenceChanged(_) | Event::EvidenceObserved(_));
    if let Some(other) = events.iter().find(|event| !is_record(event)) {
        return Err(Invalid::new("evidence", other.kind().as_str(), "evidence alone").into());
    }
    let org = OrgUid::evidence(account);
    let mut all = Vec::with_capacity(events.len() + 2);
    match ask.state.org(org) {
        None => all.push(Event::OrgCreated {
            org,
            account,
            kind: OrgKind::Evidence,
            name: CompactString::from(format!("evidence of {account}")),
            owner: OrgOwner::Operator,
            settings: OrgSettings::default(),
        }),
        Some(found) if found.kind != OrgKind::Evidence => return Err(Refusal::exists(Noun::Org, &org)),
        Some(_) => {}
    }
    all.push(batch);
    all.extend_from_slice(events);
    Ok(all)
}
