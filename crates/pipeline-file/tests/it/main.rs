//! The crate as its users see it: texts in, diagnostics, definitions and rendered steps out.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod diagnostics;
mod everything;
mod files;
mod merge;
mod parameters;
mod properties;
mod render;
mod requests;
mod schemas;
mod support;
