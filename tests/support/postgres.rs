//! A PostgreSQL of the test process's own, and a database of each test's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use b3scale::store::Store;
use b3scale::store::private::PrivatePostgres;
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;

/// Folders of earlier processes carry it in their names, by which they are found and removed.
const PREFIX: &str = "b3scale-test-";
const TEMPLATE: &str = "template_b3scale";

/// The cluster of this process. It ends with it, even if it is killed; its folder is removed by a later one.
pub struct TestPostgres {
    cluster: PrivatePostgres,
    databases: AtomicU32,
}

/// The cluster, started and migrated by the first caller.
pub async fn postgres() -> &'static TestPostgres {
    static SHARED: OnceCell<TestPostgres> = OnceCell::const_new();
    SHARED.get_or_init(TestPostgres::start).await
}

impl TestPostgres {
    async fn start() -> Self {
        remove_abandoned(&std::env::temp_dir());
        let folder = std::env::temp_dir().join(format!("{PREFIX}{}", process::id()));
        let cluster = PrivatePostgres::start(&folder).await.expect("PostgreSQL starts");
        let started = Self { cluster, databases: AtomicU32::new(0) };
        started.execute(&format!("CREATE DATABASE {TEMPLATE}")).await;
        let template = Store::connect(&started.url(TEMPLATE), 1).await.expect("the template is there");
        template.schema().migrate().await.expect("the migrations apply");
        started
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        self.cluster.url().replacen("/b3scale?", &format!("/{database}?"), 1)
    }

    /// Runs a statement that belongs to no database, such as `CREATE DATABASE`.
    pub async fn execute(&self, sql: &str) {
        run(self.cluster.url(), sql).await.expect("the statement runs");
    }
}

/// Waits until a statement waits for a lock. The client's transaction may hold it.
pub async fn until_blocked(client: &tokio_postgres::Client) {
    let waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while client.query(waiting, &[]).await.unwrap().is_empty() {
        // A transaction sees one snapshot of the activity until that is cleared.
        client.batch_execute("SELECT pg_stat_clear_snapshot()").await.unwrap();
    }
}

/// A database with the schema, dropped after use.
pub struct TestDatabase {
    name: String,
    url: String,
    store: Store,
}

impl TestDatabase {
    /// A fresh one, of the template.
    pub async fn new() -> Self {
        Self::of(&format!("TEMPLATE {TEMPLATE}")).await
    }

    /// One without the schema.
    pub async fn empty() -> Self {
        Self::of("").await
    }

    async fn of(template: &str) -> Self {
        let postgres = postgres().await;
        let name = format!("test_{}", postgres.databases.fetch_add(1, Relaxed));
        postgres.execute(&format!("CREATE DATABASE {name} {template}")).await;
        let url = postgres.url(&name);
        let store = Store::connect(&url, 8).await.expect("the new database takes connections");
        Self { name, url, store }
    }

    /// The value of `B3SCALE_DB_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A store on it, with its own pool.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How many connections it has.
    pub async fn connections(&self) -> i64 {
        self.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").await
    }

    /// The count that a statement returns.
    pub async fn count(&self, sql: &str) -> i64 {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.expect("it takes connections");
        let driver = tokio::spawn(connection);
        let count = client.query_one(sql, &[]).await.expect("it can be asked").get(0);
        driver.abort();
        count
    }

    /// The text that a statement returns.
    pub async fn text(&self, sql: &str) -> String {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.expect("it takes connections");
        let driver = tokio::spawn(connection);
        let text = client.query_one(sql, &[]).await.expect("it can be asked").get(0);
        driver.abort();
        text
    }

    /// Takes the database away from all its clients.
    pub async fn vanish(&self) {
        postgres().await.execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }

    /// Runs plain SQL, as an operator might.
    pub async fn execute(&self, sql: &str) {
        run(&self.url, sql).await.expect("the statement runs");
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // Best effort and off this thread, since its runtime is ending: the whole cluster goes at the end anyway.
        let url = self.url.replacen(&format!("/{}?", self.name), "/b3scale?", 1);
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let drop_database = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let _ = runtime.map(|runtime| runtime.block_on(run(&url, &sql)));
        };
        let _ = std::thread::Builder::new().spawn(drop_database);
    }
}

async fn run(url: &str, sql: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let driver = tokio::spawn(connection);
    let outcome = client.batch_execute(sql).await;
    driver.abort();
    outcome
}

/// Removes what processes left behind that are gone, and with them, a moment later, their clusters.
fn remove_abandoned(parent: &Path) {
    for folder in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = folder.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        let age = || folder.metadata().ok()?.modified().ok()?.elapsed().ok();
        if owner.is_some_and(is_gone) && age().is_some_and(|age| age > Duration::from_secs(60)) {
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

fn is_gone(process: &str) -> bool {
    let processes = Path::new("/proc");
    processes.join("self").exists() && !processes.join(process).exists()
}

/// A folder for a cluster of a test's own, removed when dropped.
pub struct TestFolder(PathBuf);

impl TestFolder {
    /// A new folder that every user may pass through, since PostgreSQL may run as another user.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{PREFIX}{}-{}", process::id(), COUNT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("the folder is made");
        fs::set_permissions(&path, Permissions::from_mode(0o711)).expect("the folder is ours");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for TestFolder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
