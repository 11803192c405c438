//! The text of an API key: `flx_<id>_<secret>`, with the tenant and a dot before the id where it is
//! not the operator's.
//!
//! The tenant and the id say which event stream knows the key, so that nothing has to be searched;
//! the prefix lets scanners of repositories and logs find keys that leaked.

use flexcore_domain::{ApiKeyId, TenantName};
use flexcore_eventsourcing::Hash;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// What every key begins with.
const PREFIX: &str = "flx_";
/// The length of the secret, as hexadecimal digits.
const SECRET_DIGITS: usize = 64;

/// The parts of a key.
#[derive(Clone, Copy)]
pub(super) struct KeyText<'a> {
    tenant: Option<&'a str>,
    id: &'a str,
    secret: &'a str,
}

impl<'a> KeyText<'a> {
    /// `None`: it is not the text of a key.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.rsplit_once('_')?;
        let (tenant, id) = match id.split_once('.') {
            Some((tenant, id)) => (Some(tenant), id),
            None => (None, id),
        };
        let is_secret = secret.len() == SECRET_DIGITS
            && secret.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_secret.then_some(Self { tenant, id, secret })
    }

    pub(super) fn tenant(&self) -> Option<TenantName> {
        self.tenant.map_or_else(|| Some(TenantName::default()), |tenant| tenant.parse().ok())
    }

    pub(super) fn id(&self) -> Option<ApiKeyId> {
        self.id.parse().ok()
    }

    /// The digest of its secret.
    pub(super) fn digest(&self) -> Hash {
        fingerprint(self.secret)
    }
}

/// Whether two digests are the same. How long it takes tells nothing.
pub(super) fn is_same(a: &Hash, b: &Hash) -> bool {
    a.0.ct_eq(&b.0).into()
}

/// The key of an id with 32 random bytes, and the digest of its secret.
pub(super) fn make(tenant: &str, id: ApiKeyId, secret: &[u8; 32]) -> (String, Hash) {
    let secret = hex::encode(secret);
    let place = if tenant == TenantName::default().as_str() {
        id.to_string()
    } else {
        format!("{tenant}.{id}")
    };
    let digest = fingerprint(&secret);
    (format!("{PREFIX}{place}_{secret}"), digest)
}

/// SHA-256 of a secret, or of a certificate.
pub(super) fn fingerprint(bytes: impl AsRef<[u8]>) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// The fingerprint of a certificate as tools write it: with colons or without.
pub(super) fn parse_fingerprint(text: &str) -> Option<Hash> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let mut hash = Hash::ZERO;
    hex::decode_to_slice(digits, &mut hash.0).ok().map(|()| hash)
}

/// The id under which a certificate is registered: found by what the certificate is.
pub(super) fn id_of_fingerprint(fingerprint: &Hash) -> ApiKeyId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&fingerprint.0[..16]);
    ApiKeyId(Uuid::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ApiKeyId = ApiKeyId(Uuid::from_u128(7));

    #[test]
    fn a_key_says_where_it_belongs_and_proves_it() {
        for tenant in ["default", "acme", "a_b-c"] {
            let (text, digest) = make(tenant, ID, &[7; 32]);
            let key = KeyText::parse(&text).unwrap();
            assert_eq!(key.tenant().unwrap().as_str(), tenant);
            assert_eq!(key.id(), Some(ID));
            assert!(is_same(&key.digest(), &digest));
            let (_, other) = make(tenant, ID, &[8; 32]);
            assert!(!is_same(&key.digest(), &other));
        }
    }

    #[test]
    fn a_fingerprint_is_read_as_tools_write_it() {
        let hash = fingerprint(b"a certificate");
        let plain = hex::encode(hash.0);
        let upper = plain.to_uppercase();
        let pairs: Vec<&str> = (0..32).map(|at| &upper[2 * at..2 * at + 2]).collect();
        assert_eq!(parse_fingerprint(&plain), Some(hash));
        assert_eq!(parse_fingerprint(&pairs.join(":")), Some(hash));
        assert!(id_of_fingerprint(&hash).to_string().contains(&plain[..32]));
        for wrong in ["", "ab", &plain[1..], &format!("{plain}00")] {
            assert_eq!(parse_fingerprint(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_key_is_not_taken_for_one() {
        let (text, _) = make("default", ID, &[7; 32]);
        for wrong in ["", "flx_", "flx_x", "flx__", "token", &text[4..], &text[..text.len() - 1]] {
            assert!(KeyText::parse(wrong).is_none(), "{wrong}");
        }
        assert!(KeyText::parse(&text.to_uppercase()).is_none());
        let (text, _) = make("default", ID, &[0xab; 32]);
        assert!(KeyText::parse(&text.replace("abab", "ABAB")).is_none());
        let odd = text.replace("flx_", "flx_A B.");
        assert!(KeyText::parse(&odd).unwrap().tenant().is_none());
    }
}
