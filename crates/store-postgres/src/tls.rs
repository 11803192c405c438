//! TLS by rustls, as `sslmode` and `sslrootcert` of a URL say.
//!
//! The modes mean what they mean to libpq: `prefer` and `require` encrypt without asking who the
//! server is (unless `sslrootcert` names authorities), `verify-ca` asks an authority, `verify-full`
//! also compares the server's name.

use std::{
    future::Future,
    io,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    Socket,
    config::SslMode,
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
        SignatureScheme,
        client::{
            WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    },
};

/// How much of a server's certificate is to be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Nothing,
    Authority,
    AuthorityAndName,
}

/// What `sslmode` and `sslrootcert` ask for.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    mode: SslMode,
    proof: Proof,
    /// A file of authorities in PEM; `None`: those of the system.
    root: Option<PathBuf>,
}

impl Trust {
    /// Understands the values of a URL.
    ///
    /// # Errors
    /// Which value cannot be understood, for a person.
    pub(crate) fn new(mode: Option<&str>, root: Option<PathBuf>) -> Result<Self, String> {
        let unproven = if root.is_some() { Proof::Authority } else { Proof::Nothing };
        let (mode, proof) = match mode.unwrap_or("prefer") {
            "disable" => (SslMode::Disable, Proof::Nothing),
            "allow" | "prefer" => (SslMode::Prefer, unproven),
            "require" => (SslMode::Require, unproven),
            "verify-ca" => (SslMode::Require, Proof::Authority),
            "verify-full" => (SslMode::Require, Proof::AuthorityAndName),
            other => {
                return Err(format!(
                    "sslmode `{other}` is none of disable, prefer, require, verify-ca, verify-full"
                ));
            }
        };
        Ok(Self { mode, proof, root: root.filter(|root| root.as_os_str() != "system") })
    }

    /// What the protocol asks the server for.
    pub(crate) fn mode(&self) -> SslMode {
        self.mode
    }

    /// What makes connections encrypted.
    ///
    /// # Errors
    /// That the file of authorities cannot be read, for a person.
    pub(crate) fn connector(&self) -> Result<Tls, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match self.proof {
            Proof::Nothing => Arc::new(Verifier { inner: None, provider: Arc::clone(&provider) }),
            proof => {
                let roots = Arc::new(self.roots()?);
                let inner =
                    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                        .build()
                        .map_err(|error| error.to_string())?;
                match proof {
                    Proof::AuthorityAndName => inner,
                    _ => Arc::new(Verifier { inner: Some(inner), provider: Arc::clone(&provider) }),
                }
            }
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Tls(TlsConnector::from(Arc::new(config))))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        let Some(file) = &self.root else {
            // Certificates of the system that cannot be read prove nothing; others may do.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(roots);
        };
        let unreadable =
            |error: &dyn std::fmt::Display| format!("sslrootcert {}: {error}", file.display());
        let certificates =
            CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| unreadable(&error))?;
            roots.add(certificate).map_err(|error| unreadable(&error))?;
        }
        if roots.is_empty() {
            return Err(unreadable(&"there is no certificate in it"));
        }
        Ok(roots)
    }
}

/// A proof of less than authority and name.
#[derive(Debug)]
struct Verifier {
    /// `None`: whoever answers is taken for the server.
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        let proven =
            inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match proven {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            proven => proven,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Makes connections encrypted.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

/// [`Tls`] for one server.
pub(crate) struct TlsTo {
    connector: TlsConnector,
    /// `None` for a socket of this machine, which is never asked for TLS.
    server: Option<ServerName<'static>>,
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Encrypted;
    type TlsConnect = TlsTo;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<TlsTo> {
        let server = ServerName::try_from(domain.to_owned()).ok();
        Ok(TlsTo { connector: self.0.clone(), server })
    }
}

impl TlsConnect<Socket> for TlsTo {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move {
            let Some(server) = self.server else {
                return Err(io::Error::other("the host's name cannot be one of a certificate"));
            };
            Ok(Encrypted(Box::new(self.connector.connect(server, stream).await?)))
        })
    }
}

/// An encrypted connection.
pub(crate) struct Encrypted(Box<TlsStream<Socket>>);

impl tokio_postgres::tls::TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(context)
    }
}
