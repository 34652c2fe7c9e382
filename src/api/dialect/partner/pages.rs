//! Pages: `limit` and `continuation_token`.
//!
//! A token names the last item of the page before, so it stays good while items come and go.
//!
//! Not here: the items' order, which is the state's.

use super::refused::Refused;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;

/// The token behind an item's name.
pub fn marker_of(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

/// The name in a token.
pub fn read_marker(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok().filter(|name| !name.is_empty())
}

/// What page is asked for.
#[derive(Debug)]
pub struct Paging {
    pub items_max: usize,
    /// The last item of the page before.
    pub after: Option<String>,
}

impl Paging {
    /// # Errors
    /// 400 for a limit out of its bounds, or a token that was not given out.
    pub fn new(limit: Option<u64>, token: Option<&str>, default: usize, max: usize) -> Result<Self, Refused> {
        let items_max = match limit {
            None => default,
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|limit| (1..=max).contains(limit))
                .ok_or_else(|| Refused::input(format!("limit is not valid: expected 1 to {max}.")))?,
        };
        let after = match token.filter(|token| !token.is_empty()) {
            None => None,
            Some(token) => Some(read_marker(token).ok_or_else(bad_token)?),
        };
        Ok(Self { items_max, after })
    }

    /// [`Paging::new`] of query parameters.
    ///
    /// # Errors
    /// The same.
    pub fn of_query(query: &BTreeMap<String, String>, default: usize, max: usize) -> Result<Self, Refused> {
        // What is no number is out of bounds.
        let limit = query.get("limit").map(|text| text.parse().unwrap_or(0));
        Self::new(limit, query.get("continuation_token").map(String::as_str), default, max)
    }

    /// The page of `items`, which begin behind [`Paging::after`], and the token of the next: empty at the end.
    pub fn page<T>(&self, items: impl IntoIterator<Item = T>, name: impl Fn(&T) -> &str) -> (Vec<T>, String) {
        let mut items = items.into_iter();
        let page: Vec<T> = items.by_ref().take(self.items_max).collect();
        let more = items.next().is_some();
        let next = page.last().filter(|_| more).map(|last| marker_of(name(last))).unwrap_or_default();
        (page, next)
    }
}

pub fn bad_token() -> Refused {
    Refused::input("continuation_token is not one that was given out.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_any_size_leave_nothing_out_and_give_nothing_twice() {
        let all: Vec<String> = (0..23).map(|n| format!("{n:02}")).collect();
        for limit in [1, 7, 22, 23, 100] {
            let (mut seen, mut token) = (Vec::new(), String::new());
            loop {
                let paging = Paging::new(Some(limit), Some(&token), 100, 100).unwrap();
                let behind = all.iter().filter(|name| paging.after.as_ref().is_none_or(|after| *name > after));
                let (page, next) = paging.page(behind, |name| name);
                seen.extend(page.into_iter().cloned());
                token = next;
                if token.is_empty() {
                    break;
                }
            }
            assert_eq!(seen, all, "{limit}");
        }
    }

    #[test]
    fn a_limit_out_of_bounds_and_a_token_of_ones_own_are_400() {
        for (limit, token) in [(Some(0), None), (Some(101), None), (None, Some("%")), (None, Some("_w"))] {
            assert_eq!(Paging::new(limit, token, 100, 100).unwrap_err().status, 400, "{limit:?} {token:?}");
        }
    }
}
