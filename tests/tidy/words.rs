//! The text of the repository: comments, documents, log messages and error texts, as plain words.

use std::path::Path;

/// A line of text and its place.
pub(crate) struct Line {
    /// File and number.
    pub(crate) place: String,
    /// Lower-case words, a space before and after each.
    words: String,
}

impl Line {
    /// The number of its words.
    pub(crate) fn count(&self) -> usize {
        self.words.split(' ').filter(|word| !word.is_empty()).count()
    }

    /// How often it has one of these phrases.
    pub(crate) fn hits(&self, phrases: &[&str]) -> usize {
        phrases.iter().map(|phrase| self.words.matches(&format!(" {phrase} ")).count()).sum()
    }
}

/// The text of one file.
pub(crate) fn lines(path: &str, text: &str) -> Vec<Line> {
    let kind = Path::new(path).extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    let mut in_message = false;
    let numbered = text.lines().zip(1..).filter_map(|(line, number)| {
        let prose = match kind {
            "md" => Some(line.to_owned()),
            "rs" => prose_of_rust(line, &mut in_message),
            _ => line.split_once('#').map(|(_, comment)| comment.to_owned()),
        };
        Some(Line { place: format!("{path}:{number}"), words: words(&prose?) })
    });
    numbered.filter(|line| line.count() > 0).collect()
}

/// The comment of a line, else its texts for logs and errors. `in_message` lasts from the start of a macro to its end.
fn prose_of_rust(line: &str, in_message: &mut bool) -> Option<String> {
    const MESSAGES: [&str; 6] = ["error!(", "warn!(", "info!(", "debug!(", "#[error(", "description = "];
    if let Some((before, comment)) = line.split_once("//")
        && (before.is_empty() || before.ends_with(' '))
    {
        return Some(comment.trim_start_matches(['/', '!']).to_owned());
    }
    *in_message |= MESSAGES.iter().any(|start| line.contains(start));
    let prose = in_message.then(|| quoted(line));
    if line.trim_end().ends_with([';', ']', '}', ',']) && line.contains(')') {
        *in_message = false;
    }
    prose
}

/// The string literals of a line.
fn quoted(line: &str) -> String {
    let parts = line.split('"').skip(1).step_by(2).filter(|part| part.contains(' '));
    parts.collect::<Vec<_>>().join(" ")
}

fn words(text: &str) -> String {
    let mut words = String::from(" ");
    for word in text.split(|letter: char| !letter.is_alphabetic() && letter != '\'').filter(|word| !word.is_empty()) {
        words.push_str(&word.to_lowercase());
        words.push(' ');
    }
    words
}
