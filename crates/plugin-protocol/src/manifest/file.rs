//! The types of `plugin.toml`, from which its JSON Schema is made.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::language::{CapabilitiesTable, DurationText, LimitsTable};

/// A FlexCore plugin: what it is, what it needs and how it is started.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "FlexCore plugin manifest")]
pub(crate) struct ManifestFile {
    /// The version of this file's form.
    #[schemars(range(min = 1, max = 1))]
    #[serde(rename = "manifest")]
    pub(super) _version: u32,
    /// What it is and how it is started.
    pub(super) plugin: PluginTable,
    /// What its files are, and who signed them.
    pub(super) artifact: Option<ArtifactTable>,
    /// Its settings.
    pub(super) config: Option<ConfigTable>,
    /// What it asks for. What is not here it does not get.
    pub(super) capabilities: Option<CapabilitiesTable>,
    /// What it may use at most.
    pub(super) limits: Option<LimitsTable>,
    /// Which jail it needs.
    pub(super) sandbox: Option<SandboxTable>,
    /// How its processes are kept ready.
    pub(super) pool: Option<PoolTable>,
    /// Only for `kind = "process"`: how its handshake goes.
    pub(super) grpc: Option<GrpcTable>,
    /// Only for the WebAssembly kinds.
    pub(super) wasm: Option<WasmTable>,
    /// Only for `kind = "http"`: where it is.
    pub(super) http: Option<HttpTable>,
}

/// What a plugin is and how it is started.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PluginTable {
    /// Its name: a lower-case letter, then up to 62 lower-case letters, digits, `_` or `-`.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_-]{0,62}$"))]
    pub(super) name: String,
    /// Its version: up to 64 letters, digits, `.`, `+`, `_` or `-`.
    #[schemars(regex(pattern = r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$"))]
    pub(super) version: String,
    /// What it is for, in a sentence.
    pub(super) description: Option<String>,
    /// How it is run.
    pub(super) kind: PluginKind,
    /// What it does with records. A Singer plugin may say it with `roles`.
    #[serde(rename = "type")]
    pub(super) plugin_type: Option<PluginType>,
    /// What a Singer plugin is to a sync.
    #[schemars(length(min = 1, max = 1))]
    pub(super) roles: Option<Vec<Role>>,
    /// The program and its arguments: a path in the plugin's folder, or one of the machine from `/`.
    /// In arguments, `{config}`, `{catalog}`, `{state}` and `{folder}` stand for paths.
    pub(super) entrypoint: Option<Vec<String>>,
    /// The protocol that it speaks: `flexcore.plugin.v1`.
    #[serde(rename = "api")]
    pub(super) _api: Option<Api>,
}

/// How a plugin is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginKind {
    /// A process that serves gRPC, compatible with HashiCorp go-plugin. Files may call it `grpc`.
    #[serde(alias = "grpc")]
    Process,
    /// A Singer tap, target or mapper: a process that speaks lines of JSON.
    Singer,
    /// A program that is run to its end.
    Command,
    /// A WebAssembly component of the world `flexcore:plugin/plugin`.
    WasmComponent,
    /// A WebAssembly module of the Extism ABI.
    WasmExtism,
    /// A service that runs elsewhere.
    Http,
}

impl JsonSchema for PluginKind {
    fn schema_name() -> Cow<'static, str> {
        "PluginKind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "How a plugin is run. `grpc` is another word for `process`.",
            "enum": [
                "process", "singer", "command", "wasm-component", "wasm-extism", "http", "grpc",
            ],
        })
    }
}

impl PluginKind {
    /// Its stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Singer => "singer",
            Self::Command => "command",
            Self::WasmComponent => "wasm-component",
            Self::WasmExtism => "wasm-extism",
            Self::Http => "http",
        }
    }
}

/// What a plugin does with records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PluginType {
    /// Takes them from somewhere.
    Extractor,
    /// Brings them somewhere.
    Loader,
    /// Makes others of them.
    Transformer,
    /// Does something else.
    Processor,
}

impl PluginType {
    /// Its stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Extractor => "extractor",
            Self::Loader => "loader",
            Self::Transformer => "transformer",
            Self::Processor => "processor",
        }
    }
}

/// What a Singer plugin is to a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Where records come from: an extractor.
    Tap,
    /// Where they go: a loader.
    Target,
    /// What they pass through: a transformer.
    Mapper,
}

impl Role {
    pub(super) const fn plugin_type(self) -> PluginType {
        match self {
            Self::Tap => PluginType::Extractor,
            Self::Target => PluginType::Loader,
            Self::Mapper => PluginType::Transformer,
        }
    }
}

/// The protocols that plugins can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum Api {
    /// The first version.
    #[serde(rename = "flexcore.plugin.v1")]
    V1,
}

/// What the files of a plugin are, and who signed them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArtifactTable {
    /// The SHA-256 digest of the listing without the line of this file.
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub(super) sha256: String,
    /// The listing; always `MANIFEST.sha256`.
    pub(super) files: Option<String>,
    /// The minisign signature over the listing.
    pub(super) signature: Option<String>,
    /// The key that made it: its id of 16 hexadecimal digits, or the whole public key.
    pub(super) key_id: Option<String>,
}

/// The settings of a plugin.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigTable {
    /// The JSON Schema (draft 2020-12) of its settings, a file in its folder.
    pub(super) schema: Option<String>,
    /// Which of its settings are secret.
    pub(super) secrets: Option<Vec<String>>,
}

/// Which jail a plugin needs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SandboxTable {
    /// The filter of system calls.
    pub(super) profile: Option<SandboxProfile>,
    /// The controls without which it must not run, as `flexcore doctor` names them.
    pub(super) require: Option<Vec<String>>,
    /// Whether it must not run where a required control is only best effort.
    pub(super) strict: Option<bool>,
}

/// The filter of system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SandboxProfile {
    /// Refuses what no plugin should need.
    #[default]
    Default,
    /// Allows only what common runtimes need; anything else ends the plugin.
    Strict,
}

/// How processes of a plugin are kept ready.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolTable {
    /// How many wait for work; none unless given.
    #[schemars(range(max = 1024))]
    pub(super) min_idle: Option<u32>,
    /// How many there are at most; 8 unless given.
    #[schemars(range(min = 1, max = 1024))]
    pub(super) max: Option<u32>,
    /// After how many calls one is replaced; 1000 unless given.
    #[schemars(range(min = 1))]
    pub(super) max_uses: Option<u32>,
    /// At what age one is replaced; `1h` unless given.
    pub(super) max_age: Option<DurationText>,
    /// Whether one may serve several tenants, because it keeps nothing between calls.
    pub(super) reuse_across_tenants: Option<bool>,
}

/// How the handshake of a process goes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrpcTable {
    /// The variable and its value by which the program knows that it is run as a plugin.
    #[schemars(length(min = 2, max = 2))]
    pub(super) magic_cookie: Option<Vec<String>>,
    /// The versions of its own protocol that it speaks; 1 unless given.
    #[schemars(length(min = 1))]
    pub(super) app_versions: Option<Vec<u32>>,
    /// Always false: the socket lies in a private folder.
    pub(super) auto_mtls: Option<bool>,
}

/// What only WebAssembly has.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WasmTable {
    /// The world of a component: `flexcore:plugin/plugin@0.1.0`.
    pub(super) world: Option<String>,
    /// Where it runs; `process` unless given.
    pub(super) isolation: Option<Isolation>,
    /// How many instructions a call may take; 0 leaves it to the time limit.
    #[schemars(range(min = 0))]
    pub(super) fuel: Option<u64>,
}

/// Where WebAssembly runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum Isolation {
    /// In a jailed process of its own.
    #[serde(rename = "process")]
    Process,
    /// In FlexCore's own process; only where the operator trusts it.
    #[serde(rename = "inprocess")]
    InProcess,
}

/// Where a service is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpTable {
    /// Its address: `https`, or `http` on this machine.
    pub(super) url: String,
    /// The path that says whether it is well; `/health` unless given.
    pub(super) health: Option<String>,
    /// How FlexCore shows who it is: `bearer:SECRET`, or `mtls:CERTIFICATE,KEY` with two secrets.
    pub(super) auth: Option<String>,
}
