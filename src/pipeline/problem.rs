//! Problems of a pipeline file, with their places.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use b3scale_base::names::nearest;
use b3scale_middleware::bbb::cut_at;

/// The most problems of one text that are shown.
const MOST_SHOWN: usize = 50;

/// The most characters of a line that are shown before the place of a problem, and from there on.
const LONGEST_SIDE: usize = 100;

/// The most characters of what a problem says.
const LONGEST_MESSAGE: usize = 500;

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
        Self { span, message: cut_at(&message.into(), LONGEST_MESSAGE).into_owned(), hint: None }
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(cut_at(&hint.into(), LONGEST_MESSAGE).into_owned()), ..self }
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

/// Everything that is wrong with a text, in its order. `Display` prints each with line, column and caret, up to a bound: who wrote
/// the text decides how much is wrong with it.
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
        for problem in self.list.iter().take(MOST_SHOWN) {
            show(f, &self.source, problem)?;
        }
        let count = self.list.len();
        if count > MOST_SHOWN {
            writeln!(f, "… {} more are not shown\n", count - MOST_SHOWN)?;
        }
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
    let (before, marked, rest) = window(line, before, marked);
    // Tabs stay tabs, so that the caret stands under the word however wide they are shown.
    let indent: String = before.chars().map(|letter| if letter == '\t' { '\t' } else { ' ' }).collect();
    let carets = "^".repeat(marked.chars().count().max(1));
    writeln!(f, "error: {}", problem.message)?;
    writeln!(f, "{gutter}--> {}:{number}:{column}", source.name)?;
    writeln!(f, "{gutter} |")?;
    writeln!(f, "{number} | {before}{marked}{rest}")?;
    writeln!(f, "{gutter} | {indent}{carets}")?;
    if let Some(hint) = &problem.hint {
        writeln!(f, "{gutter} = hint: {hint}")?;
    }
    writeln!(f)
}

/// The quoted part of a line: before the place, at the place, and after it.
fn window<'l>(line: &'l str, before: &'l str, marked: &'l str) -> (Cow<'l, str>, Cow<'l, str>, Cow<'l, str>) {
    let rest = &line[before.len() + marked.len()..];
    let skipped = before.char_indices().rev().nth(LONGEST_SIDE).map(|(at, letter)| at + letter.len_utf8());
    let shown = skipped.map_or(Cow::Borrowed(before), |at| Cow::Owned(format!("…{}", &before[at..])));
    (shown, part(marked, LONGEST_SIDE), part(rest, LONGEST_SIDE))
}

/// The first characters of a text, as they are.
fn part(text: &str, most: usize) -> Cow<'_, str> {
    let end = text.char_indices().nth(most).map(|(at, _)| at);
    end.map_or(Cow::Borrowed(text), |end| Cow::Owned(format!("{}…", &text[..end])))
}

/// The last place at or before `position` where a character begins.
fn floor(line: &str, position: usize) -> usize {
    let position = position.min(line.len());
    (0..=position).rev().find(|place| line.is_char_boundary(*place)).unwrap_or(0)
}

/// Suggested names: the nearest if it is near enough, else the three nearest.
pub(super) fn names_near<'n>(given: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    if let Some(name) = nearest(given, known.iter().copied()) {
        return format!("did you mean `{name}`?");
    }
    let given = part(given, LONGEST_SIDE).to_lowercase();
    known.sort_by_cached_key(|name| (strsim::damerau_levenshtein(&given, name), *name));
    known.dedup();
    let list: Vec<_> = known.iter().take(3).map(|name| format!("`{name}`")).collect();
    format!("the nearest are {}.", list.join(", "))
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

    /// One line of 18 MB, shown again and again, was 596 MiB of log in 15 s.
    #[test]
    fn a_long_line_or_name_is_cut_and_so_are_many_problems() {
        let name = "ü".repeat(1 << 20);
        let source = Source::new("p.toml", &format!("{name}wrong{name}\n"));
        let start = name.len();
        let mut problems = Problems::new(source);
        problems.push(Problem::new(start..start + 5, format!("unknown key `{name}`")));
        let shown = problems.or(()).unwrap_err().to_string();
        assert!(shown.len() < 3_000 && shown.contains(&format!("1 | …{}wrongü", "ü".repeat(100))), "{shown}");
        assert!(shown.contains(&format!("   | {}^^^^^\n", " ".repeat(101)).replacen("   |", "  |", 1)), "{shown}");

        let mut problems = Problems::new(Source::new("p.toml", &"x\n".repeat(10_000)));
        for line in 0..10_000 {
            problems.push(Problem::new(2 * line..2 * line + 1, "no"));
        }
        let shown = problems.or(()).unwrap_err().to_string();
        assert!(shown.len() < 5_000 && shown.contains("… 9950 more are not shown\n"), "{shown}");
        assert!(shown.ends_with("p.toml: 10000 problems"), "{shown}");
    }

    #[test]
    fn a_place_at_the_end_of_the_text_can_be_shown() {
        let mut problems = Problems::new(Source::new("p.toml", ""));
        problems.push(Problem::new(0..0, "empty"));
        assert!(problems.or(()).unwrap_err().to_string().contains("p.toml:1:1"));
    }

    #[test]
    fn only_a_name_that_is_near_is_offered() {
        assert_eq!(names_near("tag-fliter", ["tag-filter", "proxy"]), "did you mean `tag-filter`?");
        let known = ["answer", "gather", "proxy", "redirect", "tag-filter"];
        assert_eq!(names_near("prefix-filter", known), "the nearest are `tag-filter`, `redirect`, `proxy`.");
    }
}
