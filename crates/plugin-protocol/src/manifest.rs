//! `plugin.toml`: what a plugin is, what it needs and how it is started.

mod check;
mod details;
mod file;

use std::sync::LazyLock;

use serde_json::Value;

use crate::capability::{Capabilities, SecretName};
use crate::diagnostic::Diagnostics;
use crate::document::{Document, schema_of};
use crate::integrity::{ContentDigest, ContentPath};
use crate::language::Findings;
use crate::limits::Limits;
use crate::units::TimeSpan;

pub use details::{
    GrpcDetails, HttpAuthentication, HttpDetails, KindDetails, WasmDetails, WasmIsolation,
};
pub use file::{PluginKind, PluginType, SandboxProfile};

/// The schema of the file, as checked and as published.
static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<file::ManifestFile>);
/// The version of the file that this reads.
const VERSION: i64 = 1;
/// The protocol that plugins name in `api`.
pub const PLUGIN_API: &str = "flexcore.plugin.v1";

/// A plugin as its author describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Its name: `[a-z][a-z0-9_-]{0,62}`.
    pub name: String,
    /// Its version, as its author counts.
    pub version: String,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// How it is run.
    pub kind: PluginKind,
    /// What it does with records.
    pub plugin_type: PluginType,
    /// The program and its arguments; empty for `http`. The program is a path in the plugin's
    /// folder, or one of the machine when it begins with `/`.
    pub entrypoint: Vec<String>,
    /// What its files are, where the author says so.
    pub artifact: Option<Artifact>,
    /// The JSON Schema of its settings, in its folder.
    pub config_schema: Option<ContentPath>,
    /// Which of its settings are secret.
    pub config_secrets: Vec<String>,
    /// What it asks for.
    pub capabilities: Capabilities,
    /// What it may use at most.
    pub limits: Limits,
    /// Which jail it needs.
    pub sandbox: SandboxDemand,
    /// How its processes are kept ready.
    pub pool: Pool,
    /// What only its kind has.
    pub details: KindDetails,
}

/// What the files of a plugin are, and who signed them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// [`artifact_digest`](crate::ContentListing::artifact_digest) of its listing.
    pub sha256: ContentDigest,
    /// The signature over the listing, in its folder.
    pub signature: Option<ContentPath>,
    /// The key that made the signature: its id, or all of it. Only a name: which keys are trusted
    /// is the operator's word.
    pub key_id: Option<String>,
}

/// Which jail a plugin needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SandboxDemand {
    /// The filter of system calls.
    pub profile: SandboxProfile,
    /// The controls without which it must not run, as sandbox reports name them.
    pub require: Vec<String>,
    /// Whether it must not run with a required control that is only best effort; the operator's
    /// own setting holds where this is absent.
    pub strict: Option<bool>,
}

/// How processes of a plugin are kept ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// How many wait for work.
    pub min_idle: u32,
    /// How many there are at most.
    pub max: u32,
    /// After how many calls one is replaced; 1 is a new process for each call.
    pub max_uses: u32,
    /// At what age one is replaced.
    pub max_age: TimeSpan,
    /// Whether one may serve several tenants: it keeps nothing between calls.
    pub reuse_across_tenants: bool,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            min_idle: 0,
            max: 8,
            max_uses: 1000,
            max_age: TimeSpan::from_millis(3_600_000),
            reuse_across_tenants: false,
        }
    }
}

impl Manifest {
    /// Reads a manifest. `name` is what messages call the file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, each with its place.
    pub fn parse(name: &str, text: &str) -> Result<Self, Diagnostics> {
        let document = Document::parse(name, text)?;
        document.refuse_newer("manifest", VERSION)?;
        let file: file::ManifestFile = document.read(&SCHEMA)?;
        let mut findings = Findings::new(&document);
        let manifest = check::read(file, &mut findings);
        findings.finish(manifest)
    }

    /// The JSON Schema of the file.
    pub fn schema() -> Value {
        SCHEMA.clone()
    }

    /// The secrets that the host itself uses for this plugin, such as the token of an HTTP service.
    pub fn host_secrets(&self) -> Vec<&SecretName> {
        match &self.details {
            KindDetails::Http(http) => http.authentication.secrets(),
            _ => Vec::new(),
        }
    }
}
