//! A bucket of S3 or of a server that speaks its protocol.
//!
//! Objects are never changed: each content of a format has a prefix of its own, `<format>/<record id>/<generation>/…`, and a place is
//! a generation. So a reader never meets half of a content. An object's tree is a matter of rows alone.

mod client;
mod refusal;
mod upload;

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use b3scale_middleware::cluster::RecordId;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http::Method;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::signer::Signer;
use object_store::{
    Attribute, Attributes, BackoffConfig, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutOptions, RetryConfig,
};
use url::Url;

use super::{Content, FilePath, FormatKey, Opened, Shelf, ShelfError, Shifted, Stored, Tree};
use crate::net::tls::CaFileError;
use crate::recordings::media::content_type;
use client::Connect;
pub(in crate::recordings) use refusal::Refusal;

/// The prefix of archives that have arrived. No format has that name.
pub const INBOX: &str = "inbox";

/// The longest time in which a request is tried again.
const PATIENCE: Duration = Duration::from_secs(20);

/// The settings of a bucket.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Settings {
    /// Its name.
    pub bucket: String,
    /// The server. `None`: Amazon's of the region.
    pub endpoint: Option<Url>,
    /// The region.
    pub region: String,
    /// The name of the key.
    pub access_key: Option<String>,
    /// The key.
    pub secret_key: Option<String>,
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Settings").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

/// Why a bucket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// The client cannot be made.
    #[error("{0}")]
    Client(#[from] CaFileError),
    /// The settings, or an answer of the server.
    #[error("{0}")]
    Store(#[from] object_store::Error),
}

/// A shelf in a bucket.
pub struct S3 {
    store: AmazonS3,
    bucket: String,
}

impl S3 {
    /// The shelf in a bucket. Nothing is sent yet.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(settings: &S3Settings) -> Result<Self, S3Error> {
        let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: 4, retry_timeout: PATIENCE };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_retry(retry)
            .with_http_connector(Connect::new()?);
        if let Some(endpoint) = &settings.endpoint {
            let address = endpoint.as_str().trim_end_matches('/');
            builder = builder.with_endpoint(address).with_allow_http(endpoint.scheme() == "http");
        }
        if let (Some(name), Some(key)) = (&settings.access_key, &settings.secret_key) {
            builder = builder.with_access_key_id(name).with_secret_access_key(key);
        }
        Ok(Self { store: builder.build()?, bucket: settings.bucket.clone() })
    }

    /// The objects of the bucket, among them those of the inbox.
    pub fn objects(&self) -> &impl ObjectStore {
        &self.store
    }

    /// Lists objects, writes one, and removes it.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub async fn probe(&self) -> Result<(), S3Error> {
        self.store.list(Some(&Key::from(INBOX))).next().await.transpose()?;
        let trial = Key::from(format!(".b3scale-{:016x}", fastrand::u64(..)));
        self.store.put(&trial, "b3scale was here".into()).await?;
        Ok(self.store.delete(&trial).await?)
    }

    pub(in crate::recordings) fn failure(&self, error: object_store::Error) -> ShelfError {
        let place = format!("the bucket {}", self.bucket);
        if Refusal::of(&error).is_full() {
            ShelfError::Full { place, reason: error.to_string() }
        } else {
            ShelfError::Away { place, reason: error.into() }
        }
    }

    /// The objects below a prefix, with their paths there.
    async fn below(&self, prefix: &Key) -> Result<Vec<(String, ObjectMeta)>, ShelfError> {
        let listed: Result<Vec<_>, _> = self.store.list(Some(prefix)).try_collect().await;
        let found = listed.map_err(|error| self.failure(error))?;
        let named = found.into_iter().filter_map(|meta| {
            let path = meta.location.as_ref().strip_prefix(prefix.as_ref())?.strip_prefix('/')?.to_owned();
            Some((path, meta))
        });
        Ok(named.collect())
    }
}

#[async_trait]
impl Shelf for S3 {
    fn name(&self) -> &'static str {
        "s3"
    }

    async fn put(&self, key: &FormatKey, _: Tree, folder: &Path) -> Result<String, ShelfError> {
        let place = format!("{:016x}", fastrand::u64(..));
        match upload::folder(self, key, &place, folder).await {
            Ok(()) => Ok(place),
            Err(error) => {
                // If that fails, too, `verify` finds them.
                let _ = self.remove(key, &place).await;
                Err(error)
            }
        }
    }

    async fn add(&self, key: &FormatKey, tree: Tree, folder: &Path) -> Result<Option<String>, ShelfError> {
        self.put(key, tree, folder).await.map(Some)
    }

    async fn shift(&self, _: &FormatKey, place: &str, _: Tree) -> Result<Shifted, ShelfError> {
        Ok(Shifted::To(place.to_owned()))
    }

    async fn remove(&self, key: &FormatKey, place: &str) -> Result<(), ShelfError> {
        let Some(prefix) = prefix(key, place) else { return Ok(()) };
        let locations = self.store.list(Some(&prefix)).map_ok(|meta| meta.location).boxed();
        let removed = self.store.delete_stream(locations).try_for_each(|_| ready(Ok(()))).await;
        match removed {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(self.failure(error)),
        }
    }

    async fn remove_content(&self, key: &FormatKey, content: &Stored) -> Result<(), ShelfError> {
        self.remove(key, &content.place).await
    }

    async fn open(&self, key: &FormatKey, place: &str, path: &FilePath) -> Result<Option<Opened>, ShelfError> {
        let Some(location) = location(key, place, path) else { return Ok(None) };
        let meta = match self.store.head(&location).await {
            Ok(meta) => meta,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failure(error)),
        };
        let etag = meta.e_tag.unwrap_or_default();
        let tag = format!("{place}-{}-{:x}", etag.trim_matches('"'), meta.size);
        let (store, shown) = (self.store.clone(), Self { store: self.store.clone(), bucket: self.bucket.clone() });
        let read = move |part: super::Part| {
            async move {
                if part.is_empty() {
                    return Ok(stream::empty().boxed());
                }
                let options = GetOptions { if_match: Some(etag), ..GetOptions::default() }.with_range(Some(part));
                let got = store.get_opts(&location, options).await.map_err(|error| shown.failure(error))?;
                Ok(got.into_stream().map_err(move |error| shown.failure(error)).boxed() as Content)
            }
            .boxed()
        };
        Ok(Some(Opened { size: meta.size, modified: meta.last_modified.into(), tag, read: Box::new(read) }))
    }

    async fn write(&self, key: &FormatKey, place: &str, path: &FilePath, content: Bytes) -> Result<(), ShelfError> {
        let Some(location) = location(key, place, path) else { return Ok(()) };
        let options = PutOptions { attributes: attributes(path.as_str()), ..PutOptions::default() };
        let put = self.store.put_opts(&location, content.into(), options).await;
        put.map(drop).map_err(|error| self.failure(error))
    }

    async fn files(&self, key: &FormatKey, place: &str) -> Result<Vec<(String, u64)>, ShelfError> {
        let Some(prefix) = prefix(key, place) else { return Ok(Vec::new()) };
        let mut files: Vec<_> = self.below(&prefix).await?.into_iter().map(|(path, meta)| (path, meta.size)).collect();
        files.sort();
        Ok(files)
    }

    async fn contents(&self, key: &FormatKey) -> Result<Vec<Stored>, ShelfError> {
        let prefix = Key::from_iter([key.format(), key.record().as_str()]);
        let listed = self.store.list_with_delimiter(Some(&prefix)).await.map_err(|error| self.failure(error))?;
        let places = listed.common_prefixes.into_iter().filter_map(|prefix| Some(prefix.filename()?.to_owned()));
        Ok(places.filter(|place| is_place(place)).map(|place| Stored { place, stamp: String::new() }).collect())
    }

    fn all(&self) -> BoxStream<'_, Result<(FormatKey, String), ShelfError>> {
        // A bucket lists its objects in their order, so those of one content come together.
        let mut last = None;
        let formats = self.store.list(None).map_ok(move |meta| {
            let found = format_of(meta.location.as_ref());
            let is_new = found != last;
            last.clone_from(&found);
            found.filter(|_| is_new)
        });
        let formats = formats.map_err(|error| self.failure(error));
        formats.try_filter_map(|found| ready(Ok(found))).boxed()
    }

    fn is_in(&self, place: &str, _: Tree) -> bool {
        is_place(place)
    }

    async fn sweep(&self, _: SystemTime) -> Result<usize, ShelfError> {
        // A rule of the bucket aborts multipart uploads that no one completes.
        Ok(0)
    }

    async fn link(
        &self,
        key: &FormatKey,
        place: &str,
        path: &FilePath,
        valid: Duration,
    ) -> Result<Option<String>, ShelfError> {
        let Some(location) = location(key, place, path) else { return Ok(None) };
        let signed = self.store.signed_url(Method::GET, &location, valid).await;
        signed.map(|url| Some(url.into())).map_err(|error| self.failure(error))
    }
}

/// The format and the generation of an object.
fn format_of(object: &str) -> Option<(FormatKey, String)> {
    let mut segments = object.split('/');
    let format = segments.next().filter(|format| *format != INBOX)?;
    let record = RecordId::new(segments.next()?)?;
    let place = segments.next().filter(|place| is_place(place))?.to_owned();
    segments.next()?;
    Some((FormatKey::new(&record, format)?, place))
}

fn is_place(place: &str) -> bool {
    !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The prefix of a content. `None`: the place is none of a bucket.
fn prefix(key: &FormatKey, place: &str) -> Option<Key> {
    is_place(place).then(|| Key::from_iter([key.format(), key.record().as_str(), place]))
}

fn location(key: &FormatKey, place: &str, path: &FilePath) -> Option<Key> {
    let prefix = prefix(key, place)?;
    Key::parse(format!("{prefix}/{path}")).ok()
}

/// The content type for browsers that get an object by a link.
fn attributes(path: &str) -> Attributes {
    [(Attribute::ContentType, content_type(path))].into_iter().collect()
}
