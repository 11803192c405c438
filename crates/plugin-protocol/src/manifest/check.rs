//! The rules of a manifest that a schema cannot express.

mod entrypoint;
mod kinds;

use super::file::{
    ArtifactTable, ConfigTable, ManifestFile, PluginKind, PluginTable, PluginType, PoolTable,
    SandboxTable,
};
use super::{Artifact, Manifest, Pool, SandboxDemand};
use crate::diagnostic::Mistake;
use crate::document::Step;
use crate::integrity::{ContentDigest, ContentPath, LISTING_FILE, TrustedKey};
use crate::language::Findings;
use crate::units::{DURATION_EXAMPLES, TimeSpan};

/// A path of two keys.
fn at(table: &'static str, key: &'static str) -> [Step<'static>; 2] {
    [Step::Key(table), Step::Key(key)]
}

/// The manifest of a file; mistakes go to the findings, and then the result is of no use.
pub(super) fn read(file: ManifestFile, findings: &mut Findings<'_>) -> Manifest {
    let kind = file.plugin.kind;
    kinds::check_sections(&file, findings);
    check_plugin(&file.plugin, findings);
    let plugin_type = plugin_type(&file.plugin, findings);
    let entrypoint = file.plugin.entrypoint.unwrap_or_default();
    entrypoint::check(kind, &entrypoint, findings);
    let config = file.config.unwrap_or_default();
    let capabilities = file.capabilities.unwrap_or_default();
    let limits = file.limits.unwrap_or_default();
    Manifest {
        name: file.plugin.name,
        version: file.plugin.version,
        description: file.plugin.description,
        kind,
        plugin_type,
        entrypoint,
        artifact: file.artifact.and_then(|table| artifact(table, findings)),
        config_schema: config_schema(&config, findings),
        config_secrets: config.secrets.unwrap_or_default(),
        capabilities: capabilities.read(&[Step::Key("capabilities")], findings),
        limits: limits.read(&[Step::Key("limits")], findings),
        sandbox: sandbox(file.sandbox.unwrap_or_default(), findings),
        pool: pool(file.pool.unwrap_or_default(), findings),
        details: kinds::details(kind, (file.grpc, file.wasm, file.http), findings),
    }
}

fn check_plugin(plugin: &PluginTable, findings: &mut Findings<'_>) {
    if !is_name(&plugin.name) {
        let message =
            "`name` is a lower-case letter, then up to 62 lower-case letters, digits, `_` or `-`";
        findings.illegal(&at("plugin", "name"), message.to_owned(), None);
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".+_-".contains(&byte);
    let version = plugin.version.as_bytes();
    let starts = version.first().is_some_and(u8::is_ascii_alphanumeric);
    if !starts || version.len() > 64 || !version.iter().copied().all(legal) {
        let message =
            "`version` is a letter or digit, then up to 63 letters, digits, `.`, `+`, `_` or `-`";
        findings.illegal(&at("plugin", "version"), message.to_owned(), None);
    }
}

/// The type, which a Singer plugin may say as its role.
fn plugin_type(plugin: &PluginTable, findings: &mut Findings<'_>) -> PluginType {
    let role = plugin.roles.as_ref().and_then(|roles| roles.first());
    if role.is_some() && plugin.kind != PluginKind::Singer {
        let message = "`roles` are those of Singer plugins".to_owned();
        findings.illegal(&at("plugin", "roles"), message, Some("say it with `type`"));
    }
    match (plugin.plugin_type, role.map(|role| role.plugin_type())) {
        (Some(stated), Some(meant)) if stated != meant => {
            let message =
                format!("`type` is `{}`, but `roles` say `{}`", stated.as_str(), meant.as_str());
            findings.illegal(&at("plugin", "type"), message, None);
            stated
        }
        (Some(stated), _) => stated,
        (None, Some(meant)) => meant,
        (None, None) => {
            let message = "`plugin` has no `type`".to_owned();
            let hint = "`type` is `extractor`, `loader`, `transformer` or `processor`";
            findings.note(&[Step::Key("plugin")], Mistake::MissingKey, message, Some(hint));
            PluginType::Processor
        }
    }
}

fn artifact(table: ArtifactTable, findings: &mut Findings<'_>) -> Option<Artifact> {
    if table.files.as_deref().is_some_and(|files| files != LISTING_FILE) {
        let message = format!("`files` is always `{LISTING_FILE}`");
        findings.illegal(&at("artifact", "files"), message, None);
    }
    if table.key_id.is_some() && table.signature.is_none() {
        let message = "a `key_id` without a `signature` says nothing".to_owned();
        findings.illegal(&at("artifact", "key_id"), message, None);
    }
    if table.key_id.as_deref().is_some_and(|key| !is_key_name(key)) {
        let message =
            "`key_id` is 16 hexadecimal digits, or a whole minisign public key".to_owned();
        findings.illegal(&at("artifact", "key_id"), message, None);
    }
    let signature = table.signature.and_then(|text| {
        let read = ContentPath::parse(&text);
        if let Err(error) = read {
            findings.illegal(
                &at("artifact", "signature"),
                format!("in `signature`, {error}"),
                None,
            );
        }
        read.ok()
    });
    let sha256 = ContentDigest::parse(&table.sha256);
    if sha256.is_none() {
        let message = "`sha256` is 64 lower-case hexadecimal digits".to_owned();
        findings.illegal(&at("artifact", "sha256"), message, None);
    }
    Some(Artifact { sha256: sha256?, signature, key_id: table.key_id })
}

fn is_key_name(text: &str) -> bool {
    (text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        || TrustedKey::parse(text).is_ok()
}

fn config_schema(config: &ConfigTable, findings: &mut Findings<'_>) -> Option<ContentPath> {
    let read = ContentPath::parse(config.schema.as_deref()?);
    if let Err(error) = read {
        findings.illegal(&at("config", "schema"), format!("in `schema`, {error}"), None);
    }
    read.ok()
}

fn sandbox(table: SandboxTable, findings: &mut Findings<'_>) -> SandboxDemand {
    let require = table.require.unwrap_or_default();
    for (index, control) in require.iter().enumerate() {
        if !is_name(control) {
            let path = [Step::Key("sandbox"), Step::Key("require"), Step::Index(index)];
            let message = "a control is named as in `flexcore doctor`, such as `net_ns`".to_owned();
            findings.illegal(&path, message, None);
        }
    }
    SandboxDemand { profile: table.profile.unwrap_or_default(), require, strict: table.strict }
}

fn pool(table: PoolTable, findings: &mut Findings<'_>) -> Pool {
    let default = Pool::default();
    let max_age = table.max_age.map(|text| {
        TimeSpan::parse(&text.0).filter(|age| !age.duration().is_zero()).unwrap_or_else(|| {
            let message = format!("`max_age` must be {DURATION_EXAMPLES}");
            findings.illegal(&at("pool", "max_age"), message, None);
            default.max_age
        })
    });
    let pool = Pool {
        min_idle: table.min_idle.unwrap_or(default.min_idle),
        max: table.max.unwrap_or(default.max),
        max_uses: table.max_uses.unwrap_or(default.max_uses),
        max_age: max_age.unwrap_or(default.max_age),
        reuse_across_tenants: table.reuse_across_tenants.unwrap_or(default.reuse_across_tenants),
    };
    if pool.min_idle > pool.max {
        let message =
            format!("`min_idle` is {}, more than `max`, which is {}", pool.min_idle, pool.max);
        findings.illegal(&at("pool", "min_idle"), message, None);
    }
    pool
}

fn is_name(text: &str) -> bool {
    let legal =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 63
        && text.bytes().all(legal)
}
