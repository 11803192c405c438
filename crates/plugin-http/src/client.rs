//! Connections to services: TLS as it is asked for, kept by digest.

use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use flexcore_plugin_protocol::{ContentDigest, HttpAuthentication, SecretName};
use reqwest::{Client, redirect::Policy};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::{fault::Fault, options::HttpOptions};

/// How many headers an answer may have.
const MAX_HEADERS: usize = 100;

/// With what FlexCore shows who it is.
pub(crate) enum Identity {
    None,
    Token(String),
    Certificate { certificate: String, key: String },
}

impl Identity {
    /// Looks the secrets up that a manifest names.
    pub(crate) async fn of(
        authentication: &HttpAuthentication,
        options: &HttpOptions,
    ) -> Result<Self, Fault> {
        let get = |name: &SecretName| {
            let name = name.as_str().to_owned();
            async move {
                let value = options.secrets.get(&name).await;
                value.map_err(|error| Fault::Credentials { what: error.to_string() })
            }
        };
        Ok(match authentication {
            HttpAuthentication::None => Self::None,
            HttpAuthentication::Bearer { token } => Self::Token(get(token).await?),
            HttpAuthentication::Mtls { certificate, key } => {
                Self::Certificate { certificate: get(certificate).await?, key: get(key).await? }
            }
        })
    }

    /// Tells one certificate from another without keeping it.
    fn fingerprint(&self) -> ContentDigest {
        match self {
            Self::None | Self::Token(_) => ContentDigest::of(b""),
            Self::Certificate { certificate, key } => {
                ContentDigest::of(format!("{certificate}\0{key}").as_bytes())
            }
        }
    }
}

/// Open connections by plugin. A certificate that changed gets connections of its own.
#[derive(Default)]
pub(crate) struct Clients(Mutex<HashMap<ContentDigest, (ContentDigest, Client)>>);

impl Clients {
    pub(crate) fn get(
        &self,
        plugin: &ContentDigest,
        identity: &Identity,
        options: &HttpOptions,
    ) -> Result<Client, Fault> {
        let fingerprint = identity.fingerprint();
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, client)) = clients.get(plugin)
            && *of == fingerprint
        {
            return Ok(client.clone());
        }
        let client = make(identity, options)?;
        clients.insert(*plugin, (fingerprint, client.clone()));
        Ok(client)
    }

    pub(crate) fn release(&self, plugin: &ContentDigest) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(plugin);
    }
}

fn make(identity: &Identity, options: &HttpOptions) -> Result<Client, Fault> {
    Client::builder()
        .tls_backend_preconfigured(tls(identity, options)?)
        // Only the address that was granted: no proxy of the environment, no redirect.
        .no_proxy()
        .redirect(Policy::none())
        // A try is a try: whoever calls decides whether there is another.
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        .http1_max_headers(MAX_HEADERS)
        .connect_timeout(options.connect)
        .user_agent(concat!("flexcore/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Fault::Credentials { what: format!("TLS cannot be set up: {error}") })
}

fn tls(identity: &Identity, options: &HttpOptions) -> Result<ClientConfig, Fault> {
    let wrong = |what: String| Fault::Credentials { what };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(authorities(options.authorities.as_deref())?);
    let Identity::Certificate { certificate, key } = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(certificate.as_bytes()).collect();
    // What the parser says could repeat what it was given.
    let certificates = certificates.ok().filter(|found| !found.is_empty()).ok_or_else(|| {
        wrong("the secret of its certificate holds no certificate in PEM".to_owned())
    })?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|_| wrong("the secret of its key holds no private key in PEM".to_owned()))?;
    builder
        .with_client_auth_cert(certificates, key)
        .map_err(|error| wrong(format!("its certificate cannot be used: {error}")))
}

/// The authorities of the system, and those of a file.
fn authorities(file: Option<&Path>) -> Result<RootCertStore, Fault> {
    let mut store = RootCertStore::empty();
    // One that cannot be read is one that is not trusted; without any, connections say so.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let Some(path) = file else { return Ok(store) };
    let wrong = |problem: String| Fault::Credentials {
        what: format!("{} with trusted authorities cannot be used: {problem}", path.display()),
    };
    let bytes = std::fs::read(path).map_err(|error: io::Error| wrong(error.to_string()))?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        store.add(certificate).map_err(|error| wrong(error.to_string()))?;
        count += 1;
    }
    if count == 0 { Err(wrong("it holds no certificate".to_owned())) } else { Ok(store) }
}
