//! Where PostgreSQL's programs are, and which of several versions a cluster needs.

use std::cmp::Reverse;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::PrivateError;

/// One installed PostgreSQL.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    /// Its major version, such as `15`.
    version: String,
}

impl Programs {
    /// The first PostgreSQL found or, for a cluster that exists, the first of the version that made it.
    pub(super) async fn choose(cluster: &Path) -> Result<Self, PrivateError> {
        let wanted = fs::read_to_string(cluster.join("PG_VERSION")).ok().map(|text| text.trim().to_owned());
        let mut found: Vec<String> = Vec::new();
        for folder in folders() {
            let Some(version) = version(&folder).await else { continue };
            if wanted.as_ref().is_none_or(|wanted| *wanted == version) {
                return Ok(Self { folder, version });
            }
            if !found.contains(&version) {
                found.push(version);
            }
        }
        Err(match (wanted, chosen()) {
            (Some(wanted), _) if !found.is_empty() => {
                PrivateError::WrongVersion { folder: cluster.to_owned(), wanted, found: found.join(", ") }
            }
            (_, Some(folder)) => PrivateError::WrongPrograms(folder),
            _ => PrivateError::NoPrograms,
        })
    }

    /// A command without our environment, which has secrets and perhaps misleading `PG*` variables.
    pub(super) fn command(&self, program: &str) -> Command {
        bare(self.folder.join(program))
    }

    /// Like [`command`](Self::command); it ends with the thread that starts it, where the system can do that.
    pub(super) fn bound_command(&self, program: &str) -> Command {
        let Some(setpriv) = search_path().map(|folder| folder.join("setpriv")).find(|file| file.is_file()) else {
            return self.command(program);
        };
        let mut command = bare(setpriv);
        command.args(["--pdeathsig", "INT", "--"]).arg(self.folder.join(program));
        command
    }
}

impl std::fmt::Display for Programs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgreSQL {} from {}", self.version, self.folder.display())
    }
}

fn bare(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").current_dir("/");
    for kept in ["PATH", "LD_LIBRARY_PATH"] {
        if let Some(value) = env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
}

fn chosen() -> Option<PathBuf> {
    env::var_os("PG_BIN").filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn search_path() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).filter(|folder| folder.is_absolute()).collect::<Vec<_>>().into_iter()
}

/// Folders that have both programs. `PG_BIN` alone if it is set.
fn folders() -> Vec<PathBuf> {
    let candidates: Vec<PathBuf> = match chosen() {
        Some(folder) => vec![folder],
        None => search_path()
            .chain(versioned("/usr/lib/postgresql", "", "bin"))
            .chain(versioned("/usr", "pgsql-", "bin"))
            .chain(versioned("/opt/homebrew/opt", "postgresql@", "bin"))
            .chain(versioned("/usr/local/opt", "postgresql@", "bin"))
            .collect(),
    };
    candidates
        .into_iter()
        .filter(|folder| ["initdb", "postgres"].iter().all(|one| folder.join(one).is_file()))
        .collect()
}

/// `parent/prefixVERSION/inner` of every version there is, the newest first.
fn versioned(parent: &str, prefix: &str, inner: &str) -> Vec<PathBuf> {
    let number = |name: &str| -> Option<u32> { name.strip_prefix(prefix)?.parse().ok() };
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<_> =
        entries.filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path().join(inner)))).collect();
    found.sort_by_key(|(version, _)| Reverse(*version));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// The major version, from `postgres (PostgreSQL) 15.18 (Debian …)`.
async fn version(folder: &Path) -> Option<String> {
    let output = bare(folder.join("postgres")).arg("--version").output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.split_once("(PostgreSQL) ")?.1;
    let major: String = number.chars().take_while(char::is_ascii_digit).collect();
    (!major.is_empty()).then_some(major)
}
