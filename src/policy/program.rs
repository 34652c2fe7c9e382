//! The actions of a document's statements, as sets of numbers.
//!
//! One column of 64 known actions holds a word for each statement, so that asking all statements about one action reads words
//! that lie beside one another.
//!
//! Not here: actions without a number, whose patterns are matched one by one.

use super::action::{KNOWN, number_of, numbers_with_prefix};
use super::document::{Listed, Statement};
use super::pattern::ActionPattern;

const COLUMNS: usize = KNOWN.len().div_ceil(64);

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    words: Box<[u64]>,
    statements: usize,
}

/// What the statements say about one action.
#[derive(Clone, Copy)]
pub(super) struct Column<'a> {
    words: &'a [u64],
    bit: u32,
}

impl Column<'_> {
    /// Whether the action is one of statement `at`'s.
    #[inline]
    pub(super) fn has(self, at: usize) -> bool {
        self.words.get(at).is_some_and(|word| word >> self.bit & 1 == 1)
    }
}

impl Program {
    pub(super) fn of(statements: &[Statement]) -> Self {
        let mut words = vec![0; COLUMNS * statements.len()].into_boxed_slice();
        for (at, statement) in statements.iter().enumerate() {
            let mut set = [0; COLUMNS];
            for pattern in statement.actions.items() {
                add(&mut set, pattern);
            }
            for (column, word) in set.into_iter().enumerate() {
                words[column * statements.len() + at] = if statement.actions.is_all_but() { !word } else { word };
            }
        }
        debug_assert!(statements.iter().all(|s| matches!(s.actions, Listed::Only(_) | Listed::AllBut(_))));
        Self { words, statements: statements.len() }
    }

    #[inline]
    pub(super) fn column(&self, number: u16) -> Column<'_> {
        let from = usize::from(number / 64) * self.statements;
        Column { words: self.words.get(from..from + self.statements).unwrap_or_default(), bit: u32::from(number % 64) }
    }
}

/// Adds the numbers of all known actions that `pattern` means.
fn add(set: &mut [u64; COLUMNS], pattern: &ActionPattern) {
    let mut put = |number: usize| set[number / 64] |= 1 << (number % 64);
    let text = pattern.source();
    match text.find(['*', '?']) {
        None => {
            if let Some(number) = number_of(text) {
                put(usize::from(number));
            }
        }
        Some(0) => *set = [u64::MAX; COLUMNS],
        Some(at) => {
            let all = &text[at..] == "*";
            for number in numbers_with_prefix(&text[..at]) {
                if all || pattern.matches(KNOWN[number]) {
                    put(number);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::{Document, DocumentKind};
    use super::*;

    #[test]
    fn bits_say_what_patterns_say() {
        for element in ["Action", "NotAction"] {
            for pattern in
                ["*", "*:*", "s3:*", "S3:get*", "s3:*Object*", "iam:?etUser", "s3:GetObject", "ec2:*", "s3:Get"]
            {
                let text = format!(
                    r#"{{"Statement": [{{"Effect": "Allow", "{element}": "{pattern}", "Resource": "*"}},
                                       {{"Effect": "Deny", "{element}": ["iam:ListUsers", "{pattern}"], "Resource": "*"}}]}}"#
                );
                let document = Document::parse(&text, DocumentKind::Managed).unwrap();
                for (number, action) in (0..).zip(KNOWN) {
                    for (at, statement) in document.statements().iter().enumerate() {
                        let has = document.program().column(number).has(at);
                        assert_eq!(has, statement.matches_action(action), "{element} {pattern} {action}");
                    }
                }
            }
        }
    }
}
