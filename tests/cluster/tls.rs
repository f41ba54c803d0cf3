//! Each `sslmode` against a PostgreSQL that speaks TLS.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use b3scale::store::private::PrivatePostgres;
use b3scale::store::{Store, StoreError};
use b3scale_support::TestFolder;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A PostgreSQL without supervision. It ends with the test.
pub(crate) struct Postgres(Child);

impl Postgres {
    /// Runs it on a cluster that exists, as the owner of its folder, and waits until it is ready.
    pub(crate) async fn run(cluster: &Path, settings: &[String]) -> Self {
        // The last run has noted which program it was.
        let noted = fs::read_to_string(cluster.join("postmaster.opts")).expect("the cluster has run before");
        let program = noted.split_whitespace().next().expect("the program comes first").to_owned();
        let owner = fs::metadata(cluster).expect("the cluster is there");
        let mut command = Command::new(program);
        command.arg("-D").arg(cluster).arg("-k").arg(cluster).args(settings.iter().flat_map(|one| ["-c", one]));
        command.env("LC_ALL", "C").current_dir("/").stderr(Stdio::piped()).kill_on_drop(true);
        if owner.uid() != fs::metadata("/proc/self").expect("it is ours").uid() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        loop {
            let line = lines.next_line().await.expect("it is text").expect("it becomes ready");
            if line.contains("ready to accept connections") {
                break;
            }
        }
        // Read on, or it would block once the pipe is full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self(child)
    }

    /// Waits for its end, and whether it came in order.
    pub(crate) async fn ended(&mut self) -> bool {
        self.0.wait().await.expect("it is a child").success()
    }
}

struct TlsServer {
    folder: TestFolder,
    port: u16,
    _postgres: Postgres,
}

impl TlsServer {
    /// Certified for `localhost`, which is also its address, and for no other name.
    async fn start() -> Self {
        let folder = TestFolder::new();
        PrivatePostgres::start(folder.path()).await.expect("it starts").stop().await;
        let cluster = folder.path().join("pgdata");
        let ca = authority();
        fs::write(folder.path().join("ca.pem"), ca.pem()).expect("the folder is ours");
        fs::write(folder.path().join("other.pem"), authority().pem()).expect("the folder is ours");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &ca).expect("signed");
        give(&cluster, "server.crt", &certificate.pem());
        give(&cluster, "server.key", &key.serialize_pem());
        give(&cluster, "pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let settings = ["ssl=on".to_owned(), "listen_addresses=127.0.0.1".to_owned(), format!("port={port}")];
        let postgres = Postgres::run(&cluster, &settings).await;
        let local = format!("host={} port={port} user=b3scale dbname=b3scale", cluster.display());
        let (client, connection) = tokio_postgres::connect(&local, tokio_postgres::NoTls).await.expect("a connection");
        let driver = tokio::spawn(connection);
        client.batch_execute("ALTER USER b3scale PASSWORD 'hunter2'").await.expect("a password");
        driver.abort();
        Self { folder, port, _postgres: postgres }
    }

    async fn connect(&self, host: &str, query: &str) -> Result<Store, StoreError> {
        // The address is given, so that no name is looked up.
        let url = format!("postgresql://b3scale:hunter2@{host}:{}/b3scale?hostaddr=127.0.0.1&{query}", self.port);
        Store::connect(&url, 1).await
    }

    fn roots(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed")
}

/// Writes a file that only the cluster's owner may read.
fn give(cluster: &Path, name: &str, text: &str) {
    let (path, owner) = (cluster.join(name), fs::metadata(cluster).expect("the cluster is there"));
    fs::write(&path, text).expect("the folder is ours");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("the file is ours");
    chown(&path, Some(owner.uid()), Some(owner.gid())).expect("the file is ours");
}

#[tokio::test]
async fn every_sslmode_does_what_libpq_says() {
    let server = TlsServer::start().await;
    let (ca, other) = (server.roots("ca.pem"), server.roots("other.pem"));
    let (ca, other) = (ca.display(), other.display());
    for (host, query, accepted) in [
        ("localhost", "sslmode=require".to_owned(), true),
        ("localhost", "sslmode=prefer".to_owned(), true),
        ("localhost", "sslmode=allow".to_owned(), true),
        ("localhost", format!("sslmode=verify-full&sslrootcert={ca}"), true),
        ("elsewhere", format!("sslmode=verify-ca&sslrootcert={ca}"), true),
        // The server takes TLS only.
        ("localhost", "sslmode=disable".to_owned(), false),
        ("elsewhere", format!("sslmode=verify-full&sslrootcert={ca}"), false),
        ("localhost", format!("sslmode=verify-full&sslrootcert={other}"), false),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={other}"), false),
        ("localhost", format!("sslmode=require&sslrootcert={other}"), false),
    ] {
        let outcome = server.connect(host, &query).await;
        let error = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert_eq!(outcome.is_ok(), accepted, "{host} {query}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
        if let Ok(store) = outcome {
            store.ping().await.expect("it answers");
        }
    }
}

#[tokio::test]
async fn a_wrong_setting_is_named_before_anything_is_tried() {
    for (query, expected) in [
        (
            "sslmode=always",
            "sslmode `always` is unknown; one of disable, allow, prefer, require, verify-ca, verify-full",
        ),
        ("sslmode=verify-full&sslrootcert=/no/such/file", "sslrootcert: no certificate found in /no/such/file"),
        ("colour=red", "unknown option `colour`"),
    ] {
        let error = Store::connect(&format!("postgresql://u:hunter2@localhost/d?{query}"), 1).await.err();
        let error = error.expect("it is refused");
        assert!(matches!(error, StoreError::Setting(_)), "{error}");
        assert!(error.to_string().contains(expected) && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_database_out_of_reach_is_named_without_the_password() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("it is bound").port();
    drop(free);
    let error =
        Store::connect(&format!("postgresql://u:hunter2@127.0.0.1:{port}/d"), 1).await.err().expect("nobody there");
    assert!(error.is_away());
    let place = format!("database `d` on `127.0.0.1:{port}` as user `u`");
    assert!(error.to_string().contains(&place) && !error.to_string().contains("hunter2"), "{error}");
}
