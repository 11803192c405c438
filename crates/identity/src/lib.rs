//! Callers that are known by a token which somebody else issued (JWT, RFC 7519).
//!
//! ```text
//! token ─▶ header: which algorithm, which key ─▶ key set ─▶ signature ─▶ times, issuer, audience ─▶ claims
//!                                                  ▲
//!                     a secret, a public key, or a JWKS from a file or an address, read anew
//! ```
//!
//! Nothing of a token is believed before its signature is: not the algorithm (it must be one that
//! the operator named, and the key must be of its kind), not a key that it brings along, not an
//! address where one lies. Which claims are the tenant and the roles is the operator's to say; what
//! roles allow is not known here.
//!
//! # What this crate must not know
//!
//! HTTP servers, roles, permissions, stores.
//!
//! # How to add an algorithm
//!
//! Its name in [`SignatureAlgorithm`], its verification in `crypto`, the form of its keys in `keys`,
//! and a test that a token with it is taken and that its key is not taken for another's.

mod claims;
mod crypto;
mod fetch;
mod keys;
mod options;
mod source;
mod verifier;

pub use claims::TokenCaller;
pub use options::{KeySource, SignatureAlgorithm, TokenOptions, TokenOptionsError};
pub use verifier::{TokenError, TokenVerifier};
