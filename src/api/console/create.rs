//! Making a key.
//!
//! Invariants
//! - The form carries a token: sending it twice, by a reload too, makes one key, and shows the secret the first time alone.
//!
//! Not here: reading the form (`draft`), the page with the secret (`once`).

use super::draft::{Draft, Reach};
use super::form::Form;
use super::page::{self, Tab};
use super::refused::Refused;
use super::{Call, once, show};
use crate::api::Reply;
use crate::ledger::{Command, Outcome};
use crate::model::{GrantRole, Time};
use crate::policy::managed;
use maud::{Markup, html};

/// Buckets, and policies, that are offered by name.
const OFFERED_MAX: usize = 100;
const DAY_NS: i64 = 86_400_000_000_000;

/// # Errors
/// 403 for an Auditor.
pub fn page(call: &Call<'_>) -> Result<Reply, Refused> {
    if !call.visitor.role.changes() {
        return Err(Refused::forbidden("An Auditor reads and changes nothing."));
    }
    let draft = Draft::empty(call.api.console.sessions.random());
    Ok(shown(call, &draft, 200, None))
}

/// # Errors
/// What is no fault of the form.
pub async fn post(call: &Call<'_>, form: &Form) -> Result<Reply, Refused> {
    let draft = Draft::of(form);
    let made = match draft.key(&call.visitor) {
        Ok(key) => {
            let command = Command::CreateKey { org: call.visitor.org.org, key: Box::new(key) };
            call.visitor.execute(call.api, command, Some(&draft.token)).await
        }
        Err(refused) => Err(refused),
    };
    match made {
        Ok(done) => match done.outcome {
            Outcome::KeyCreated(made) => Ok(once::page(call, &made, "Access key created")),
            _ => Err(Refused::missing()),
        },
        Err(refused) if refused.status() < 500 => Ok(shown(call, &draft, refused.status(), Some(refused.text()))),
        Err(refused) => Err(refused),
    }
}

fn shown(call: &Call<'_>, draft: &Draft, status: u16, wrong: Option<&str>) -> Reply {
    let is_reach = |reach| draft.reach == reach;
    let body = html! {
        p.crumbs { a href="/console/keys" { "Access keys" } " / " span { "New" } }
        h1 { "Create access key" }
        p.quiet { "One key for each program and place it runs in: then one can be revoked without breaking another." }
        @if let Some(wrong) = wrong {
            div.banner.bad role="alert" { p { (wrong) } }
        }
        form.stack method="post" action="/console/keys/new" {
            (page::csrf(&call.visitor))
            input type="hidden" name="token" value=(draft.token);
            section.card {
                div.field {
                    label for="label" { "Label" }
                    input id="label" name="label" type="text" required maxlength="256" value=(draft.label)
                        placeholder="billing export, production" autocomplete="off";
                }
                div.field {
                    label for="description" { "Description " span.quiet { "optional" } }
                    input id="description" name="description" type="text" maxlength="1000" value=(draft.description) autocomplete="off";
                }
            }
            fieldset.card.reach {
                legend { "Buckets" }
                label.choice {
                    input type="radio" name="reach" value="some" checked[is_reach(Reach::Some)];
                    span { strong { "Specific buckets" } br; span.quiet { "The key can do nothing anywhere else. Prefer this." } }
                }
                div.when-some { (buckets(call, draft)) }
                label.choice {
                    input type="radio" name="reach" value="all" checked[is_reach(Reach::All)];
                    span { strong { "All buckets" } br; span.quiet { "Those that will be made later too." } }
                }
                div.when-all { (roles("all_role", "What it may do in all buckets", draft.all_role, true)) }
                label.choice {
                    input type="radio" name="reach" value="policies" checked[is_reach(Reach::Policies)];
                    span { strong { "By policies alone" } br; span.quiet { "What the policies below allow, and nothing else." } }
                }
            }
            @if call.visitor.role.sees_all() { (policies(call, draft)) }
            section.card {
                (expiry(call.visitor.now, draft))
                label.choice {
                    input type="checkbox" name="default_allow" value="yes" checked[draft.default_allow];
                    span { "May create buckets and list their names" }
                }
            }
            div.actions {
                button.primary type="submit" { "Create access key" }
                a.button href="/console/keys" { "Cancel" }
            }
        }
    };
    page::whole(status, "Create access key", Some(Tab::Keys), &call.visitor, &body)
}

fn roles(name: &str, label: &str, chosen: Option<GrantRole>, with_admin: bool) -> Markup {
    let offered: &[(GrantRole, &str)] = &[
        (GrantRole::Editor, "Read and write"),
        (GrantRole::ReadOnly, "Read only"),
        (GrantRole::Admin, "Admin: everything in the org, also its keys"),
    ];
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                @for (role, text) in offered.iter().filter(|(role, _)| with_admin || *role != GrantRole::Admin) {
                    option value=(role.as_str()) selected[chosen == Some(*role)] { (text) }
                }
            }
        }
    }
}

fn buckets(call: &Call<'_>, draft: &Draft) -> Markup {
    let mut all = call.visitor.state.buckets_of(call.visitor.org.org, None);
    let offered: Vec<String> = if call.visitor.role.sees_all() {
        all.by_ref().take(OFFERED_MAX).map(ToString::to_string).collect()
    } else {
        Vec::new()
    };
    let has_more = all.next().is_some() && call.visitor.role.sees_all();
    html! {
        @if !offered.is_empty() {
            div.picks {
                @for name in &offered {
                    @let chosen = draft.roles.get(name).copied();
                    @let field = format!("role.{name}");
                    div.pick {
                        label for=(field) { (name) }
                        select id=(field) name=(field) {
                            option value="" { "No access" }
                            option value="Editor" selected[chosen == Some(GrantRole::Editor)] { "Read and write" }
                            option value="ReadOnly" selected[chosen == Some(GrantRole::ReadOnly)] { "Read only" }
                        }
                    }
                }
            }
        }
        details open[offered.is_empty() || !draft.more.is_empty()] {
            summary { @if has_more { "More buckets" } @else { "Other buckets, by name" } }
            div.field {
                label for="more" { "Names, one a line" }
                textarea id="more" name="more" rows="3" spellcheck="false" { (draft.more) }
            }
            (roles("more_role", "What it may do in these", Some(draft.more_role), false))
        }
    }
}

fn policies(call: &Call<'_>, draft: &Draft) -> Markup {
    let own = call.visitor.state.policies(call.visitor.org.org, None).take(OFFERED_MAX);
    let own = own.map(|policy| (policy.name.to_string(), policy.name.to_string(), show::text(&policy.description)));
    let everywhere = managed::ALL.iter().filter(|managed| managed.is_in_every_org);
    let everywhere = everywhere.map(|it| (it.arn.to_owned(), it.name.to_owned(), it.about.to_owned()));
    html! {
        fieldset.card {
            legend { "Policies " span.quiet { "optional" } }
            p.quiet { "A policy can allow more, and deny what the buckets’ roles allow." }
            div.checks {
                @for (value, name, about) in own.chain(everywhere) {
                    label.choice {
                        input type="checkbox" name="policy" value=(value) checked[draft.policies.contains(&value)];
                        span { (name) @if !about.is_empty() { br; span.quiet { (about) } } }
                    }
                }
            }
        }
    }
}

/// The moments are written into the form, so that sending it again asks for the very same key.
fn expiry(now: Time, draft: &Draft) -> Markup {
    let whole_minute = Time(now.0.div_euclid(60_000_000_000).saturating_mul(60_000_000_000));
    let days = |days: i64| whole_minute.plus_ns(days.saturating_mul(DAY_NS)).to_string();
    let choices = [(30, "In 30 days"), (90, "In 90 days"), (180, "In half a year"), (365, "In a year")];
    let choices: Vec<(String, &str)> = choices.into_iter().map(|(count, text)| (days(count), text)).collect();
    let is_other = !draft.expires.is_empty() && !choices.iter().any(|(at, _)| *at == draft.expires);
    html! {
        div.pair {
            div.field {
                label for="expires" { "Expires" }
                select id="expires" name="expires" {
                    option value="" { "Never, or as the org says" }
                    @if is_other { option value=(draft.expires) selected { (show::text(&draft.expires)) } }
                    @for (at, text) in &choices {
                        option value=(at) selected[*at == draft.expires] { (text) }
                    }
                }
            }
            div.field {
                label for="on_day" { "or on a day " span.quiet { "optional" } }
                input id="on_day" name="on_day" type="date" value=(draft.on_day);
            }
        }
    }
}
