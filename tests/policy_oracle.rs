//! tests/policy_oracle.rs: do we decide as an independent implementation does?
//!
//! The npm package @cloud-copilot/iam-simulate, which shares nothing with us but AWS's documentation, decides the same random
//! cases. Where the two differ, a row of [`KNOWN`] says who follows which words of that documentation; a difference that no
//! row explains fails the test. `tools/oracle/run` installs the package and runs this; ORACLE_CASES and ORACLE_SEED choose
//! other cases.
//!
//! Not here: cases with a verdict of their own (`policy_evaluate`).

use keyledger::policy::{ConditionKey, Document, DocumentKind, Request, Value, evaluate};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// A difference that AWS's documentation decides.
struct Known {
    name: &'static str,
    /// Where AWS says so.
    source: &'static str,
    /// Whether a case has what it takes. Each looks for its own cause alone.
    applies: fn(&Case) -> bool,
}

const KNOWN: &[Known] = &[
    Known {
        name: "a negated operator and a variable without a value: it holds, the oracle lets nothing match",
        source: "IAM User Guide, Policy variables with no value: inverted operators such as StringNotLike match a null value",
        applies: |case| case.conditions().any(|c| c.is_negated() && c.wanted().any(|text| case.is_unresolved(text))),
    },
    Known {
        name: "IfExists behind ForAnyValue, and no such key: it holds, the oracle says no",
        source: "IAM User Guide, ...IfExists: if the key is not present, evaluate the condition element as true",
        applies: |case| {
            case.conditions()
                .any(|c| c.operator.starts_with("ForAnyValue:") && c.is_if_exists() && case.values(c.key).is_empty())
        },
    },
    Known {
        name: "an empty list of values: no key, the oracle calls it a key",
        source: "IAM User Guide, Null: `false` means the key exists and its value is not null",
        applies: |case| {
            case.conditions().any(|c| matches!(case.given(c.key), Some(Json::Array(list)) if list.is_empty()))
        },
    },
    Known {
        name: "a list of one value and no set operator: one value, the oracle wants none in a list",
        source: "IAM User Guide, Single-valued vs. multivalued context keys: what counts is the number of values in the request",
        applies: |case| case.has_list_of_one(),
    },
    Known {
        name: "a negated operator and a value it cannot read: not equal, the oracle lets nothing match",
        source: "IAM User Guide, Condition operators: negated matching holds where the values do not match",
        applies: |case| {
            case.conditions().any(|c| {
                let unread = |text: &String| match c.base() {
                    "NumericNotEquals" => text.parse::<f64>().is_err(),
                    "NotIpAddress" => text.parse::<std::net::IpAddr>().is_err(),
                    "DateNotEquals" => !text.starts_with("20") && text.parse::<i64>().is_err(),
                    "ArnNotLike" | "ArnNotEquals" => !text.starts_with("arn:"),
                    _ => false,
                };
                case.values(c.key).iter().any(unread)
            })
        },
    },
    Known {
        name: "NotIpAddress with a single address of the other kind: not equal, the oracle lets nothing match",
        source: "IAM User Guide, IP address condition operators: all addresses except the specified one",
        applies: |case| {
            let six = |text: &str| text.contains(':');
            case.conditions().any(|c| {
                c.base() == "NotIpAddress"
                    && c.wanted()
                        .any(|w| !w.contains('/') && case.values(c.key).iter().any(|found| six(found) != six(w)))
            })
        },
    },
    Known {
        name: "0.0.0.0/0: every IPv4 address, the oracle's shift makes it none",
        source: "IAM User Guide, IP address condition operators: CIDR format (RFC 4632), where /0 leaves no bit to compare",
        applies: |case| case.conditions().any(|c| c.wanted().any(|wanted| wanted == "0.0.0.0/0")),
    },
    Known {
        name: "NotResource and a variable without a value: it names nothing, so nothing is left out; the oracle drops the statement",
        source: "IAM User Guide, Policy variables with no value: there is no equal or like value",
        applies: |case| {
            let patterns = case.statements().filter_map(|statement| statement.get("NotResource"));
            patterns.flat_map(texts).any(|pattern| case.is_unresolved(pattern))
        },
    },
    Known {
        name: "${*} under an operator without wildcards: an asterisk, the oracle takes it as written",
        source: "IAM User Guide, Policy variables: ${*}, ${?} and ${$} can be used wherever regular policy variables can",
        applies: |case| {
            case.conditions().any(|c| !c.base().ends_with("Like") && c.wanted().any(|wanted| wanted.contains("${*}")))
        },
    },
    Known {
        name: "seconds since 1970 beside a date in ISO 8601: compared as moments, the oracle takes seconds for milliseconds",
        source: "IAM User Guide, Date condition operators: either W3C ISO 8601 or epoch (UNIX) time",
        applies: |case| {
            let epoch = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
            case.conditions().any(|c| {
                c.base().starts_with("Date")
                    && c.wanted().any(|w| case.values(c.key).iter().any(|found| epoch(found) != epoch(w)))
            })
        },
    },
    Known {
        name: "a variable before version 2012-10-17: plain text, the oracle resolves it",
        source: "IAM User Guide, Version: with 2008-10-17 variables such as ${aws:username} are treated as literal strings",
        applies: |case| case.policies.iter().any(|p| p["Version"] != "2012-10-17" && p.to_string().contains("${")),
    },
    Known {
        name: "a default for a key with several values: no value and so no match, the oracle takes the default",
        source: "IAM User Guide, Single-valued vs. multivalued context keys: multivalued keys cannot be policy variables",
        applies: |case| {
            let text = Json::from(case.policies.clone()).to_string();
            case.context.iter().any(|(key, value)| {
                value.as_array().is_some_and(|list| list.len() > 1) && text.contains(&format!("${{{key}, "))
            })
        },
    },
];

#[test]
#[ignore = "needs node and an npm package: run tools/oracle/run"]
fn an_independent_implementation_decides_the_same_or_the_documentation_says_who_is_right() {
    let number = |name: &str, otherwise| std::env::var(name).map_or(otherwise, |text| text.parse().expect(name));
    let (count, seed) = (number("ORACLE_CASES", 20_000), number("ORACLE_SEED", 1));
    let mut dice = Dice(seed);
    let cases: Vec<Case> = (0..count).map(|_| Case::random(&mut dice)).collect();
    let theirs = ask_oracle(&cases);
    assert_eq!(theirs.len(), cases.len(), "the oracle answers every case");

    let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut explained: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    let mut unexplained = Vec::new();
    for (case, theirs) in cases.iter().zip(&theirs) {
        let ours = case.decide();
        *verdicts.entry(ours).or_default() += 1;
        if ours == theirs {
            continue;
        }
        match KNOWN.iter().find(|known| (known.applies)(case)) {
            Some(known) => explained.entry(known.name).or_insert((0, known.source.to_owned())).0 += 1,
            None => unexplained.push(format!("ours {ours}, theirs {theirs}: {}", case.line())),
        }
    }
    println!("{count} comparisons with @cloud-copilot/iam-simulate, seed {seed}; we said {verdicts:?}");
    for (name, (times, source)) in &explained {
        println!("{times:6}  {name}\n        {source}");
    }
    assert!(
        unexplained.is_empty(),
        "{} differ:\n{}",
        unexplained.len(),
        unexplained[..unexplained.len().min(8)].join("\n")
    );
    assert!(verdicts.len() == 3 && verdicts.values().all(|times| *times > cases.len() / 20), "{verdicts:?}");
    let differing: usize = explained.values().map(|(times, _)| times).sum();
    assert!(differing * 5 < cases.len(), "{differing} of {count} cases say little about us");
}

fn ask_oracle(cases: &[Case]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::var_os("KEYLEDGER_ORACLE").map_or_else(|| root.join("target/oracle"), Into::into);
    let mut node = Command::new("node")
        .arg(root.join("tools/oracle/decide.mjs"))
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs: tools/oracle/run installs it");
    let mut stdin = node.stdin.take().expect("piped");
    let lines: String = cases.iter().map(|case| case.line() + "\n").collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = node.wait_with_output().expect("node ends");
    writer.join().expect("no panic").expect("node reads all");
    assert!(output.status.success(), "tools/oracle/decide.mjs failed");
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

struct Case {
    policies: Vec<Json>,
    action: &'static str,
    resource: String,
    context: serde_json::Map<String, Json>,
}

/// One condition of a case, as it stands in a document.
struct Written<'a> {
    operator: &'a str,
    key: &'a str,
    values: &'a Json,
}

impl Written<'_> {
    /// Without prefix and suffix.
    fn base(&self) -> &str {
        let plain = self.operator.split_once(':').map_or(self.operator, |(_, plain)| plain);
        plain.strip_suffix("IfExists").unwrap_or(plain)
    }

    fn is_if_exists(&self) -> bool {
        self.operator.ends_with("IfExists")
    }

    fn is_negated(&self) -> bool {
        self.base().contains("Not")
    }

    fn wanted(&self) -> impl Iterator<Item = &str> {
        texts(self.values)
    }
}

/// One text or a list of them.
fn texts(json: &Json) -> impl Iterator<Item = &str> {
    json.as_array().map_or(std::slice::from_ref(json), Vec::as_slice).iter().filter_map(Json::as_str)
}

impl Case {
    fn line(&self) -> String {
        let request = json!({"action": self.action, "resource": self.resource, "context": self.context});
        json!({"policies": self.policies, "request": request}).to_string()
    }

    fn decide(&self) -> &'static str {
        let documents: Vec<Document> = self
            .policies
            .iter()
            .map(|policy| Document::parse(&policy.to_string(), DocumentKind::Simulated).expect("a valid document"))
            .collect();
        let texts: Vec<(&str, Vec<String>)> = self.context.keys().map(|key| (&**key, self.values(key))).collect();
        let values: Vec<(&str, Vec<Value<'_>>)> =
            texts.iter().map(|(key, texts)| (*key, texts.iter().map(|text| Value::Text(text)).collect())).collect();
        let entries: Vec<_> = values.iter().map(|(key, values)| (*key, &**values)).collect();
        evaluate(&documents, &Request::new(self.action, &self.resource, &entries[..])).verdict.as_str()
    }

    fn statements(&self) -> impl Iterator<Item = &Json> {
        self.policies.iter().flat_map(|policy| policy["Statement"].as_array().expect("a list"))
    }

    fn conditions(&self) -> impl Iterator<Item = Written<'_>> {
        let operators = self.statements().filter_map(|statement| statement["Condition"].as_object()).flatten();
        operators.flat_map(|(operator, keys)| {
            let keys = keys.as_object().expect("an object");
            keys.iter().map(move |(key, values)| Written { operator, key, values })
        })
    }

    /// What the request has for a key, in whatever case it is written.
    fn given(&self, key: &str) -> Option<&Json> {
        let key = ConditionKey::parse(key)?;
        self.context.iter().find(|(name, _)| key.is(name)).map(|(_, value)| value)
    }

    fn values(&self, key: &str) -> Vec<String> {
        match self.given(key) {
            None => Vec::new(),
            Some(Json::Array(list)) => list.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            Some(value) => value.as_str().map(str::to_owned).into_iter().collect(),
        }
    }

    fn has_list_of_one(&self) -> bool {
        self.context.values().any(|value| value.as_array().is_some_and(|list| list.len() == 1))
    }

    /// Whether `text` has a variable without default for which the request has no single value.
    fn is_unresolved(&self, text: &str) -> bool {
        text.split("${").skip(1).any(|rest| {
            let inside = rest.split('}').next().unwrap_or_default();
            let (key, default) = inside.split_once(", ").map_or((inside, None), |(key, default)| (key, Some(default)));
            let several = matches!(self.given(key), Some(Json::Array(_)));
            !matches!(key, "*" | "?" | "$") && (several || self.given(key).is_none() && default.is_none())
        })
    }

    fn random(dice: &mut Dice) -> Self {
        let policies = (0..dice.between(1, 3)).map(|_| random_policy(dice)).collect();
        let mut context = serde_json::Map::new();
        for (key, values) in KEYS {
            if dice.chance(55) {
                let value = match *key {
                    "aws:TagKeys" => match dice.below(10) {
                        0 => json!([]),
                        1 => json!(dice.pick(values)),
                        _ => json!((0..dice.between(1, 4)).map(|_| dice.pick(values)).collect::<Vec<_>>()),
                    },
                    _ if dice.chance(2) => json!([dice.pick(values), dice.pick(values)]),
                    _ => json!(dice.pick(values)),
                };
                context.insert(odd_case(dice, key), value);
            }
        }
        let (action, resource) = (*dice.pick(ACTIONS), (*dice.pick(RESOURCES)).to_owned());
        Self { policies, action, resource, context }
    }
}

const ACTIONS: &[&str] = &[
    "s3:GetObject",
    "s3:PutObject",
    "s3:ListBucket",
    "s3:DeleteObject",
    "s3:GetObjectAcl",
    "iam:CreateUser",
    "sqs:SendMessage",
];
const ACTION_PATTERNS: &[&str] = &[
    "*",
    "s3:*",
    "s3:*",
    "s3:Get*",
    "s3:getobject",
    "S3:PutObject",
    "s3:*Object",
    "s3:?etObject*",
    "s3:List*",
    "iam:*",
    "sqs:Send*",
    "s3:DeleteObject",
    "s3:*e*t*",
];
const RESOURCES: &[&str] = &[
    "arn:aws:s3:::data",
    "arn:aws:s3:::data/x",
    "arn:aws:s3:::data/home/alice/photo.png",
    "arn:aws:s3:::data/home/bob/a:b",
    "arn:aws:s3:::Data/x",
    "arn:aws:s3:::logs/2026/03",
    "arn:aws:iam::111122223333:user/dev/alice",
    "arn:aws:sqs:eu-west-1:111122223333:queue",
];
const RESOURCE_PATTERNS: &[&str] = &[
    "*",
    "*",
    "arn:aws:s3:::data",
    "arn:aws:s3:::data/*",
    "arn:aws:s3:::data*",
    "arn:aws:s3:::*",
    "arn:aws:s3:::data/home/${aws:username}/*",
    "arn:aws:s3:::*/x",
    "arn:aws:s3:::?ata/?",
    "arn:aws:s3:::data/${aws:PrincipalTag/team, 'home'}/*",
    "arn:*:s3:::logs/*",
    "arn:aws:iam::111122223333:user/dev/*",
    "arn:aws:iam::*:user/*",
    "arn:aws:sqs:eu-*:111122223333:q*",
    "arn:aws:sqs:*:*:queue",
    "arn:aws:s3:::data/*:b",
    "arn:aws:s3:::data/home/*.png",
    "arn:aws:s3:::data/${aws:userid}*",
];

/// Keys and the values a request may have for them.
const KEYS: &[(&str, &[&str])] = &[
    ("aws:username", &["alice", "bob", "Alice", "a*"]),
    ("aws:userid", &["AIDA1", "home"]),
    ("aws:PrincipalTag/team", &["blue", "home", "Blue"]),
    ("s3:prefix", &["home/alice/x", "home/", "tmp", "Home/", "a.b+c", "*"]),
    ("s3:max-keys", &["10", "9.5", "100", "-1", "ten"]),
    ("aws:CurrentTime", &["2026-03-01T09:00:00Z", "2026-06-30T23:59:59Z", "1772355600", "2027-01-01"]),
    ("aws:SecureTransport", &["true", "false", "True", "maybe"]),
    ("aws:SourceIp", &["203.0.113.7", "203.0.113.200", "198.51.100.1", "2001:db8::1", "2001:db8:8000::1", "nowhere"]),
    ("aws:PrincipalArn", &["arn:aws:iam::111122223333:user/dev/alice", "arn:aws:iam::444455556666:role/x", "alice"]),
    ("aws:TagKeys", &["env", "team", "Env", "cost:center"]),
];

/// Operators for a key, and what a policy may want there.
const WANTED: &[(&str, &[&str], &[&str])] = &[
    (
        "s3:prefix",
        &[
            "StringEquals",
            "StringLike",
            "StringNotEquals",
            "StringNotLike",
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
        ],
        &[
            "home/${aws:username}/*",
            "home/*",
            "tmp",
            "HOME/",
            "?mp",
            "a.b+c",
            "${*}",
            "*",
            "${aws:PrincipalTag/team, 'tmp'}",
            "home/",
        ],
    ),
    (
        "aws:username",
        &["StringEquals", "StringNotEquals", "StringLike", "StringEqualsIgnoreCase"],
        &["alice", "a*", "${aws:PrincipalTag/team}", "bo?"],
    ),
    ("aws:PrincipalTag/team", &["StringEquals", "StringNotLike", "StringLike"], &["blue", "b*", "${aws:userid}"]),
    (
        "s3:max-keys",
        &[
            "NumericEquals",
            "NumericNotEquals",
            "NumericLessThan",
            "NumericLessThanEquals",
            "NumericGreaterThan",
            "NumericGreaterThanEquals",
        ],
        &["10", "9.5", "100", "-5"],
    ),
    (
        "aws:CurrentTime",
        &[
            "DateEquals",
            "DateNotEquals",
            "DateLessThan",
            "DateLessThanEquals",
            "DateGreaterThan",
            "DateGreaterThanEquals",
        ],
        &["2026-03-01T09:00:00Z", "2026-03-01T10:00:00+01:00", "2026-06-30", "1772355600", "2027-01-01T00:00:00Z"],
    ),
    ("aws:SecureTransport", &["Bool"], &["true", "false"]),
    (
        "aws:SourceIp",
        &["IpAddress", "NotIpAddress"],
        &["203.0.113.0/24", "203.0.113.7", "198.51.100.0/25", "2001:db8::/33", "2001:db8::1", "0.0.0.0/0"],
    ),
    (
        "aws:PrincipalArn",
        &["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"],
        &[
            "arn:aws:iam::111122223333:user/*",
            "arn:aws:iam::*:role/x",
            "arn:aws:iam::111122223333:user/dev/${aws:username}",
            "arn:*:iam::?11122223333:*",
        ],
    ),
    (
        "aws:TagKeys",
        &["StringEquals", "StringLike", "StringNotEquals", "StringNotLike"],
        &["env", "e*", "team", "cost:*", "${aws:username}"],
    ),
];

fn random_policy(dice: &mut Dice) -> Json {
    let statements: Vec<Json> = (0..dice.between(1, 4)).map(|_| random_statement(dice)).collect();
    match dice.below(20) {
        0 => json!({"Statement": statements}),
        _ => json!({"Version": "2012-10-17", "Statement": statements}),
    }
}

fn random_statement(dice: &mut Dice) -> Json {
    let mut statement = json!({"Effect": if dice.chance(70) { "Allow" } else { "Deny" }});
    let name = |dice: &mut Dice, only, but| if dice.chance(85) { only } else { but };
    let action = name(dice, "Action", "NotAction");
    statement[action] = dice.some(ACTION_PATTERNS);
    let resource = name(dice, "Resource", "NotResource");
    statement[resource] = dice.some(RESOURCE_PATTERNS);
    let mut block = serde_json::Map::new();
    for _ in 0..[0, 0, 1, 1, 2][dice.index(5)] {
        let (key, operators, wanted) = *dice.pick(WANTED);
        let (operator, values) = if dice.chance(10) {
            ("Null".to_owned(), json!(*dice.pick(&["true", "false"])))
        } else {
            let set = match (key, dice.below(20)) {
                ("aws:TagKeys", 0..8) | (_, 0) => "ForAnyValue:",
                ("aws:TagKeys", 8..16) | (_, 1) => "ForAllValues:",
                _ => "",
            };
            let suffix = if dice.chance(20) { "IfExists" } else { "" };
            (format!("{set}{}{suffix}", dice.pick(operators)), dice.some(wanted))
        };
        let keys = block.entry(operator).or_insert_with(|| json!({})).as_object_mut().expect("an object");
        // The same key twice in other letters would be refused.
        if !keys.keys().any(|earlier| earlier.eq_ignore_ascii_case(key)) {
            keys.insert(odd_case(dice, key), values);
        }
    }
    if !block.is_empty() {
        statement["Condition"] = Json::Object(block);
    }
    statement
}

/// Now and then in capitals, which must not matter.
fn odd_case(dice: &mut Dice, key: &str) -> String {
    if dice.chance(8) { key.to_ascii_uppercase() } else { key.to_owned() }
}

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % bound
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("an index")
    }

    /// From `low` up to, and without, `high`.
    fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.index(high - low)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.index(choices.len())]
    }

    /// One of them, or a list of some.
    fn some(&mut self, choices: &[&str]) -> Json {
        if self.chance(50) {
            return json!(self.pick(choices));
        }
        json!((0..self.between(1, 4)).map(|_| *self.pick(choices)).collect::<Vec<_>>())
    }
}
