//! Unknown names, and the nearest known ones.

/// The longest name that is compared, in bytes.
const LONGEST: usize = 100;

/// The nearest name to an unknown one, and all known names, unless there is only one.
pub fn suggestion<'n>(given: &str, known: impl IntoIterator<Item = &'n str, IntoIter: Clone>) -> String {
    let known = known.into_iter();
    let all: Vec<String> = known.clone().map(|name| format!("`{name}`")).collect();
    match (nearest(given, known), &all[..]) {
        (Some(name), [_]) => format!("; did you mean `{name}`?"),
        (Some(name), _) => format!("; did you mean `{name}`? There are {}", all.join(", ")),
        (None, [only]) => format!("; the only one is {only}"),
        (None, _) => format!("; there are {}", all.join(", ")),
    }
}

/// The known name nearest to the given one, if it is near enough.
pub fn nearest<'n>(given: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if given.len() > LONGEST {
        return None;
    }
    let distance = |name: &str| strsim::damerau_levenshtein(&given.to_lowercase(), &name.to_lowercase());
    let (distance, name) = known.into_iter().map(|name| (distance(name), name)).min()?;
    (distance <= given.len().max(3) / 3).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_is_near_is_offered() {
        assert_eq!(nearest("tag-fliter", ["tag-filter", "proxy"]), Some("tag-filter"));
        assert_eq!(nearest("something", ["tag-filter", "proxy"]), None);
        assert_eq!(nearest(&"ü".repeat(1 << 20), ["tag-filter"]), None);
    }

    #[test]
    fn the_names_that_there_are_are_told_once() {
        assert_eq!(suggestion("tag", ["tags"]), "; did you mean `tags`?");
        assert_eq!(suggestion("colour", ["tags"]), "; the only one is `tags`");
        assert_eq!(suggestion("tag", ["tags", "limit"]), "; did you mean `tags`? There are `tags`, `limit`");
        assert_eq!(suggestion("colour", ["tags", "limit"]), "; there are `tags`, `limit`");
    }
}
