//! From a token to who sends it.

use std::sync::Arc;

use flexcore_ports::Clock;
use jsonwebtoken::{Header, Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::{
    SignatureAlgorithm, TokenCaller, TokenOptions, TokenOptionsError, claims::caller, crypto,
    source::Keys,
};

/// The longest token, in bytes.
const LONGEST: usize = 16 * 1024;

/// Verifies tokens.
pub struct TokenVerifier {
    options: TokenOptions,
    keys: Keys,
}

/// Why a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It is no token, or signed by nobody who may: callers hear no more than that.
    #[error("the token is not accepted: {0}")]
    NotAccepted(String),
    /// It was good once.
    #[error("the token has expired")]
    Expired,
    /// It is good, but not here or not yet.
    #[error("the token is not for this server: {0}")]
    NotForUs(&'static str),
    /// It is good, but does not say who its bearer is.
    #[error("the token's claim `{0}` is missing or of no use")]
    Claim(String),
    /// There are no keys to verify it with.
    #[error("the keys of tokens cannot be had: {0}")]
    KeysAway(String),
}

impl TokenVerifier {
    /// Reads the keys that are in files.
    ///
    /// # Errors
    /// [`TokenOptionsError`].
    pub fn new(options: TokenOptions, clock: Arc<dyn Clock>) -> Result<Self, TokenOptionsError> {
        options.check()?;
        crypto::install();
        let keys = Keys::new(&options.keys, clock)?;
        Ok(Self { options, keys })
    }

    /// Whether a text has the form of a token, so that it is nothing else.
    pub fn is_token(text: &str) -> bool {
        text.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// Who sends a token.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn verify(&self, token: &str) -> Result<TokenCaller, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::NotAccepted("it is too long".to_owned()));
        }
        let header = decode_header(token).map_err(|error| refused(error.kind()))?;
        self.check(&header)?;
        let keys = self.keys.for_token(&header).await.map_err(TokenError::KeysAway)?;
        let validation = self.validation(&header);
        let mut outcome = Err(TokenError::NotAccepted("no key of its name".to_owned()));
        for candidate in keys.candidates(&header) {
            outcome = decode::<Map<String, Value>>(token, &candidate.key, &validation)
                .map_err(|error| refused(error.kind()));
            // Another key may be the one; everything else is said of a good signature.
            if !matches!(outcome, Err(TokenError::NotAccepted(_))) {
                break;
            }
        }
        caller(&outcome?.claims, &self.options).map_err(TokenError::Claim)
    }

    fn check(&self, header: &Header) -> Result<(), TokenError> {
        let algorithm = SignatureAlgorithm::of(header.alg);
        if !algorithm.is_some_and(|one| self.options.algorithms.contains(&one)) {
            return Err(TokenError::NotAccepted(format!("algorithm {:?}", header.alg)));
        }
        // What must be understood is not (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(TokenError::NotAccepted("it has critical extensions".to_owned()));
        }
        Ok(())
    }

    fn validation(&self, header: &Header) -> Validation {
        let TokenOptions { issuer, audience, leeway, .. } = &self.options;
        let mut validation = Validation::new(header.alg);
        let mut required = vec!["exp", "sub"];
        validation.leeway = leeway.as_secs();
        validation.validate_nbf = true;
        if let Some(issuer) = issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if audience.is_empty() {
            validation.validate_aud = false;
        } else {
            validation.set_audience(audience);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

fn refused(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::ExpiredSignature => TokenError::Expired,
        ErrorKind::ImmatureSignature => TokenError::NotForUs("its time has not come"),
        ErrorKind::InvalidIssuer => TokenError::NotForUs("it has another issuer"),
        ErrorKind::InvalidAudience => TokenError::NotForUs("it has another audience"),
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
            TokenError::Claim(claim.clone())
        }
        // Whatever of the token an error repeats stays inside.
        ErrorKind::InvalidSignature => TokenError::NotAccepted("its signature is wrong".to_owned()),
        _ => TokenError::NotAccepted("it cannot be read".to_owned()),
    }
}

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TokenVerifier")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
