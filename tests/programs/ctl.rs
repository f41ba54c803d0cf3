//! `b3scalectl`.

mod access;
mod away;
mod cluster;
mod completion;
mod https;
mod insight;
mod json;
mod moving;
mod recordings;
mod requests;
pub(crate) mod samples;
mod state;
mod terminal;

use std::path::PathBuf;

use b3scale_support::{Recorder, TestFolder, Told, output, program, token};
use tokio::process::Command;

/// A token that a recording server takes for an administrator's.
const TOKEN: &str = "a.b.c";

/// The command line, at a place of its own, towards one server.
struct Ctl {
    url: String,
    token: Option<String>,
    folder: TestFolder,
}

/// The output of a run.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Ctl {
    fn new(url: &str) -> Self {
        Self { url: url.to_owned(), token: Some(TOKEN.to_owned()), folder: TestFolder::new() }
    }

    /// An administrator's, towards a server of a test.
    fn of_operator(url: &str) -> Self {
        Self::new(url).with_token(Some(&token("operator", "b3scale:admin")))
    }

    fn with_token(self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self }
    }

    /// A run with the words of a line. They are split at spaces, but for those in single quotes.
    fn command(&self, line: &str) -> Command {
        let words: Vec<String> = line
            .split('\'')
            .enumerate()
            .flat_map(|(place, part)| match place % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect(),
                _ => vec![part.to_owned()],
            })
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = program(env!("CARGO_BIN_EXE_b3scalectl"), &words);
        command.env("XDG_CONFIG_HOME", self.folder.path()).env("B3SCALE_API_URL", &self.url);
        // So that no file of this machine is read.
        command.env("B3SCALE_DB_URL", "unused").current_dir(self.folder.path());
        if let Some(token) = &self.token {
            command.env("B3SCALE_API_ACCESS_TOKEN", token);
        }
        command
    }

    async fn run(&self, line: &str) -> Said {
        said(self.command(line)).await
    }

    /// A run that succeeds; its standard output.
    async fn done(&self, line: &str) -> String {
        let said = self.run(line).await;
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{line}: {}", said.out);
        said.out
    }

    /// A run that fails; the one line it says.
    async fn fails(&self, line: &str) -> String {
        let said = self.run(line).await;
        assert_eq!(said.code, 1, "{line}: {said:?}");
        assert_eq!(said.err.lines().count(), 1, "{line}: {}", said.err);
        said.err
    }

    fn token_file(&self) -> PathBuf {
        let name = self.url.replace("://", "_").replace(':', "_");
        self.folder.path().join("b3scale").join(format!("{name}.access_token"))
    }
}

async fn said(command: Command) -> Said {
    let output = output(command).await;
    let text = |bytes| String::from_utf8(bytes).expect("it prints text");
    let code = output.status.code().expect("it ends by itself");
    Said { code, out: text(output.stdout), err: text(output.stderr) }
}

/// A server that records, to which the token is an administrator's.
async fn recorder(told: impl IntoIterator<Item = Told>) -> (Recorder, Ctl) {
    let status = Told::ok("GET /api/v1", samples::status(true));
    let recorder = Recorder::start([status].into_iter().chain(told)).await;
    let ctl = Ctl::new(&recorder.url());
    (recorder, ctl)
}

/// Requests and bodies after the check of the token's scope.
fn asked(recorder: &Recorder) -> Vec<(String, String)> {
    let mut asked = recorder.asked().into_iter().map(|asked| (asked.request, asked.body));
    assert_eq!(asked.next(), Some(("GET /api/v1".to_owned(), String::new())));
    asked.collect()
}
