//! The command line: arguments to commands and queries, replies to text or JSON.
//!
//! ```text
//! argv ─ parse ─▶ Cli ─ execute ─▶ verb ─▶ bus (through Host) ─▶ reply ─▶ text or JSON ─▶ exit code
//! ```
//!
//! Each verb has a file in `verb/` with its arguments as a clap struct and the function that
//! carries it out; what replies look like as text is in `text/`, what a run shows while it goes on
//! is in `progress/`. Standard output carries results only, one JSON document (or JSON Lines where
//! a verb follows something) under `--output json`; everything else goes to standard error.
//!
//! # What this crate must not know
//!
//! Any adapter. What only the binary can do (open the store, talk to a live writer, run a
//! connector) comes in through [`Host`], the standard streams through [`Terminal`]; the
//! environment and the working directory are the host's too. Decisions belong to `app` and the
//! domain: a verb translates, sends and shows.
//!
//! # A server instead of a store
//!
//! With `--server` a verb asks a server. The session alone decides which it is: a verb asks a
//! `Source` and sends commands through the session, and so works either way. One that only makes
//! sense on the machine itself begins with `only_here`.
//!
//! # How to add a verb
//!
//! Write `verb/<name>.rs` with its arguments and its `execute`, name it in the enum of `verb.rs`,
//! put the text form of its reply in `text/`, and test both there: arguments by parsing them, text
//! by a snapshot.

mod address;
mod arguments;
mod conformance;
mod drive;
mod exit;
mod failure;
mod follow;
mod host;
mod interrupt;
mod note_file;
mod output;
mod place;
mod progress;
mod report;
mod server;
mod session;
mod store_address;
mod store_status;
mod terminal;
mod text;
mod verb;

pub use arguments::{Cli, parse};
pub use conformance::{ConformanceCheck, ConformanceOutcome, ConformanceReport};
pub use exit::Exit;
pub use host::{
    BuiltInDescription, CloseStore, ConnectorDescription, Host, HostError, HostErrorKind, Place,
    Reader, ServeAddress, ServeRequest, SettingFlag, SettingFlags, Transfer, TransferEnd, Writer,
};
pub use note_file::append_note;
pub use session::execute;
pub use store_address::{DatabaseUrl, StoreAddress, masked_url};
pub use store_status::{
    DatabaseLogStatus, DatabaseStatus, FolderStatus, StoreFile, StoreMigration, StoreStatus,
    StoreWriter,
};
pub use terminal::Terminal;
