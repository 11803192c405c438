//! TLS of a client: rustls with ring, the system's authorities and those of a file.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::{ClientError, ClientTls};

pub(crate) fn config(tls: &ClientTls) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    // One that cannot be read is one that is not trusted; without any, connections say so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = &tls.authorities {
        for certificate in certificates(file)? {
            roots.add(certificate).map_err(|error| wrong(file, &error.to_string()))?;
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Options(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots);
    let Some((certificate, key_file)) = &tls.identity else {
        return Ok(builder.with_no_client_auth());
    };
    // What the parser says could repeat what it was given.
    let key = PrivateKeyDer::from_pem_slice(&read(key_file)?)
        .map_err(|_| wrong(key_file, "it holds no private key in PEM"))?;
    builder
        .with_client_auth_cert(certificates(certificate)?, key)
        .map_err(|error| wrong(certificate, &error.to_string()))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let bytes = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| wrong(file, &error.to_string()))?;
    if found.is_empty() {
        return Err(wrong(file, "it holds no certificate in PEM"));
    }
    Ok(found)
}

fn read(file: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(file).map_err(|error| wrong(file, &error.to_string()))
}

fn wrong(file: &Path, why: &str) -> ClientError {
    ClientError::Options(format!("{} cannot be used: {why}", file.display()))
}
