//! What systemd is told, by its own protocol.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use b3scale_support::{Running, TestDatabase, TestFolder};

use tokio::process::Command;

use super::b3scaled;

/// The socket that systemd would listen at.
pub(crate) struct Manager {
    socket: UnixDatagram,
    folder: TestFolder,
}

impl Manager {
    pub(crate) fn new() -> Self {
        let folder = TestFolder::new();
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("the folder is ours");
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("it takes a limit");
        Self { socket, folder }
    }

    /// Lets a program find it.
    pub(crate) fn manages(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify")).env("WATCHDOG_USEC", "200000");
    }

    /// The next word.
    pub(crate) fn heard(&self) -> String {
        let mut word = [0; 256];
        let length = self.socket.recv(&mut word).expect("a word comes");
        String::from_utf8_lossy(&word[..length]).into_owned()
    }

    /// All words that have come by now.
    pub(crate) fn heard_so_far(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).expect("it takes that");
        let mut word = [0; 256];
        let mut words = Vec::new();
        while let Ok(length) = self.socket.recv(&mut word) {
            words.push(String::from_utf8_lossy(&word[..length]).into_owned());
        }
        words
    }

    /// The next word that is no sign of life.
    pub(crate) fn heard_next(&self) -> String {
        loop {
            match self.heard() {
                word if word == "WATCHDOG=1\n" => {}
                word => return word,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_when_it_is_ready_that_it_lives_and_when_it_goes() {
    let (manager, database) = (Manager::new(), TestDatabase::new().await);
    let mut command = b3scaled(&["--listen", "127.0.0.1:0"]);
    command.env("B3SCALE_DB_URL", database.url()).env("B3SCALE_DRAIN_DELAY", "0");
    manager.manages(&mut command);
    let mut server = Running::logging(command);
    assert_eq!(manager.heard(), "READY=1\n");
    for _ in 0..3 {
        assert_eq!(manager.heard(), "WATCHDOG=1\n");
    }
    assert!(server.terminate().await);
    assert_eq!(manager.heard_next(), "STOPPING=1\n");
}

#[tokio::test]
async fn a_server_that_cannot_start_never_says_that_it_is_ready() {
    let manager = Manager::new();
    let mut command = b3scaled(&["--listen", "127.0.0.1:0"]);
    command.env("B3SCALE_DB_URL", "postgres://nobody@127.0.0.1:1/nothing");
    manager.manages(&mut command);
    assert!(!Running::logging(command).ended().await);
    assert_eq!(manager.heard_so_far(), [""; 0]);
}
