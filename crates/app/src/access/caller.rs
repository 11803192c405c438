//! Callers that are known by an API key, or by roles that somebody else vouches for.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use flexcore_domain::{ApiKey, ApiKeyId, Role, RoleName, TenantName};
use flexcore_eventsourcing::{Aggregate as _, Hash, RecordedEvent};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::{
    cache::CachedKey,
    key_text::{self, KeyText},
};
use crate::{
    LogSubscriptions, OPERATORS_TENANT, Permissions, Services, Start, SubscriptionError,
    UseCaseError, streams,
};

/// How long to wait before a store that failed is asked again.
const PAUSE: Duration = Duration::from_millis(250);
/// How often attempts that were only counted are written down.
const COUNTED: Duration = Duration::from_mins(1);

/// Somebody who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCaller {
    /// The name that events carry.
    pub actor: Arc<str>,
    /// The tenant that the caller belongs to.
    pub tenant: Arc<str>,
    /// What the caller may do.
    pub permissions: Permissions,
}

/// Why nobody is known by a key.
#[derive(Debug, Error)]
pub enum CallerError {
    /// No such key was ever made, or it is not the one of its id.
    #[error("nobody is known by this key")]
    Unknown,
    /// The key was taken back.
    #[error("the key was revoked")]
    Revoked {
        /// Whose key it was: actor and tenant.
        whose: (Arc<str>, Arc<str>),
    },
    /// The time of the key is over.
    #[error("the key has expired")]
    Expired {
        /// Whose key it was: actor and tenant.
        whose: (Arc<str>, Arc<str>),
    },
    /// It cannot be found out.
    #[error(transparent)]
    Failed(#[from] UseCaseError),
}

impl Services {
    /// Whether a text has the form of an API key, so that it is nothing else.
    pub fn is_api_key(text: &str) -> bool {
        KeyText::parse(text).is_some()
    }

    /// Who has an API key.
    ///
    /// # Errors
    /// [`CallerError`]. That a key was revoked or has expired is told only to who has the right one.
    pub async fn caller_of_key(&self, text: &str) -> Result<KnownCaller, CallerError> {
        let text = KeyText::parse(text).ok_or(CallerError::Unknown)?;
        let tenant = text.tenant().ok_or(CallerError::Unknown)?;
        let id = text.id().ok_or(CallerError::Unknown)?;
        self.caller_of(tenant.as_str().into(), id, &text.digest()).await
    }

    /// Who has a certificate (DER) that was registered as a key. Whoever shows it has proven to have
    /// its private key.
    ///
    /// # Errors
    /// [`CallerError`].
    pub async fn caller_of_certificate(&self, der: &[u8]) -> Result<KnownCaller, CallerError> {
        let digest = key_text::fingerprint(der);
        let id = key_text::id_of_fingerprint(&digest);
        self.caller_of(OPERATORS_TENANT.into(), id, &digest).await
    }

    async fn caller_of(
        &self,
        tenant: Arc<str>,
        id: ApiKeyId,
        digest: &Hash,
    ) -> Result<KnownCaller, CallerError> {
        let known = match self.access.key(&tenant, id) {
            Ok(known) => known,
            Err(since) => {
                let stream = streams::api_key(&tenant, id);
                let key = self.load::<ApiKey>(&stream).await?.state.ok_or(CallerError::Unknown)?;
                // What it allows is looked up for who has it only.
                if !key_text::is_same(digest, &key.grant.digest) {
                    return Err(CallerError::Unknown);
                }
                let (roles, own) = (&key.grant.roles, &key.grant.permissions);
                let permissions = self.permissions_of(&tenant, roles, own).await?;
                let known = Arc::new(CachedKey { key, permissions });
                self.access.keep_key(since, Arc::clone(&tenant), Arc::clone(&known));
                known
            }
        };
        if !key_text::is_same(digest, &known.key.grant.digest) {
            return Err(CallerError::Unknown);
        }
        let actor: Arc<str> = format!("key:{id}").into();
        if known.key.is_revoked {
            return Err(CallerError::Revoked { whose: (actor, tenant) });
        }
        if known.key.is_expired(self.ports.clock.now()) {
            return Err(CallerError::Expired { whose: (actor, tenant) });
        }
        Ok(KnownCaller { actor, tenant, permissions: known.permissions.clone() })
    }

    /// A caller of whom somebody trusted says the tenant and the roles. Roles that the tenant does
    /// not have give nothing.
    ///
    /// # Errors
    /// The store failed.
    pub async fn caller_with_roles(
        &self,
        actor: impl Into<Arc<str>>,
        tenant: &TenantName,
        roles: BTreeSet<RoleName>,
    ) -> Result<KnownCaller, UseCaseError> {
        let tenant: Arc<str> = tenant.as_str().into();
        let permissions = match self.access.roles(&tenant, &roles) {
            Ok(permissions) => permissions,
            Err(since) => {
                let found = self.permissions_of(&tenant, &roles, &BTreeSet::new()).await?;
                self.access.keep_roles(since, Arc::clone(&tenant), roles, found.clone());
                found
            }
        };
        Ok(KnownCaller { actor: actor.into(), tenant, permissions })
    }

    /// Hears of every change of keys and roles, on whatever node, until `stop` fires:
    /// what is known of callers is remembered meanwhile. Also writes down the attempts that were
    /// only counted so far.
    ///
    /// # Errors
    /// The log cannot be followed any more; callers are looked up one by one then.
    pub async fn follow_access(
        &self,
        log: &LogSubscriptions,
        stop: &CancellationToken,
    ) -> Result<(), SubscriptionError> {
        let _end = Unfollow(self);
        let mut subscription = log.subscribe(Start::Now).await?;
        self.access.follow(true);
        let mut counted = tokio::time::interval(COUNTED);
        let mut is_away = false;
        loop {
            let page = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                page = subscription.next() => page,
                _ = counted.tick() => {
                    self.note_counted().await;
                    continue;
                }
            };
            match page {
                // After a failure nothing is remembered until the log is read again.
                Ok(Some(page)) if page.events().iter().any(is_about_access) || is_away => {
                    is_away = false;
                    self.access.follow(true);
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(SubscriptionError::Store(error)) => {
                    tracing::debug!(%error, "changes of keys and roles cannot be heard of");
                    is_away = true;
                    self.access.follow(false);
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

struct Unfollow<'a>(&'a Services);

impl Drop for Unfollow<'_> {
    fn drop(&mut self) {
        self.0.access.follow(false);
    }
}

fn is_about_access(event: &RecordedEvent) -> bool {
    let category = event.stream.as_str().split('/').nth(1).unwrap_or_default();
    category == ApiKey::CATEGORY || category == Role::CATEGORY
}
