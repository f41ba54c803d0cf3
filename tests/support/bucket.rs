//! A bucket of S3 on the loopback, which may go away and come back.

use b3scale::recordings::shelf::s3::{S3, S3Settings};
use b3scale_node::Port;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::TestFolder;

const BUCKET: &str = "recordings";
const ACCESS_KEY: &str = "b3scale";
const SECRET_KEY: &str = "secret of the bucket";

/// A server with one bucket.
pub struct TestBucket {
    port: Port,
    service: S3Service,
    serving: Option<JoinHandle<()>>,
    folder: TestFolder,
}

impl TestBucket {
    /// An empty bucket.
    pub async fn start() -> Self {
        let folder = TestFolder::new();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let (port, service) = (Port::any().unwrap(), service.build());
        let mut bucket = Self { port, service, serving: None, folder };
        bucket.come_back().await;
        bucket
    }

    /// A shelf in an empty bucket of the server that `TEST_BUCKET_URL` names. `None`: it is not set.
    pub fn elsewhere() -> Option<S3> {
        let url = std::env::var("TEST_BUCKET_URL").ok()?;
        Some(S3::new(&settings(&url)).unwrap())
    }

    /// The settings of a client.
    pub fn settings(&self) -> S3Settings {
        settings(&format!("http://{}", self.port.address()))
    }

    /// The same as variables of the environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let settings = self.settings();
        vec![
            ("B3SCALE_RECORDINGS_S3_BUCKET", settings.bucket),
            ("B3SCALE_RECORDINGS_S3_ENDPOINT", settings.endpoint.map(String::from).unwrap_or_default()),
            ("B3SCALE_RECORDINGS_S3_ACCESS_KEY", ACCESS_KEY.to_owned()),
            ("B3SCALE_RECORDINGS_S3_SECRET_KEY", SECRET_KEY.to_owned()),
        ]
    }

    /// A shelf in the bucket.
    pub fn shelf(&self) -> S3 {
        S3::new(&self.settings()).unwrap()
    }

    /// Ends all connections and takes no others.
    pub async fn go_away(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // It is over once its socket is closed.
            let _ = serving.await;
        }
    }

    /// Serves again, at the same address.
    pub async fn come_back(&mut self) {
        let listener = self.port.listen().await.unwrap();
        self.serving = Some(tokio::spawn(serve(listener, self.service.clone())));
    }

    /// The keys of its objects.
    pub fn objects(&self) -> Vec<String> {
        let root = self.folder.path().join(BUCKET);
        let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path.strip_prefix(&root).unwrap().display().to_string());
                }
            }
        }
        found.retain(|key| !key.rsplit('/').next().is_some_and(|name| name.starts_with('.')));
        found.sort();
        found
    }
}

impl Drop for TestBucket {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}

fn settings(url: &str) -> S3Settings {
    S3Settings {
        bucket: BUCKET.to_owned(),
        endpoint: Some(url.parse().unwrap()),
        region: "us-east-1".to_owned(),
        access_key: Some(ACCESS_KEY.to_owned()),
        secret_key: Some(SECRET_KEY.to_owned()),
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            taken = listener.accept() => {
                let (stream, _) = taken.unwrap();
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
