//! The server.

use std::process::ExitCode;

use b3scale::cli::B3scaled;
use b3scale::output::complain;
use mimalloc::MiMalloc;

/// The system's allocator keeps what was held under attack. This one gives it back within a moment.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let line: Vec<String> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let program = match B3scaled::parse(&line) {
        Ok(program) => program,
        Err(code) => return code,
    };
    program.run().await.unwrap_or_else(|error| {
        complain(&error.to_string());
        ExitCode::FAILURE
    })
}
