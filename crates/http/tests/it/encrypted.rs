//! TLS, with certificates that are made for the test.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use flexcore_http::{ClientCertificates, ServerOptions, Tls, TlsError, TlsFiles};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::stage::{OPERATOR, Stage};

/// A generous time for something that takes a moment.
const PATIENCE: Duration = Duration::from_mins(1);

/// An authority, and the files of a server in a folder.
struct Pki {
    folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pki = Self { folder: tempfile::tempdir().unwrap(), authority };
        fs::write(pki.path("ca.pem"), pki.authority.pem()).unwrap();
        pki.issue();
        pki
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate for a name, and its key.
    fn certificate(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A new certificate for the server.
    fn issue(&self) {
        let (certificate, key) = self.certificate("localhost");
        fs::write(self.path("certificate.pem"), certificate).unwrap();
        fs::write(self.path("key.pem"), key).unwrap();
    }

    fn files(&self, clients: ClientCertificates) -> TlsFiles {
        TlsFiles {
            certificate: self.path("certificate.pem"),
            key: self.path("key.pem"),
            client_ca: Some(self.path("ca.pem")),
            clients,
        }
    }

    fn options(&self, clients: ClientCertificates) -> ServerOptions {
        let tls = Some(Tls::load(self.files(clients)).unwrap());
        ServerOptions { tls, ..ServerOptions::default() }
    }

    /// A connection of a client, with a certificate of its own or without.
    async fn connect(
        &self,
        address: SocketAddr,
        own: Option<&(String, String)>,
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

/// Asks over a connection; the whole answer.
async fn ask(stream: &mut TlsStream<TcpStream>) -> std::io::Result<String> {
    let head = format!(
        "GET /api/v1/flexcore/pipelines HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {OPERATOR}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    read.expect("an answer")?;
    Ok(answer)
}

#[tokio::test]
async fn requests_are_answered_behind_tls_and_nothing_without() {
    let (stage, pki) = (Stage::new().await, Pki::new());
    let address = stage.serve(pki.options(ClientCertificates::Off)).await;
    let mut stream = pki.connect(address, None, &["http/1.1"]).await.unwrap();
    assert!(ask(&mut stream).await.unwrap().starts_with("HTTP/1.1 200"));
    let stream = pki.connect(address, None, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = vec![];
    let _ = timeout(PATIENCE, plain.read_to_end(&mut answer)).await.expect("it is closed");
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn who_has_to_show_a_certificate_shows_one_of_the_right_authority() {
    let (stage, pki, stranger) = (Stage::new().await, Pki::new(), Pki::new());
    let address = stage.serve(pki.options(ClientCertificates::Required)).await;
    let (known, unknown) = (pki.certificate("worker"), stranger.certificate("worker"));
    let mut stream = pki.connect(address, Some(&known), &[]).await.unwrap();
    assert!(ask(&mut stream).await.unwrap().starts_with("HTTP/1.1 200"));
    for own in [None, Some(&unknown)] {
        // A client of TLS 1.3 may hear of the refusal only when it reads.
        let refused = match pki.connect(address, own, &[]).await {
            Ok(mut stream) => ask(&mut stream).await.is_err(),
            Err(_) => true,
        };
        assert!(refused);
    }
    let optional = stage.serve(pki.options(ClientCertificates::Optional)).await;
    let mut stream = pki.connect(optional, None, &[]).await.unwrap();
    assert!(ask(&mut stream).await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_changed_certificate_is_taken_up_and_a_broken_one_is_not() {
    let (stage, pki) = (Stage::new().await, Pki::new());
    let address = stage.serve(pki.options(ClientCertificates::Off)).await;
    let shown = async || {
        let stream = pki.connect(address, None, &[]).await.expect("a connection");
        let chain = stream.get_ref().1.peer_certificates().expect("a certificate");
        chain[0].to_vec()
    };
    let first = shown().await;
    fs::write(pki.path("certificate.pem"), "nothing").unwrap();
    assert_eq!(shown().await, first);
    pki.issue();
    let changed = async { while shown().await == first {} };
    timeout(PATIENCE, changed).await.expect("the new one is shown");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let pki = Pki::new();
    let load = |files: TlsFiles| Tls::load(files).map(drop).unwrap_err();
    let files = || pki.files(ClientCertificates::Off);
    let absent = load(TlsFiles { key: pki.path("nowhere"), ..files() });
    assert!(matches!(&absent, TlsError::Unreadable { .. }), "{absent}");
    let swapped = load(TlsFiles { key: pki.path("certificate.pem"), ..files() });
    assert!(swapped.to_string().contains("certificate.pem"), "{swapped}");
    let (_, other) = pki.certificate("localhost");
    fs::write(pki.path("other.pem"), other).unwrap();
    let foreign = load(TlsFiles { key: pki.path("other.pem"), ..files() });
    assert!(matches!(&foreign, TlsError::Unusable { .. }), "{foreign}");
    let nobody = TlsFiles { client_ca: None, ..pki.files(ClientCertificates::Required) };
    assert!(matches!(load(nobody), TlsError::NoAuthority));
}
