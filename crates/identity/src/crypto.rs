//! Signatures, by ring: the library that TLS uses already.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
    signature::{self, Verifier},
};
use ring::{
    hmac,
    signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey},
};

use crate::SignatureAlgorithm;

static RING: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Lets the token library use ring. Once is enough, and again does no harm.
pub(crate) fn install() {
    let _ = RING.install_default();
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library calls it so")]
fn verifier_factory(
    algorithm: &Algorithm,
    key: &DecodingKey,
) -> Result<Box<dyn JwtVerifier>, Error> {
    let wanted = SignatureAlgorithm::of(*algorithm).ok_or(ErrorKind::UnsupportedAlgorithm)?;
    // A key is of one kind, whatever a token says.
    if key.family() != family(wanted) {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    let key = match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => match wanted {
            SignatureAlgorithm::Hs256 => Key::Hmac(hmac::Key::new(hmac::HMAC_SHA256, bytes)),
            SignatureAlgorithm::Rs256 => Key::RsaDer(bytes.clone()),
            SignatureAlgorithm::EdDsa => Key::Ed25519(bytes.clone()),
        },
        DecodingKeyKind::RsaModulusExponent { n, e } => Key::Rsa { n: n.clone(), e: e.clone() },
    };
    Ok(Box::new(RingVerifier { algorithm: *algorithm, key }))
}

pub(crate) const fn family(algorithm: SignatureAlgorithm) -> AlgorithmFamily {
    match algorithm {
        SignatureAlgorithm::Hs256 => AlgorithmFamily::Hmac,
        SignatureAlgorithm::Rs256 => AlgorithmFamily::Rsa,
        SignatureAlgorithm::EdDsa => AlgorithmFamily::Ed,
    }
}

struct RingVerifier {
    algorithm: Algorithm,
    key: Key,
}

enum Key {
    Hmac(hmac::Key),
    RsaDer(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ed25519(Vec<u8>),
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let rsa = &RSA_PKCS1_2048_8192_SHA256;
        let verified = match &self.key {
            Key::Hmac(key) => hmac::verify(key, message, signature),
            Key::RsaDer(der) => UnparsedPublicKey::new(rsa, der).verify(message, signature),
            Key::Rsa { n, e } => RsaPublicKeyComponents { n: trimmed(n), e: trimmed(e) }
                .verify(rsa, message, signature),
            Key::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Some providers write numbers with zeros before them, which ring refuses.
fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
