//! TLS to PostgreSQL: what each `sslmode` trusts.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres::Socket;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::StoreError;

/// The check of a server's certificate.
#[derive(Clone, Debug)]
pub enum Trust {
    /// None: encrypted, to any server.
    Any,
    /// That a root has signed it.
    Chain(Roots),
    /// That, and that it is for the host's name.
    ChainAndName(Roots),
}

/// Where roots come from.
#[derive(Clone, Debug)]
pub enum Roots {
    /// The system's.
    System,
    /// A PEM file.
    File(PathBuf),
}

impl Roots {
    /// Without `sslrootcert`: libpq's file if there is one, else the system's roots.
    pub fn usual() -> Self {
        let file = std::env::home_dir().map(|home| home.join(".postgresql/root.crt")).filter(|file| file.exists());
        file.map_or(Self::System, Self::File)
    }

    fn load(&self) -> Result<Anchors, StoreError> {
        let (found, origin) = match self {
            Self::System => (rustls_native_certs::load_native_certs(), "the system".to_owned()),
            Self::File(path) => {
                let found = rustls_native_certs::load_certs_from_paths(Some(path), None);
                (found, path.display().to_string())
            }
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(found.certs.iter().cloned());
        if store.is_empty() {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(StoreError::Setting(format!("sslrootcert: no certificate found in {origin}{why}")));
        }
        let pinned = if matches!(self, Self::File(_)) { found.certs } else { Vec::new() };
        Ok(Anchors { store, pinned })
    }
}

/// Trust anchors of a chain.
#[derive(Debug)]
struct Anchors {
    store: RootCertStore,
    /// The same certificates, for servers that present one of them themselves. Self-signed, they often claim to be an authority,
    /// which the check of chains does not accept of a server.
    pinned: Vec<CertificateDer<'static>>,
}

/// Makes TLS connections to PostgreSQL. Cheap to clone.
#[derive(Clone)]
pub struct Connector(MakeRustlsConnect);

impl Connector {
    /// A connector that trusts nothing else.
    ///
    /// # Errors
    /// [`StoreError::Setting`]: there are no roots, or a file of them is unusable.
    pub fn new(trust: &Trust) -> Result<Self, StoreError> {
        // Given explicitly: a process-wide default depends on who sets it first.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (anchors, names) = match trust {
            Trust::Any => (None, false),
            Trust::Chain(roots) => (Some(roots.load()?), false),
            Trust::ChainAndName(roots) => (Some(roots.load()?), true),
        };
        let verifier = Arc::new(Verifier { anchors, names, provider: Arc::clone(&provider) });
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| StoreError::Setting(error.to_string()))?;
        let config = config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        Ok(Self(MakeRustlsConnect::new(config)))
    }
}

impl MakeTlsConnect<Socket> for Connector {
    type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
    type TlsConnect = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;
    type Error = InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self::TlsConnect, Self::Error> {
        // A unix socket has no host. No TLS is spoken there, but a connector is asked for all the same.
        let host = if host.is_empty() { "unix.invalid" } else { host };
        MakeTlsConnect::<Socket>::make_tls_connect(&mut self.0, host)
    }
}

#[derive(Debug)]
struct Verifier {
    anchors: Option<Anchors>,
    names: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(anchors) = &self.anchors {
            let algorithms = self.provider.signature_verification_algorithms.all;
            let parsed = ParsedCertificate::try_from(certificate)?;
            if !anchors.pinned.contains(certificate) {
                verify_server_cert_signed_by_trust_anchor(&parsed, &anchors.store, intermediates, now, algorithms)?;
            }
            if self.names {
                verify_server_name(&parsed, host)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn self_signed() -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["db.example".to_owned()]).expect("a name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.self_signed(&KeyPair::generate().expect("a key")).expect("signed").der().clone()
    }

    fn verify(trusted: &CertificateDer<'static>, shown: &CertificateDer<'_>, host: &str) -> bool {
        let mut store = RootCertStore::empty();
        store.add(trusted.clone()).expect("it can be a root");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let anchors = Some(Anchors { store, pinned: vec![trusted.clone()] });
        let verifier = Verifier { anchors, names: true, provider };
        let host = ServerName::try_from(host).expect("a name");
        verifier.verify_server_cert(shown, &[], &host, &[], UnixTime::now()).is_ok()
    }

    #[test]
    fn a_self_signed_certificate_is_its_own_root_for_its_own_name() {
        let certificate = self_signed();
        assert!(verify(&certificate, &certificate, "db.example"));
        assert!(!verify(&certificate, &certificate, "other.example"));
        assert!(!verify(&certificate, &self_signed(), "db.example"));
    }
}
