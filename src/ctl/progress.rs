//! How far a long command has come: a bar in a terminal, else plain lines.

use std::fmt::Display;
use std::io::{self, IsTerminal};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::CtlError;
use super::console::{Console, complain};

/// Plain lines tell of every tenth.
const TENTHS: u64 = 10;

/// A unit of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Bytes.
    Bytes,
    /// Formats of recordings.
    Formats,
}

/// How far a command has come.
pub(super) struct Progress<'c> {
    console: &'c Console,
    unit: Unit,
    total: u64,
    done: u64,
    bar: Option<ProgressBar>,
}

impl<'c> Progress<'c> {
    /// Nothing of `total` is done yet.
    pub(super) fn new(console: &'c Console, total: u64, unit: Unit) -> Self {
        let bar = (!console.json && io::stderr().is_terminal()).then(|| bar(total, unit));
        Self { console, unit, total, done: 0, bar }
    }

    /// So much more is done.
    pub(super) fn advance(&mut self, by: u64) -> Result<(), CtlError> {
        self.reach(self.done.saturating_add(by))
    }

    /// So much is done in all.
    pub(super) fn reach(&mut self, done: u64) -> Result<(), CtlError> {
        let tenth = |done: u64| done.saturating_mul(TENTHS).checked_div(self.total).unwrap_or(TENTHS);
        let before = tenth(self.done);
        self.done = done.min(self.total);
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None if tenth(self.done) > before => self.console.progress(self.shown())?,
            None => {}
        }
        Ok(())
    }

    /// Prints a remark on standard error.
    pub(super) fn remark(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| complain(text)),
            None => complain(text),
        }
    }

    /// Prints a line of the result.
    pub(super) fn line(&self, text: impl Display) -> Result<(), CtlError> {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.console.progress(text)),
            None => self.console.progress(text),
        }
    }

    /// Ends it: the bar goes.
    pub(super) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    fn shown(&self) -> String {
        match self.unit {
            Unit::Bytes => format!("{} of {}", HumanBytes(self.done), HumanBytes(self.total)),
            Unit::Formats => format!("{} of {} formats", self.done, self.total),
        }
    }
}

fn bar(total: u64, unit: Unit) -> ProgressBar {
    let template = match unit {
        Unit::Bytes => "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
        Unit::Formats => "{bar:30} {human_pos} of {human_len} formats, {eta} left",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style.progress_chars("█░"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenths_are_told_once_each() {
        let console = Console { json: true, yes: false };
        let mut progress = Progress::new(&console, 25, Unit::Formats);
        progress.advance(3).unwrap();
        assert_eq!(progress.shown(), "3 of 25 formats");
        progress.reach(25).unwrap();
        assert_eq!(progress.shown(), "25 of 25 formats");
        let mut nothing = Progress::new(&console, 0, Unit::Bytes);
        nothing.advance(1).unwrap();
        assert_eq!(nothing.shown(), "0 B of 0 B");
    }
}
