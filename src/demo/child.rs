//! Child processes that end with the demo.

use std::env;
use std::path::Path;

use tokio::process::Command;

/// A command that ends with the thread that starts it, even if that is killed, where the system can do that.
pub(super) fn bound(program: &Path) -> Command {
    let path = env::var_os("PATH").unwrap_or_default();
    let Some(setpriv) = env::split_paths(&path).map(|folder| folder.join("setpriv")).find(|file| file.is_file()) else {
        return Command::new(program);
    };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}
