//! Who may send requests to the server: API keys, tokens that others issued, certificates, and where
//! nothing is configured the one token of the state folder.

mod options;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_app::{CallerError, KnownCaller, OPERATORS_TENANT, Services};
use flexcore_cli::{HostError, HostErrorKind};
use flexcore_domain::TenantName;
use flexcore_http::{Authenticate, Caller, Credentials, LocalToken, Refusal};
use flexcore_identity::{TokenCaller, TokenError, TokenVerifier};

use crate::settings::auth::AuthSettings;

/// What is tried by who is not known.
const ATTEMPT: &str = "authenticate";

/// Knows callers by whatever is configured.
pub(crate) struct Callers {
    services: Arc<Services>,
    takes_keys: bool,
    tokens: Option<TokenVerifier>,
    local: Option<LocalToken>,
}

impl Callers {
    /// What the settings say. `local` is the token of the state folder; it counts only where nothing
    /// else is configured.
    pub(crate) fn new(
        services: &Arc<Services>,
        settings: &AuthSettings,
        local: LocalToken,
    ) -> Result<Self, HostError> {
        let clock = Arc::clone(&services.ports().clock);
        let verifier = |options| TokenVerifier::new(options, clock).map_err(|e| wrong(&e));
        let jwt = Some(&settings.jwt).filter(|jwt| jwt.is_configured());
        let options = jwt.map(options::token_options).transpose()?;
        Ok(Self {
            services: Arc::clone(services),
            takes_keys: settings.api_keys.unwrap_or(true),
            tokens: options.map(verifier).transpose()?,
            local: (!settings.is_configured()).then_some(local),
        })
    }

    async fn by_key(&self, text: &str) -> Result<Caller, Refusal> {
        let (refusal, whose, code) = match self.services.caller_of_key(text).await {
            Ok(known) => return Ok(caller(known)),
            Err(CallerError::Unknown) => return Err(self.unknown().await),
            Err(CallerError::Expired { whose }) => (Refusal::Expired, whose, "FC0721"),
            Err(CallerError::Revoked { whose }) => (Refusal::Revoked, whose, "FC0722"),
            Err(CallerError::Failed(error)) => {
                tracing::error!(%error, "a caller cannot be looked up");
                return Err(Refusal::Unavailable);
            }
        };
        let (actor, tenant) = whose;
        self.services.note_denied((tenant, actor), ATTEMPT, code).await;
        Err(refusal)
    }

    async fn by_token(&self, verifier: &TokenVerifier, text: &str) -> Result<Caller, Refusal> {
        let (refusal, code) = match verifier.verify(text).await {
            Ok(known) => return self.with_roles(known).await,
            Err(TokenError::NotAccepted(reason)) => {
                tracing::debug!(reason, "a token is not accepted");
                return Err(self.unknown().await);
            }
            Err(TokenError::KeysAway(reason)) => {
                tracing::warn!(reason, "no token can be verified");
                return Err(Refusal::Unavailable);
            }
            Err(TokenError::Expired) => (Refusal::Expired, "FC0721"),
            Err(error @ TokenError::NotForUs(_)) => {
                (Refusal::NotForUs(error.to_string()), "FC0723")
            }
            Err(error @ TokenError::Claim(_)) => (Refusal::Unusable(error.to_string()), "FC0727"),
        };
        self.note(code).await;
        Err(refusal)
    }

    /// What a token's roles are worth. Names that cannot be of a role are of none.
    async fn with_roles(&self, known: TokenCaller) -> Result<Caller, Refusal> {
        let TokenCaller { subject, tenant, roles } = known;
        let tenant: TenantName = match tenant.map(|name| name.parse()).transpose() {
            Ok(tenant) => tenant.unwrap_or_default(),
            Err(error) => {
                self.note("FC0727").await;
                return Err(Refusal::Unusable(format!("the token's tenant is none: {error}")));
            }
        };
        let roles = roles.iter().filter_map(|name| name.parse().ok()).collect();
        let actor = format!("user:{subject}");
        let known = self.services.caller_with_roles(actor, &tenant, roles).await;
        known.map(caller).map_err(|error| {
            tracing::error!(%error, "the roles of a caller cannot be looked up");
            Refusal::Unavailable
        })
    }

    async fn unknown(&self) -> Refusal {
        self.note("FC0701").await;
        Refusal::Unknown
    }

    /// Nobody knows whose attempt it was, so it is the operator's business.
    async fn note(&self, code: &'static str) {
        let who = (OPERATORS_TENANT.into(), "unknown".into());
        self.services.note_denied(who, ATTEMPT, code).await;
    }
}

#[async_trait]
impl Authenticate for Callers {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Caller, Refusal> {
        let Some(text) = credentials.token else {
            return match credentials.certificate.filter(|_| self.takes_keys) {
                Some(certificate) => self.by_certificate(certificate).await,
                None => Err(Refusal::Missing),
            };
        };
        if self.takes_keys && Services::is_api_key(text) {
            return self.by_key(text).await;
        }
        match (&self.tokens, &self.local) {
            (Some(verifier), _) if TokenVerifier::is_token(text) => {
                self.by_token(verifier, text).await
            }
            (_, Some(local)) => match local.authenticate(credentials).await {
                Ok(caller) => Ok(caller),
                Err(_) => Err(self.unknown().await),
            },
            _ => Err(self.unknown().await),
        }
    }
}

impl Callers {
    async fn by_certificate(&self, certificate: &[u8]) -> Result<Caller, Refusal> {
        match self.services.caller_of_certificate(certificate).await {
            Ok(known) => Ok(caller(known)),
            // Whoever has the certificate has proven to have its private key.
            Err(CallerError::Expired { .. }) => Err(Refusal::Expired),
            Err(CallerError::Revoked { .. }) => Err(Refusal::Revoked),
            Err(CallerError::Unknown) => Err(self.unknown().await),
            Err(CallerError::Failed(error)) => {
                tracing::error!(%error, "a caller cannot be looked up");
                Err(Refusal::Unavailable)
            }
        }
    }
}

fn caller(known: KnownCaller) -> Caller {
    let KnownCaller { actor, tenant, permissions } = known;
    Caller { actor, tenant, permissions }
}

/// Settings of `[auth]` that cannot be.
fn wrong(problem: &dyn std::fmt::Display) -> HostError {
    HostError {
        kind: HostErrorKind::Refused,
        code: "FC0725",
        message: format!("callers cannot be known as `[auth]` says: {problem}"),
        hint: Some("docs/security.md says what can be set there".to_owned()),
    }
}
