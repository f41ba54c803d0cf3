//! Settings of frontends that are kept and do nothing yet.

use std::collections::BTreeMap;

use crate::rest::FrontendSettings;

/// So many frontends are named in a line.
const MOST_NAMES: usize = 10;

/// Warns of each setting that does nothing yet, in one line for all the frontends that have it.
pub(crate) fn warn_of_idle<'a>(frontends: impl IntoIterator<Item = (&'a str, &'a FrontendSettings)>) {
    let mut found: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
    for (key, settings) in frontends {
        for why in settings.idle() {
            found.entry(why).or_default().push(key);
        }
    }
    for (why, keys) in found {
        let (count, named) = (keys.len(), keys[..keys.len().min(MOST_NAMES)].join(", "));
        tracing::warn!(frontends = named, count, why, "This setting of frontends has no effect yet");
    }
}
