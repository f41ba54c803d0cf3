//! The server.

use std::process::ExitCode;

use b3scale::cli::B3scaled;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: B3scaled = argh::from_env();
    match arguments.run().await {
        Ok(code) => code,
        Err(error) => {
            fail(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the log may not have been started, and people read this")]
fn fail(why: &str) {
    eprintln!("{why}");
}
