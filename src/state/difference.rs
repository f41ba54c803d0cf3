//! What differs between two entries, a line each. Secrets are never shown.

use serde::Serialize;
use serde_json::{Map, Value};

/// What changes from one entry to the other: `load_factor: 1.0 → 2.0`.
pub(crate) fn lines<T: Serialize>(old: &T, new: &T) -> Vec<String> {
    differences(old, new).iter().map(Difference::change).collect()
}

/// A field that only one entry has: `load_factor: 2.0`.
pub(super) fn values<T: Serialize>(blank: &T, entry: &T) -> Vec<String> {
    differences(blank, entry).iter().map(Difference::value).collect()
}

struct Difference {
    path: String,
    old: Value,
    new: Value,
}

impl Difference {
    fn change(&self) -> String {
        let Self { path, old, new } = self;
        match (is_secret(path), old.is_null(), new.is_null()) {
            (true, true, _) => format!("{path}: set"),
            (true, _, true) => format!("{path}: removed"),
            (true, ..) => format!("{path}: changed"),
            (false, true, _) => format!("{path}: none → {new}"),
            (false, _, true) => format!("{path}: {old} → none"),
            (false, ..) => format!("{path}: {old} → {new}"),
        }
    }

    fn value(&self) -> String {
        let Self { path, new, .. } = self;
        if is_secret(path) { format!("{path}: set") } else { format!("{path}: {new}") }
    }
}

fn differences<T: Serialize>(old: &T, new: &T) -> Vec<Difference> {
    let (mut old, mut new) = (fields(old), fields(new));
    // They only matter for a new row.
    for once in ["id", "created_at"] {
        old.remove(once);
        new.remove(once);
    }
    let mut found = Vec::new();
    compare("", &old, &new, &mut found);
    found
}

fn compare(parent: &str, old: &Map<String, Value>, new: &Map<String, Value>, found: &mut Vec<Difference>) {
    for name in names(old, new) {
        let path = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
        let (old, new) = (old.get(name).unwrap_or(&Value::Null), new.get(name).unwrap_or(&Value::Null));
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => compare(&path, old, new, found),
            _ if old == new => {}
            _ => found.push(Difference { path, old: old.clone(), new: new.clone() }),
        }
    }
}

/// The names of both, those of the new one first.
fn names<'a>(old: &'a Map<String, Value>, new: &'a Map<String, Value>) -> Vec<&'a str> {
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    new.keys().chain(gone).map(String::as_str).collect()
}

fn fields<T: Serialize>(entry: &T) -> Map<String, Value> {
    match serde_json::to_value(entry) {
        Ok(Value::Object(fields)) => fields,
        // Entries are structs with names of their own.
        _ => Map::new(),
    }
}

/// Parameters of calls may be passwords, too: `moderatorPW`.
fn is_secret(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path).to_lowercase();
    name.ends_with("pw") || ["secret", "password", "token"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_where_and_what() {
        let old = json!({"id": 1, "tags": ["a"], "settings": {"params": {"x": "1", "y": "2"}, "slides": {"url": "u"}}});
        let new = json!({"id": 2, "tags": ["a", "b"], "settings": {"params": {"x": "3", "z": "4"}, "slides": null}});
        let expected = [
            r#"settings.params.x: "1" → "3""#,
            r#"settings.params.z: none → "4""#,
            r#"settings.params.y: "2" → none"#,
            r#"settings.slides: {"url":"u"} → none"#,
            r#"tags: ["a"] → ["a","b"]"#,
        ];
        assert_eq!(lines(&old, &new), expected);
        assert_eq!(values(&json!({"a": 1, "b": 2}), &json!({"a": 1, "b": 3})), ["b: 3"]);
    }

    #[test]
    fn secrets_are_not_shown() {
        let old = json!({"secret": "one", "next_secret": "one", "params": {"moderatorPW": "one"}});
        let new = json!({"secret": "two", "lrs_token": "two", "params": {"moderatorPW": "two"}});
        let expected = ["lrs_token: set", "params.moderatorPW: changed", "secret: changed", "next_secret: removed"];
        assert_eq!(lines(&old, &new), expected);
    }
}
