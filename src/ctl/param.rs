//! `--param NAME=VALUE`: a parameter of a call.

use std::str::FromStr;

/// A parameter of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Param {
    pub(super) name: String,
    pub(super) value: String,
}

impl Param {
    /// All of them as pairs.
    pub(super) fn pairs(params: &[Self]) -> Vec<(&str, &str)> {
        params.iter().map(|param| (param.name.as_str(), param.value.as_str())).collect()
    }
}

impl FromStr for Param {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("NAME=VALUE is wanted")?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}
