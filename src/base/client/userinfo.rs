//! User and password of a URL, which must not be shown.

/// Their replacement.
const VEIL: &str = "***";

/// A URL without the part before its last `@`. A password may hold a slash or an `@` that was not encoded.
pub fn blanked(url: &str) -> String {
    let Some((before, rest)) = url.rsplit_once('@') else { return url.to_owned() };
    let scheme = before.find("://").map_or("", |at| &before[..at + "://".len()]);
    format!("{scheme}{VEIL}@{rest}")
}

/// A text with all its URLs [`blanked`].
pub fn blanked_in(text: &str) -> String {
    let words = text.split_inclusive(|letter: char| letter.is_whitespace() || letter == '`');
    words.map(|word| if word.contains("://") { from_scheme(word) } else { word.to_owned() }).collect()
}

/// The URL that a word holds may stand behind other letters, as in `--from=redis://…`.
fn from_scheme(word: &str) -> String {
    let of_scheme = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    let mark = word.find("://").unwrap_or(0);
    let start = word[..mark].trim_end_matches(of_scheme).len();
    format!("{}{}", &word[..start], blanked(&word[start..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_before_the_host_is_told() {
        assert_eq!(blanked("http://user:geheim@host/path"), "http://***@host/path");
        assert_eq!(blanked("http://user:ge/he@im@host"), "http://***@host");
        assert_eq!(blanked("user:geheim@host"), "***@host");
        assert_eq!(blanked("https://host/a?b"), "https://host/a?b");
    }

    #[test]
    fn urls_are_found_within_a_text() {
        let said = "`postgres://u:pw@h/d` is no word; --from=redis://:pw@h:1/0 is one, and a@b is left";
        let told = "`postgres://***@h/d` is no word; --from=redis://***@h:1/0 is one, and a@b is left";
        assert_eq!(blanked_in(said), told);
    }
}
