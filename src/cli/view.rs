//! Which org a command is about.
//!
//! Not here: reading the log (`reading`), and what is shown of an org and its nouns (`audit::rows`).

use super::exit::{Exit, Failure};
use crate::audit::Worlds;
pub use crate::audit::rows::View;
use crate::model::text::excerpt;
use crate::model::{AccountId, OrgKind, Time};
use crate::state::{OrgRecord, State};
use std::sync::Arc;

/// Every org with its state, live ones first, by account.
pub fn views(worlds: &Worlds, now: Time) -> Vec<View> {
    let live = worlds.live_state();
    let mut views: Vec<View> = live.live_orgs().map(|org| View::of(live, org, now)).collect();
    for (org, _, _) in worlds.evidence_orgs() {
        let folded = worlds.state_of(org);
        views.extend(folded.org(org).map(|record| View::of(folded, record, now)));
    }
    views.sort_by_key(|view| (view.org.kind, view.org.account));
    views
}

/// The org that `asked` names: an account id, `evidence:` and one, or nothing when there is only one.
pub fn org_named(worlds: &Worlds, asked: Option<&str>, now: Time) -> Result<View, Failure> {
    let mut all = views(worlds, now);
    if let Some(asked) = asked {
        let (account, kinds) = account_named(asked)?;
        let fits = |view: &View, kind: OrgKind| view.org.account == account && view.org.kind == kind;
        let found = kinds.iter().find_map(|kind| all.iter().position(|view| fits(view, *kind)));
        return match found {
            Some(place) => Ok(all.swap_remove(place)),
            None => Err(no_such_org(account)),
        };
    }
    let live = all.iter().filter(|view| !view.is_evidence()).count();
    match (live, all.len()) {
        (0, 0) => Err(Failure::nothing("the ledger has no org yet; `keyledger org create ACCOUNT` makes one")),
        // Live orgs come first.
        (1, _) | (0, 1) => Ok(all.swap_remove(0)),
        _ => Err(several(all.iter().map(|view| org_label(&view.org)))),
    }
}

fn account_named(asked: &str) -> Result<(AccountId, &'static [OrgKind]), Failure> {
    let (account, kinds): (&str, &[OrgKind]) = match asked.split_once(':') {
        Some(("evidence", account)) => (account, &[OrgKind::Evidence]),
        Some(("live", account)) => (account, &[OrgKind::Live]),
        _ => (asked, &[OrgKind::Live, OrgKind::Evidence]),
    };
    Ok((AccountId::parse(account)?, kinds))
}

fn no_such_org(account: AccountId) -> Failure {
    Failure::nothing(format!("there is no org {account}; `keyledger org list` shows those that are there"))
}

fn several(names: impl Iterator<Item = String>) -> Failure {
    let names = names.collect::<Vec<_>>().join(", ");
    Failure::usage(format!("the ledger has several orgs; name one with --org: {}", excerpt(&names, 400)))
}

/// The live org that `asked` names: the one a command may change.
pub fn live_org_named(state: &State, asked: Option<&str>) -> Result<Arc<OrgRecord>, Failure> {
    let live: Vec<_> = state.live_orgs().collect();
    let Some(asked) = asked else {
        return match live.as_slice() {
            [org] => Ok(Arc::clone(org)),
            [] => {
                let text = "the ledger has no org of its own yet; `keyledger org create ACCOUNT` makes one";
                Err(Failure::new(Exit::Refused, text))
            }
            several_orgs => Err(several(several_orgs.iter().map(|org| org_label(org)))),
        };
    };
    let (account, kinds) = account_named(asked)?;
    let named = live.into_iter().find(|org| org.account == account && kinds.contains(&OrgKind::Live));
    if let Some(org) = named {
        return Ok(Arc::clone(org));
    }
    if state.orgs().any(|org| org.account == account) {
        let text = format!("org {account} holds imported evidence, which only imports write to");
        return Err(Failure::new(Exit::Refused, text));
    }
    Err(no_such_org(account))
}

/// How `--org` would name it.
pub fn org_label(org: &OrgRecord) -> String {
    match org.kind {
        OrgKind::Live => org.account.to_string(),
        OrgKind::Evidence => format!("evidence:{}", org.account),
    }
}
