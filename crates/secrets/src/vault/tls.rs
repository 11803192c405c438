//! TLS to a Vault: with ring, and with the authorities that the settings name.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::settings::VaultSettingError;

pub(super) fn tls(ca: Option<&Path>) -> Result<ClientConfig, VaultSettingError> {
    let reason = |error: rustls::Error| VaultSettingError::Tls { reason: error.to_string() };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(reason)?;
    Ok(builder.with_root_certificates(authorities(ca)?).with_no_client_auth())
}

/// Those of a file, else those of the system.
fn authorities(file: Option<&Path>) -> Result<RootCertStore, VaultSettingError> {
    let mut store = RootCertStore::empty();
    let Some(path) = file else {
        // One that cannot be read is one that is not trusted; without any, connections say so.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(store);
    };
    let wrong = |reason: String| VaultSettingError::Authorities { file: path.to_owned(), reason };
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        store.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if store.is_empty() { Err(wrong("it holds no certificate".to_owned())) } else { Ok(store) }
}
