//! A Redis of a test's own.

use std::path::{Path, PathBuf};

use redis::{Client, Value};
use tokio::process::Command;

use crate::{Running, TestFolder, program};

/// A `redis-server` on a unix socket, with nothing in it. It ends with the test, even if that is killed.
pub struct TestRedis {
    url: String,
    socket: PathBuf,
    client: Client,
    _server: Running,
    _folder: TestFolder,
}

impl TestRedis {
    /// A Redis without a password.
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// A Redis with a password.
    pub async fn with_password(password: &str) -> Self {
        Self::with(password).await
    }

    async fn with(password: &str) -> Self {
        let folder = TestFolder::new();
        let socket = folder.path().join("redis.sock");
        let mut server = Running::start(command(folder.path(), &socket, password));
        // The newer ones begin with a capital.
        server.line_with("eady to accept connections").await;
        let url = |login: &str| format!("unix://{}{login}", socket.display());
        let login = if password.is_empty() { String::new() } else { format!("?pass={password}") };
        let (client, url) = (Client::open(url(&login)).unwrap(), url(""));
        Self { url, socket, client, _server: server, _folder: folder }
    }

    /// Where it is, without the password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs a command, given as its words.
    pub async fn run(&self, words: &[&str]) {
        let mut connection = self.client.get_multiplexed_async_connection().await.expect("Redis takes connections");
        let mut command = redis::Cmd::new();
        command.arg(words);
        let _: Value = command.query_async(&mut connection).await.expect("the command is right");
    }
}

fn command(folder: &Path, socket: &Path, password: &str) -> Command {
    let socket = socket.to_str().expect("its name is text");
    let folder = folder.to_str().expect("its name is text");
    let settings = ["--port", "0", "--unixsocket", socket, "--dir", folder, "--save", "", "--appendonly", "no"];
    // Where the system can do that, it ends with the thread that starts it.
    let setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].map(PathBuf::from).into_iter().find(|file| file.is_file());
    let mut command = match setpriv.as_deref().and_then(Path::to_str) {
        Some(setpriv) => program(setpriv, &["--pdeathsig", "KILL", "--", "redis-server"]),
        None => program("redis-server", &[]),
    };
    command.args(settings);
    if !password.is_empty() {
        command.args(["--requirepass", password]);
    }
    command
}
