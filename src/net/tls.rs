//! TLS of the listeners and of the connections we open ourselves: the one door to rustls (invariant
//! A4). A certificate is given as PEM files, or made here, self-signed, and kept so that browsers
//! ask about it once.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
pub use tokio_rustls::client::TlsStream as ClientStream;
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

/// Turns accepted connections into TLS ones (1.2 and 1.3), whatever name they ask for. Cheap to
/// clone; clones share the certificate.
#[derive(Clone)]
pub struct TlsAcceptor {
    acceptor: tokio_rustls::TlsAcceptor,
    current: Arc<CurrentCertificate>,
}

/// The certificate that new handshakes get, and where it is read from.
#[derive(Debug)]
struct CurrentCertificate {
    certificate: PathBuf,
    key: PathBuf,
    certified: ArcSwap<CertifiedKey>,
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certified.load_full())
    }
}

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
        let current = Arc::new(CurrentCertificate {
            certified: ArcSwap::new(read_certified(certificate, key)?),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        });
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(certificate, key, &error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Self {
            acceptor: tokio_rustls::TlsAcceptor::from(Arc::new(config)),
            current,
        })
    }

    /// Reads the certificate's files again: handshakes from now on get what they hold. Connections
    /// that are open stay as they are, and so does everything when a file cannot be used.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let current = &self.current;
        let certified = read_certified(&current.certificate, &current.key)?;
        current.certified.store(certified);
        Ok(())
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
        self.acceptor.accept(stream).await
    }
}

/// Opens TLS connections to those whose certificate the machine's roots vouch for (or those of
/// `SSL_CERT_FILE` and `SSL_CERT_DIR`). Cheap to clone.
#[derive(Clone)]
pub struct TlsConnector(tokio_rustls::TlsConnector);

impl TlsConnector {
    /// Reads the machine's roots: milliseconds of work on the disk.
    ///
    /// # Errors
    /// There are none; the operator must act.
    pub fn with_platform_roots() -> io::Result<Self> {
        let verifier =
            rustls_platform_verifier::Verifier::new(provider()).map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self(tokio_rustls::TlsConnector::from(Arc::new(config))))
    }

    /// Makes the handshake with whoever must prove to be `name` (a host or an address); the caller
    /// limits its time.
    ///
    /// # Errors
    /// `name` is none, or the peer could not prove to be it.
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        name: &str,
        stream: S,
    ) -> io::Result<ClientStream<S>> {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.0.connect(name, stream).await
    }
}

/// Whole days until the certificate in a PEM file ends, at a wallclock time in nanoseconds since
/// the Unix epoch; negative when it has ended, `None` when it cannot be read.
pub fn days_left(path: &Path, now_unix_ns: i128) -> Option<i64> {
    let chain = read_chain(path).ok()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(chain.first()?).ok()?;
    let now_s = i64::try_from(now_unix_ns / 1_000_000_000).ok()?;
    let left_s = certificate.validity().not_after.timestamp() - now_s;
    Some(left_s.div_euclid(24 * 3_600))
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

fn unusable(certificate: &Path, key: &Path, error: &rustls::Error) -> TlsError {
    TlsError::Unusable {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        reason: error.to_string(),
    }
}

fn read_certified(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = read_chain(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File {
        path: key.to_owned(),
        reason: format!("no private key could be read: {error}"),
    })?;
    CertifiedKey::from_der(chain, private, &provider())
        .map(Arc::new)
        .map_err(|error| unusable(certificate, key, &error))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// One handshake over memory; the client says what certificate it saw.
    async fn seen(
        acceptor: &TlsAcceptor,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Vec<u8> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let mut roots = rustls::RootCertStore::empty();
        let current = acceptor.current.certified.load_full();
        roots.add(current.cert[0].clone()).unwrap();
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector(tokio_rustls::TlsConnector::from(Arc::new(config)));
        let accept = async {
            let mut stream = acceptor.accept(ours).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            stream.flush().await.unwrap();
            stream
        };
        let connect = async {
            let mut stream = connector.connect("localhost", theirs).await.unwrap();
            let mut heard = [0; 5];
            stream.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"hello");
            stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
        };
        let both = async { tokio::join!(accept, connect) };
        let (_stream, certificate) = tokio::time::timeout(Duration::from_secs(10), both)
            .await
            .unwrap();
        certificate
    }

    #[tokio::test]
    async fn a_reloaded_certificate_is_what_the_next_handshake_gets_in_either_version() {
        let dir = std::env::temp_dir().join(format!("ringbridge-tls-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&dir).unwrap();
        let acceptor = TlsAcceptor::self_signed(&dir, &[], &[]).unwrap();
        let both = [&rustls::version::TLS12, &rustls::version::TLS13];
        let first = seen(&acceptor, &both[..1]).await;
        assert_eq!(first, seen(&acceptor, &both[1..]).await);

        let path = dir.join(SELF_SIGNED_FILE);
        fs::write(&path, make(names(&[])).unwrap()).unwrap();
        assert_eq!(first, seen(&acceptor, &both).await, "before it is told to");
        acceptor.reload().unwrap();
        let second = seen(&acceptor.clone(), &both).await;
        assert_ne!(first, second);

        fs::write(&path, "no certificate").unwrap();
        assert!(acceptor.reload().is_err());
        assert_eq!(
            second,
            seen(&acceptor, &both).await,
            "the last good one stays"
        );
        fs::remove_dir_all(&dir).unwrap();
    }
}
