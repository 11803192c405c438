//! Secrets in a Vault, asked over real connections.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod vault;
