//! Orgs and providers: made, suspended with one event, resumed to exactly what was usable.
//!
//! Not here: evidence orgs, which imports alone make (`whole`).

use super::super::command::Command;
use super::super::error::{Noun, Refusal};
use super::{Ask, Events, find, if_changed};
use crate::model::{Event, Invalid, OrgKind, OrgOwner, OrgSettings, OrgUid, limits};
use compact_str::CompactString;

pub(super) fn decide(ask: Ask<'_>, command: &Command) -> Events {
    let state = ask.state;
    match command {
        Command::CreateOrg { name, account, owner, settings } => {
            limits::org_name(name)?;
            check_settings(settings)?;
            if let OrgOwner::Provider { provider, external_id } = owner {
                limits::provider_id(external_id)?;
                if state.provider(provider).is_none() {
                    return Err(Refusal::not_found(Noun::Provider, provider));
                }
                if state.org_by_external_id(provider, external_id).is_some() {
                    return Err(Refusal::exists(Noun::Org, external_id));
                }
            }
            let account = account.unwrap_or(ask.fresh.account);
            if account.0 > 999_999_999_999 {
                return Err(Invalid::new("account id", &account.to_string(), "12 digits").into());
            }
            if state.org_by_account(account).is_some() {
                return Err(Refusal::exists(Noun::Account, &account));
            }
            Ok(vec![Event::OrgCreated {
                org: OrgUid(ask.fresh.uid),
                account,
                kind: OrgKind::Live,
                name: name.clone(),
                owner: owner.clone(),
                settings: (**settings).clone(),
            }])
        }
        Command::SuspendOrg { org } => {
            Ok(if_changed(&find::org(state, *org)?.suspended, &true, || Event::OrgSuspended {}))
        }
        Command::ResumeOrg { org } => {
            Ok(if_changed(&find::org(state, *org)?.suspended, &false, || Event::OrgResumed {}))
        }
        Command::SetOrgSettings { org, settings } => {
            check_settings(settings)?;
            let before = &find::org(state, *org)?.settings;
            Ok(if_changed(before, settings, || Event::OrgSettingsSet {
                before: Box::new(before.clone()),
                after: settings.clone(),
            }))
        }
        Command::SetOrgAlias { org, alias } => set_alias(ask, *org, alias.as_ref()),
        Command::CreateProvider { provider, key_hash, explicit_orgs } => {
            limits::provider_id(provider)?;
            if state.provider(provider).is_some() {
                return Err(Refusal::exists(Noun::Provider, provider));
            }
            let (key_hash, explicit_orgs) = (*key_hash, *explicit_orgs);
            Ok(vec![Event::ProviderCreated { provider: provider.clone(), key_hash, explicit_orgs }])
        }
        Command::ChangeProviderKey { provider, key_hash } => {
            let found = state.provider(provider).ok_or_else(|| Refusal::not_found(Noun::Provider, provider))?;
            Ok(if_changed(&found.key_hash, key_hash, || Event::ProviderKeyChanged {
                provider: provider.clone(),
                key_hash: *key_hash,
            }))
        }
        _ => Ok(Vec::new()),
    }
}

fn set_alias(ask: Ask<'_>, org: OrgUid, alias: Option<&CompactString>) -> Events {
    let before = &find::org(ask.state, org)?.alias;
    if let Some(alias) = alias {
        limits::org_alias(alias)?;
        // An alias names one org among all, as an account alias of AWS does.
        let taken = ask.state.live_orgs().any(|other| other.org != org && other.alias.as_ref() == Some(alias));
        if taken {
            return Err(Refusal::exists(Noun::Alias, alias));
        }
    }
    Ok(if_changed(&before.as_ref(), &alias, || Event::OrgAliasSet { before: before.clone(), after: alias.cloned() }))
}

fn check_settings(settings: &OrgSettings) -> Result<(), Refusal> {
    if let Some(prefix) = &settings.key_prefix {
        limits::key_prefix(prefix)?;
        // Temporary AWS keys are told by it.
        if prefix == "ASIA" {
            return Err(Invalid::new("key prefix", prefix, "4 upper-case letters other than ASIA").into());
        }
    }
    let lives = [
        ("longest key lifetime", settings.key_lifetime_max_ns),
        ("default key lifetime", settings.key_lifetime_default_ns),
    ];
    for (field, ns) in lives {
        if let Some(ns) = ns
            && ns <= 0
        {
            return Err(Invalid::new(field, &format!("{ns} ns"), "more than nothing").into());
        }
    }
    if let (Some(max), Some(default)) = (settings.key_lifetime_max_ns, settings.key_lifetime_default_ns)
        && default > max
    {
        let found = format!("{default} ns");
        return Err(Invalid::new("default key lifetime", &found, "no more than the longest key lifetime").into());
    }
    Ok(())
}
