//! Issuers for tests: keys, and tokens signed with them by hand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use flexcore_eventsourcing::Timestamp;
use flexcore_identity::{KeySource, TokenOptions, TokenVerifier};
use flexcore_ports::Clock;
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};

/// A clock that tests move.
#[derive(Debug, Default)]
pub(crate) struct HandClock(AtomicI64);

impl HandClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_767_225_600_000_000 + self.0.load(Ordering::Relaxed))
    }
}

/// Seconds since 1970, as tokens count.
pub(crate) fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "tokens are held against the real time")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What signs tokens.
pub(crate) enum Signer {
    Hmac(Vec<u8>),
    Rsa(Box<RsaKeyPair>),
    Ed(Ed25519KeyPair),
    Nobody,
}

impl Signer {
    pub(crate) fn ed25519() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    /// A key that was made for these tests and is used nowhere else.
    pub(crate) fn rsa() -> Self {
        let pem = include_str!("../keys/rsa.pem");
        let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(&der).unwrap()))
    }

    /// The public key as a provider publishes it.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Ed(pair) => {
                let x = encoded(pair.public_key().as_ref());
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": x, "use": "sig" })
            }
            Self::Rsa(pair) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                let (n, e) = (encoded(&public.n), encoded(&public.e));
                json!({ "kty": "RSA", "kid": id, "n": n, "e": e, "alg": "RS256" })
            }
            Self::Hmac(_) | Self::Nobody => unreachable!("nothing to publish"),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Hmac(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Nobody => vec![],
        }
    }

    /// A token with any header and claims.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        format!("{message}.{}", encoded(self.sign(message.as_bytes())))
    }
}

pub(crate) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Claims of Ann that hold for an hour.
pub(crate) fn claims() -> Value {
    json!({
        "sub": "ann", "iss": "https://id.example", "aud": ["flexcore", "other"],
        "exp": now() + 3_600, "nbf": now() - 10, "tenant": "acme", "roles": ["viewer"],
    })
}

/// The same with one claim changed; null takes it away.
pub(crate) fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => claims.as_object_mut().unwrap().remove(name),
        value => claims.as_object_mut().unwrap().insert(name.to_owned(), value),
    };
    claims
}

pub(crate) fn options(algorithms: &[&str], keys: KeySource) -> TokenOptions {
    TokenOptions {
        issuer: Some("https://id.example".to_owned()),
        audience: vec!["flexcore".to_owned()],
        algorithms: algorithms.iter().map(|name| name.parse().unwrap()).collect(),
        keys,
        leeway: Duration::from_secs(30),
        tenant_claim: Some("tenant".to_owned()),
        roles_claim: "roles".to_owned(),
    }
}

pub(crate) fn verifier(options: TokenOptions) -> (TokenVerifier, Arc<HandClock>) {
    let clock = Arc::new(HandClock::default());
    (TokenVerifier::new(options, clock.clone()).unwrap(), clock)
}
