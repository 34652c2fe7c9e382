//! How single things are written: times, statuses, buckets, sizes, text from outside.
//!
//! Not here: pages.

use crate::api::{Api, Incoming};
use crate::model::text::Shown;
pub use crate::model::text::grouped;
use crate::model::{Grant, GrantRole, KeyOwner, KeyUid, Time};
use crate::state::{KeyRecord, KeyStatus, State};
use maud::{Markup, html};

const DAY_NS: i64 = 86_400_000_000_000;

/// Text from outside: what could hide or reorder something is written out. The templates escape it for HTML.
pub fn text(text: &str) -> String {
    Shown(text).to_string()
}

/// [`text`] of a sentence in which names stand in back quotes.
pub fn words(text: &str) -> Markup {
    let whole = Shown(text).to_string();
    html! {
        @for (at, part) in whole.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// The same of many lines.
pub fn lines(text: &str) -> String {
    text.lines().map(|line| Shown(&line.replace('\t', "    ")).to_string()).collect::<Vec<_>>().join("\n")
}

/// `2026-11-26 04:53`, whole in the title.
pub fn moment(at: Time) -> Markup {
    let whole = at.to_string();
    html! { time datetime=(whole) title=(whole) { (short(at)) } }
}

/// `2026-11-26 04:53:12`: where the order of things matters.
pub fn second(at: Time) -> Markup {
    let whole = at.to_string();
    let words = match (whole.get(..10), whole.get(11..19)) {
        (Some(day), Some(time)) => format!("{day} {time}"),
        _ => whole.clone(),
    };
    html! { time datetime=(whole) title=(whole) { (words) } }
}

/// `2026-11-26 04:53`
pub fn short(at: Time) -> String {
    let whole = at.to_string();
    match (whole.get(..10), whole.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute}"),
        _ => whole,
    }
}

/// `2026-11-26`
pub fn day(at: Time) -> String {
    at.to_string().get(..10).unwrap_or_default().to_owned()
}

/// A moment, or what its absence means.
pub fn moment_or(at: Option<Time>, none: &'static str) -> Markup {
    at.map_or_else(|| html! { span.quiet { (none) } }, moment)
}

/// `3 d`, `5 h`, `12 min`.
pub fn length(ns: i64) -> String {
    let minutes = ns.max(0) / 60_000_000_000;
    match minutes {
        0 => "under a minute".to_owned(),
        minutes if minutes < 60 => format!("{minutes} min"),
        minutes if minutes < 2_880 => format!("{} h", minutes / 60),
        minutes => format!("{} d", minutes / 1_440),
    }
}

/// `3 d ago`, the moment in the title.
pub fn ago(at: Option<Time>, now: Time) -> Markup {
    match at {
        None => html! { span.quiet { "never" } },
        Some(at) => {
            let whole = at.to_string();
            html! { time datetime=(whole) title=(whole) { (length(now.ns_since(at))) " ago" } }
        }
    }
}

/// When a key ends: soon is marked.
pub fn expiry(at: Option<Time>, now: Time) -> Markup {
    match at {
        None => html! { span.quiet { "never" } },
        Some(at) if at <= now => html! { span.warn-text { (moment(at)) } },
        Some(at) if at.ns_since(now) < 14 * DAY_NS => {
            html! { span.warn-text title=(at) { "in " (length(at.ns_since(now))) } }
        }
        Some(at) => html! { time datetime=(at) title=(at) { (day(at)) } },
    }
}

/// A status in the console's words, and the class it is drawn with.
pub fn word(status: KeyStatus) -> (&'static str, &'static str) {
    match status {
        KeyStatus::Active => ("Active", "active"),
        KeyStatus::Rotating => ("Rotating", "rotating"),
        KeyStatus::Expired => ("Expired", "expired"),
        KeyStatus::Inactive => ("Suspended", "suspended"),
        KeyStatus::OrgSuspended => ("Org suspended", "suspended"),
        KeyStatus::Revoked => ("Revoked", "revoked"),
        KeyStatus::Deleted => ("Deleted", "deleted"),
    }
}

pub fn status(status: KeyStatus) -> Markup {
    let (word, class) = word(status);
    html! { span class={ "pill " (class) } { (word) } }
}

/// [`status`] of a report, which has it as text.
pub fn status_named(name: &str) -> Markup {
    use KeyStatus::{Active, Deleted, Expired, Inactive, OrgSuspended, Revoked, Rotating};
    let all = [Active, Rotating, Expired, Inactive, OrgSuspended, Revoked, Deleted];
    let found = all.into_iter().find(|status| status.as_str() == name);
    found.map_or_else(|| html! { span.pill { (name) } }, status)
}

pub fn role(role: GrantRole) -> &'static str {
    match role {
        GrantRole::ReadOnly => "read",
        GrantRole::Editor => "read and write",
        GrantRole::Admin => "admin",
    }
}

/// The buckets a key is for; the first few by name.
pub fn buckets(grants: &[Grant], is_scoped: bool, owner: &KeyOwner) -> Markup {
    const SHOWN: usize = 3;
    if let Some(all) = grants.iter().find(|grant| grant.bucket.is_none()) {
        return html! { "All buckets" span.quiet { " · " (role(all.role)) } };
    }
    if grants.is_empty() {
        return match (is_scoped, owner) {
            (false, KeyOwner::User(_)) => html! { span.quiet { "as its user" } },
            (false, _) => html! { span.quiet { "none" } },
            (true, _) => html! { span.quiet { "by policy" } },
        };
    }
    let named = || grants.iter().filter_map(|grant| Some((grant.bucket.as_ref()?, grant.role)));
    let rest = grants.len().saturating_sub(SHOWN);
    html! {
        @for (at, (bucket, own)) in named().take(SHOWN).enumerate() {
            @if at > 0 { ", " }
            span title=(role(own)) { (bucket) }
            @if own == GrantRole::ReadOnly { span.quiet { " (read)" } }
        }
        @if rest > 0 { span.quiet { " and " (rest) " more" } }
    }
}

/// JSON with its members on lines of their own, in their own order; what is no JSON stays as it is.
pub fn json(text: &str) -> String {
    let Ok(whole) = serde_json::from_str::<&serde_json::value::RawValue>(text) else { return text.to_owned() };
    let (mut out, mut depth, mut in_text, mut escaped) = (String::new(), 0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    let mut chars = whole.get().chars().peekable();
    while let Some(c) = chars.next() {
        if in_text {
            out.push(c);
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            c if c.is_whitespace() => {}
            '{' | '[' => {
                out.push(c);
                while chars.next_if(|c| c.is_whitespace()).is_some() {}
                if let Some(end) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => {
                in_text = c == '"';
                out.push(c);
            }
        }
    }
    out
}

/// A button that copies the text of the element with this id; there is none without JavaScript.
pub fn copy(id: &str, what: &str) -> Markup {
    html! { button.copy type="button" data-copy=(id) aria-label={ "Copy " (what) } hidden { "Copy" } }
}

pub fn key_name(state: &State, key: KeyUid) -> String {
    state.key_by_uid(key).map_or_else(|| key.to_string(), |key| key.id.to_string())
}

/// `alice`, `the org`, `bucket photos`.
pub fn owner(state: &State, owner: &KeyOwner) -> String {
    match owner {
        KeyOwner::Org => "the org".to_owned(),
        KeyOwner::User(user) => state.user(*user).map_or_else(|| user.to_string(), |user| user.name.to_string()),
        KeyOwner::Bucket(bucket) => format!("bucket {bucket}"),
    }
}

/// A key's label, or whose it is where it has none.
pub fn label(state: &State, key: &KeyRecord) -> Markup {
    if key.label.is_empty() {
        html! { span.quiet { "key of " (text(&owner(state, &key.owner))) } }
    } else {
        html! { (text(&key.label)) }
    }
}

/// `1.4 GB`
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut unit, mut whole, mut rest) = (0, number, 0);
    while whole >= 1_000 && unit + 1 < UNITS.len() {
        (rest, whole, unit) = (whole % 1_000, whole / 1_000, unit + 1);
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 || whole >= 100 { format!("{whole} {name}") } else { format!("{whole}.{} {name}", rest / 100) }
}

/// Where the storage answers, for what a person pastes into a shell: only what can stand there safely.
pub fn endpoint(api: &Api, incoming: &Incoming) -> String {
    if let Some(set) = api.console.s3_endpoint.get() {
        return set.clone();
    }
    if let Some(url) = &api.options.public_url {
        return url.clone();
    }
    own_address(incoming)
}

/// The address that a request was sent to, unless something in it could mean something to a shell.
fn own_address(incoming: &Incoming) -> String {
    let scheme = if incoming.tls.is_some() { "https" } else { "http" };
    let is_plain = |host: &&str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b));
    let host = incoming.header("host").filter(is_plain).filter(|host| !host.is_empty() && host.len() <= 255);
    format!("{scheme}://{}", host.unwrap_or("127.0.0.1:9400"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 999, 1_400, 23_456_789, 123_000_000_000].map(bytes),
            ["0 B", "999 B", "1.4 kB", "23.4 MB", "123 GB"]
        );
        assert_eq!(length(3 * DAY_NS), "3 d");
        assert_eq!(short(Time::from_seconds(0)), "1970-01-01 00:00");
    }

    #[test]
    fn a_host_that_could_mean_something_to_a_shell_is_not_repeated() {
        use super::super::guard::tests::incoming;
        let of = |host: &str| own_address(&incoming("127.0.0.1", None, &[("host", host)]));
        assert_eq!(of("[::1]:9400"), "http://[::1]:9400");
        assert_eq!(
            own_address(&incoming("192.0.2.7", Some("1.3"), &[("host", "keys.example.com")])),
            "https://keys.example.com"
        );
        for bad in ["x';id;'", "$(id)", "a b", "\"", "", "user@host"] {
            assert_eq!(of(bad), "http://127.0.0.1:9400", "{bad}");
        }
    }

    #[test]
    fn json_keeps_its_order_and_its_text() {
        let text = r#"{"b":[1,"x{\\\",[]"],"a":{},"c": [ ]}"#;
        assert_eq!(json(text), "{\n  \"b\": [\n    1,\n    \"x{\\\\\\\",[]\"\n  ],\n  \"a\": {},\n  \"c\": []\n}");
        assert_eq!(json("{nope"), "{nope");
    }

    #[test]
    fn what_hides_or_reorders_is_written_out() {
        assert_eq!(text("a\u{202e}b<"), "a\\u{202e}b<");
        assert_eq!(lines("a\n\tb\u{200b}"), "a\n    b\\u{200b}");
    }
}
