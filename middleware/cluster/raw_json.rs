//! JSON that is handed on, and not read on the way.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// The text of a JSON value.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// The text of a value. `null` if the value has none.
    pub fn new(value: &impl Serialize) -> Self {
        Self(to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// The text itself, without spaces around it.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// The value. `None`: it is of another type.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_str(self.text()).ok()
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}
