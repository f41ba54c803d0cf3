//! The context of every command: server, token, and console.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use b3scale_base::client::{Api, ApiSettings, blanked};
use b3scale_base::program::Environment;
use b3scale_base::rest::Status;

use super::console::{Console, complain};
use super::layout::warning;
use super::tokens::{self, TokenFile};
use super::{B3scalectl, CtlError};

/// The server that is asked when none is named.
const DEFAULT_API: &str = "http://127.0.0.1:42353";

/// How long an answer may take. Whole states and imports are slower than anything else.
const PATIENCE: Duration = Duration::from_secs(120);

/// What every command needs.
pub(super) struct Context {
    /// Prints results.
    pub(super) console: Console,
    /// The server's URL as it was given, but for a password, with which no server is asked.
    pub(super) url: String,
    environment: Environment,
    ca_file: Option<PathBuf>,
}

impl Context {
    /// Completes the line from the environment.
    pub(super) fn new(line: &B3scalectl, environment: Environment) -> Result<Self, CtlError> {
        environment.files.iter().for_each(|file| complain(&format!("using environment from: {}", file.display())));
        environment.unreadable.iter().for_each(|why| complain(&format!("note: {why}")));
        environment
            .ignored
            .iter()
            .for_each(|place| complain(&format!("{place}: this line is not NAME=value and is ignored")));
        environment.unknown().for_each(|name| {
            let meant = Environment::meant(name).map(|known| format!("; did you mean {known}?")).unwrap_or_default();
            complain(&format!("no program knows the variable {name}{meant}"));
        });
        let agreed = environment.value("B3SCALE_YES")?.map(|yes| truth("B3SCALE_YES", yes)).transpose()?;
        let console = Console { json: line.json, yes: line.yes || agreed.unwrap_or(false) };
        Self::quiet(line.api.as_deref(), line.ca_file.clone(), console, environment)
    }

    /// The same without a word.
    pub(super) fn quiet(
        api: Option<&str>,
        ca_file: Option<PathBuf>,
        console: Console,
        environment: Environment,
    ) -> Result<Self, CtlError> {
        let api = if api.is_some() { api } else { environment.value("B3SCALE_API_URL")? };
        let url = blanked(api.unwrap_or(DEFAULT_API));
        let ca_file = if ca_file.is_some() { ca_file } else { environment.path("B3SCALE_API_CA_FILE")? };
        Ok(Self { console, url, environment, ca_file })
    }

    /// The server, once it has said that the token is an administrator's. A warning about its database comes first, on standard
    /// error: the output may be a document.
    pub(super) async fn api(&self) -> Result<Api, CtlError> {
        let (api, status) = self.connect().await?;
        if let Some(why) = status.database.error {
            complain(&warning(&why));
        }
        Ok(api)
    }

    /// The same for a command with changes. Without a writable database it ends here, before it asks for
    /// consent or shows the changes.
    pub(super) async fn api_for_changes(&self) -> Result<Api, CtlError> {
        let (api, status) = self.connect().await?;
        match status.database.error {
            Some(why) => Err(CtlError::NoDatabase { url: self.url.clone(), why }),
            None => Ok(api),
        }
    }

    /// The server, for requests that take so long.
    pub(super) async fn patient_api(&self, patience: Duration) -> Result<Api, CtlError> {
        self.api_with(self.token().await?, patience)
    }

    /// The server, with its status, for a command that shows the state of its database.
    pub(super) async fn connect(&self) -> Result<(Api, Status), CtlError> {
        let api = self.api_as(self.token().await?)?;
        let status = match api.status().await {
            Err(error) if error.is_unauthorized() && self.given_token()?.is_none() => {
                return Err(CtlError::WrongSecret { url: self.url.clone() });
            }
            status => status?,
        };
        if status.is_admin { Ok((api, status)) } else { Err(CtlError::NotAdmin { url: self.url.clone() }) }
    }

    /// The server, with an unchecked token.
    pub(super) fn api_as(&self, token: String) -> Result<Api, CtlError> {
        self.api_with(token, PATIENCE)
    }

    fn api_with(&self, token: String, patience: Duration) -> Result<Api, CtlError> {
        let user_agent = concat!("b3scalectl/", env!("CARGO_PKG_VERSION")).to_owned();
        let (url, ca_file) = (self.url.clone(), self.ca_file.clone());
        Ok(Api::new(&ApiSettings { url, token, user_agent, ca_file, patience })?)
    }

    /// The token there is, without asking for anything. Without one it is made of the secret in the environment.
    pub(super) fn known_token(&self) -> Result<Option<String>, CtlError> {
        match self.given_token()? {
            Some(token) => Ok(Some(token)),
            None => self.environment.value("B3SCALE_API_JWT_SECRET")?.map(tokens::own).transpose(),
        }
    }

    /// The token of the environment, or else the stored one for this server.
    fn given_token(&self) -> Result<Option<String>, CtlError> {
        match self.environment.value("B3SCALE_API_ACCESS_TOKEN")? {
            Some(token) => Ok(Some(token.to_owned())),
            None => self.token_file().read(),
        }
    }

    /// Warns that a stored token is not the one in use.
    pub(super) fn warn_of_given_token(&self) {
        if matches!(self.environment.value("B3SCALE_API_ACCESS_TOKEN"), Ok(Some(_))) {
            complain("note: B3SCALE_API_ACCESS_TOKEN is set and is used instead of the token that is kept");
        }
    }

    /// Where the token for this server is kept.
    pub(super) fn token_file(&self) -> TokenFile {
        TokenFile::of(&self.url, &self.environment)
    }

    /// The shared secret: as it was given, or else of the environment, or else as it is typed in.
    pub(super) async fn secret(&self, given: Option<String>) -> Result<String, CtlError> {
        if let Some(secret) = given {
            return Ok(secret);
        }
        match self.environment.value("B3SCALE_API_JWT_SECRET")? {
            Some(secret) => Ok(secret.to_owned()),
            None => tokens::ask_secret().await,
        }
    }

    async fn token(&self) -> Result<String, CtlError> {
        if let Some(token) = self.known_token()? {
            return Ok(token);
        }
        if !io::stdin().is_terminal() {
            return Err(CtlError::NoToken { url: self.url.clone() });
        }
        complain(&format!(
            "There is no access token for {} yet. One is made from the server's shared secret.",
            self.url
        ));
        let secret = tokens::ask_secret().await?;
        let token = tokens::own(&secret)?;
        match self.api_as(token.clone())?.status().await {
            Err(error) if error.is_unauthorized() => return Err(CtlError::WrongSecret { url: self.url.clone() }),
            other => other?,
        };
        self.token_file().write(&token)?;
        Ok(token)
    }
}

fn truth(name: &str, value: &str) -> Result<bool, CtlError> {
    match value.to_lowercase().as_str() {
        "yes" | "true" | "1" => Ok(true),
        "no" | "false" | "0" => Ok(false),
        _ => Err(CtlError::Usage(format!("{name}=`{value}`: true or false is wanted"))),
    }
}
