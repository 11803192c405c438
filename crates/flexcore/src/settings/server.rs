//! `[server]`: where it listens and what it does.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::units;

/// Where a server listens, what it does, and what it takes at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerSettings {
    /// The address to listen at.
    pub(crate) address: IpAddr,
    /// The port to listen at; 0 for any that is free.
    pub(crate) port: u16,
    /// Names under which it is reached besides its own.
    pub(crate) allow_hosts: Vec<String>,
    /// What this process does.
    pub(crate) roles: Vec<Role>,
    /// Origins of pages that may use it, besides its own.
    pub(crate) allow_origins: Vec<String>,
    /// How long a request may take.
    #[serde(with = "units::duration")]
    pub(crate) request_timeout: Duration,
    /// The largest body of a request, in bytes.
    #[serde(with = "units::size")]
    pub(crate) max_body: u64,
    /// How many connections there are at most.
    pub(crate) max_connections: usize,
    /// TLS; without a certificate the server speaks plain HTTP.
    pub(crate) tls: TlsSettings,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 8080,
            allow_hosts: vec![],
            roles: vec![Role::Api, Role::Worker, Role::Projection, Role::Scheduler],
            allow_origins: vec![],
            request_timeout: Duration::from_secs(30),
            max_body: 8 << 20,
            max_connections: 10_000,
            tls: TlsSettings::default(),
        }
    }
}

impl ServerSettings {
    /// Where it listens.
    pub(crate) const fn socket_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// Whether this process does that.
    pub(crate) fn does(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Answers requests; without it only how the process is.
    Api,
    /// Drives executions as they are asked for.
    Worker,
    /// Keeps the views up to date as the log grows.
    Projection,
    /// Drives on what is due and has nobody.
    Scheduler,
}

/// TLS, and who may connect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TlsSettings {
    /// The file of the certificate and what signed it, as PEM.
    pub(crate) certificate: Option<PathBuf>,
    /// The file of its private key, as PEM.
    pub(crate) key: Option<PathBuf>,
    /// The file of the authorities that sign the certificates of clients, as PEM.
    pub(crate) client_ca: Option<PathBuf>,
    /// Whether clients show certificates.
    pub(crate) client_certificates: ClientCertificates,
}

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientCertificates {
    /// They are not asked for one.
    #[default]
    Off,
    /// They are asked, and may have none.
    Optional,
    /// Without one there is no connection.
    Required,
}
