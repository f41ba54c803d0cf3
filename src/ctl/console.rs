//! What a command says, and what it asks.

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal, Write};

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::CtlError;
use crate::table;

/// The standard output and the terminal. Lines and tables are for people, objects for programs: only one of both is printed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Console {
    /// Programs are listening.
    pub(super) json: bool,
    /// Every question has been answered.
    pub(super) yes: bool,
}

impl Console {
    /// A line for people.
    pub(super) fn line(&self, text: impl Display) -> Result<(), CtlError> {
        if self.json { Ok(()) } else { self.print(&format!("{text}\n")) }
    }

    /// A table for people.
    pub(super) fn table(&self, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<(), CtlError> {
        let head = head.iter().map(|cell| (*cell).to_owned()).collect();
        let rows: Vec<Vec<String>> = [head].into_iter().chain(rows).collect();
        table::lines(&rows).try_for_each(|line| self.line(line))
    }

    /// A value for programs.
    pub(super) fn object(&self, value: &impl Serialize) -> Result<(), CtlError> {
        if self.json { self.print(&format!("{}\n", indented(value, "   ", ""))) } else { Ok(()) }
    }

    /// Text for whoever listens. Who reads with `head` has seen enough.
    pub(super) fn print(&self, text: &str) -> Result<(), CtlError> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Asks before something that ends people's meetings. `question` says what will happen.
    pub(super) fn confirm(&self, question: &str) -> Result<(), CtlError> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(CtlError::Unconfirmed { question: question.to_owned() });
        }
        let mut terminal = io::stderr().lock();
        write!(terminal, "{question} Go on? [y/N] ").and_then(|()| terminal.flush())?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        let agreed = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
        if agreed { Ok(()) } else { Err(CtlError::Declined) }
    }
}

/// A value as JSON of several lines. All but the first begin with `margin`.
pub(super) fn indented(value: &impl Serialize, indent: &str, margin: &str) -> String {
    let mut text = Vec::new();
    let mut writer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(indent.as_bytes()));
    // What cannot be written is no value of ours: their keys are all text.
    let _ = value.serialize(&mut writer);
    String::from_utf8_lossy(&text).replace('\n', &format!("\n{margin}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_as_the_original_does_it() {
        let value = serde_json::json!({ "tags": ["a"], "none": [] });
        let expected = "{\n     \"none\": [],\n     \"tags\": [\n       \"a\"\n     ]\n   }";
        assert_eq!(indented(&value, "  ", "   "), expected);
    }
}
