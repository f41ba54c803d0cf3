//! What the three programs share: how they are called, told and ended, and how they print.

pub mod environment;
pub mod signals;
pub mod spelling;
pub mod systemd;
pub mod table;
pub mod terminal;

pub use environment::{BBB_CONFIG, ConfigError, Environment};

/// The command line of this process, which begins with the program's name. What is not UTF-8 has a sign in its place.
pub fn line() -> Vec<String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect()
}
