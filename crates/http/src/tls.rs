//! TLS: certificates from files that may change while the server runs.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use thiserror::Error;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How often to look whether a file has changed.
const LOOK: Duration = Duration::from_secs(2);

/// The files that TLS is made of, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, with those between it and its authority.
    pub certificate: PathBuf,
    /// The private key of it.
    pub key: PathBuf,
    /// The authorities that sign certificates of clients.
    pub client_ca: Option<PathBuf>,
    /// Whether clients show certificates.
    pub clients: ClientCertificates,
}

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// They are not asked.
    #[default]
    Off,
    /// Who has one shows it.
    Optional,
    /// Who has none is not served.
    Required,
}

/// Why TLS cannot be had of some files.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} holds no {what} in PEM", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key do not go together, or are of a kind that is not spoken.
    #[error("{} and {} cannot be used together: {reason}", .certificate.display(), .key.display())]
    Unusable {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        reason: String,
    },
    /// Clients are to show certificates, but nobody says whose.
    #[error("certificates of clients are asked for, but no authority for them is named")]
    NoAuthority,
}

/// TLS as it is now.
#[derive(Debug, Clone)]
pub struct Tls {
    files: TlsFiles,
    current: watch::Sender<Arc<ServerConfig>>,
}

impl Tls {
    /// What the files hold.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let current = watch::Sender::new(Arc::new(config(&files)?));
        Ok(Self { files, current })
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.borrow()))
    }

    /// Takes changed files into use, until `stop` fires. Connections that are there stay as they
    /// are; files that do not go together, such as a new certificate whose key is not there yet,
    /// are left aside until they change again.
    pub(crate) async fn follow(self, stop: CancellationToken) {
        let mut seen = Marks::of(&self.files);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {}
            }
            let now = Marks::of(&self.files);
            if now == seen {
                continue;
            }
            seen = now;
            match config(&self.files) {
                Ok(config) => {
                    self.current.send_replace(Arc::new(config));
                    tracing::info!("the certificates were changed");
                }
                Err(error) => {
                    tracing::warn!(%error, "changed certificates cannot be used; those before stay");
                }
            }
        }
    }
}

/// What changes when a file is written or replaced.
#[derive(Debug, PartialEq, Eq)]
struct Marks(Vec<Option<(u64, u64, i64, i64)>>);

impl Marks {
    fn of(files: &TlsFiles) -> Self {
        let all = [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()];
        let mark = |path: &PathBuf| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()))
        };
        Self(all.into_iter().flatten().map(mark).collect())
    }
}

fn config(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let TlsFiles { certificate, key, client_ca, clients } = files;
    let unusable = |reason: String| TlsError::Unusable {
        certificate: certificate.clone(),
        key: key.clone(),
        reason,
    };
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|_| TlsError::Empty { path: key.clone(), what: "private key" })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?;
    let builder = match clients {
        ClientCertificates::Off => builder.with_no_client_auth(),
        asked => {
            let authorities = client_ca.as_deref().ok_or(TlsError::NoAuthority)?;
            builder.with_client_cert_verifier(verifier(authorities, *asked, provider)?)
        }
    };
    let mut config =
        builder.with_single_cert(chain, private).map_err(|error| unusable(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// What checks the certificates of clients.
fn verifier(
    authorities: &Path,
    asked: ClientCertificates,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let none = || TlsError::Empty { path: authorities.to_owned(), what: "authority" };
    let mut roots = RootCertStore::empty();
    for authority in certificates(authorities)? {
        roots.add(authority).map_err(|_| none())?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match asked {
        ClientCertificates::Required => builder,
        _ => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|_| none())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::Empty { path: path.to_owned(), what: "certificate" }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
}
