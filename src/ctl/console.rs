//! Output of a command, and its questions.

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use b3scale_base::client::blanked_in;
use b3scale_base::program::table;
use b3scale_base::program::terminal::{self, Reader};
use serde::Serialize;
use serde_json::json;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::CtlError;
use super::layout::{meetings, people};

/// A successful command. Only output for people and for programs makes one, so that no command forgets either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Exit {
    code: u8,
}

impl Exit {
    /// It is done.
    const DONE: Self = Self { code: 0 };
    /// There was nothing to change.
    const UNCHANGED: Self = Self { code: 64 };
    /// Something is wrong, and was said.
    pub(super) const WRONG: Self = Self { code: 1 };
    /// The one who watched has seen enough.
    pub(super) const SEEN: Self = Self::DONE;
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code)
    }
}

/// The standard output and the terminal. Texts are for people, values for programs: only one of both is printed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Console {
    /// Programs are listening.
    pub(super) json: bool,
    /// Every question has been answered.
    pub(super) yes: bool,
}

impl Console {
    /// Prints the result of a command: a text for people, or the one value for programs.
    pub(super) fn report(&self, text: impl Display, value: &impl Serialize) -> Result<Exit, CtlError> {
        self.tell(text, value).map(|()| Exit::DONE)
    }

    /// Says that everything was as it should be.
    pub(super) fn unchanged(&self, value: &impl Serialize) -> Result<Exit, CtlError> {
        self.tell("no changes", value).map(|()| Exit::UNCHANGED)
    }

    /// Says what would have been done.
    pub(super) fn skipping(&self, what: impl Display) -> Result<Exit, CtlError> {
        self.report(format!("skipping: {what}"), &json!({ "skipping": what.to_string() }))
    }

    /// Says to people how far a command has come. Programs wait for the end.
    pub(super) fn progress(&self, text: impl Display) -> Result<(), CtlError> {
        if self.json { Ok(()) } else { self.line(&text.to_string()) }
    }

    fn tell(&self, text: impl Display, value: &impl Serialize) -> Result<(), CtlError> {
        self.line(&if self.json { indented(value, "   ", "") } else { text.to_string() })
    }

    /// Who has nothing to say says no line.
    fn line(&self, text: &str) -> Result<(), CtlError> {
        if text.is_empty() { Ok(()) } else { self.print(&format!("{text}\n")).map(|_| ()) }
    }

    /// Prints a text as it is.
    pub(super) fn print(&self, text: &str) -> Result<Reader, CtlError> {
        Ok(terminal::print(text)?)
    }

    /// Asks before meetings end, unless there are none. `question` says what will happen, up to how many it is.
    pub(super) fn confirm_end(
        &self,
        question: impl Display,
        running: u32,
        attendees: impl Into<i64>,
    ) -> Result<(), CtlError> {
        if running == 0 {
            return Ok(());
        }
        self.confirm(&format!("{question}: {} with {}.", meetings(running), people(attendees)))
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

/// Prints an error or a remark. A password in a URL is blanked.
pub(super) fn complain(why: &str) {
    terminal::complain(&blanked_in(why));
}

/// Prints the error of a command, and returns its exit code.
pub(super) fn fail(error: &CtlError) -> ExitCode {
    complain(&error.to_string());
    error.exit_code()
}

/// A table for people.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rows: Vec<Vec<String>> = [head].into_iter().chain(rows).collect();
    table::lines(&rows).collect::<Vec<_>>().join("\n")
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
