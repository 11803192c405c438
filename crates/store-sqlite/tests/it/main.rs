//! The embedded store, tested on real files.

mod contract;
mod support;
mod verify;
