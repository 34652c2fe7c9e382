//! Which module may name which: the import table, one home a dependency, and one address for `unsafe`.
//!
//! The source is read as text, comments and strings left out, so a path counts wherever it stands: in a `use`, in
//! an expression, behind `super::`, in a test inside a file.
//!
//! Not here: what clippy already refuses (opening files and reading clocks outside `sys`).

use std::fs;
use std::path::{Path, PathBuf};

/// Module, what it may import. `lib.rs` and `main.rs` name everything and are not in the table.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("sys", &[]),
    ("model", &[]),
    ("log", &["sys"]),
    ("policy", &["model"]),
    ("sigv4", &["model"]),
    ("vault", &["model", "sys"]),
    // Snapshots and indexes are files, so `state` and what stands on it reach `sys` too.
    ("state", &["policy", "log", "model", "sys"]),
    ("ledger", &["state", "policy", "vault", "log", "model", "sys"]),
    ("gate", &["state", "policy", "vault", "sigv4", "model", "sys"]),
    ("audit", &["state", "policy", "vault", "log", "model", "sys"]),
    ("evidence", &["state", "policy", "vault", "log", "model", "sys"]),
    ("api", &["ledger", "gate", "audit", "evidence", "state", "policy", "vault", "sigv4", "log", "model", "sys"]),
    // Beside `api`: whoever sends it something.
    ("client", &["sigv4", "vault", "model", "sys"]),
    // Beside `api`: the S3 side of a storage node, without a writer.
    ("front", &["gate", "state", "sigv4", "vault", "model", "sys"]),
    // Needs a writer of its own, the first start and TLS: `api` has them.
    ("node", &["api", "client", "front", "ledger", "gate", "state", "vault", "model", "sys"]),
    (
        "cli",
        &[
            "node", "api", "client", "ledger", "gate", "audit", "evidence", "state", "policy", "vault", "sigv4", "log",
            "model", "sys",
        ],
    ),
];

/// Word, the one place it may stand (a file, or a folder and all below it).
const HOMES: &[(&str, &str)] = &[
    ("bincode", "model/codec.rs"),
    ("memmap2", "log/map.rs"),
    ("rand", "ledger/dice.rs"),
    ("clap", "cli/"),
    ("ureq", "client/mod.rs"),
    ("unsafe", "log/map.rs"),
];

#[test]
fn no_module_names_one_that_stands_above_or_beside_it() {
    let climbs: Vec<String> = sources().iter().flat_map(|(path, text)| climbing_lines(path, text)).collect();
    assert!(climbs.is_empty(), "\n{}\n", climbs.join("\n"));
}

#[test]
fn each_dependency_and_unsafe_has_one_home() {
    let strays: Vec<String> = sources().iter().flat_map(|(path, text)| stray_lines(path, text)).collect();
    assert!(strays.is_empty(), "\n{}\n", strays.join("\n"));
}

#[test]
fn every_folder_in_src_is_in_the_table() {
    for (path, _) in sources() {
        let module = module_of(&path);
        assert!(
            matches!(module, "lib" | "main") || MAY_IMPORT.iter().any(|(name, _)| *name == module),
            "`src/{}` belongs to no layer: give `{module}` a row in the table",
            path.display()
        );
    }
}

#[test]
fn a_climb_is_seen_however_it_is_written() {
    let climbs = |path: &str, text: &str| climbing_lines(Path::new(path), text).len();
    assert_eq!(climbs("log/frame.rs", "use crate::sys::Io;"), 0);
    assert_eq!(climbs("log/frame.rs", "use crate::model::Seq;"), 1, "equal numbers never meet");
    assert_eq!(climbs("state/apply.rs", "use crate::{\n    log::Log,\n    ledger::{Ledger, open},\n};"), 1);
    assert_eq!(climbs("state/apply.rs", "let x = crate::ledger::open();"), 1);
    assert_eq!(climbs("log/frame.rs", "use super::super::model::Seq;"), 1);
    assert_eq!(climbs("log/frame.rs", "// crate::model\nlet s = \"crate::model\"; /* crate::model */"), 0);
    assert_eq!(climbs("log/frame.rs", "let s = r#\"crate::model\"#; let c = '\"'; use crate::model::Seq;"), 1);
    assert_eq!(climbs("model/id.rs", "use crate::model::Time; use super::time;"), 0, "a module may name itself");
}

#[test]
fn a_stray_word_is_seen_and_part_of_a_word_is_not() {
    let strays = |path: &str, text: &str| stray_lines(Path::new(path), text).len();
    assert_eq!(strays("log/writer.rs", "unsafe { x() }"), 1);
    assert_eq!(strays("log/map.rs", "unsafe { x() }"), 0);
    assert_eq!(strays("log/mod.rs", "#![deny(unsafe_code)]\nlet operand = 1;"), 0);
    assert_eq!(strays("cli/args.rs", "use clap::Parser;"), 0);
    assert_eq!(strays("ledger/open.rs", "rand::rng()"), 1);
}

/// Every `.rs` file under `src/`, path relative to it, with its code (comments and strings blanked).
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("source is UTF-8");
                let relative = path.strip_prefix(root).expect("below src").to_path_buf();
                found.push((relative, code_only(&text)));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no source under `{}`", root.display());
    found
}

/// The first folder, or the file's stem when it stands in `src/` itself.
fn module_of(path: &Path) -> &str {
    let first = path.components().next().and_then(|part| part.as_os_str().to_str()).unwrap_or_default();
    first.strip_suffix(".rs").unwrap_or(first)
}

fn climbing_lines(path: &Path, text: &str) -> Vec<String> {
    let text = code_only(text);
    let own = module_of(path);
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == own) else { return Vec::new() };
    let mut lines = Vec::new();
    for (at, named) in named_modules(path, &text) {
        let known = MAY_IMPORT.iter().any(|(name, _)| *name == named);
        if known && named != own && !allowed.contains(&named.as_str()) {
            let line = 1 + text[..at].matches('\n').count();
            lines.push(format!("src/{}:{line}: `{own}` may not name `{named}`", path.display()));
        }
    }
    lines
}

/// Top-level modules that the code names, each with the byte it is named at.
fn named_modules(path: &Path, text: &str) -> Vec<(usize, String)> {
    // How many `super` lead from this file's module to the crate's root.
    let is_mod = path.file_name().is_some_and(|name| name == "mod.rs");
    let depth = path.components().count() - usize::from(is_mod);
    let mut named = Vec::new();
    for start in word_starts(text, "crate") {
        after_path(text, start + "crate".len(), &mut named);
    }
    for start in word_starts(text, "super") {
        // Only the first of a chain, so that each is counted once.
        if text[..start].trim_end().ends_with("::") {
            continue;
        }
        let (mut supers, mut end) = (1, start + "super".len());
        while let Some(rest) = text[end..].trim_start().strip_prefix("::") {
            let rest = rest.trim_start();
            if word_at(rest) != "super" {
                break;
            }
            supers += 1;
            end = text.len() - rest.len() + "super".len();
        }
        if supers >= depth {
            after_path(text, end, &mut named);
        }
    }
    named
}

/// What follows `crate` at `at`: `::name`, or `::{name…, name…}`.
fn after_path(text: &str, at: usize, named: &mut Vec<(usize, String)>) {
    let Some(rest) = text[at..].trim_start().strip_prefix("::") else { return };
    let rest = rest.trim_start();
    let offset = |tail: &str| text.len() - tail.len();
    if !rest.starts_with('{') {
        named.push((offset(rest), word_at(rest).to_owned()));
        return;
    }
    let (mut braces, mut expect_name) = (0, false);
    for (index, letter) in rest.char_indices() {
        match letter {
            '{' => {
                braces += 1;
                expect_name = braces == 1;
            }
            '}' => {
                braces -= 1;
                if braces == 0 {
                    return;
                }
            }
            ',' if braces == 1 => expect_name = true,
            letter if braces == 1 && expect_name && !letter.is_whitespace() => {
                named.push((offset(&rest[index..]), word_at(&rest[index..]).to_owned()));
                expect_name = false;
            }
            _ => {}
        }
    }
}

fn stray_lines(path: &Path, text: &str) -> Vec<String> {
    let text = code_only(text);
    let own = path.to_string_lossy().replace('\\', "/");
    let mut lines = Vec::new();
    for (word, home) in HOMES {
        if own == *home || (home.ends_with('/') && own.starts_with(home)) {
            continue;
        }
        for at in word_starts(&text, word) {
            // A dependency is named as a path (`rand::`, `use rand;`); a variable of that name is none.
            let after = text[at + word.len()..].trim_start();
            let before = text[..at].trim_end();
            let is_path = after.starts_with("::") || before.ends_with("use") || before.ends_with("extern crate");
            if *word == "unsafe" || (is_path && !before.ends_with("::")) {
                let line = 1 + text[..at].matches('\n').count();
                lines.push(format!("src/{own}:{line}: `{word}` has its home in src/{home}"));
            }
        }
    }
    lines
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn word_at(text: &str) -> &str {
    &text[..text.find(|letter| !is_word(letter)).unwrap_or(text.len())]
}

fn word_starts(text: &str, word: &str) -> Vec<usize> {
    let whole = |at: &usize| !text[..*at].ends_with(is_word) && !text[at + word.len()..].starts_with(is_word);
    text.match_indices(word).map(|(at, _)| at).filter(whole).collect()
}

/// The text with comments, strings and character literals replaced by blanks; line numbers stay.
fn code_only(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let blank = |letter: char| if letter == '\n' { '\n' } else { ' ' };
    while at < letters.len() {
        let rest = &letters[at..];
        let starts = |what: &str| what.chars().enumerate().all(|(i, letter)| rest.get(i) == Some(&letter));
        let end = if starts("//") {
            rest.iter().position(|letter| *letter == '\n').unwrap_or(rest.len())
        } else if starts("/*") {
            block_comment(rest)
        } else if rest[0] == '"' {
            quoted(rest)
        } else if rest[0] == 'r' && !out.ends_with(is_word) && raw_string(rest).is_some() {
            raw_string(rest).unwrap_or(1)
        } else if rest[0] == '\'' {
            char_literal(rest)
        } else {
            out.push(rest[0]);
            at += 1;
            continue;
        };
        out.extend(rest[..end].iter().map(|letter| blank(*letter)));
        at += end;
    }
    out
}

fn block_comment(text: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(text: &[char]) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

fn raw_string(text: &[char]) -> Option<usize> {
    let hashes = text[1..].iter().take_while(|letter| **letter == '#').count();
    if text.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let body = 2 + hashes;
    let closes = |at: usize| text[at] == '"' && (1..=hashes).all(|i| text.get(at + i) == Some(&'#'));
    Some((body..text.len()).find(|at| closes(*at)).map_or(text.len(), |at| at + 1 + hashes))
}

/// A character literal's length, or 1 for the tick of a lifetime.
fn char_literal(text: &[char]) -> usize {
    match (text.get(1), text.get(2)) {
        (Some('\\'), _) => text.iter().skip(3).position(|letter| *letter == '\'').map_or(1, |at| at + 4),
        (Some(_), Some('\'')) => 3,
        _ => 1,
    }
}
