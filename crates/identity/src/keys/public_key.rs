//! A public key in PEM (RFC 7468, SubjectPublicKeyInfo).

use jsonwebtoken::DecodingKey;
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};

use super::KeySet;
use crate::{SignatureAlgorithm, TokenOptionsError};

/// The object identifiers of the algorithms, as DER has them: rsaEncryption and Ed25519.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

const SEQUENCE: u8 = 0x30;
const OBJECT_ID: u8 = 0x06;
const BIT_STRING: u8 = 0x03;

/// The key of a PEM file.
pub(crate) fn public_key(pem: &[u8]) -> Result<KeySet, TokenOptionsError> {
    let wrong = |what: &str| TokenOptionsError::Keys(what.to_owned());
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem)
        .map_err(|_| wrong("it holds no `BEGIN PUBLIC KEY` in PEM"))?;
    let (algorithm, key) = parts(&der).ok_or_else(|| wrong("its public key cannot be read"))?;
    match algorithm {
        RSA => Ok(KeySet::of(SignatureAlgorithm::Rs256, DecodingKey::from_rsa_der(key))),
        ED25519 if key.len() == 32 => {
            Ok(KeySet::of(SignatureAlgorithm::EdDsa, DecodingKey::from_ed_der(key)))
        }
        _ => Err(wrong("its public key is neither of RSA nor of Ed25519")),
    }
}

/// The object identifier and the key itself.
fn parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (whole, rest) = value(SEQUENCE, der)?;
    let (algorithm, after) = value(SEQUENCE, whole)?;
    let (id, _) = value(OBJECT_ID, algorithm)?;
    let (bits, end) = value(BIT_STRING, after)?;
    // The first byte counts the bits that are missing in the last one.
    let key = bits.strip_prefix(&[0])?;
    (rest.is_empty() && end.is_empty()).then_some((id, key))
}

/// The contents of the DER value at the beginning, and what follows it.
fn value(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 | 0x82 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0, |sum, digit| (sum << 8) | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn a_key_in_pem_is_read() {
        assert!(public_key(ED.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_no_key_is_told() {
        for wrong in ["", "x", &ED.replace("MCow", "MCox"), &ED.replace("K2Vw", "K2Vx")] {
            assert!(public_key(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let der = SubjectPublicKeyInfoDer::from_pem_slice(ED.as_bytes()).unwrap().to_vec();
        for end in 0..der.len() {
            assert!(parts(&der[..end]).is_none());
        }
        for at in 0..der.len() {
            let mut damaged = der.clone();
            damaged[at] ^= 0x55;
            let _ = parts(&damaged);
        }
    }
}
