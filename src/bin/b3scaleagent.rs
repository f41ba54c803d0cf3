//! The agent on a node.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    b3scale_agent::run(&b3scale_base::program::line()).await
}
