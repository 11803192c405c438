//! `[auth]`: who callers are.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::units;

/// How callers show who they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuthSettings {
    /// Whether API keys count; they do unless it says no. That they do must be said before others
    /// than this machine may reach the server.
    pub(crate) api_keys: Option<bool>,
    /// Tokens of an identity provider; without a key to check them by none is believed.
    pub(crate) jwt: JwtSettings,
}

impl AuthSettings {
    /// Whether the operator said how callers are known. Then others may reach the server, and the
    /// token of the state folder counts no more.
    pub(crate) fn is_configured(&self) -> bool {
        self.api_keys == Some(true) || self.jwt.is_configured()
    }
}

impl JwtSettings {
    /// Whether anything of it was set.
    pub(crate) fn is_configured(&self) -> bool {
        *self != Self::default()
    }
}

/// Which tokens (JWT) are believed, and what they say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct JwtSettings {
    /// Who must have made a token (`iss`).
    pub(crate) issuer: Option<String>,
    /// For whom it must be (`aud`).
    pub(crate) audience: Option<String>,
    /// The algorithms of signatures that count, such as `RS256`.
    pub(crate) algorithms: Vec<String>,
    /// Where the provider publishes its keys.
    pub(crate) jwks_url: Option<String>,
    /// A file with such a set of keys.
    pub(crate) jwks_file: Option<PathBuf>,
    /// A file with the shared secret of HS256.
    pub(crate) secret_file: Option<PathBuf>,
    /// A file with one public key, as PEM.
    pub(crate) public_key_file: Option<PathBuf>,
    /// By how much the clocks of provider and server may differ.
    #[serde(with = "units::duration")]
    pub(crate) leeway: Duration,
    /// The claim that names the tenant; without it everybody belongs to the operator's.
    pub(crate) tenant_claim: Option<String>,
    /// The claim that names the roles.
    pub(crate) roles_claim: String,
}

impl Default for JwtSettings {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            algorithms: vec![],
            jwks_url: None,
            jwks_file: None,
            secret_file: None,
            public_key_file: None,
            leeway: Duration::from_secs(30),
            tenant_claim: None,
            roles_claim: "roles".to_owned(),
        }
    }
}
