//! Secrets in HashiCorp Vault: its key-value engine, version 2.
//!
//! Three requests of Vault's HTTP API are all that is needed: reading a secret, looking at the token
//! with which that is done, and renewing it. `vaultrs` would bring a framework for describing
//! requests, and takes TLS from a provider for the whole process only; so they are made here, with
//! the HTTP client that everything else uses.

mod client;
mod fault;
mod keep;
mod name;
mod settings;
mod tls;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use flexcore_ports::{Mask as _, SecretError};
use tokio::task::AbortHandle;

use crate::{SecretMask, SecretProvider};
use client::{Fields, VaultClient};
use fault::Fault;
use name::Wanted;

pub use settings::{VaultSettingError, VaultSettings, VaultToken};

/// How many secrets are remembered at most.
const MAX_REMEMBERED: usize = 256;

/// The field that is meant where a name does not say which.
const USUAL_FIELD: &str = "value";

/// Secrets from a Vault, each at a path below `prefix` in the engine that is mounted at `mount`.
///
/// * `NAME` is the field `value` of the secret at that path, or its only field.
/// * `PATH#FIELD` is one field of it; a path may have several parts: `teams/a/db#password`.
/// * Where only names without `/` and `#` are legal, as in a plugin's manifest, `db.password` is
///   the field `password` of `db`, unless there is a secret with the whole name.
///
/// What was read is remembered for [`VaultSettings::remember`], so that the steps of a run do not
/// ask for each use. The token is renewed before it ends, for as long as the process lives; one in
/// a file is read anew for each request, so that whoever writes the file may replace it.
pub struct VaultSecrets {
    client: Arc<VaultClient>,
    mask: Arc<SecretMask>,
    remember: Duration,
    read: Mutex<HashMap<String, Remembered>>,
    keeper: OnceLock<AbortHandle>,
}

/// What a path held when it was read last.
struct Remembered {
    at: Instant,
    fields: Fields,
}

impl VaultSecrets {
    /// Secrets from the Vault of `settings`. Nothing is asked before the first secret is. The token
    /// becomes known to `mask`.
    ///
    /// # Errors
    /// [`VaultSettingError`] if nothing can come of these settings.
    pub fn new(settings: VaultSettings, mask: Arc<SecretMask>) -> Result<Self, VaultSettingError> {
        let remember = settings.remember;
        let client = Arc::new(VaultClient::new(settings, Arc::clone(&mask))?);
        Ok(Self { client, mask, remember, read: Mutex::default(), keeper: OnceLock::new() })
    }

    async fn look_up(&self, name: &str) -> Result<Option<String>, Fault> {
        let wanted = Wanted::parse(name).map_err(Fault::Name)?;
        self.keeper.get_or_init(|| keep::start(&self.client));
        if let Some(fields) = self.fields(wanted.path).await? {
            return wanted.choose(&fields).map(Some);
        }
        let Some(shorter) = wanted.as_field() else { return Ok(None) };
        match self.fields(shorter.path).await? {
            Some(fields) if fields.contains_key(shorter.field.unwrap_or_default()) => {
                shorter.choose(&fields).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The fields at a path, as they are or were a short while ago.
    async fn fields(&self, path: &str) -> Result<Option<Fields>, Fault> {
        if let Some(known) = self.remembered(path) {
            return Ok(Some(known));
        }
        // That there is nothing is not remembered: somebody may be about to change it.
        let Some(fields) = self.client.read(path).await? else { return Ok(None) };
        self.note(path, fields.clone());
        Ok(Some(fields))
    }

    fn remembered(&self, path: &str) -> Option<Fields> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let known = read.get(path).filter(|known| known.at.elapsed() < self.remember)?;
        Some(known.fields.clone())
    }

    fn note(&self, path: &str, fields: Fields) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.retain(|_, known| known.at.elapsed() < self.remember);
        if read.len() >= MAX_REMEMBERED
            && let Some(oldest) =
                read.iter().min_by_key(|(_, known)| known.at).map(|(path, _)| path)
        {
            let oldest = oldest.clone();
            read.remove(&oldest);
        }
        read.insert(path.to_owned(), Remembered { at: Instant::now(), fields });
    }
}

#[async_trait]
impl SecretProvider for VaultSecrets {
    async fn find(&self, name: &str) -> Result<Option<String>, SecretError> {
        self.look_up(name).await.map_err(|fault| SecretError::Unreadable {
            name: name.to_owned(),
            place: self.place(name),
            // A service, or something on the way to it, may repeat what it was sent.
            reason: self.mask.apply(&format!("{fault} [{}]", fault.code())).into_owned(),
        })
    }

    fn place(&self, name: &str) -> String {
        let path = Wanted::parse(name).map_or(name, |wanted| wanted.path);
        format!("Vault {}", self.client.shown(path))
    }
}

impl Drop for VaultSecrets {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.abort();
        }
    }
}

impl fmt::Debug for VaultSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VaultSecrets")
            .field("at", &self.client.shown(""))
            .finish_non_exhaustive()
    }
}
