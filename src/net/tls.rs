//! TLS of the listeners: the one door to rustls (invariant A4). A certificate is given as PEM
//! files, or made here, self-signed, and kept so that browsers ask about it once.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

/// Name of the file in the data folder that keeps the self-signed certificate and its key.
pub const SELF_SIGNED_FILE: &str = "https-self-signed.pem";

/// A certificate could not be used; the operator must act.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read, or holds no PEM of the kind.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key do not fit together, or are of a kind we do not speak.
    #[error("{} with {}: {reason}", certificate.display(), key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        reason: String,
    },
    /// No certificate could be made.
    #[error("no self-signed certificate could be made: {0}")]
    SelfSigned(#[from] rcgen::Error),
}

/// Turns accepted connections into TLS ones. Cheap to clone.
#[derive(Clone)]
pub struct TlsAcceptor(tokio_rustls::TlsAcceptor);

impl TlsAcceptor {
    /// With a certificate chain and its key, both PEM; `protocols` are offered by ALPN.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn from_files(
        certificate: &Path,
        key: &Path,
        protocols: &[&[u8]],
    ) -> Result<Self, TlsError> {
        let unusable = |reason: String| TlsError::Unusable {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            reason,
        };
        let chain = read_chain(certificate)?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File {
            path: key.to_owned(),
            reason: format!("no private key could be read: {error}"),
        })?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| unusable(error.to_string()))?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Self(tokio_rustls::TlsAcceptor::from(Arc::new(config))))
    }

    /// With the certificate kept in `dir`, made anew when there is none for these `addresses`.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn self_signed(
        dir: &Path,
        addresses: &[IpAddr],
        protocols: &[&[u8]],
    ) -> Result<Self, TlsError> {
        let path = dir.join(SELF_SIGNED_FILE);
        let names = names(addresses);
        let header = format!("Ringbridge, self-signed, for {}\n", names.join(" "));
        let kept = fs::read_to_string(&path).is_ok_and(|text| text.starts_with(&header));
        if !kept {
            let pem = header + &make(names)?;
            write_private(&path, &pem).map_err(|error| TlsError::File {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        }
        Self::from_files(&path, &path, protocols)
    }

    /// Makes the handshake; the caller limits its time.
    ///
    /// # Errors
    /// The peer's; nothing is left to do but to close.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        self.0.accept(stream).await
    }
}

/// Makes our cryptography the process's, for dependencies that ask rustls for its default. Once at
/// start; later calls change nothing.
pub fn install_provider() {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
}

/// The process's cryptography, named here because two providers are compiled in by dependencies
/// and rustls would not choose.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason: String| TlsError::File {
        path: path.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(format!("no certificate could be read: {error}")))?;
    if chain.is_empty() {
        return Err(failed("there is no certificate in it".to_owned()));
    }
    Ok(chain)
}

/// What browsers on this machine and on others will call us.
fn names(addresses: &[IpAddr]) -> Vec<String> {
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    for address in addresses.iter().map(IpAddr::to_string) {
        if !names.contains(&address) {
            names.push(address);
        }
    }
    names
}

fn make(names: Vec<String>) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "Ringbridge");
    params.distinguished_name = subject;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(certificate.pem() + &key.serialize_pem())
}

/// Whole or not at all, readable by its owner only: it holds the key.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}
