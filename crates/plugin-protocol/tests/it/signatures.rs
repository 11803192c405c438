//! Signatures of minisign over listings: a golden one, and each way in which one is worth nothing.

use std::io::Cursor;

use flexcore_plugin_protocol::{ContentListing, Manifest, SignatureError, Signed, TrustedKey};
use minisign::KeyPair;
use proptest::prelude::*;

use crate::support::manifest;

const LISTING: &str = include_str!("../files/signed/MANIFEST.sha256");
const SIGNATURE: &str = include_str!("../files/signed/plugin.minisig");
const KEY: &str = include_str!("../files/signed/test.pub");
const SIGNED: Signed<'static> = Signed { name: "tap-postgres", version: "1.4.2", listing: LISTING };

fn key() -> TrustedKey {
    TrustedKey::parse(KEY).unwrap()
}

fn sign(pair: &KeyPair, content: &str, comment: &str) -> String {
    let content = Cursor::new(content.as_bytes());
    minisign::sign(None, &pair.sk, content, Some(comment), None).unwrap().into_string()
}

#[test]
fn the_golden_signature_is_good() {
    let listing = ContentListing::parse(LISTING).unwrap();
    assert_eq!(listing.to_string(), LISTING);
    assert_eq!(
        listing.digest().to_string(),
        "3771219240f0f9a52ef0b85a6477fd8e8afd81d1482c650f7649bb8b65b35602"
    );
    assert_eq!(key().verify(SIGNATURE, SIGNED), Ok(()));
}

#[test]
fn a_key_is_named_by_its_id_or_by_all_of_it() {
    let encoded = KEY.lines().nth(1).unwrap();
    let key = TrustedKey::parse(encoded).unwrap();
    assert!(KEY.contains(key.id()), "minisign shows the same id");
    assert!(key.is_named(key.id()) && key.is_named(encoded));
    let manifest = Manifest::parse("plugin.toml", manifest("singer.toml")).unwrap();
    assert!(!key.is_named(&manifest.artifact.unwrap().key_id.unwrap()));
    for wrong in ["", "RWQ", LISTING, SIGNATURE, "a\nb\nc"] {
        assert!(TrustedKey::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_signature_is_for_one_plugin_one_version_and_one_content() {
    for signed in [
        Signed { name: "tap-other", ..SIGNED },
        Signed { version: "1.4.3", ..SIGNED },
        Signed { name: "postgres", ..SIGNED },
    ] {
        let error = key().verify(SIGNATURE, signed).unwrap_err();
        assert!(matches!(error, SignatureError::OtherContent { .. }), "{error}");
    }
    let changed = LISTING.replace("bin/tap", "bin/tup");
    let signed = Signed { listing: &changed, ..SIGNED };
    assert_eq!(key().verify(SIGNATURE, signed), Err(SignatureError::Changed));

    let pair = KeyPair::generate_unencrypted_keypair().unwrap();
    let key = TrustedKey::parse(&pair.pk.to_base64()).unwrap();
    // A good signature with a comment that says too little, or says it in one word with more.
    let full = ContentListing::parse(LISTING).unwrap().trusted_comment("tap-postgres", "1.4.2");
    for comment in ["", "timestamp:1", &full.replace(' ', "-"), &format!("x{full}")] {
        let error = key.verify(&sign(&pair, LISTING, comment), SIGNED).unwrap_err();
        assert!(matches!(error, SignatureError::OtherContent { .. }), "{comment}: {error}");
    }
    let around = format!("timestamp:1 {full} by me");
    assert_eq!(key.verify(&sign(&pair, LISTING, &around), SIGNED), Ok(()));
}

#[test]
fn a_changed_comment_another_key_and_garbage_are_refused() {
    let comment = SIGNATURE.replace("trusted comment: tap-postgres", "trusted comment: tap-pg");
    assert_eq!(key().verify(&comment, SIGNED), Err(SignatureError::Changed));
    assert_eq!(key().verify("", SIGNED), Err(SignatureError::Malformed));
    assert_eq!(key().verify(LISTING, SIGNED), Err(SignatureError::Malformed));

    let other = KeyPair::generate_unencrypted_keypair().unwrap();
    let other = TrustedKey::parse(&other.pk.to_base64()).unwrap();
    let error = other.verify(SIGNATURE, SIGNED).unwrap_err();
    assert_eq!(error, SignatureError::OtherKey { trusted: other.id().to_owned() });
}

proptest! {
    #[test]
    fn no_changed_byte_goes_unseen(at in 0..LISTING.len(), byte in 32_u8..127) {
        let mut listing = LISTING.as_bytes().to_vec();
        prop_assume!(listing[at] != byte);
        listing[at] = byte;
        let listing = String::from_utf8(listing).unwrap();
        let signed = Signed { listing: &listing, ..SIGNED };
        prop_assert_eq!(key().verify(SIGNATURE, signed), Err(SignatureError::Changed));
    }

    #[test]
    fn no_text_panics(text in "\\PC*(\n\\PC*){0,4}") {
        let _ = TrustedKey::parse(&text);
        prop_assert!(key().verify(&text, SIGNED).is_err());
    }
}
