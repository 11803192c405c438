//! Tokens as callers send them, and as attackers do.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod provider;
mod rotation;
mod support;
mod tokens;
