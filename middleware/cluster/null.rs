//! Settings of the original, which has `null` where nothing is.

use serde::Deserialize;

/// Reads `null` as an empty value.
pub(super) fn null_is_empty<'de, T: Deserialize<'de> + Default, D: serde::Deserializer<'de>>(
    value: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}
