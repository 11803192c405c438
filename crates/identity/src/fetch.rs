//! Reading a JWKS from an address.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, StatusCode, redirect::Policy};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// How long the provider may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest set of keys, in bytes.
const LARGEST: usize = 256 * 1024;

/// A client for the provider, which trusts the authorities of the system.
pub(crate) fn client() -> Result<Client, String> {
    let mut roots = RootCertStore::empty();
    // One that cannot be read is one that is not trusted; without any, connections say so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        // Only the address that the operator named answers for keys.
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .user_agent(concat!("flexcore/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())
}

/// The bytes at an address.
pub(crate) async fn fetch(client: &Client, url: &str) -> Result<Vec<u8>, String> {
    let mut response = client.get(url).send().await.map_err(|error| chain(&error))?;
    if response.status() != StatusCode::OK {
        return Err(format!("the answer was {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            return Err(format!("the answer has more than {LARGEST} bytes"));
        }
    }
    Ok(body)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
