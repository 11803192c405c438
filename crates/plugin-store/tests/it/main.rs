//! The store of plugins on real folders, archives and signatures.
#![expect(clippy::unwrap_used, reason = "a test whose stage cannot be set fails")]

mod archives;
mod discovery;
mod folders;
mod keeping;
mod python;
mod signatures;
mod support;
