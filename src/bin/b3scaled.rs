//! The server.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The system's allocator keeps what was held under attack. This one gives it back within a moment.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    b3scale::cli::run(&b3scale_base::program::line()).await
}
