//! Keys that come and go at an identity provider.

use std::{fs, time::Duration};

use flexcore_identity::{KeySource, TokenError};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    provider::Provider,
    support::{Signer, claims, options, verifier},
};

fn published(keys: &[(&Signer, &str)]) -> (u16, String) {
    let keys: Vec<_> = keys.iter().map(|(signer, id)| signer.jwk(id)).collect();
    (200, json!({ "keys": keys }).to_string())
}

fn token(signer: &Signer, id: &str) -> String {
    signer.token(&json!({ "alg": "EdDSA", "kid": id }), &claims())
}

#[tokio::test]
async fn a_new_key_is_taken_and_an_old_one_ends() {
    let (old, new) = (Signer::ed25519(), Signer::ed25519());
    let provider = Provider::start(published(&[(&old, "old")]));
    let source = KeySource::Url(provider.url());
    let (verifier, clock) = verifier(options(&["EdDSA"], source));
    assert!(verifier.verify(&token(&old, "old")).await.is_ok());
    assert!(verifier.verify(&token(&old, "old")).await.is_ok());
    assert_eq!(provider.asked(), 1, "keys are kept");

    // A token with a key that is not known makes the keys be read again, but not at once.
    provider.answer(published(&[(&old, "old"), (&new, "new")]));
    assert!(verifier.verify(&token(&new, "new")).await.is_err());
    assert_eq!(provider.asked(), 1);
    clock.advance(Duration::from_secs(10));
    assert!(verifier.verify(&token(&new, "new")).await.is_ok());
    assert_eq!(provider.asked(), 2);

    // What the provider takes back ends once the keys are old.
    provider.answer(published(&[(&new, "new")]));
    assert!(verifier.verify(&token(&old, "old")).await.is_ok());
    clock.advance(Duration::from_mins(5));
    assert!(verifier.verify(&token(&new, "new")).await.is_ok());
    assert!(verifier.verify(&token(&old, "old")).await.is_err());
    assert_eq!(provider.asked(), 3);
}

#[tokio::test]
async fn made_up_keys_do_not_make_a_flood() {
    let signer = Signer::ed25519();
    let provider = Provider::start(published(&[(&signer, "a")]));
    let (verifier, _) = verifier(options(&["EdDSA"], KeySource::Url(provider.url())));
    for number in 0..50 {
        let error = verifier.verify(&token(&signer, &number.to_string())).await.unwrap_err();
        assert!(matches!(error, TokenError::NotAccepted(_)), "{error}");
    }
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn a_provider_that_is_away_locks_nobody_out_who_was_in() {
    let signer = Signer::ed25519();
    let wrong = [
        (500, String::new()),
        (200, "<html>".to_owned()),
        (302, String::new()),
        (200, " ".repeat(300_000)),
    ];
    for answer in wrong {
        let provider = Provider::start(answer.clone());
        let source = KeySource::Url(provider.url());
        let (verifier, clock) = verifier(options(&["EdDSA"], source));
        let error = verifier.verify(&token(&signer, "a")).await.unwrap_err();
        assert!(matches!(error, TokenError::KeysAway(_)), "{error}");
        provider.answer(published(&[(&signer, "a")]));
        clock.advance(Duration::from_secs(10));
        assert!(verifier.verify(&token(&signer, "a")).await.is_ok());
        provider.answer(answer);
        clock.advance(Duration::from_hours(1));
        assert!(verifier.verify(&token(&signer, "a")).await.is_ok());
    }
}

#[tokio::test]
async fn a_file_of_keys_is_read_again() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("jwks.json");
    let (old, new) = (Signer::ed25519(), Signer::ed25519());
    fs::write(&file, published(&[(&old, "old")]).1).unwrap();
    let (verifier, clock) = verifier(options(&["EdDSA"], KeySource::File(file.clone())));
    assert!(verifier.verify(&token(&old, "old")).await.is_ok());
    fs::write(&file, published(&[(&new, "new")]).1).unwrap();
    clock.advance(Duration::from_secs(10));
    assert!(verifier.verify(&token(&new, "new")).await.is_ok());
    assert!(verifier.verify(&token(&old, "old")).await.is_err());
}
