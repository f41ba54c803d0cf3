//! A server's statements to PostgreSQL, parsed off the wire just far enough to count them.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Once that a server waits for PostgreSQL: all that it sends up to a Sync, or a simple query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// The statement; of several, one after the other.
    pub sql: Arc<str>,
    /// Whether it was only prepared, or given up, and not run.
    pub only_prepares: bool,
}

/// Round trips of all connections, in the order of sending.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<RoundTrip>>>);

impl Journal {
    pub(crate) fn lines(&self) -> MutexGuard<'_, Vec<RoundTrip>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a client's bytes on one connection, in pieces of any size.
pub(crate) struct Ear {
    journal: Journal,
    unread: Vec<u8>,
    /// The first message of a connection has no letter before its length.
    greeted: bool,
    prepared: HashMap<Vec<u8>, Arc<str>>,
    prepares: Vec<Arc<str>>,
    runs: Vec<Arc<str>>,
}

impl Ear {
    pub(crate) fn new(journal: Journal) -> Self {
        Self {
            journal,
            unread: Vec::new(),
            greeted: false,
            prepared: HashMap::new(),
            prepares: Vec::new(),
            runs: Vec::new(),
        }
    }

    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while let Some((letter, body)) = self.message() {
            self.understand(letter, &body);
        }
    }

    fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = usize::from(self.greeted);
        let length = self.unread.get(head..head + 4)?.try_into().expect("four bytes");
        let end = head + u32::from_be_bytes(length) as usize;
        let message = self.unread.get(..end)?.to_vec();
        self.unread.drain(..end);
        let letter = if mem::replace(&mut self.greeted, true) { message[0] } else { 0 };
        Some((letter, message[head + 4..].to_vec()))
    }

    fn understand(&mut self, letter: u8, body: &[u8]) {
        let mut words = body.split(|byte| *byte == 0);
        let mut word = || words.next().unwrap_or_default();
        match letter {
            b'P' => {
                let (name, sql) = (word().to_vec(), String::from_utf8_lossy(word()).into());
                self.prepares.push(Arc::clone(&sql));
                self.prepared.insert(name, sql);
            }
            b'B' => {
                let (_portal, name) = (word(), word());
                self.runs.extend(self.prepared.get(name).cloned());
            }
            b'Q' => self.note(&[String::from_utf8_lossy(word()).into()], false),
            b'S' => {
                let (prepares, runs) = (mem::take(&mut self.prepares), mem::take(&mut self.runs));
                if runs.is_empty() { self.note(&prepares, true) } else { self.note(&runs, false) }
            }
            _ => {}
        }
    }

    fn note(&self, said: &[Arc<str>], only_prepares: bool) {
        let sql = if let [one] = said { Arc::clone(one) } else { said.join(";\n").into() };
        self.journal.lines().push(RoundTrip { sql, only_prepares });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(letter: &str, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [letter.as_bytes(), &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn each_wait_is_told_with_what_was_said_before_it() {
        let journal = Journal::default();
        let mut ear = Ear::new(journal.clone());
        let talk = [
            message("", b"\0\x03\0\0user\0b3scale\0\0"),
            message("P", b"s1\0SELECT 1\0\0\0"),
            message("D", b"Ss1\0"),
            message("S", b""),
            message("B", b"\0s1\0\0\0\0\0\0\0"),
            message("E", b"\0\0\0\0\0"),
            message("S", b""),
            message("Q", b"LISTEN news\0"),
        ];
        // The pieces in which it comes mean nothing.
        talk.concat().chunks(3).for_each(|piece| ear.hear(piece));
        let line = |sql: &str, only_prepares| RoundTrip { sql: sql.into(), only_prepares };
        assert_eq!(*journal.lines(), [line("SELECT 1", true), line("SELECT 1", false), line("LISTEN news", false)]);
    }
}
