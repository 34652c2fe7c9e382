//! A request as a policy sees it: what is asked, of what, and the values of its condition keys.
//!
//! Everything here is borrowed: a gate fills a [`Request`] from what it has parsed already and answers [`Context::find`] when,
//! and only when, a statement asks for a key. Values may be typed, so that an address or the time is not written out
//! to be read again.
//!
//! Not here: what is compared with them (`condition`), and where they come from (the gate's work).

use super::action::Action;
use super::key::{ConditionKey, same_ignoring_case};
use super::value::Number;
use crate::model::Time;
use jiff::Timestamp;
use std::fmt::{self, Write as _};
use std::net::IpAddr;

/// One request.
#[derive(Debug)]
pub struct Request<'a, C: ?Sized> {
    pub action: Action<'a>,
    /// The ARN asked for, or `*` where an action has none; then only a `Resource` of `*` means it.
    pub resource: &'a str,
    pub context: &'a C,
}

// Written out: a derive would ask `C` to be Copy.
impl<C: ?Sized> Clone for Request<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: ?Sized> Copy for Request<'_, C> {}

impl<'a, C: Context + ?Sized> Request<'a, C> {
    /// Looks `action` up; a gate that knows its actions beforehand fills the fields itself.
    pub fn new(action: &'a str, resource: &'a str, context: &'a C) -> Self {
        Self { action: Action::new(action), resource, context }
    }
}

/// The condition keys of a request.
pub trait Context {
    /// What the request has for `key`. Asked once per condition met, so it should not allocate: match on
    /// [`ConditionKey::known`], for tags on [`ConditionKey::tag`] too.
    fn find(&self, key: &ConditionKey) -> Found<'_>;
}

/// What a request has for a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Found<'a> {
    /// The request has no such key.
    Absent,
    One(Value<'a>),
    /// A key with several values, such as `aws:TagKeys`. None of them is as good as absent, one as good as `One`.
    Many(&'a [Value<'a>]),
}

/// One value of a condition key. Any operator takes any kind: what it cannot read does not match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Text(&'a str),
    /// Such as `aws:SourceIp`. An IPv4 address mapped into IPv6 counts as IPv4.
    Address(IpAddr),
    /// Such as `aws:CurrentTime`: text is RFC 3339, a number the seconds since 1970.
    Time(Time),
    /// Such as `s3:max-keys` and `aws:EpochTime`.
    Integer(i64),
    Bool(bool),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text)
    }
}

impl Value<'_> {
    /// Gives `read` the value as text, written on the stack if it is not text already.
    pub(super) fn with_text<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        if let Value::Text(text) = self {
            return read(text);
        }
        let mut buffer = Buffer { bytes: [0; 64], len: 0 };
        // 64 bytes hold the longest of these; what did not fit would be cut, and then match nothing by accident.
        let _ = write!(buffer, "{self}");
        read(std::str::from_utf8(&buffer.bytes[..buffer.len]).unwrap_or_default())
    }

    pub(super) fn number(&self) -> Option<Number> {
        match *self {
            Value::Integer(number) => Some(Number::from(number)),
            Value::Text(text) => Number::parse(text),
            Value::Time(time) => Some(Number::from(time.0.div_euclid(1_000_000_000))),
            Value::Address(_) | Value::Bool(_) => None,
        }
    }

    /// Nanoseconds since 1970.
    #[inline]
    pub(super) fn moment(&self) -> Option<i128> {
        match *self {
            Value::Time(time) => Some(i128::from(time.0)),
            Value::Integer(seconds) => Some(i128::from(seconds) * 1_000_000_000),
            Value::Text(text) => super::value::date(text).map(Timestamp::as_nanosecond),
            Value::Address(_) | Value::Bool(_) => None,
        }
    }

    #[inline]
    pub(super) fn address(&self) -> Option<IpAddr> {
        match *self {
            Value::Address(address) => Some(address.to_canonical()),
            Value::Text(text) => text.parse::<IpAddr>().ok().map(|address| address.to_canonical()),
            Value::Time(_) | Value::Integer(_) | Value::Bool(_) => None,
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match *self {
            Value::Bool(value) => Some(value),
            Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Address(address) => address.to_canonical().fmt(f),
            Value::Time(time) => time.fmt(f),
            Value::Integer(number) => number.fmt(f),
            Value::Bool(value) => value.fmt(f),
        }
    }
}

struct Buffer {
    bytes: [u8; 64],
    len: usize,
}

impl fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl<'a> Found<'a> {
    /// Without the two ways to say the same: `Many` has at least two values.
    #[inline]
    pub(super) fn plain(self) -> Self {
        match self {
            Found::Many([]) => Found::Absent,
            Found::Many([one]) => Found::One(*one),
            found => found,
        }
    }

    /// All values there are.
    pub(super) fn each(&self) -> impl Iterator<Item = &Value<'a>> {
        let (one, many) = match self {
            Found::Absent => (None, [].as_slice()),
            Found::One(value) => (Some(value), [].as_slice()),
            Found::Many(values) => (None, *values),
        };
        one.into_iter().chain(many)
    }
}

/// No keys at all.
impl Context for () {
    fn find(&self, _: &ConditionKey) -> Found<'_> {
        Found::Absent
    }
}

/// A list of keys, whatever their case. Of two that differ in the case of a tag, the one written like the policy's counts.
impl Context for [(&str, Value<'_>)] {
    fn find(&self, key: &ConditionKey) -> Found<'_> {
        pick(self.iter().map(|(name, value)| (*name, value)), key).map_or(Found::Absent, |value| Found::One(*value))
    }
}

/// A list of keys with any number of values each.
impl<'v> Context for [(&str, &'v [Value<'v>])] {
    fn find(&self, key: &ConditionKey) -> Found<'_> {
        pick(self.iter().map(|(name, values)| (*name, *values)), key).map_or(Found::Absent, Found::Many)
    }
}

/// What stands under `key`: under its very spelling if possible, else under one that differs in case alone.
pub(super) fn pick<'n, T>(entries: impl Iterator<Item = (&'n str, T)>, key: &ConditionKey) -> Option<T> {
    let mut close = None;
    for (name, value) in entries {
        if name.len() != key.as_str().len() && name.is_ascii() {
            continue;
        }
        if same_ignoring_case(name, key.as_str()) {
            if name.ends_with(key.tag()) {
                return Some(value);
            }
            close.get_or_insert(value);
        }
    }
    close
}
