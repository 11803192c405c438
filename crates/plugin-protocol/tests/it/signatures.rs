//! Signatures of minisign over listings: a golden one, and each way in which one is worth nothing.

use std::io::Cursor;

use flexcore_plugin_protocol::{ContentListing, Manifest, SignatureError, Signed, TrustedKey};
use minisign::KeyPair;
use proptest::prelude::*;

use crate::support::manifest;

const LISTING: &str = include_str!("../files/signed/MANIFEST.sha256");
const SIGNATURE: &str = include_str!("../files/signed/plugin.minisig");
const KEY: &str = include_str!("../files/signed/test.pub");
/// What the golden signature is about.
fn signed(listing: &ContentListing) -> Signed<'_> {
    Signed { name: "tap-postgres", version: "1.4.2", listing }
}

fn listing() -> ContentListing {
    ContentListing::parse(LISTING).unwrap()
}

fn key() -> TrustedKey {
    TrustedKey::parse(KEY).unwrap()
}

fn sign(pair: &KeyPair, content: &str, comment: &str) -> String {
    let content = Cursor::new(content.as_bytes());
    minisign::sign(None, &pair.sk, content, Some(comment), None).unwrap().into_string()
}

#[test]
fn the_golden_signature_is_good() {
    assert_eq!(listing().to_string(), LISTING);
    assert_eq!(
        listing().digest().to_string(),
        "3771219240f0f9a52ef0b85a6477fd8e8afd81d1482c650f7649bb8b65b35602"
    );
    assert_eq!(key().verify(SIGNATURE, signed(&listing())), Ok(()));
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
    let listing = listing();
    for other in [
        Signed { name: "tap-other", ..signed(&listing) },
        Signed { version: "1.4.3", ..signed(&listing) },
        Signed { name: "postgres", ..signed(&listing) },
    ] {
        let error = key().verify(SIGNATURE, other).unwrap_err();
        assert!(matches!(error, SignatureError::OtherContent { .. }), "{error}");
    }
    let changed = ContentListing::parse(&LISTING.replace("bin/tap", "bin/tup")).unwrap();
    assert_eq!(key().verify(SIGNATURE, signed(&changed)), Err(SignatureError::Changed));

    let pair = KeyPair::generate_unencrypted_keypair().unwrap();
    let key = TrustedKey::parse(&pair.pk.to_base64()).unwrap();
    // A good signature with a comment that says too little, or says it in one word with more.
    let full = listing.trusted_comment("tap-postgres", "1.4.2");
    for comment in ["", "timestamp:1", &full.replace(' ', "-"), &format!("x{full}")] {
        let error = key.verify(&sign(&pair, LISTING, comment), signed(&listing)).unwrap_err();
        assert!(matches!(error, SignatureError::OtherContent { .. }), "{comment}: {error}");
    }
    // Without the manifest a listing says too little, however well it is signed.
    let bare: ContentListing = listing
        .iter()
        .filter(|(path, _)| path.as_str() != "plugin.toml")
        .map(|(path, digest)| (path.clone(), digest))
        .collect();
    let comment = bare.trusted_comment("tap-postgres", "1.4.2");
    let signature = sign(&pair, &bare.to_string(), &comment);
    assert_eq!(key.verify(&signature, signed(&bare)), Err(SignatureError::NoManifest));
    let around = format!("timestamp:1 {full} by me");
    assert_eq!(key.verify(&sign(&pair, LISTING, &around), signed(&listing)), Ok(()));
}

#[test]
fn a_changed_comment_another_key_and_garbage_are_refused() {
    let comment = SIGNATURE.replace("trusted comment: tap-postgres", "trusted comment: tap-pg");
    assert_eq!(key().verify(&comment, signed(&listing())), Err(SignatureError::Changed));
    assert_eq!(key().verify("", signed(&listing())), Err(SignatureError::Malformed));
    assert_eq!(key().verify(LISTING, signed(&listing())), Err(SignatureError::Malformed));

    let other = KeyPair::generate_unencrypted_keypair().unwrap();
    let other = TrustedKey::parse(&other.pk.to_base64()).unwrap();
    let error = other.verify(SIGNATURE, signed(&listing())).unwrap_err();
    assert_eq!(error, SignatureError::OtherKey { trusted: other.id().to_owned() });
}

proptest! {
    #[test]
    fn no_changed_byte_goes_unseen(at in 0..LISTING.len(), byte in 32_u8..127) {
        let mut listing = LISTING.as_bytes().to_vec();
        prop_assume!(listing[at] != byte);
        listing[at] = byte;
        let listing = String::from_utf8(listing).unwrap();
        if let Ok(listing) = ContentListing::parse(&listing) {
            let result = key().verify(SIGNATURE, signed(&listing));
            prop_assert_eq!(result, Err(SignatureError::Changed));
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC*(\n\\PC*){0,4}") {
        let _ = TrustedKey::parse(&text);
        prop_assert!(key().verify(&text, signed(&listing())).is_err());
    }
}
