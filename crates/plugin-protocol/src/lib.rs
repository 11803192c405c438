//! What FlexCore and a plugin say to each other, and what an operator says about it; without I/O.
//!
//! * [`Manifest`]: `plugin.toml`, how an author describes a plugin.
//! * [`Grants`]: `grants.toml`, what an operator allows.
//! * [`Capabilities`] and [`Limits`]: what a plugin may reach and use. [`effective`] is the meet of
//!   manifest, step and grants, with everything that was refused on the way, and
//!   [`grant_lines`] are the lines that would grant it.
//! * [`ContentListing`], [`TrustedKey`] and [`ArchiveCheck`]: what a plugin consists of, who signed
//!   it, and what an archive may hold before it is unpacked.
//! * [`Handshake`] and [`PluginEnvironment`]: how a go-plugin process says where it listens.
//! * [`protobuf`]: the messages of process plugins. [`PLUGIN_WIT`]: the world of components.
//!
//! Whatever comes from outside is read strictly: a mistake in a file comes back as [`Diagnostics`]
//! with its place, and no bytes panic.
//!
//! ```
//! use flexcore_plugin_protocol::{Grants, Manifest, Requests, Subject, effective, grant_lines};
//!
//! let manifest = Manifest::parse("plugin.toml", r#"
//!     manifest = 1
//!     [plugin]
//!     name = "tap-postgres"
//!     version = "1.4.2"
//!     kind = "singer"
//!     type = "extractor"
//!     entrypoint = ["venv/bin/tap-postgres", "--config", "{config}"]
//!     [capabilities]
//!     network = ["tcp://db.example.com:5432"]
//!     secrets = ["pg_password"]
//! "#)?;
//! let grants = Grants::parse("grants.toml", r#"
//!     grants = 1
//!     [[grant]]
//!     plugin = "tap-postgres"
//!     secrets = ["pg_password"]
//! "#)?;
//! let subject = Subject { plugin: Some(manifest.name.clone()), ..Subject::default() };
//! let requests = Requests {
//!     manifest: Some((&manifest.capabilities, &manifest.limits)),
//!     step: None,
//! };
//!
//! let effective = effective(requests, &grants, &subject);
//! assert_eq!(
//!     grant_lines(&subject, effective.not_granted()),
//!     "[[grant]]\nplugin = \"tap-postgres\"\nnetwork = [\"tcp://db.example.com:5432\"]\n"
//! );
//! # Ok::<(), flexcore_plugin_protocol::Diagnostics>(())
//! ```
//!
//! # What this crate must not know
//!
//! Files, sockets, processes, clocks, async, gRPC services and WebAssembly engines: whoever has
//! them reads bytes, asks here what they mean, and acts. Which keys are trusted and where
//! `grants.toml` lies is its caller's business too.
//!
//! # How to add the usual next thing
//!
//! * A key of the manifest: a documented field in `manifest/file.rs`, its rule in
//!   `manifest/check.rs`, the value in [`Manifest`]; then the schema (`UPDATE_SCHEMAS=1`).
//! * A capability: a variant of [`Capability`] and [`CapabilityKind`] with its `meet`, its key in
//!   `language.rs` and `grants/file.rs`, and the strategy of the properties in
//!   `capability/tests.rs`.
//! * A message: its field in `proto/`, with a number that was never used; plugins of the previous
//!   version must go on to work.

mod capability;
mod diagnostic;
mod document;
mod grants;
mod handshake;
mod integrity;
mod language;
mod limits;
mod manifest;
pub mod protobuf;
mod schema;
mod units;
mod wit;

pub use capability::{
    Capabilities, Capability, CapabilityKind, CapabilityPath, Endpoint, Host, InvalidCapability,
    InvalidEndpoint, InvalidName, InvalidPath, SecretName, Transport, VariableName,
};
pub use diagnostic::{Diagnostic, Diagnostics, Mistake, Position};
pub use grants::{
    CapabilityRequest, Effective, Grant, Grants, LoweredLimit, Refusal, Requests, Rule, Subject,
    append_grant, effective, grant_lines,
};
pub use handshake::{
    FirstLine, Handshake, HandshakeError, HandshakeOffer, MAX_HANDSHAKE_BYTES, PluginEnvironment,
    Versions, first_line,
};
pub use integrity::{
    ArchiveCheck, ArchiveEntry, ArchiveLimits, ArchiveRefusal, ContentDifference, ContentDigest,
    ContentError, ContentListing, ContentPath, EntryKind, InvalidContentPath, InvalidKey,
    LISTING_FILE, ListingError, ListingProblem, MANIFEST_FILE, SignatureError, Signed, TrustedKey,
};
pub use limits::{LimitName, Limits};
pub use manifest::{
    Artifact, GrpcDetails, HttpAuthentication, HttpDetails, KindDetails, Manifest, PLUGIN_API,
    PluginKind, PluginType, Pool, SandboxDemand, SandboxProfile, WasmDetails, WasmIsolation,
};
pub use protobuf::{FILE_DESCRIPTORS, PLUGIN_PROTO};
pub use schema::schemas;
pub use units::{ByteSize, MilliCpu, TimeSpan};
pub use wit::{PLUGIN_WIT, WIT_WORLD};
