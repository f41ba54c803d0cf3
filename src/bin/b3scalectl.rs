//! The command line.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    b3scale_ctl::run(&b3scale_base::program::line()).await
}
