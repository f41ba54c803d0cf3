//! The settings of recordings.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use b3scale_middleware::cluster::Visibility;
use url::Url;

use super::shelf::s3::S3Settings;
use crate::program::{ConfigError, Environment};

/// The variables of folders, which errors name.
pub(super) const PUBLISHED: &str = "B3SCALE_RECORDINGS_PUBLISHED_PATH";
pub(super) const UNPUBLISHED: &str = "B3SCALE_RECORDINGS_UNPUBLISHED_PATH";
pub(super) const DELETED: &str = "B3SCALE_RECORDINGS_DELETED_PATH";
pub(super) const INBOX: &str = "B3SCALE_RECORDINGS_INBOX_PATH";
pub(super) const SPOOL: &str = "B3SCALE_RECORDINGS_SPOOL_PATH";
pub(super) const PLAYER: &str = "B3SCALE_RECORDINGS_PLAYER_PATH";
/// The variables of a bucket, which errors name.
pub(super) const BUCKET: &str = "B3SCALE_RECORDINGS_S3_BUCKET";
const ENDPOINT: &str = "B3SCALE_RECORDINGS_S3_ENDPOINT";
pub(super) const ACCESS_KEY: &str = "B3SCALE_RECORDINGS_S3_ACCESS_KEY";
pub(super) const SECRET_KEY: &str = "B3SCALE_RECORDINGS_S3_SECRET_KEY";
const HOST: &str = "B3SCALE_RECORDINGS_PLAYBACK_HOST";

/// The region of buckets without one, as most servers other than Amazon's have it.
const REGION: &str = "us-east-1";

/// The shelf for files that arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Folders.
    Local,
    /// A bucket.
    S3,
}

/// How files in a bucket reach a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Through this server.
    Proxy,
    /// Media come from the bucket, by links that are valid as long as a ticket.
    Redirect,
}

/// How a browser proves that it may play a protected recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// By a ticket in the path.
    Ticket,
    /// By a cookie, as in the original.
    Cookie,
}

/// The settings of recordings.
#[derive(Clone, Debug)]
pub struct RecordingsConfig {
    /// The shelf for files that arrive.
    pub storage: Storage,
    /// The tree of published recordings.
    pub published: Option<PathBuf>,
    /// The tree of the others.
    pub unpublished: Option<PathBuf>,
    /// The trash. By default `deleted` next to the tree of unpublished recordings.
    pub deleted: Option<PathBuf>,
    /// Where nodes put recordings. By default one of the trees, by the default visibility.
    pub inbox: Option<PathBuf>,
    /// Where nodes put archives in scalelite's way. `None`: they do not.
    pub spool: Option<PathBuf>,
    /// Where archives are unpacked. By default in the inbox, or in the system's folder of temporary files if that is a bucket.
    pub work: Option<PathBuf>,
    /// The most bytes of a recording.
    pub largest: u64,
    /// The bytes that stay free on the disks of inbox and work.
    pub keep_free: u64,
    /// The bucket. `None`: there is none.
    pub s3: Option<S3Settings>,
    /// How files in the bucket reach a browser.
    pub delivery: Delivery,
    /// Scheme, host and port of the links in lists.
    pub playback_host: Option<Url>,
    /// The address of the API, as browsers know it.
    pub api_url: Option<Url>,
    /// The folder of the built player. `None`: own pages play.
    pub player: Option<PathBuf>,
    /// How a browser proves that it may play a protected recording.
    pub protection: Protection,
    /// The visibility of new recordings, unless their frontend or their meeting has one.
    pub default_visibility: Visibility,
    /// Whether each format of a recording is announced to its frontend, and not only the recording.
    pub ready_per_format: bool,
}

impl RecordingsConfig {
    /// Reads the settings. Whether the folders and the bucket can be used, [`Shelves::open`](super::Shelves::open) finds out.
    ///
    /// # Errors
    /// A word that is none of the known ones, or an address that is none.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let local_or_s3 = [("local", Storage::Local), ("s3", Storage::S3)];
        let deliveries = [("proxy", Delivery::Proxy), ("redirect", Delivery::Redirect)];
        let protections = [("ticket", Protection::Ticket), ("cookie", Protection::Cookie)];
        let visibility = environment.parse::<Word>(
            "B3SCALE_RECORDINGS_DEFAULT_VISIBILITY",
            "one of `unpublished`, `published`, `protected`, `public`, `public_protected` is wanted",
        )?;
        Ok(Self {
            storage: environment.choice("B3SCALE_RECORDINGS_STORAGE", &local_or_s3, Storage::Local)?,
            published: environment.path(PUBLISHED)?,
            unpublished: environment.path(UNPUBLISHED)?,
            deleted: environment.path(DELETED)?,
            inbox: environment.path(INBOX)?,
            spool: environment.path(SPOOL)?,
            work: environment.path("B3SCALE_RECORDINGS_WORK_PATH")?,
            largest: bytes(environment, "B3SCALE_RECORDINGS_LARGEST", "a whole number of GiB from 1 on is wanted", 30)?
                .unwrap_or(64 << 30),
            keep_free: bytes(
                environment,
                "B3SCALE_RECORDINGS_KEEP_FREE",
                "a whole number of MiB from 1 on is wanted",
                20,
            )?
            .unwrap_or(1 << 30),
            s3: s3(environment)?,
            delivery: environment.choice("B3SCALE_RECORDINGS_S3_DELIVERY", &deliveries, Delivery::Proxy)?,
            playback_host: environment
                .parse::<Address>(HOST, "a URL such as https://play.example is wanted")?
                .map(|host| host.0),
            api_url: environment.parse("B3SCALE_API_URL", "a URL such as https://b3scale.example is wanted")?,
            player: environment.path(PLAYER)?,
            protection: environment.choice("B3SCALE_RECORDINGS_PROTECTION", &protections, Protection::Ticket)?,
            default_visibility: visibility.map_or(Visibility::Published, |word| word.0),
            ready_per_format: environment.choice(
                "B3SCALE_RECORDINGS_READY",
                &[("record", false), ("format", true)],
                false,
            )?,
        })
    }

    /// The host that shows recordings and nothing else: that of playback, if the API is known to have another one.
    pub fn own_host(&self) -> Option<&str> {
        let (playback, api) = (self.playback_host.as_ref()?.host_str()?, self.api_url.as_ref()?.host_str()?);
        (playback != api).then_some(playback)
    }
}

/// A number of units of `1 << shift` bytes.
fn bytes(
    environment: &Environment,
    name: &'static str,
    wanted: &'static str,
    shift: u32,
) -> Result<Option<u64>, ConfigError> {
    let units = environment.parse::<NonZeroU32>(name, wanted)?;
    Ok(units.map(|units| u64::from(units.get()) << shift))
}

fn s3(environment: &Environment) -> Result<Option<S3Settings>, ConfigError> {
    let Some(bucket) = environment.value(BUCKET)? else { return Ok(None) };
    let text = |name| Ok::<_, ConfigError>(environment.value(name)?.map(|value| value.trim().to_owned()));
    let endpoint = environment.parse::<Address>(ENDPOINT, "a URL such as https://s3.example is wanted")?;
    Ok(Some(S3Settings {
        bucket: bucket.trim().to_owned(),
        endpoint: endpoint.map(|endpoint| endpoint.0),
        region: text("B3SCALE_RECORDINGS_S3_REGION")?.unwrap_or_else(|| REGION.to_owned()),
        access_key: text(ACCESS_KEY)?,
        secret_key: text(SECRET_KEY)?,
    }))
}

/// A visibility by its name.
struct Word(Visibility);

impl FromStr for Word {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Visibility::try_from(word.to_owned()).map(Self)
    }
}

/// Scheme, host and port.
struct Address(Url);

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| "it is not a URL")?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("it does not begin with https:// or http:// and a host");
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err("there is more in it than scheme, host and port");
        }
        Ok(Self(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<RecordingsConfig, String> {
        let environment = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        RecordingsConfig::read(&environment).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_word_nothing_is_set_and_the_defaults_are_the_originals() {
        let config = read(&[]).unwrap();
        assert_eq!((config.published, config.s3.is_some(), config.playback_host), (None, false, None));
        assert_eq!((config.storage, config.default_visibility), (Storage::Local, Visibility::Published));
        assert_eq!((config.protection, config.ready_per_format), (Protection::Ticket, false));
    }

    #[test]
    fn a_bucket_has_a_region_in_any_case() {
        let config = read(&[(BUCKET, "b3scale"), (ENDPOINT, "http://127.0.0.1:9000")]).unwrap();
        let s3 = config.s3.unwrap();
        assert_eq!((&*s3.bucket, &*s3.region), ("b3scale", "us-east-1"));
        assert_eq!(s3.endpoint.unwrap().as_str(), "http://127.0.0.1:9000/");
    }

    #[test]
    fn playback_has_a_host_of_its_own_only_next_to_a_known_one_of_the_api() {
        let own = |values: &[(&str, &str)]| read(values).unwrap().own_host().map(str::to_owned);
        let (play, api) = ((HOST, "https://Play.example:8443"), "B3SCALE_API_URL");
        assert_eq!(own(&[play, (api, "https://b3scale.example")]).as_deref(), Some("play.example"));
        assert_eq!(own(&[play, (api, "http://play.example")]), None);
        assert_eq!(own(&[play]), None);
        assert_eq!(own(&[(api, "https://b3scale.example")]), None);
    }

    #[test]
    fn a_value_that_cannot_be_used_is_named_with_the_wanted_one() {
        for (name, value, said) in [
            (HOST, "play.example", "it is not a URL; a URL such as https://play.example is wanted"),
            (HOST, "ftp://play.example", "it does not begin with https:// or http://"),
            (HOST, "https://play.example/recordings", "there is more in it than scheme, host and port"),
            (HOST, "https://user@play.example", "there is more in it"),
            ("B3SCALE_RECORDINGS_DEFAULT_VISIBILITY", "Public", "one of `unpublished`, `published`"),
            ("B3SCALE_RECORDINGS_STORAGE", "nfs", "one of `local`, `s3` is wanted"),
            ("B3SCALE_RECORDINGS_S3_DELIVERY", "direct", "one of `proxy`, `redirect` is wanted"),
            ("B3SCALE_RECORDINGS_PROTECTION", "none", "one of `ticket`, `cookie` is wanted"),
            ("B3SCALE_RECORDINGS_READY", "never", "one of `record`, `format` is wanted"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(&format!("{name}=`{value}`: ")) && error.contains(said), "{error}");
        }
    }
}
