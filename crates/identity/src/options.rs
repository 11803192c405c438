//! Which tokens are believed.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use jsonwebtoken::Algorithm;
use thiserror::Error;

/// What the operator believes of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOptions {
    /// Who issues them (`iss`).
    pub issuer: Option<String>,
    /// For whom they must be (`aud`): one of these is enough; empty: tokens say nothing of it.
    pub audience: Vec<String>,
    /// How they may be signed.
    pub algorithms: Vec<SignatureAlgorithm>,
    /// Where the keys are that they are verified with.
    pub keys: KeySource,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// The claim that names the tenant; `None`: everybody belongs to the operator's.
    pub tenant_claim: Option<String>,
    /// The claim that names the roles, with dots for one inside another.
    pub roles_claim: String,
}

/// How far clocks may be apart at most.
const LONGEST_LEEWAY: Duration = Duration::from_mins(10);

/// Where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// At an address of the identity provider: a JWKS.
    Url(String),
    /// In a file: a JWKS. It is read again when it changes.
    File(PathBuf),
    /// In a file: a public key in PEM.
    PublicKey(PathBuf),
    /// In a file: the bytes of a secret that the issuer shares.
    Secret(PathBuf),
}

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// HMAC with SHA-256: whoever can verify can also issue.
    Hs256,
    /// RSA (PKCS #1 1.5) with SHA-256.
    Rs256,
    /// Ed25519.
    EdDsa,
}

/// Options that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenOptionsError {
    /// A name that is none of ours.
    #[error("`{0}` is not an algorithm of tokens here; there are HS256, RS256 and EdDSA")]
    Algorithm(String),
    /// None is named.
    #[error("no algorithm is named, so no token could be verified")]
    NoAlgorithm,
    /// A shared secret for signatures with public keys, or the other way round.
    #[error("{algorithm} does not go with {source_name}")]
    KindOfKey {
        /// The algorithm.
        algorithm: SignatureAlgorithm,
        /// Where the keys are.
        source_name: &'static str,
    },
    /// Clocks that are hours apart are wrong.
    #[error("a leeway of {0} s is too long; at most {max} s are allowed", max = LONGEST_LEEWAY.as_secs())]
    Leeway(u64),
    /// An address that anybody on the way could answer for.
    #[error("`{0}` is not an https address; http is for this machine alone")]
    Address(String),
    /// The keys cannot be used.
    #[error("{0}")]
    Keys(String),
}

impl SignatureAlgorithm {
    pub(crate) const fn of(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::HS256 => Some(Self::Hs256),
            Algorithm::RS256 => Some(Self::Rs256),
            Algorithm::EdDSA => Some(Self::EdDsa),
            _ => None,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for SignatureAlgorithm {
    type Err = TokenOptionsError;

    fn from_str(text: &str) -> Result<Self, TokenOptionsError> {
        [Self::Hs256, Self::Rs256, Self::EdDsa]
            .into_iter()
            .find(|one| one.name() == text)
            .ok_or_else(|| TokenOptionsError::Algorithm(text.to_owned()))
    }
}

impl TokenOptions {
    /// Whether they go together: a shared secret with HMAC alone, public keys with the others alone,
    /// so that a public key is never taken for a secret.
    pub(crate) fn check(&self) -> Result<(), TokenOptionsError> {
        if self.algorithms.is_empty() {
            return Err(TokenOptionsError::NoAlgorithm);
        }
        if self.leeway > LONGEST_LEEWAY {
            return Err(TokenOptionsError::Leeway(self.leeway.as_secs()));
        }
        let (is_secret, source_name) = match &self.keys {
            KeySource::Secret(_) => (true, "a shared secret"),
            KeySource::Url(_) | KeySource::File(_) => (false, "a JWKS of public keys"),
            KeySource::PublicKey(_) => (false, "a public key"),
        };
        let wrong = |one: &&SignatureAlgorithm| (**one == SignatureAlgorithm::Hs256) != is_secret;
        if let Some(algorithm) = self.algorithms.iter().find(wrong) {
            return Err(TokenOptionsError::KindOfKey { algorithm: *algorithm, source_name });
        }
        match &self.keys {
            KeySource::Url(url) if !is_private(url) => Err(TokenOptionsError::Address(url.clone())),
            _ => Ok(()),
        }
    }
}

/// Whether nobody on the way can answer for an address.
fn is_private(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let is_here = || {
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_here())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(algorithms: &[&str], keys: KeySource) -> TokenOptions {
        TokenOptions {
            issuer: None,
            audience: vec![],
            algorithms: algorithms.iter().map(|name| name.parse().unwrap()).collect(),
            keys,
            leeway: Duration::ZERO,
            tenant_claim: None,
            roles_claim: "roles".to_owned(),
        }
    }

    #[test]
    fn a_public_key_is_never_a_shared_secret() {
        let secret = || KeySource::Secret("secret".into());
        let public = || KeySource::PublicKey("key.pem".into());
        assert!(options(&["HS256"], secret()).check().is_ok());
        assert!(options(&["RS256", "EdDSA"], public()).check().is_ok());
        for (algorithms, keys) in [
            (vec!["HS256"], public()),
            (vec!["RS256", "HS256"], public()),
            (vec!["EdDSA"], secret()),
            (vec!["HS256"], KeySource::File("jwks.json".into())),
        ] {
            let error = options(&algorithms, keys).check().unwrap_err();
            assert!(matches!(error, TokenOptionsError::KindOfKey { .. }), "{error}");
        }
        let error = options(&[], public()).check().unwrap_err();
        assert_eq!(error, TokenOptionsError::NoAlgorithm);
    }

    #[test]
    fn other_algorithms_are_not_known() {
        for name in ["none", "None", "HS512", "ES256", "rs256", ""] {
            assert!(name.parse::<SignatureAlgorithm>().is_err(), "{name}");
        }
    }

    #[test]
    fn keys_come_over_no_line_that_others_can_reach() {
        let with = |url: &str| options(&["RS256"], KeySource::Url(url.into())).check();
        for private in ["https://id.example/jwks", "http://127.0.0.1:8000/", "http://[::1]/x"] {
            assert_eq!(with(private), Ok(()), "{private}");
        }
        for open in ["http://id.example/jwks", "ftp://127.0.0.1/", "id.example", ""] {
            assert!(with(open).is_err(), "{open}");
        }
    }
}
