//! A private certificate authority for nodes on the loopback, so that TLS is real where no real certificate is.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Names a loopback node is reached by.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "::1", "localhost"];

/// An authority. Its key lives only as long as this value.
pub struct TestAuthority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no certificate for a simulated node: {0}")]
pub enum AuthorityError {
    /// The certificate itself could not be made.
    Certificate(#[from] rcgen::Error),
    /// The TLS settings do not accept it.
    Tls(#[from] rustls::Error),
}

impl TestAuthority {
    /// Draws a key and signs its own certificate with it.
    pub fn new() -> Result<TestAuthority, AuthorityError> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Ok(TestAuthority { issuer: Issuer::new(params, key), pem, der })
    }

    /// The authority's certificate in PEM, for clients to trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The authority's certificate in DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// TLS settings of a node on 127.0.0.1, `::1` or localhost.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, AuthorityError> {
        self.server_config_for(&LOOPBACK)
    }

    /// TLS settings with a certificate for `names`; another name than the node's makes a certificate to refuse.
    pub fn server_config_for(&self, names: &[&str]) -> Result<Arc<ServerConfig>, AuthorityError> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(Arc::new(config))
    }
}
