//! `[auth]`: who callers are.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::units;

/// How callers show who they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuthSettings {
    /// Whether API keys count.
    pub(crate) api_keys: bool,
    /// Tokens of an identity provider; without a key to check them by none is believed.
    pub(crate) jwt: JwtSettings,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self { api_keys: true, jwt: JwtSettings::default() }
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
    /// The claim that names the tenant.
    pub(crate) tenant_claim: String,
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
            tenant_claim: "tenant".to_owned(),
            roles_claim: "roles".to_owned(),
        }
    }
}
