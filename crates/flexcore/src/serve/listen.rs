//! The socket of the server, and how it treats what comes.

use flexcore_cli::{HostError, HostErrorKind};
use flexcore_http::{
    ClientCertificates, Rate, RequestOptions, Server, ServerOptions, Tls, TlsError, TlsFiles,
};

use crate::settings::{
    ServerSettings, Settings,
    limits::LimitSettings,
    server::{ClientCertificates as Asked, TlsSettings},
};

/// Listens, before anything else is opened: whoever cannot listen should not disturb a store.
pub(super) async fn at(settings: &ServerSettings) -> Result<Server, HostError> {
    let address = settings.socket_address();
    let options = ServerOptions {
        connections: settings.max_connections,
        tls: tls(&settings.tls)?,
        ..ServerOptions::default()
    };
    Server::bind(address, options).await.map_err(|error| HostError {
        kind: HostErrorKind::Failed,
        code: "FC0712",
        message: format!("nothing can listen at {address}: {error}"),
        hint: Some("another process may listen there; name another --port".to_owned()),
    })
}

/// What the settings say of requests.
pub(super) fn request_options(settings: &Settings) -> RequestOptions {
    let Settings { server, limits, .. } = settings;
    RequestOptions {
        body: usize::try_from(server.max_body).unwrap_or(usize::MAX),
        patience: server.request_timeout,
        body_patience: server.request_timeout,
        rate: rate(limits),
        origins: server.allow_origins.clone(),
        ..RequestOptions::default()
    }
}

fn rate(limits: &LimitSettings) -> Option<Rate> {
    let per_second = limits.requests_per_second.filter(|rate| *rate > 0)?;
    let burst = limits.burst.unwrap_or(per_second);
    Some(Rate { per_second: f64::from(per_second), burst })
}

/// The certificates that the settings name; none without one.
fn tls(settings: &TlsSettings) -> Result<Option<Tls>, HostError> {
    let TlsSettings { certificate, key, client_ca, client_certificates } = settings;
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        (None, None) if client_ca.is_none() && *client_certificates == Asked::Off => {
            return Ok(None);
        }
        _ => {
            let text = "server.tls needs both `certificate` and `key`".to_owned();
            return Err(unusable(text));
        }
    };
    let clients = match client_certificates {
        Asked::Off => ClientCertificates::Off,
        Asked::Optional => ClientCertificates::Optional,
        Asked::Required => ClientCertificates::Required,
    };
    let files = TlsFiles { certificate, key, client_ca: client_ca.clone(), clients };
    Tls::load(files).map(Some).map_err(|error: TlsError| unusable(error.to_string()))
}

fn unusable(message: String) -> HostError {
    HostError {
        kind: HostErrorKind::Refused,
        code: "FC0747",
        message,
        hint: Some("see server.tls in `flexcore config show`".to_owned()),
    }
}
