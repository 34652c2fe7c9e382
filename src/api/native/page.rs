//! Pages: `limit` and an opaque `cursor`, which names the last item of the page before, so that it stays good while items come and go.
//!
//! Not here: the items' order, which is the state's.

use super::problem::Problem;
use super::query::Query;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Serialize;

/// Items of a page unless it says otherwise.
const ITEMS: u64 = 100;

/// A page as it is sent.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `cursor` of the next page; null at the end.
    pub next_cursor: Option<String>,
    /// The commit that the answer is as of.
    pub seq: u64,
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
    /// 400 for a cursor that was not given out.
    pub fn of(query: &Query) -> Result<Self, Problem> {
        let items_max = usize::try_from(query.number("limit").unwrap_or(ITEMS)).unwrap_or(1_000);
        let after = query.text("cursor").map(|cursor| read(cursor).ok_or_else(bad_cursor)).transpose()?;
        Ok(Self { items_max, after })
    }

    /// The page of `items`, which begin behind [`Paging::after`], each as `row` shows it; `name` is what a cursor remembers.
    pub fn page<T, R>(
        &self,
        seq: u64,
        items: impl IntoIterator<Item = T>,
        name: impl Fn(&T) -> String,
        row: impl Fn(&T) -> R,
    ) -> Page<R> {
        let mut items = items.into_iter();
        let taken: Vec<T> = items.by_ref().take(self.items_max).collect();
        let more = items.next().is_some();
        let next_cursor = taken.last().filter(|_| more).map(|last| cursor_of(&name(last)));
        Page { items: taken.iter().map(row).collect(), next_cursor, seq }
    }
}

pub fn cursor_of(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

fn read(cursor: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok().filter(|name| !name.is_empty())
}

pub fn bad_cursor() -> Problem {
    Problem::new(400, "bad-cursor", "The cursor is not one that was given out here; begin again without it.")
        .at("cursor")
}
