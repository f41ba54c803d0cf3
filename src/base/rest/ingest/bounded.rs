//! JSON of others as PostgreSQL can keep it: bounded, and without U+0000.

use std::fmt;

use b3scale_middleware::cluster::RawJson;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Objects and lists within each other. BBB's messages have about six.
const DEEPEST: usize = 32;

/// Makes an object storable. False: it is none, or too deep, or longer than so many bytes, or cannot be read.
pub(super) fn tidy_object(json: &mut RawJson, largest: usize) -> bool {
    let text = json.text();
    if !text.starts_with('{') || text.len() > largest {
        return false;
    }
    let mut has_zero = false;
    let look = Look { room: DEEPEST, has_zero: &mut has_zero };
    if look.deserialize(&mut serde_json::Deserializer::from_str(text)).is_err() {
        return false;
    }
    if has_zero {
        let Some(value) = json.read() else { return false };
        *json = RawJson::new(&without_zero(value));
    }
    true
}

fn without_zero(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (key.replace('\0', ""), without_zero(value))).collect()
        }
        Value::Array(entries) => entries.into_iter().map(without_zero).collect(),
        Value::String(text) => Value::String(text.replace('\0', "")),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// Looks at each part of a value, and keeps none.
struct Look<'a> {
    /// How many objects and lists may be within each other.
    room: usize,
    has_zero: &'a mut bool,
}

impl Look<'_> {
    fn within<E: Error>(&mut self) -> Result<Look<'_>, E> {
        let room = self.room.checked_sub(1).ok_or_else(|| E::custom("it is too deep"))?;
        Ok(Look { room, has_zero: self.has_zero })
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        *self.has_zero |= text.contains('\0');
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_element_seed(self.within()?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        while fields.next_key_seed(self.within()?)?.is_some() {
            fields.next_value_seed(self.within()?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text that is kept.
    fn tidied(text: &str, largest: usize) -> Option<String> {
        let mut json: RawJson = serde_json::from_str(text).expect("it is JSON");
        tidy_object(&mut json, largest).then(|| json.text().to_owned())
    }

    #[test]
    fn no_zero_is_left_at_any_depth() {
        let text = r#"{"a\u0000": [{"b": "x\u0000y", "\u0000c": "\u0000"}], "n": 1.5}"#;
        assert_eq!(tidied(text, 1000).as_deref(), Some(r#"{"a":[{"b":"xy","c":""}],"n":1.5}"#));
    }

    #[test]
    fn text_without_zeros_stays_as_it_is() {
        let text = r#"{ "b": "\\u0000 Ä😀 \u00e4", "a": [null, true, -1, 1.50, 18446744073709551616] }"#;
        assert_eq!(tidied(text, 1000).as_deref(), Some(text));
    }

    #[test]
    fn long_deep_and_other_values_are_refused() {
        let text = format!(r#"{{"a":"{}"}}"#, "x".repeat(92));
        assert!(tidied(&text, 100).is_some() && tidied(&text, 99).is_none());
        let nested = |depth: usize| format!("{}{{}}{}", r#"{"a":"#.repeat(depth - 1), "}".repeat(depth - 1));
        assert!(tidied(&nested(DEEPEST), 1000).is_some());
        assert!(tidied(&nested(DEEPEST + 1), 1000).is_none());
        assert!(tidied(&format!(r#"{{"a":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000)), 20_000).is_none());
        for other in ["null", "[]", r#""text""#, "1"] {
            assert_eq!(tidied(other, 1000), None, "{other}");
        }
    }

    /// Their text is JSON, and their values cannot be read again.
    #[test]
    fn values_without_meaning_are_refused() {
        for text in [r#"{"a": 1e999}"#, r#"{"a": "\ud800"}"#, r#"{"\udfff": 1}"#] {
            assert_eq!(tidied(text, 1000), None, "{text}");
        }
    }
}
