//! The report of a lesson: a line a step, the expected value of each mismatch, and the places of the meetings.

use std::io::Write;

use super::{DemoError, Verdict};
use crate::program::table;
use crate::program::terminal::{self, Reader};

/// The most characters of an answer in a mismatch.
const MOST_CHARS: usize = 300;

/// Writes the report line by line, and counts mismatches.
pub(super) struct Report {
    out: Box<dyn Write + Send>,
    steps: usize,
    failed: usize,
}

/// An expected value, and the actual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) expected: String,
    pub(super) came: String,
}

impl Report {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out, steps: 0, failed: 0 }
    }

    /// A line, or an empty one.
    pub(super) fn line(&mut self, text: &str) -> Result<(), DemoError> {
        self.write(&format!("{text}\n"))
    }

    /// The line of a step: its outcome, or its mismatch.
    pub(super) fn step(
        &mut self,
        frontend: &str,
        call: &str,
        outcome: Result<String, Mismatch>,
    ) -> Result<(), DemoError> {
        self.steps += 1;
        match outcome {
            Ok(came) => self.line(&format!("  ✓ {frontend:<9} {call:<17} {came}")),
            Err(Mismatch { expected, came }) => {
                self.failed += 1;
                let came = clipped(&came);
                let margin = " ".repeat(32);
                self.line(&format!("  ✗ {frontend:<9} {call:<17} expected {expected}\n{margin}came     {came}"))
            }
        }
    }

    /// A table: the first row is its head.
    pub(super) fn table(&mut self, rows: &[Vec<String>]) -> Result<(), DemoError> {
        table::lines(rows).try_for_each(|line| self.line(&format!("  {line}")))
    }

    /// The last line.
    pub(super) fn summary(&mut self) -> Result<(), DemoError> {
        let (steps, failed) = (self.steps, self.failed);
        self.line(&match failed {
            0 => format!("All {steps} steps came out as they should."),
            _ => format!("{failed} of {steps} steps did not come out as they should."),
        })
    }

    /// Whether a step had another outcome than expected.
    pub(super) fn has_failed(&self) -> bool {
        self.failed > 0
    }

    pub(super) fn verdict(&self) -> Verdict {
        if self.has_failed() { Verdict::Failed } else { Verdict::Passed }
    }

    fn write(&mut self, text: &str) -> Result<(), DemoError> {
        match terminal::write(&mut self.out, text)? {
            Reader::Reads => Ok(()),
            Reader::Left => Err(DemoError::Unread),
        }
    }
}

impl Mismatch {
    /// Checks one thing.
    pub(super) fn unless(
        holds: bool,
        expected: impl Into<String>,
        came: impl FnOnce() -> String,
    ) -> Result<(), Mismatch> {
        if holds { Ok(()) } else { Err(Mismatch { expected: expected.into(), came: came() }) }
    }
}

/// One line of bounded length, since the actual value may be anything.
fn clipped(text: &str) -> String {
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(MOST_CHARS) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(write: impl FnOnce(&mut Report) -> Result<(), DemoError>) -> (String, Verdict) {
        let paper = Paper::default();
        let mut report = Report::new(Box::new(paper.clone()));
        write(&mut report).unwrap();
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        (text, report.verdict())
    }

    #[test]
    fn a_step_that_fails_says_what_was_expected_and_what_came() {
        let (text, verdict) = written(|report| {
            report.step("school", "create", Ok("lesson-1 → node-1".to_owned()))?;
            let mismatch = Mismatch { expected: "SUCCESS".to_owned(), came: "HTTP 200,\nFAILED".to_owned() };
            report.step("ministry", "isMeetingRunning", Err(mismatch))?;
            report.summary()
        });
        assert_eq!(verdict, Verdict::Failed);
        let expected = "  ✓ school    create            lesson-1 → node-1
  ✗ ministry  isMeetingRunning  expected SUCCESS
                                came     HTTP 200, FAILED
1 of 2 steps did not come out as they should.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_came_is_one_line_of_bounded_length() {
        assert_eq!(clipped("a\n  b"), "a b");
        assert_eq!(clipped(&"ü".repeat(5000)).chars().count(), MOST_CHARS + 1);
    }
}
