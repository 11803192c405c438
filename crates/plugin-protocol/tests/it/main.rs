//! The integration tests of the plugin protocol: real files, real signatures, real schemas.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

mod diagnostics;
mod grants;
mod manifests;
mod schemas;
mod signatures;
mod support;
