//! The keys that tokens are verified with.

mod public_key;

use jsonwebtoken::{DecodingKey, Header};
use serde::Deserialize;

use crate::{SignatureAlgorithm, TokenOptionsError, crypto::family};
pub(crate) use public_key::public_key;

/// The most keys that a set may have.
const MOST: usize = 64;
/// The shortest shared secret, in bytes: as long as the hash (RFC 7518, 3.2).
const SHORTEST_SECRET: usize = 32;
/// The shortest modulus of RSA, in bytes.
const SHORTEST_MODULUS: usize = 256;

/// The keys of an issuer.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeySet {
    keys: Vec<VerificationKey>,
}

#[derive(Debug, Clone)]
pub(crate) struct VerificationKey {
    id: Option<String>,
    algorithm: SignatureAlgorithm,
    pub(crate) key: DecodingKey,
}

/// A set of keys as providers publish it (RFC 7517), as far as it matters here.
#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
}

impl KeySet {
    /// The one key that there is.
    pub(crate) fn of(algorithm: SignatureAlgorithm, key: DecodingKey) -> Self {
        Self { keys: vec![VerificationKey { id: None, algorithm, key }] }
    }

    /// A shared secret.
    pub(crate) fn secret(bytes: &[u8]) -> Result<Self, TokenOptionsError> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if bytes.len() < SHORTEST_SECRET {
            return Err(TokenOptionsError::Keys(format!(
                "a shared secret of {} bytes is too short; it has at least {SHORTEST_SECRET}",
                bytes.len()
            )));
        }
        Ok(Self::of(SignatureAlgorithm::Hs256, DecodingKey::from_secret(bytes)))
    }

    /// The public keys of a JWKS that verify signatures by an algorithm that is known here. Others
    /// are left aside: providers publish keys for other uses beside them.
    pub(crate) fn jwks(text: &[u8]) -> Result<Self, String> {
        let set: Jwks =
            serde_json::from_slice(text).map_err(|error| format!("no JWKS: {error}"))?;
        if set.keys.len() > MOST {
            return Err(format!("{} keys are more than {MOST}", set.keys.len()));
        }
        let jwks = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<VerificationKey> = jwks.filter_map(verification_key).collect();
        if keys.is_empty() {
            return Err("no key of it can verify a token".to_owned());
        }
        Ok(Self { keys })
    }

    /// The keys that may have signed a token with this header. One that names its key is verified
    /// with that key alone.
    pub(crate) fn candidates(&self, header: &Header) -> Vec<&VerificationKey> {
        let fits = |key: &&VerificationKey| {
            let is_named = match (&header.kid, &key.id) {
                (Some(wanted), Some(id)) => wanted == id,
                // The one key of a file has no id.
                (_, None) | (None, _) => true,
            };
            is_named && SignatureAlgorithm::of(header.alg) == Some(key.algorithm)
        };
        self.keys.iter().filter(fits).collect()
    }
}

fn verification_key(jwk: Jwk) -> Option<VerificationKey> {
    if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return None;
    }
    let algorithm = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => SignatureAlgorithm::Rs256,
        ("OKP", Some("Ed25519")) => SignatureAlgorithm::EdDsa,
        // A published secret is none.
        _ => return None,
    };
    if jwk.alg.as_deref().is_some_and(|name| name != algorithm.name()) {
        return None;
    }
    let key = match algorithm {
        SignatureAlgorithm::Rs256 => DecodingKey::from_rsa_components(&jwk.n, &jwk.e),
        _ => DecodingKey::from_ed_components(&jwk.x),
    };
    let key = key.ok().filter(|key| key.family() == family(algorithm) && is_long_enough(key))?;
    Some(VerificationKey { id: jwk.kid, algorithm, key })
}

fn is_long_enough(key: &DecodingKey) -> bool {
    match key.kind() {
        jsonwebtoken::DecodingKeyKind::RsaModulusExponent { n, .. } => n.len() >= SHORTEST_MODULUS,
        jsonwebtoken::DecodingKeyKind::SecretOrDer(bytes) => bytes.len() == 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn kids(set: &KeySet, header: &str) -> usize {
        let header: Header = serde_json::from_str(header).unwrap();
        set.candidates(&header).len()
    }

    #[test]
    fn a_token_is_verified_with_the_key_that_it_names() {
        let other = ED.replace("\"a\"", "\"b\"");
        let set = KeySet::jwks(format!("{{\"keys\":[{ED},{other}]}}").as_bytes()).unwrap();
        assert_eq!(kids(&set, r#"{"alg":"EdDSA","kid":"a"}"#), 1);
        assert_eq!(kids(&set, r#"{"alg":"EdDSA","kid":"c"}"#), 0);
        assert_eq!(kids(&set, r#"{"alg":"EdDSA"}"#), 2);
        assert_eq!(kids(&set, r#"{"alg":"RS256","kid":"a"}"#), 0);
        assert_eq!(kids(&set, r#"{"alg":"HS256","kid":"a"}"#), 0);
    }

    #[test]
    fn keys_for_other_uses_are_left_aside() {
        for other in [
            ED.replace("\"kid\"", "\"use\":\"enc\",\"kid\""),
            ED.replace("\"kid\"", "\"alg\":\"ES256\",\"kid\""),
            ED.replace("Ed25519", "X25519"),
            ED.replace("11qYAY", ""),
            r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
            "7".to_owned(),
        ] {
            let alone = format!("{{\"keys\":[{other}]}}");
            assert!(KeySet::jwks(alone.as_bytes()).is_err(), "{other}");
            let beside = format!("{{\"keys\":[{other},{ED}]}}");
            assert_eq!(KeySet::jwks(beside.as_bytes()).unwrap().keys.len(), 1, "{other}");
        }
        for text in ["", "{}", "[]", "{\"keys\":7}", "{\"keys\":[]}"] {
            assert!(KeySet::jwks(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(KeySet::secret(&[b'x'; 31]).is_err());
        assert!(KeySet::secret(b"0123456789abcdef0123456789abcde\n").is_err());
        assert!(KeySet::secret(&[b'x'; 32]).is_ok());
    }
}
