//! The server.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The system's allocator keeps memory after an attack. This one returns it within a moment.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    b3scale::cli::run(&b3scale_base::program::line()).await
}
