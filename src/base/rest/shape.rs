//! Bodies of requests, read and merged as the original does it.
//!
//! The original decodes a body over the existing object: missing fields stay, objects and maps are merged,
//! lists are replaced, `null` clears optional fields and leaves others alone. A [`Shape`] knows which is which. Keys
//! count in any case, unknown ones are ignored, and text after the first value is not read.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

/// The type of a value in a body.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A string, never `null`.
    Text,
    /// `true` or `false`, never `null`.
    Flag,
    /// A number without a fraction, never `null`.
    Whole,
    /// A number, never `null`.
    Number,
    /// Names and values. An empty value takes the name away.
    Texts,
    /// A list, or `null`.
    List(&'static Shape),
    /// Something, or `null`.
    Optional(&'static Shape),
    /// Named values, never `null`.
    Object(&'static [(&'static str, Shape)]),
    /// Any value.
    Any,
}

impl Shape {
    /// The value before any body.
    pub fn zero(&self) -> Value {
        match self {
            Shape::Text => Value::from(""),
            Shape::Flag => Value::from(false),
            Shape::Whole | Shape::Number => Value::from(0),
            Shape::Texts => Value::Object(Map::new()),
            Shape::List(_) | Shape::Optional(_) | Shape::Any => Value::Null,
            Shape::Object(fields) => {
                Value::Object(fields.iter().map(|(name, shape)| ((*name).to_owned(), shape.zero())).collect())
            }
        }
    }

    /// The names of an object's members, and their shapes. None: it is no object.
    pub fn members(&'static self) -> impl Iterator<Item = (&'static str, &'static Shape)> {
        let members: &[(&str, Shape)] = match self {
            Shape::Object(members) => members,
            Shape::Optional(Shape::Object(members)) => members,
            _ => &[],
        };
        members.iter().map(|(name, shape)| (*name, shape))
    }

    /// Merges a body over a value.
    pub fn merge(&self, there: &mut Value, given: Value) {
        match (self, given) {
            (Shape::Text | Shape::Flag | Shape::Whole | Shape::Number | Shape::Object(_), Value::Null) => {}
            (Shape::Texts, Value::Null) => *there = self.zero(),
            (Shape::List(_) | Shape::Optional(_), Value::Null) => *there = Value::Null,
            (Shape::Optional(inner), given) => {
                if there.is_null() {
                    *there = inner.zero();
                }
                inner.merge(there, given);
            }
            (Shape::Texts, Value::Object(given)) => {
                let mut texts = taken(there);
                texts.extend(given);
                texts.retain(|_, text| text.as_str() != Some(""));
                *there = Value::Object(texts);
            }
            (Shape::Object(fields), Value::Object(mut given)) => {
                let mut kept = taken(there);
                for (name, shape) in *fields {
                    if let Some(value) = given.remove(*name) {
                        shape.merge(kept.entry(*name).or_insert_with(|| shape.zero()), value);
                    }
                }
                *there = Value::Object(kept);
            }
            (_, given) => *there = given,
        }
    }

    /// Reads a body of this shape.
    ///
    /// # Errors
    /// Its problem and place, in the words of the original.
    pub fn read(&'static self, body: &[u8]) -> Result<Value, String> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let seed = Seed { shape: self, path: String::new() };
        seed.deserialize(&mut json).map_err(|error| complaint(&error, body))
    }

    fn word(&self) -> &'static str {
        match self {
            Shape::Text => "string",
            Shape::Flag => "bool",
            Shape::Whole => "int",
            Shape::Number => "float64",
            Shape::Texts => "map[string]string",
            Shape::List(_) => "[]string",
            Shape::Optional(inner) => inner.word(),
            Shape::Object(_) => "object",
            Shape::Any => "any",
        }
    }
}

fn taken(there: &mut Value) -> Map<String, Value> {
    match there.take() {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn complaint(error: &serde_json::Error, body: &[u8]) -> String {
    let text = error.to_string();
    let said = text.rsplit_once(" at line ").map_or(&*text, |(said, _)| said);
    let offset = offset(body, error.line(), error.column());
    match error.classify() {
        Category::Eof => "unexpected EOF".to_owned(),
        Category::Syntax | Category::Io => format!("Syntax error: offset={offset}, error={said}"),
        Category::Data => format!("Unmarshal type error: {said}, offset={offset}"),
    }
}

/// How many bytes had been read when a reader stood in that column of that line, both counted from 1.
fn offset(body: &[u8], line: usize, column: usize) -> usize {
    let before = body.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len);
    before.sum::<usize>() + column
}

/// Reads a value of a shape, and says by its path where it is none.
struct Seed {
    shape: &'static Shape,
    path: String,
}

impl Seed {
    fn wrong<E: Error>(&self, got: &str) -> E {
        E::custom(format!("expected={}, got={got}, field={}", self.shape.word(), self.path))
    }

    fn inner(&self, shape: &'static Shape, name: &str) -> Seed {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Seed { shape, path }
    }

    /// The shape of what is not `null`.
    fn solid(&self) -> &'static Shape {
        match self.shape {
            Shape::Optional(inner) => inner,
            other => other,
        }
    }

    /// A member in its spelling here, with its type. `None`: it is unknown.
    fn member(&self, name: String) -> Option<(String, &'static Shape)> {
        match self.solid() {
            Shape::Object(fields) => {
                let (known, shape) = fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name))?;
                Some(((*known).to_owned(), shape))
            }
            Shape::Texts => Some((name, &Shape::Text)),
            _ => Some((name, &Shape::Any)),
        }
    }

    fn number<E: Error>(&self, number: impl Into<Value>) -> Result<Value, E> {
        let number = number.into();
        match self.solid() {
            Shape::Any | Shape::Number => Ok(number),
            Shape::Whole if number.is_i64() => Ok(number),
            Shape::Whole => Err(self.wrong(&format!("number {number}"))),
            _ => Err(self.wrong("number")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shape.word())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        match self.solid() {
            Shape::Any | Shape::Flag => Ok(Value::from(flag)),
            _ => Err(self.wrong("bool")),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        self.number(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        self.number(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        self.number(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        match self.solid() {
            // PostgreSQL has no such character.
            Shape::Any | Shape::Text if text.contains('\0') => {
                Err(E::invalid_value(Unexpected::Str("a text with the character U+0000"), &self))
            }
            Shape::Any | Shape::Text => Ok(Value::from(text)),
            _ => Err(self.wrong("string")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let item = match self.solid() {
            Shape::Any => &Shape::Any,
            Shape::List(item) => *item,
            _ => return Err(self.wrong("array")),
        };
        let mut items = Vec::new();
        while let Some(value) = list.next_element_seed(Seed { shape: item, path: self.path.clone() })? {
            items.push(if value.is_null() { item.zero() } else { value });
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        if !matches!(self.solid(), Shape::Any | Shape::Texts | Shape::Object(_)) {
            return Err(self.wrong("object"));
        }
        let mut found = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if name.contains('\0') {
                return Err(self.wrong("a name with the character U+0000"));
            }
            let Some((name, shape)) = self.member(name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value_seed(self.inner(shape, &name))?;
            let is_no_text = matches!(self.solid(), Shape::Texts) && value.is_null();
            found.insert(name, if is_no_text { shape.zero() } else { value });
        }
        Ok(Value::Object(found))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    static SHAPE: Shape = Shape::Object(&[
        ("key", Shape::Text),
        ("active", Shape::Flag),
        ("factor", Shape::Number),
        ("tags", Shape::List(&Shape::Text)),
        ("params", Shape::Texts),
        ("limit", Shape::Optional(&Shape::Object(&[("limit", Shape::Whole), ("force", Shape::Flag)]))),
        ("bbb", Shape::Object(&[("key", Shape::Text), ("secret", Shape::Text)])),
    ]);

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_told(body in "\\PC{0,60}", known in r#"\{("[a-z]{1,6}":(null|1|1.5|true|"x"|\[1,null\]|\{"key":2\}|\{"a":"b"\}),?){0,4}\}?"#) {
            for text in [body, known] {
                if let Ok(said) = SHAPE.read(text.as_bytes()) {
                    let mut once = SHAPE.zero();
                    SHAPE.merge(&mut once, said.clone());
                    let mut twice = once.clone();
                    SHAPE.merge(&mut twice, said);
                    prop_assert_eq!(once, twice, "what is said twice is said once");
                }
            }
        }
    }

    fn merged(mut there: Value, given: &str) -> Value {
        SHAPE.merge(&mut there, SHAPE.read(given.as_bytes()).unwrap());
        there
    }

    fn complaint(body: &str) -> String {
        SHAPE.read(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_is_not_said_stays_and_objects_and_maps_are_merged() {
        let there = json!({"key": "k", "params": {"a": "1", "b": "2"}, "bbb": {"key": "x", "secret": "s"}});
        let after = merged(there, r#"{"params": {"b": "", "c": "3"}, "bbb": {"secret": "t"}}"#);
        assert_eq!(after, json!({"key": "k", "params": {"a": "1", "c": "3"}, "bbb": {"key": "x", "secret": "t"}}));
    }

    #[test]
    fn null_clears_what_may_be_absent_and_nothing_else() {
        let there = json!({"key": "k", "active": true, "tags": ["a"], "params": {"a": "1"}, "limit": {"limit": 5},
            "bbb": {"key": "x"}});
        let nulls = r#"{"key":null,"active":null,"tags":null,"params":null,"limit":null,"bbb":null}"#;
        let after = json!({"key": "k", "active": true, "tags": null, "params": {}, "limit": null, "bbb": {"key": "x"}});
        assert_eq!(merged(there, nulls), after);
    }

    /// Defect 46 of the original: elements of the old list were mixed into the new one.
    #[test]
    fn a_list_is_replaced_and_something_absent_begins_at_zero() {
        let there = json!({"tags": ["a", "b"], "limit": null});
        let after = merged(there, r#"{"tags": ["c"], "limit": {"limit": 7}}"#);
        assert_eq!(after, json!({"tags": ["c"], "limit": {"limit": 7, "force": false}}));
    }

    #[test]
    fn keys_count_whatever_their_case_and_unknown_ones_are_ignored() {
        let after = merged(json!({"key": "k"}), r#"{"KEY": "l", "other": {"deep": [1, {"x": null}]}} trailing"#);
        assert_eq!(after, json!({"key": "l"}));
    }

    #[test]
    fn a_wrong_type_is_told_with_its_place() {
        let said = complaint(r#"{"bbb": {"key": 5}}"#);
        assert_eq!(said, "Unmarshal type error: expected=string, got=number, field=bbb.key, offset=17");
        assert!(complaint(r#"{"params": {"a": 1}}"#).contains("expected=string, got=number, field=params.a"));
        assert!(complaint(r#"{"limit": {"limit": 1.5}}"#).contains("expected=int, got=number 1.5, field=limit.limit"));
        assert!(complaint("[]").contains("expected=object, got=array, field=,"));
        assert!(complaint(r#"{"tags": {}}"#).contains("expected=[]string, got=object, field=tags"));
    }

    #[test]
    fn broken_json_is_told_with_its_offset() {
        assert!(complaint("{b").starts_with("Syntax error: offset=2, error="), "{}", complaint("{b"));
        assert_eq!(complaint(r#"{"key":"#), "unexpected EOF");
        assert!(complaint(r#"{"key":"a\u0000b"}"#).contains("U+0000"));
    }
}
