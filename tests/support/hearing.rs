//! A subscriber of all logs.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, Once};

use tokio::process::Command;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The folder that keeps all logs of tests, to be searched for secrets.
const FOLDER: &str = "B3SCALE_TEST_LOGS";

/// Subscribes to this process's log, and keeps it if a folder is set.
///
/// A line without a subscriber when it is first reached is switched off for the whole process, although another thread's
/// test may be about to subscribe. So every test that serves calls calls this first.
pub fn hear() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let ours = ["b3scale", "b3scale_middleware"].map(|target| (target, LevelFilter::DEBUG));
        let filter = Targets::new().with_targets(ours).with_default(LevelFilter::WARN);
        let log = fmt::layer().with_ansi(false);
        let log = match kept() {
            Some(file) => log.with_writer(Mutex::new(file)).boxed(),
            None => log.with_writer(io::sink).boxed(),
        };
        let _ = tracing_subscriber::registry().with(log.with_filter(filter)).try_init();
    });
}

/// Lets a program say all it can, if that is kept, unless its test says otherwise.
pub(crate) fn let_speak(command: &mut Command) {
    const LEVEL: &str = "B3SCALE_LOG_LEVEL";
    if std::env::var_os(FOLDER).is_some() && !command.as_std().get_envs().any(|(name, _)| name == LEVEL) {
        command.env(LEVEL, "debug");
    }
}

/// Keeps log lines or metrics, if a folder is set.
pub fn keep(said: &[u8]) {
    if let Some(mut file) = kept() {
        file.write_all(said).expect("the folder for logs takes them");
    }
}

/// A file for the log of this process and of the programs that it starts. `None`: no folder is set.
fn kept() -> Option<File> {
    let folder = PathBuf::from(std::env::var_os(FOLDER).filter(|folder| !folder.is_empty())?);
    let name = format!("{}.log", std::process::id());
    Some(OpenOptions::new().create(true).append(true).open(folder.join(name)).expect("the folder for logs is there"))
}
