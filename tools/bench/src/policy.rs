//! P1: deciding a request by 1, 5 and 50 statements; and cases from JSON lines.
//!
//! 60% of the requests are allowed. Each statement has actions with wildcards, a resource with a star at its end or (one in
//! five) within, a range of addresses and a date. All engines must say the same to all requests.
//!
//! Not here: what AWS's semantics are (the crate's own tests and its oracle).

use crate::Result;
use crate::floor::policy as floor;
use crate::plan::Plan;
use crate::replay::same;
use crate::rng::Rng;
use crate::table::{Bound, Lane, Race, Report, Sample};
use keyledger::model::Time;
use keyledger::policy::{
    Action, Cases, ConditionKey, Context, Document, DocumentKind, Found, KnownKey, Request, Value, evaluate,
};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

/// What is asked for.
pub const ACTIONS: &[&str] = &[
    "s3:GetObject",
    "s3:GetObjectAcl",
    "s3:GetObjectTagging",
    "s3:GetBucketLocation",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
    "s3:PutObject",
    "s3:PutObjectAcl",
    "s3:PutObjectTagging",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    "s3:RestoreObject",
    "s3:DeleteObjectTagging",
];
const PATTERNS: &[&str] =
    &["s3:GetObject*", "s3:Get*", "s3:List*", "s3:PutObject", "s3:*Multipart*", "s3:RestoreObject"];
const DENIED: &[&str] = &["s3:Delete*", "s3:PutObjectAcl"];
/// 2026-03-01T09:00:00Z.
const NOW: i64 = 1_772_355_600;
const REQUESTS: usize = 4_096;
const FLOOR: &str = "floor: compiled loop";
const OURS: &str = "keyledger evaluate";
const IAM_RS: &str = "iam-rs, request prebuilt";
const CEDAR: &str = "Cedar, request prebuilt";

/// A statement before anybody compiled it.
#[derive(Debug, Clone)]
pub struct Rule {
    pub allow: bool,
    pub actions: Vec<&'static str>,
    pub resource: String,
    pub range: String,
    pub before: i64,
    /// What a request fills in to match it.
    second: u8,
}

/// A request before anybody prepared it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub action: &'static str,
    pub resource: String,
    pub address: Ipv4Addr,
    pub now: i64,
}

impl Asked {
    /// RFC 3339.
    pub fn now_text(&self) -> String {
        Time::from_seconds(self.now).to_string()
    }
}

impl Rule {
    /// Whether `action` is among its actions.
    pub fn means(&self, action: &str) -> bool {
        self.actions.iter().any(|pattern| floor::glob(pattern.as_bytes(), action.as_bytes()))
    }

    fn random(rng: &mut Rng, at: usize, allow: bool) -> Self {
        let patterns = if allow { PATTERNS } else { DENIED };
        let actions = (0..1 + rng.index(2)).map(|_| rng.pick(patterns)).collect();
        let resource = if at == 0 || rng.chance(80) {
            format!("arn:aws:s3:::bucket-{at}/data/*")
        } else {
            format!("arn:aws:s3:::bucket-{at}/*/2026/*.parquet")
        };
        let second = (at % 250) as u8;
        let range = format!("10.{second}.0.0/16");
        Self { allow, actions, resource, range, before: NOW + 86_400 * (1 + rng.below(300) as i64), second }
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "Effect": if self.allow { "Allow" } else { "Deny" },
            "Action": self.actions,
            "Resource": self.resource,
            "Condition": {
                "IpAddress": {"aws:SourceIp": self.range},
                "DateLessThan": {"aws:CurrentTime": Time::from_seconds(self.before).to_string()},
            },
        })
    }

    fn compiled(&self) -> floor::Statement {
        let bits = ACTIONS.iter().enumerate().filter(|(_, action)| self.means(action)).map(|(bit, _)| 1 << bit);
        let (head, tail) = self.resource.split_at(self.resource.len() - 1);
        let resource = match head.contains('*') || tail != "*" {
            true => floor::Resource::Glob(self.resource.split('*').map(|text| text.as_bytes().into()).collect()),
            false => floor::Resource::Prefix(head.as_bytes().into()),
        };
        let net = u32::from(Ipv4Addr::new(10, self.second, 0, 0));
        floor::Statement {
            allow: self.allow,
            actions: bits.sum(),
            resource,
            net,
            mask: 0xffff_0000,
            before: self.before,
        }
    }

    /// A request that it matches.
    fn asked(&self, rng: &mut Rng) -> Asked {
        let meant: Vec<&'static str> = ACTIONS.iter().copied().filter(|action| self.means(action)).collect();
        let resource = match self.resource.strip_suffix("/data/*") {
            Some(bucket) => format!("{bucket}/data/{:08x}/object-{}", rng.bits() as u32, rng.below(1_000)),
            None => {
                let part = format!("tables/t{}", rng.below(100));
                self.resource.replacen('*', &part, 1).replacen(
                    '*',
                    &format!("{:02}/part-{}", rng.below(12), rng.below(99)),
                    1,
                )
            }
        };
        let address = Ipv4Addr::new(10, self.second, rng.below(256) as u8, rng.below(256) as u8);
        Asked { action: meant[rng.index(meant.len())], resource, address, now: NOW }
    }
}

fn rules(rng: &mut Rng, count: usize) -> Vec<Rule> {
    (0..count).map(|at| Rule::random(rng, at, at % 5 != 4)).collect()
}

/// Requests of which 60% are allowed; the others miss by their action, resource, address or date.
fn questions(rng: &mut Rng, rules: &[Rule]) -> Vec<Asked> {
    let compiled: Vec<_> = rules.iter().map(Rule::compiled).collect();
    let allowing: Vec<&Rule> = rules.iter().filter(|rule| rule.allow).collect();
    let mut asked = Vec::with_capacity(REQUESTS);
    while asked.len() < REQUESTS {
        let wanted = asked.len() % 5 < 3;
        let mut one = allowing[rng.index(allowing.len())].asked(rng);
        if !wanted {
            match rng.below(4) {
                0 => one.action = ACTIONS[rng.index(ACTIONS.len())],
                1 => one.resource = one.resource.replace("bucket-", "bocket-"),
                2 => one.address = Ipv4Addr::new(192, 0, 2, rng.below(256) as u8),
                _ => one.now += 400 * 86_400,
            }
        }
        if floor::decide(&compiled, &floor_request(&one)) == wanted {
            asked.push(one);
        }
    }
    asked
}

fn floor_request(asked: &Asked) -> floor::Request {
    let action = ACTIONS.iter().position(|action| *action == asked.action).unwrap_or(63) as u32;
    let address = u32::from(asked.address);
    floor::Request { action, resource: asked.resource.as_bytes().into(), address, now: asked.now }
}

fn document(rules: &[Rule]) -> String {
    json!({"Version": "2012-10-17", "Statement": rules.iter().map(Rule::json).collect::<Vec<_>>()}).to_string()
}

/// What a storage node would know of a request.
struct Known {
    address: IpAddr,
    now: Time,
}

impl Context for Known {
    fn find(&self, key: &ConditionKey) -> Found<'_> {
        match key.known() {
            Some(KnownKey::SourceIp) => Found::One(Value::Address(self.address)),
            Some(KnownKey::CurrentTime) => Found::One(Value::Time(self.now)),
            _ => Found::Absent,
        }
    }
}

/// Mean ns of a decision, over all requests `times` times.
fn timed(times: usize, allowed: usize, mut decide: impl FnMut(usize) -> bool) -> Result<Sample> {
    let began = Instant::now();
    let mut said = 0;
    for _ in 0..times {
        said += (0..REQUESTS).filter(|at| std::hint::black_box(decide(std::hint::black_box(*at)))).count();
    }
    let mean = began.elapsed().as_nanos() as f64 / (times * REQUESTS) as f64;
    same("requests allowed", said, allowed * times)?;
    Ok(Sample::of(mean))
}

/// Runs the stage.
pub fn run(plan: &Plan, report: &mut Report) -> Result<()> {
    if plan.wants(&["P1"]) {
        for count in [1, 5, 50] {
            race(plan, report, count)?;
        }
    }
    if plan.wants(&["cases"]) {
        cases(plan, report)?;
    }
    Ok(())
}

fn race(plan: &Plan, report: &mut Report, count: usize) -> Result<()> {
    let mut rng = Rng::seeded(plan.seed ^ count as u64);
    let rules = rules(&mut rng, count);
    let asked = questions(&mut rng, &rules);
    let compiled: Vec<_> = rules.iter().map(Rule::compiled).collect();
    let floor_requests: Vec<_> = asked.iter().map(floor_request).collect();
    let text = document(&rules);
    // 50 statements are longer than what may be stored as one policy: several would hold them.
    let document = Document::parse(&text, DocumentKind::Simulated)?;
    let contexts: Vec<Known> =
        asked.iter().map(|asked| Known { address: asked.address.into(), now: Time::from_seconds(asked.now) }).collect();
    let requests: Vec<_> = asked
        .iter()
        .zip(&contexts)
        .map(|(asked, context)| Request { action: Action::new(asked.action), resource: &asked.resource, context })
        .collect();
    let verdict: Vec<bool> = floor_requests.iter().map(|request| floor::decide(&compiled, request)).collect();
    let allowed = verdict.iter().filter(|allowed| **allowed).count();
    let ours: Vec<bool> = requests.iter().map(|request| evaluate([&document], request).is_allow()).collect();
    same(
        "verdicts like the floor's",
        ours.iter().zip(&verdict).filter(|(ours, floor)| ours == floor).count(),
        REQUESTS,
    )?;

    #[cfg(feature = "peers")]
    let (iam_rs, cedar) =
        (crate::peers::policy::IamRs::new(&text, &asked)?, crate::peers::policy::Cedar::new(&rules, &asked)?);
    let times = 400 / (count + 1);
    #[cfg_attr(not(feature = "peers"), allow(unused_mut))]
    let mut lanes = vec![
        Lane::new(FLOOR, || timed(times, allowed, |at| floor::decide(&compiled, &floor_requests[at]))),
        Lane::new(OURS, || timed(times, allowed, |at| evaluate([&document], &requests[at]).is_allow())),
    ];
    #[cfg(feature = "peers")]
    {
        for (name, said) in [
            (IAM_RS, (0..REQUESTS).filter(|at| iam_rs.allows(*at) == verdict[*at]).count()),
            (CEDAR, (0..REQUESTS).filter(|at| cedar.allows(*at) == verdict[*at]).count()),
        ] {
            same(name, said, REQUESTS)?;
        }
        lanes.push(Lane::new(IAM_RS, || timed(1, allowed, |at| iam_rs.allows(at))));
        lanes.push(Lane::new(CEDAR, || timed(1, allowed, |at| cedar.allows(at))));
    }
    let race = Race::run(plan, "ns", lanes)?;
    let statements = if count == 1 { "1 statement".to_owned() } else { format!("{count} statements") };
    report.lanes(&format!("deciding a request by {statements}"), &race);
    report.goal("P1", &format!("a decision, {statements}"), &race, OURS, FLOOR, Bound::AtMost(3.0));
    for peer in [IAM_RS, CEDAR] {
        if race.has(peer) {
            report.goal("P1", &format!("a decision, {statements}"), &race, OURS, peer, Bound::AtMost(0.01));
        }
    }
    Ok(())
}

/// Lines of cases, each with one or two documents; of `pool` different ones, or every one new without a pool.
fn lines(seed: u64, count: usize, pool: Option<usize>) -> Vec<u8> {
    let mut rng = Rng::seeded(seed);
    let make = |rng: &mut Rng| {
        let size = 1 + rng.index(4);
        let rules = rules(rng, size);
        (document(&rules), rules)
    };
    let kept: Vec<_> = (0..pool.unwrap_or(0)).map(|_| make(&mut rng)).collect();
    let mut out = Vec::new();
    for id in 0..count {
        let fresh;
        let (text, rules) = match kept.is_empty() {
            false => &kept[rng.index(kept.len())],
            true => {
                fresh = make(&mut rng);
                &fresh
            }
        };
        let asked = rules[rng.index(rules.len())].asked(&mut rng);
        let context = json!({
            "aws:SourceIp": asked.address.to_string(), "aws:CurrentTime": asked.now_text(),
            "aws:username": "alice", "aws:SecureTransport": "true",
        });
        let request = json!({"action": asked.action, "resource": asked.resource, "context": context});
        out.extend_from_slice(format!("{{\"id\":{id},\"policies\":[{text}],\"request\":{request}}}\n").as_bytes());
    }
    out
}

fn cases(plan: &Plan, report: &mut Report) -> Result<()> {
    let count = if plan.name == "quick" { 100_000 } else { 1_000_000 };
    let shared = lines(plan.seed, count, Some(200));
    let fresh = lines(plan.seed, count / 2, None);
    let answer = |text: &[u8]| -> Result<Sample> {
        let began = Instant::now();
        let mut cases = Cases::default();
        let (mut out, mut allowed, mut from, mut number) = (Vec::with_capacity(64 << 10), 0, 0, 0);
        for end in memchr::memchr_iter(b'\n', text) {
            number += 1;
            let (id, verdict) = cases.answer(&text[from..end], number).map_err(|unanswered| unanswered.error)?;
            for piece in ["{\"id\":", &id, ",\"decision\":\"", verdict.as_str(), "\"}\n"] {
                out.extend_from_slice(piece.as_bytes());
            }
            if out.len() > 60 << 10 {
                std::hint::black_box(&out);
                out.clear();
            }
            allowed += usize::from(verdict.is_allow());
            from = end + 1;
        }
        let rate = number as f64 / began.elapsed().as_secs_f64();
        if allowed == 0 {
            return Err("no case was allowed".into());
        }
        Ok(Sample::of(rate))
    };
    let floor = |text: &[u8]| -> Result<Sample> {
        let began = Instant::now();
        let (mut from, mut number) = (0, 0);
        for end in memchr::memchr_iter(b'\n', text) {
            let line = std::str::from_utf8(&text[from..end])?;
            std::hint::black_box(serde_json::from_str::<&serde_json::value::RawValue>(line)?);
            (from, number) = (end + 1, number + 1);
        }
        Ok(Sample::of(f64::from(number) / began.elapsed().as_secs_f64()))
    };
    let race = Race::run(
        plan,
        "cases/s",
        vec![
            Lane::new("floor: serde_json skims each line", || floor(&shared)),
            Lane::new("keyledger, 200 documents", || answer(&shared)),
            Lane::new("keyledger, every document new", || answer(&fresh)),
        ],
    )?;
    report.lanes("policy simulate --cases, one thread", &race);
    for name in ["keyledger, 200 documents", "keyledger, every document new"] {
        let what = format!("cases a second and core; {}", name.trim_start_matches("keyledger, "));
        report.number("cases", &what, "/s", race.median(name), "200 k/s", Some(200_000.0), Bound::AtLeast(1.0));
    }
    Ok(())
}
