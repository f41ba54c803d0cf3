//! TLS to other machines, and the trusted authorities.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tower::timeout::Timeout;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service};
use tracing::warn;

/// The versions that are still sound.
const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// A file of certificate authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaFileError {
    /// It is not there, may not be read, or is no PEM.
    #[error("the CA file {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// It holds no certificate.
    #[error("the CA file {} holds no usable certificate: {reason}", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The TLS library refuses its own settings.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Connects to `http` and `https` URLs, and gives up after a while.
pub type Connector = BoxCloneSyncService<Uri, MaybeHttpsStream<TokioIo<TcpStream>>, BoxError>;

/// A connector that trusts the roots of the system, and those of the file if there is one.
///
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` stand for those of the system, where they are set.
///
/// # Errors
/// The file cannot be used.
pub fn connector(ca_file: Option<&Path>, limit: Duration) -> Result<Connector, CaFileError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    secured(tcp, ca_file, limit)
}

/// The same over connections that `tcp` makes.
///
/// # Errors
/// The file cannot be used.
pub(super) fn secured<T>(tcp: T, ca_file: Option<&Path>, limit: Duration) -> Result<Connector, CaFileError>
where
    T: Service<Uri, Response = TokioIo<TcpStream>, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync + 'static,
{
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(client_config(ca_file)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Connector::new(Timeout::new(https, limit)))
}

fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, CaFileError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in system.errors {
        warn!(%error, "Some certificates of the system are unreadable");
    }
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(VERSIONS)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), CaFileError> {
    let unreadable = |source| CaFileError::Unreadable { path: path.to_owned(), source };
    let useless = |reason: String| CaFileError::NoCertificate { path: path.to_owned(), reason };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(useless("there is no CERTIFICATE section in it".to_owned()));
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|error| useless(error.to_string()))?;
    }
    Ok(())
}
