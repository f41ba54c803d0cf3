//! JSON of others as PostgreSQL can keep it: bounded, and without U+0000.

use std::io::{self, Write};

use serde_json::{Map, Value};

/// Objects and lists within each other. BBB's messages have about six.
const DEEPEST: usize = 32;

/// Makes an object storable. False: it is none, or too deep, or longer than so many bytes.
pub(super) fn tidy_object(value: &mut Value, largest: usize) -> bool {
    value.is_object() && tidy(value, DEEPEST) && fits(value, largest)
}

/// Removes U+0000. False: it is too deep.
fn tidy(value: &mut Value, depth: usize) -> bool {
    match value {
        Value::Object(_) | Value::Array(_) if depth == 0 => false,
        Value::Object(fields) => {
            if fields.keys().any(|key| key.contains('\0')) {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(key, value)| (key.replace('\0', ""), value))
                    .collect::<Map<_, _>>();
            }
            fields.values_mut().all(|value| tidy(value, depth - 1))
        }
        Value::Array(entries) => entries.iter_mut().all(|value| tidy(value, depth - 1)),
        Value::String(text) => {
            if text.contains('\0') {
                text.retain(|char| char != '\0');
            }
            true
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Whether the text of a value has at most so many bytes.
fn fits(value: &Value, largest: usize) -> bool {
    serde_json::to_writer(Room(largest), value).is_ok()
}

/// Takes so many bytes, and keeps none.
struct Room(usize);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_zero_is_left_at_any_depth() {
        let mut value = json!({"a\0": [{"b": "x\0y", "\0c": "\0"}], "n": 1.5});
        assert!(tidy_object(&mut value, 1000));
        assert_eq!(value, json!({"a": [{"b": "xy", "c": ""}], "n": 1.5}));
    }

    #[test]
    fn long_deep_and_other_values_are_refused() {
        let mut text = json!({"a": "x".repeat(92)});
        assert!(tidy_object(&mut text, 100) && !tidy_object(&mut text, 99));
        let mut deep = json!({});
        (0..31).for_each(|_| deep = json!({"a": deep}));
        assert!(tidy_object(&mut deep, 1000));
        let mut deeper = json!({"a": [deep]});
        assert!(!tidy_object(&mut deeper, 1000));
        for mut other in [json!(null), json!([]), json!("text")] {
            assert!(!tidy_object(&mut other, 1000));
        }
    }
}
