//! Output of programs. A reader may leave, as `head` does: that ends no work in its middle and is no failure.

use std::io::{self, Write};

/// Whether the output still has a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// It may be.
    Reads,
    /// The reader has left, and there will be no other. A program that goes on only for it ends.
    Left,
}

/// The output cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the output cannot be written: {0}")]
pub struct Unwritable(io::Error);

/// Prints on standard output, at once.
///
/// # Errors
/// It cannot be written for another reason than a reader that has left.
pub fn print(text: &str) -> Result<Reader, Unwritable> {
    write(&mut io::stdout().lock(), text)
}

/// Prints an error on standard error. A failure of that cannot be reported.
pub fn complain(why: &str) {
    let _ = write(&mut io::stderr().lock(), &format!("{why}\n"));
}

/// Writes a text, at once.
pub fn write(out: &mut impl Write, text: &str) -> Result<Reader, Unwritable> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Reader::Reads),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Left),
        Err(error) => Err(Unwritable(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_left_is_no_error_and_a_full_disk_is_one() {
        let (reader, mut writer) = io::pipe().unwrap();
        assert_eq!(write(&mut writer, "a\n").unwrap(), Reader::Reads);
        drop(reader);
        assert_eq!(write(&mut writer, "b\n").unwrap(), Reader::Left);
        let mut full: &mut [u8] = &mut [];
        assert!(write(&mut full, "c\n").is_err());
    }
}
