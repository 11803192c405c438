//! The verified files of plugins, by digest: folders, archives, Python environments.
//!
//! ```text
//! folder or archive ─ copy, hashed on the way ─▶ .new-… ─ verify ─▶ rename ─▶ sha256/<digest>/
//! ```
//!
//! What was hashed is what is kept: files are read once, through descriptors that lead nowhere else,
//! so nobody can put others in their place between the check and the copy. A plugin that is not
//! whole has no place in the store: it is made beside it and renamed when everything is durable.
//! Whoever asks for a plugin gets it verified: every byte at first, later how each file looked then,
//! down to the time at which its inode changed.
//!
//! What a manifest, a listing, a signature and an archive may say is `plugin-protocol`'s; this crate
//! has the bytes.
//!
//! # What it must not know
//!
//! Grants, registrations, executions: to be in the store is not to be allowed anything.
//!
//! # How to add a source of plugins
//!
//! A variant of `ports::PluginSource`, and a function that puts its files into a `Staging`; what
//! follows is the same for all.

mod archive;
mod discover;
mod error;
mod folder;
mod kept;
mod keys;
mod python;
mod store;
mod tree;
mod verify;

pub use python::PythonTools;
pub use store::{FolderPluginStore, StoreOptions};
