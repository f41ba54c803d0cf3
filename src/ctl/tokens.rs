//! Access tokens: where they are kept, and how one is made.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use b3scale_base::program::Environment;
use b3scale_base::token;

use super::CtlError;

/// The file of the token for one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenFile(PathBuf);

impl TokenFile {
    /// Its place is that of the original, so that both find it.
    pub(super) fn of(url: &str, environment: &Environment) -> Self {
        Self(config_folder(environment).join("b3scale").join(file_name(url)))
    }

    /// The token, if there is one.
    pub(super) fn read(&self) -> Result<Option<String>, CtlError> {
        match fs::read_to_string(&self.0) {
            Ok(token) => Ok(Some(token.trim().to_owned()).filter(|token| !token.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unusable(error)),
        }
    }

    /// Stores a token, readable by this user only.
    pub(super) fn write(&self, token: &str) -> Result<(), CtlError> {
        self.try_write(token).map_err(|error| self.unusable(error))
    }

    fn try_write(&self, token: &str) -> io::Result<()> {
        if let Some(folder) = self.0.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.0)?;
        // An older file may have been readable by others.
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(token.as_bytes())
    }

    fn unusable(&self, error: io::Error) -> CtlError {
        CtlError::TokenFile { path: self.0.clone(), error }
    }
}

/// The URL with everything but letters, digits and dots made one underscore.
fn file_name(url: &str) -> String {
    let mut name = String::new();
    for letter in format!("{url}.access_token").chars() {
        let letter = if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '_' };
        if letter != '_' || !name.ends_with('_') {
            name.push(letter);
        }
    }
    name
}

fn config_folder(environment: &Environment) -> PathBuf {
    let home = || PathBuf::from(environment.text("HOME").unwrap_or("."));
    if cfg!(target_os = "macos") {
        return home().join("Library/Application Support");
    }
    environment.text("XDG_CONFIG_HOME").map_or_else(|| home().join(".config"), PathBuf::from)
}

/// The scope of who may do everything.
pub(super) const ADMIN: &str = "b3scale:admin";

/// A token of this program's own.
pub(super) fn own(secret: &str) -> Result<String, CtlError> {
    signed(secret, "b3scalectl", ADMIN)
}

/// A token that does not expire.
pub(super) fn signed(secret: &str, sub: &str, scopes: &str) -> Result<String, CtlError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(token::sign(secret, sub, scopes, now)?)
}

/// Asks for the shared secret without echo. It needs a terminal.
pub(super) async fn ask_secret() -> Result<String, CtlError> {
    if !io::stdin().is_terminal() {
        return Err(CtlError::NoSecret);
    }
    let asked = tokio::task::spawn_blocking(|| rpassword::prompt_password("Shared secret: "));
    let secret = asked.await.map_err(io::Error::other)??;
    if secret.is_empty() { Err(CtlError::Declined) } else { Ok(secret) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_is_called_as_the_original_calls_it() {
        assert_eq!(file_name("http://127.0.0.1:42391"), "http_127.0.0.1_42391.access_token");
        assert_eq!(file_name("https://b3.example/a--b/"), "https_b3.example_a_b_.access_token");
    }
}
