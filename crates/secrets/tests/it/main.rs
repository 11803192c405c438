//! Secrets in a Vault, asked over real connections.

mod vault;
