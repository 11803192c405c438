//! Secret values from the environment, from files and from HashiCorp Vault, and the mask that keeps
//! them out of what people read.
//!
//! [`ProvidedSecrets`] is the `Secrets` port: an ordered list of [`SecretProvider`]s of which the
//! first that has a secret wins. Every value that it hands out is known to its [`SecretMask`]
//! before the caller has it, so that logs, outputs and errors that pass the mask cannot show it.
//!
//! # What this crate must not know
//!
//! Pipelines, steps and templates: a secret is a name and a text. It reads no process environment
//! of its own; the environment comes in as a value. Nothing here prints a value: `Debug` shows
//! names and counts.
//!
//! # How to add a provider
//!
//! Implement [`SecretProvider`] in a file of its own: `find` answers `None` for a secret that the
//! provider does not have and an error if it cannot tell, `place` says in a person's words where
//! it looks. Then name it where the binary builds the list.

mod environment;
mod file;
mod mask;
mod provider;
#[cfg(test)]
mod testing;
mod vault;

pub use environment::EnvSecrets;
pub use file::{FileSecrets, MAX_SECRET_BYTES};
pub use mask::{MASK, MIN_MASKED_CHARS, SecretMask};
pub use provider::{ProvidedSecrets, SecretProvider};
pub use vault::{VaultSecrets, VaultSettingError, VaultSettings, VaultToken};
