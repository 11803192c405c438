//! `[secrets]`: where secret values come from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where secret values come from, besides what projects name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SecretSettings {
    /// HashiCorp Vault; asked if it has an address.
    pub(crate) vault: VaultSettings,
}

/// A server of HashiCorp Vault, and where the secrets lie in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct VaultSettings {
    /// Its URL.
    pub(crate) address: Option<String>,
    /// Where its key-value engine (version 2) is mounted; unset for `secret`.
    pub(crate) mount: Option<String>,
    /// What stands before the name of every secret.
    pub(crate) prefix: Option<String>,
    /// The file with the token.
    pub(crate) token_file: Option<PathBuf>,
    /// The namespace, where the server has them.
    pub(crate) namespace: Option<String>,
    /// The file of the authorities that sign its certificate, as PEM.
    pub(crate) ca: Option<PathBuf>,
}
