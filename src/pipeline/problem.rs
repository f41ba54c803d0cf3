//! What is wrong with a pipeline file, and where.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A text and the name it is known by in messages.
#[derive(Clone, Debug)]
pub struct Source {
    /// A path, or a description where there is no file.
    pub name: Arc<str>,
    /// The text.
    pub text: Arc<str>,
}

impl Source {
    /// A text of that name.
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// The line of a position, where it begins, and its number from 1.
    fn line_at(&self, position: usize) -> (&str, usize, usize) {
        let position = position.min(self.text.len());
        let begin = self.text[..position].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[begin..].find('\n').map_or(self.text.len(), |length| begin + length);
        let number = self.text[..begin].matches('\n').count() + 1;
        (&self.text[begin..end], begin, number)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// What.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at a place.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: None }
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Says what to do where nothing better is known.
    #[must_use]
    pub fn or_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: self.hint.or_else(|| Some(hint.into())), ..self }
    }

    /// Says which of the known names may have been meant, if one is near enough.
    #[must_use]
    pub fn did_you_mean<'n>(self, given: &str, known: impl IntoIterator<Item = &'n str>) -> Self {
        match nearest(given, known) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

/// Everything that is wrong with a text, in its order. `Display` prints each with line, column and caret.
#[derive(Clone, Debug)]
pub struct Problems {
    source: Source,
    list: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(source: Source) -> Self {
        Self { source, list: Vec::new() }
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    /// `value` if nothing is wrong.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, Problems> {
        if self.list.is_empty() {
            return Ok(value);
        }
        self.list.sort_by_key(|problem| (problem.span.start, problem.span.end));
        self.list.dedup();
        Err(self)
    }

    /// The problems, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            show(f, &self.source, problem)?;
        }
        let count = self.list.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{}: {count} {noun}", self.source.name)
    }
}

fn show(f: &mut fmt::Formatter<'_>, source: &Source, problem: &Problem) -> fmt::Result {
    let (line, begin, number) = source.line_at(problem.span.start);
    let before = &line[..floor(line, problem.span.start.saturating_sub(begin))];
    let marked = &line[before.len()..floor(line, problem.span.end.saturating_sub(begin)).max(before.len())];
    let gutter = " ".repeat(number.to_string().len());
    let column = before.chars().count() + 1;
    // Tabs stay tabs, so that the caret stands under the word however wide they are shown.
    let indent: String = before.chars().map(|letter| if letter == '\t' { '\t' } else { ' ' }).collect();
    let carets = "^".repeat(marked.chars().count().max(1));
    writeln!(f, "error: {}", problem.message)?;
    writeln!(f, "{gutter}--> {}:{number}:{column}", source.name)?;
    writeln!(f, "{gutter} |")?;
    writeln!(f, "{number} | {line}")?;
    writeln!(f, "{gutter} | {indent}{carets}")?;
    if let Some(hint) = &problem.hint {
        writeln!(f, "{gutter} = hint: {hint}")?;
    }
    writeln!(f)
}

/// The last place at or before `position` where a character begins.
fn floor(line: &str, position: usize) -> usize {
    let position = position.min(line.len());
    (0..=position).rev().find(|place| line.is_char_boundary(*place)).unwrap_or(0)
}

/// The known name that is nearest to what was given, if one is near enough to have been meant.
pub(crate) fn nearest<'n>(given: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let distance = |name: &str| strsim::damerau_levenshtein(&given.to_lowercase(), &name.to_lowercase());
    let (distance, name) = known.into_iter().map(|name| (distance(name), name)).min()?;
    (distance <= given.len().max(3) / 3).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_word_behind_wide_letters_and_tabs() {
        let source = Source::new("p.toml", "a = 1\n\tü = wrong\n");
        let start = source.text.find("wrong").unwrap();
        let mut problems = Problems::new(source);
        problems.push(Problem::new(start..start + 5, "no"));
        let shown = problems.or(()).unwrap_err().to_string();
        assert!(shown.contains(" --> p.toml:2:6\n  |\n2 | \tü = wrong\n  | \t    ^^^^^\n"), "{shown}");
    }

    #[test]
    fn a_place_at_the_end_of_the_text_can_be_shown() {
        let mut problems = Problems::new(Source::new("p.toml", ""));
        problems.push(Problem::new(0..0, "empty"));
        assert!(problems.or(()).unwrap_err().to_string().contains("p.toml:1:1"));
    }

    #[test]
    fn only_a_name_that_is_near_is_offered() {
        assert_eq!(nearest("tag-fliter", ["tag-filter", "proxy"]), Some("tag-filter"));
        assert_eq!(nearest("something", ["tag-filter", "proxy"]), None);
    }
}
