//! Tokens as callers send them, and as attackers do.

mod provider;
mod rotation;
mod support;
mod tokens;
