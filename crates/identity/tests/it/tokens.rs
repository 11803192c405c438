//! Tokens that are taken, and those that are not.

use std::fs;

use flexcore_identity::{KeySource, TokenError, TokenVerifier};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Signer, claims, encoded, now, options, verifier, with};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn by_secret(folder: &TempDir) -> TokenVerifier {
    let file = folder.path().join("secret");
    fs::write(&file, SECRET).unwrap();
    verifier(options(&["HS256"], KeySource::Secret(file))).0
}

fn by_jwks(folder: &TempDir, keys: &[Value]) -> TokenVerifier {
    let file = folder.path().join("jwks.json");
    fs::write(&file, json!({ "keys": keys }).to_string()).unwrap();
    verifier(options(&["RS256", "EdDSA"], KeySource::File(file))).0
}

fn not_accepted(error: &TokenError) -> bool {
    matches!(error, TokenError::NotAccepted(_))
}

#[tokio::test]
async fn good_tokens_of_every_algorithm_say_who_sends_them() {
    let folder = TempDir::new().unwrap();
    let (rsa, ed) = (Signer::rsa(), Signer::ed25519());
    let jwks = by_jwks(&folder, &[rsa.jwk("r"), ed.jwk("e")]);
    let rsa_token = rsa.token(&json!({ "alg": "RS256", "kid": "r" }), &claims());
    let ed_token = ed.token(&json!({ "alg": "EdDSA", "typ": "JWT" }), &claims());
    let shared = Signer::Hmac(SECRET.to_vec()).token(&json!({ "alg": "HS256" }), &claims());
    let secret = by_secret(&folder);
    for (verifier, token) in [(&jwks, rsa_token), (&jwks, ed_token), (&secret, shared)] {
        let caller = verifier.verify(&token).await.unwrap();
        assert_eq!((&*caller.subject, caller.tenant.as_deref()), ("ann", Some("acme")));
        assert_eq!(caller.roles, ["viewer"]);
    }
}

#[tokio::test]
async fn a_public_key_in_pem_verifies() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("key.pem");
    fs::write(&file, include_str!("../keys/rsa-public.pem")).unwrap();
    let source = KeySource::PublicKey(file);
    let (verifier, _) = verifier(options(&["RS256"], source));
    let token = Signer::rsa().token(&json!({ "alg": "RS256", "kid": "any" }), &claims());
    assert_eq!(verifier.verify(&token).await.unwrap().subject, "ann");
    let other = Signer::ed25519().token(&json!({ "alg": "RS256" }), &claims());
    assert!(not_accepted(&verifier.verify(&other).await.unwrap_err()));
}

#[tokio::test]
async fn unsigned_tokens_and_confused_algorithms_are_refused() {
    let folder = TempDir::new().unwrap();
    let rsa = Signer::rsa();
    let jwks = by_jwks(&folder, &[rsa.jwk("r")]);
    // The public key as the secret of HMAC: whoever can read it could issue.
    let public = include_bytes!("../keys/rsa-public.pem").to_vec();
    let confused = Signer::Hmac(public).token(&json!({ "alg": "HS256", "kid": "r" }), &claims());
    let brings_a_key = Signer::ed25519();
    let header = json!({ "alg": "EdDSA", "jwk": brings_a_key.jwk("x") });
    let good = rsa.token(&json!({ "alg": "RS256", "kid": "r" }), &claims());
    let unsigned = &good[..=good.rfind('.').unwrap()];
    let mut parts = good.split('.');
    let (head, _, signature) =
        (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let changed = encoded(with("sub", json!("root")).to_string());
    let forged = [
        Signer::Nobody.token(&json!({ "alg": "none" }), &claims()),
        Signer::Nobody.token(&json!({ "alg": "None" }), &claims()),
        Signer::Nobody.token(&json!({ "alg": "RS256", "kid": "r" }), &claims()),
        Signer::Nobody.token(&json!({ "alg": "", "kid": "r" }), &claims()),
        Signer::Nobody.token(&json!({}), &claims()),
        confused,
        brings_a_key.token(&header, &claims()),
        rsa.token(&json!({ "alg": "RS512", "kid": "r" }), &claims()),
        rsa.token(&json!({ "alg": "RS256", "kid": "other" }), &claims()),
        rsa.token(&json!({ "alg": "RS256", "kid": "r", "crit": ["exp"] }), &claims()),
        format!("{head}.{changed}.{signature}"),
        unsigned.to_owned(),
        format!("{good}x"),
        format!("{good}=="),
        String::new(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "\u{1f511}.\u{1f511}.\u{1f511}".to_owned(),
        format!("{}.a.b", "a".repeat(20_000)),
    ];
    assert!(jwks.verify(&good).await.is_ok());
    for token in forged {
        let error = jwks.verify(&token).await.unwrap_err();
        assert!(not_accepted(&error), "{token}: {error}");
        assert!(!error.to_string().contains("root"));
    }
}

#[tokio::test]
async fn times_issuer_and_audience_are_held() {
    let folder = TempDir::new().unwrap();
    let verifier = by_secret(&folder);
    let signer = Signer::Hmac(SECRET.to_vec());
    let check = async |claims: Value| {
        verifier.verify(&signer.token(&json!({ "alg": "HS256" }), &claims)).await.map(drop)
    };
    let not_for_us = |text| Err(TokenError::NotForUs(text));
    let lacks = |claim: &str| Err(TokenError::Claim(claim.to_owned()));
    assert_eq!(check(with("exp", json!(now() - 60))).await, Err(TokenError::Expired));
    assert_eq!(check(with("exp", json!(now() - 10))).await, Ok(()), "clocks differ a little");
    assert_eq!(check(with("exp", Value::Null)).await, lacks("exp"));
    assert_eq!(check(with("exp", json!("soon"))).await, lacks("exp"));
    assert_eq!(check(with("nbf", json!(now() + 600))).await, not_for_us("its time has not come"));
    assert_eq!(check(with("nbf", Value::Null)).await, Ok(()));
    assert_eq!(check(with("iss", json!("evil"))).await, not_for_us("it has another issuer"));
    assert_eq!(check(with("iss", Value::Null)).await, lacks("iss"));
    assert_eq!(check(with("aud", json!("other"))).await, not_for_us("it has another audience"));
    assert_eq!(check(with("aud", json!("flexcore"))).await, Ok(()));
    assert_eq!(check(with("aud", Value::Null)).await, lacks("aud"));
    assert_eq!(check(with("sub", Value::Null)).await, lacks("sub"));
    assert_eq!(check(with("tenant", Value::Null)).await, lacks("tenant"));
}
