//! Parts that the three programs share: command line, settings, signals and output.

pub mod environment;
pub mod signals;
pub mod spelling;
pub mod systemd;
pub mod table;
pub mod terminal;

pub use environment::{BBB_CONFIG, ConfigError, Environment};

/// The command line of this process, which begins with the program's name. Invalid UTF-8 is replaced.
pub fn line() -> Vec<String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect()
}
