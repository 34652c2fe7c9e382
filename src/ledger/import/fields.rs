//! Fields of a record that may hold anything: read without failing, judged where their name is known.
//!
//! A wrong type in a derived struct would end the whole parse with a message that names no field. These types
//! take every JSON value, remember what kind it was, and leave the judgement to whoever asks.
//!
//! Not here: which fields a record has (`record`).

use super::Reject;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A field that should hold text.
#[derive(Debug, Clone, Default)]
pub enum Text<'a> {
    #[default]
    Absent,
    Is(Cow<'a, str>),
    /// Holds this kind of value instead.
    Wrong(&'static str),
}

impl Text<'_> {
    /// The text, `None` when the field is missing, null or empty.
    pub(super) fn get(&self, field: &'static str) -> Result<Option<&str>, Reject> {
        match self {
            Text::Is(text) if text.is_empty() => Ok(None),
            Text::Is(text) => Ok(Some(text)),
            Text::Absent => Ok(None),
            Text::Wrong(kind) => Err(Reject::wrong(field, "text", kind)),
        }
    }

    /// The text where it is text; for fields that mean different things in different services.
    pub(super) fn some(&self) -> Option<&str> {
        match self {
            Text::Is(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    pub(super) fn need(&self, field: &'static str) -> Result<&str, Reject> {
        self.get(field)?.ok_or_else(|| Reject::new(format!("`{field}` is missing")))
    }
}

/// A field that should hold true or false.
#[derive(Debug, Clone, Copy, Default)]
pub enum Flag {
    #[default]
    Absent,
    Is(bool),
    Wrong(&'static str),
}

impl Flag {
    pub(super) fn get(self, field: &'static str) -> Result<Option<bool>, Reject> {
        match self {
            Flag::Is(value) => Ok(Some(value)),
            Flag::Absent => Ok(None),
            Flag::Wrong(kind) => Err(Reject::wrong(field, "true or false", kind)),
        }
    }
}

/// A field that should hold a count; anything else, and what does not fit, counts as 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count(pub u64);

/// A field that should hold an object.
#[derive(Debug, Clone, Default)]
pub enum Obj<T> {
    #[default]
    Absent,
    Is(T),
    Wrong(&'static str),
}

impl<T> Obj<T> {
    pub(super) fn get(&self, field: &'static str) -> Result<Option<&T>, Reject> {
        match self {
            Obj::Is(value) => Ok(Some(value)),
            Obj::Absent => Ok(None),
            Obj::Wrong(kind) => Err(Reject::wrong(field, "an object", kind)),
        }
    }

    pub(super) fn some(&self) -> Option<&T> {
        if let Obj::Is(value) = self { Some(value) } else { None }
    }
}

/// What the four types make of each kind of value; the visitor below is shared by them all.
trait Taken<'de>: Sized {
    fn absent() -> Self;
    fn wrong(kind: &'static str) -> Self;
    fn borrowed(_: &'de str) -> Self {
        Self::wrong("text")
    }
    fn text(_: &str) -> Self {
        Self::wrong("text")
    }
    fn flag(_: bool) -> Self {
        Self::wrong("true or false")
    }
    fn whole(_: u64) -> Self {
        Self::wrong("a number")
    }
    fn fraction(_: f64) -> Self {
        Self::wrong("a number")
    }
    fn object<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        IgnoredAny.visit_map(map).map(|_| Self::wrong("an object"))
    }
}

struct Take<T>(PhantomData<T>);

impl<'de, T: Taken<'de>> Visitor<'de> for Take<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<T, E> {
        Ok(T::borrowed(text))
    }
    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::text(text))
    }
    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::absent())
    }
    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(T::flag(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<T, E> {
        Ok(T::whole(value))
    }
    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::wrong("a number"))
    }
    fn visit_f64<E>(self, value: f64) -> Result<T, E> {
        Ok(T::fraction(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| T::wrong("a list"))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::object(map)
    }
}

impl<'de: 'a, 'a> Taken<'de> for Text<'a> {
    fn absent() -> Self {
        Text::Absent
    }
    fn wrong(kind: &'static str) -> Self {
        Text::Wrong(kind)
    }
    fn borrowed(text: &'de str) -> Self {
        Text::Is(Cow::Borrowed(text))
    }
    fn text(text: &str) -> Self {
        Text::Is(Cow::Owned(text.to_owned()))
    }
}

impl<'de> Taken<'de> for Flag {
    fn absent() -> Self {
        Flag::Absent
    }
    fn wrong(kind: &'static str) -> Self {
        Flag::Wrong(kind)
    }
    fn flag(value: bool) -> Self {
        Flag::Is(value)
    }
    fn borrowed(text: &'de str) -> Self {
        Self::text(text)
    }
    // Older exports write "true" and "false" in quotes.
    fn text(text: &str) -> Self {
        match text {
            "true" => Flag::Is(true),
            "false" => Flag::Is(false),
            _ => Flag::Wrong("text"),
        }
    }
}

impl Taken<'_> for Count {
    fn absent() -> Self {
        Count(0)
    }
    fn wrong(_: &'static str) -> Self {
        Count(0)
    }
    fn whole(value: u64) -> Self {
        Count(value)
    }
    // CloudTrail writes byte counts as `1024.0` too.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
    fn fraction(value: f64) -> Self {
        Count(value as u64)
    }
}

impl<'de, T: Deserialize<'de>> Taken<'de> for Obj<T> {
    fn absent() -> Self {
        Obj::Absent
    }
    fn wrong(kind: &'static str) -> Self {
        Obj::Wrong(kind)
    }
    fn object<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Obj::Is)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Take(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Take(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Take(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Obj<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Take(PhantomData))
    }
}
