//! How fields are decoded that most objects have in common: words that repeat without a copy of each, times without their text.
//!
//! For `#[serde(deserialize_with)]`. Some words per thread are remembered by where their hash falls; what is not there is made
//! anew, and [`super::Pool`] makes equal texts one all the same.

use std::cell::RefCell;
use std::fmt;
use std::hash::BuildHasher;

use chrono::DateTime;
use foldhash::fast::FixedState;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::protobuf;
use crate::text::{Text, Time};

/// Words remembered; a power of two.
const WORDS: usize = 2048;
/// Longer texts are messages: they rarely repeat.
const LONGEST: usize = 96;

thread_local! {
    static KNOWN: RefCell<Vec<Option<Text>>> = RefCell::new(vec![None; WORDS]);
    static EMPTY: Text = Text::from(String::new());
}

/// An empty text of this thread's own. Those that `Default` gives are one for the whole program: threads that decode side by side
/// would count up and down in the same place, and wait for each other each time.
pub(super) fn empty() -> Text {
    EMPTY.with(Text::clone)
}

fn place(text: &str) -> usize {
    FixedState::default().hash_one(text) as usize % WORDS
}

/// The text, without an allocation where this thread decoded it before.
pub(super) fn known(text: &str) -> Text {
    if text.len() > LONGEST {
        return text.into();
    }
    KNOWN.with_borrow_mut(|known| match known.get_mut(place(text)) {
        Some(Some(known)) if **known == *text => Text::clone(known),
        Some(slot) => Text::clone(slot.insert(text.into())),
        None => text.into(),
    })
}

/// Says that this thread's copy of a word has an equal that objects share already: the thread takes that one from now on.
pub(super) fn adopt(own: &Text, shared: &Text) {
    let place = place(own);
    KNOWN.with_borrow_mut(|known| {
        if let Some(Some(slot)) = known.get_mut(place)
            && Text::ptr_eq(slot, own)
        {
            slot.clone_from(shared);
        }
    });
}

/// Reads a text with that function.
struct Reader(fn(&str) -> Text);

impl<'de> Visitor<'de> for Reader {
    type Value = Option<Text>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<Text>, E> {
        Ok(Some((self.0)(text)))
    }

    fn visit_unit<E: Error>(self) -> Result<Option<Text>, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Option<Text>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Text>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

/// A word that repeats; none when it is `null`.
pub(super) fn optional_word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Text>, D::Error> {
    deserializer.deserialize_option(Reader(known))
}

/// A word that repeats; empty when it is `null`.
pub(super) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
    Ok(optional_word(deserializer)?.unwrap_or_else(empty))
}

/// A text of one object only, in one allocation where serde's `Arc<str>` takes two; none when it is `null`.
pub(super) fn optional_own<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Text>, D::Error> {
    deserializer.deserialize_option(Reader(|text| text.into()))
}

/// A text of one object only; empty when it is `null`.
pub(super) fn own<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
    Ok(optional_own(deserializer)?.unwrap_or_else(empty))
}

struct Moments;

impl<'de> Visitor<'de> for Moments {
    type Value = Option<Time>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<Time>, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Option<Time>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Time>, D::Error> {
        deserializer.deserialize_newtype_struct(protobuf::TIME, self)
    }

    /// Protobuf: microseconds since 1970.
    fn visit_i64<E: Error>(self, micros: i64) -> Result<Option<Time>, E> {
        Ok(DateTime::from_timestamp_micros(micros))
    }

    /// JSON: its text.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Time>, D::Error> {
        Time::deserialize(deserializer).map(Some)
    }
}

/// A time; none when it is `null` or not set.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
    deserializer.deserialize_option(Moments)
}
