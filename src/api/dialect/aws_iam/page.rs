//! Pages: `Marker` and `MaxItems`.
//!
//! A marker names the last item of the page before it, so it stays good while items come and go: none is left out and none comes
//! twice that was there all the time.
//!
//! Not here: the items' order, which is the state's.

use super::error::IamError;
use super::form::{Form, Shape, invalid};
use super::xml::Xml;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Items of a page when nobody says (botocore 1.44.5, iam service model).
const ITEMS_DEFAULT: usize = 100;
const ITEMS_MAX: usize = 1_000;

/// What page is asked for.
#[derive(Debug)]
pub struct Paging {
    pub items_max: usize,
    /// The last item of the page before.
    pub after: Option<String>,
}

/// What of a list is on a page.
#[derive(Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The last item's name, when more follow.
    next: Option<String>,
}

impl Paging {
    /// Reads `MaxItems` and `Marker`.
    ///
    /// # Errors
    /// ValidationError.
    pub fn read(form: &Form) -> Result<Self, IamError> {
        let items_max = match form.raw("MaxItems") {
            None => ITEMS_DEFAULT,
            Some(text) => match text.parse::<usize>() {
                Ok(number @ 1..=ITEMS_MAX) => number,
                Ok(0) => return Err(invalid("MaxItems", text, "Member must have value greater than or equal to 1")),
                Ok(_) => return Err(invalid("MaxItems", text, "Member must have value less than or equal to 1000")),
                Err(_) => return Err(invalid("MaxItems", text, "Member must be a number")),
            },
        };
        let after = match form.optional("Marker", Shape::MARKER)? {
            None => None,
            Some(marker) => Some(unmarked(marker).ok_or_else(|| IamError::validation("Invalid Marker."))?),
        };
        Ok(Self { items_max, after })
    }

    /// The page of `items`, which begin behind [`Paging::after`]; `name` names one for a marker.
    pub fn page<T>(&self, items: impl IntoIterator<Item = T>, name: impl Fn(&T) -> String) -> Page<T> {
        let mut items = items.into_iter();
        let page: Vec<T> = items.by_ref().take(self.items_max).collect();
        let next = items.next().and_then(|_| page.last()).map(name);
        Page { items: page, next }
    }

    /// The page of `items` that are all there, in an order that stays.
    pub fn page_of_all<T>(&self, items: impl IntoIterator<Item = T>, name: impl Fn(&T) -> String) -> Page<T> {
        let after = self.after.as_deref();
        let behind = items.into_iter().filter(|item| after.is_none_or(|after| name(item).as_str() > after));
        let behind: Vec<T> = behind.take(self.items_max + 1).collect();
        self.page(behind, name)
    }
}

impl<T> Page<T> {
    /// `IsTruncated`, and `Marker` when it is.
    pub fn write_end(&self, xml: &mut Xml) {
        xml.flag("IsTruncated", self.next.is_some());
        if let Some(next) = &self.next {
            xml.text("Marker", &marked(next));
        }
    }
}

/// Room for a name of 128 and a word before it; a marker has at most 320 characters.
fn marked(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

fn unmarked(marker: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_any_size_leave_nothing_out_and_give_nothing_twice() {
        let all: Vec<String> = (0..57).map(|n| format!("{n:03}")).collect();
        for size in [1, 7, 56, 57, 1000] {
            let (mut seen, mut marker) = (Vec::new(), String::new());
            loop {
                let form = Form::parse("", format!("MaxItems={size}{marker}").as_bytes()).unwrap();
                let page = Paging::read(&form).unwrap().page_of_all(all.iter(), |name| (*name).clone());
                seen.extend(page.items.iter().map(|name| (*name).clone()));
                let Some(next) = &page.next else { break };
                marker = format!("&Marker={}", marked(next));
            }
            assert_eq!(seen, all, "{size}");
        }
    }

    #[test]
    fn a_bad_size_or_marker_is_a_validation_error() {
        for bad in ["MaxItems=0", "MaxItems=1001", "MaxItems=x", "MaxItems=-1", "Marker=", "Marker=%20", "Marker=_w"] {
            let form = Form::parse("", bad.as_bytes()).unwrap();
            assert_eq!(Paging::read(&form).unwrap_err().code, "ValidationError", "{bad}");
        }
    }
}
