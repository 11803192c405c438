//! The rules of a manifest that a schema cannot express.

use super::details::{
    GrpcDetails, HttpAuthentication, HttpDetails, KindDetails, WasmDetails, WasmIsolation,
    parse_url,
};
use super::file::{
    ArtifactTable, ConfigTable, GrpcTable, HttpTable, Isolation, ManifestFile, PluginKind,
    PluginTable, PluginType, PoolTable, SandboxTable, WasmTable,
};
use super::{Artifact, Manifest, Pool, SandboxDemand};
use crate::capability::VariableName;
use crate::diagnostic::Mistake;
use crate::document::{Step, did_you_mean, list_of};
use crate::integrity::{ContentDigest, ContentPath, LISTING_FILE, TrustedKey};
use crate::language::Findings;
use crate::units::{DURATION_EXAMPLES, TimeSpan};
use crate::wit::WIT_WORLD;

/// What stands for something else in the arguments of an entry point.
const PLACEHOLDERS: [&str; 5] = ["config", "catalog", "state", "folder", "socket"];

/// A path of two keys.
fn at(table: &'static str, key: &'static str) -> [Step<'static>; 2] {
    [Step::Key(table), Step::Key(key)]
}

/// The manifest of a file; mistakes go to the findings, and then the result is of no use.
pub(super) fn read(file: ManifestFile, findings: &mut Findings<'_>) -> Manifest {
    let kind = file.plugin.kind;
    check_sections(&file, findings);
    check_plugin(&file.plugin, findings);
    let plugin_type = plugin_type(&file.plugin, findings);
    let entrypoint = file.plugin.entrypoint.unwrap_or_default();
    check_entrypoint(kind, &entrypoint, findings);
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
        details: match kind {
            PluginKind::Process => KindDetails::Process(grpc(file.grpc, findings)),
            PluginKind::Singer => KindDetails::Singer,
            PluginKind::Command => KindDetails::Command,
            PluginKind::WasmComponent | PluginKind::WasmExtism => {
                KindDetails::Wasm(wasm(kind, &file.wasm.unwrap_or_default(), findings))
            }
            PluginKind::Http => KindDetails::Http(http(file.http, findings)),
        },
    }
}

/// Sections of another kind have no effect, so they are a mistake.
fn check_sections(file: &ManifestFile, findings: &mut Findings<'_>) {
    let kind = file.plugin.kind;
    let is_wasm = matches!(kind, PluginKind::WasmComponent | PluginKind::WasmExtism);
    let sections = [
        ("grpc", file.grpc.is_some(), kind == PluginKind::Process),
        ("wasm", file.wasm.is_some(), is_wasm),
        ("http", file.http.is_some(), kind == PluginKind::Http),
        ("pool", file.pool.is_some(), is_wasm || kind == PluginKind::Process),
    ];
    for (section, is_there, has_meaning) in sections {
        if is_there && !has_meaning {
            let message =
                format!("`[{section}]` has no meaning for a plugin of kind `{}`", kind.as_str());
            findings.illegal(&[Step::Key(section)], message, None);
        }
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

fn check_entrypoint(kind: PluginKind, entrypoint: &[String], findings: &mut Findings<'_>) {
    let path = at("plugin", "entrypoint");
    let is_wasm = matches!(kind, PluginKind::WasmComponent | PluginKind::WasmExtism);
    let Some(program) = entrypoint.first() else {
        if kind != PluginKind::Http {
            let message = format!("a plugin of kind `{}` needs an `entrypoint`", kind.as_str());
            findings.note(&[Step::Key("plugin")], Mistake::MissingKey, message, None);
        }
        return;
    };
    if kind == PluginKind::Http {
        findings.illegal(
            &path,
            "a service has no `entrypoint`".to_owned(),
            Some("its place is `url` in `[http]`"),
        );
        return;
    }
    if is_wasm && entrypoint.len() > 1 {
        let message = "the `entrypoint` of WebAssembly is one file, without arguments".to_owned();
        findings.illegal(&path, message, None);
    }
    let program_at = [Step::Key("plugin"), Step::Key("entrypoint"), Step::Index(0)];
    let inner =
        if is_wasm { program.as_str() } else { program.strip_prefix('/').unwrap_or(program) };
    if let Err(error) = ContentPath::parse(inner) {
        let hint = "a program is a path in the plugin's folder, or one of the machine from `/`";
        findings.illegal(
            &program_at,
            format!("in the program of `entrypoint`, {error}"),
            Some(hint),
        );
    }
    for (index, argument) in entrypoint.iter().enumerate().skip(1) {
        let argument_at = [Step::Key("plugin"), Step::Key("entrypoint"), Step::Index(index)];
        if argument.contains('\0') {
            findings.illegal(&argument_at, "an argument has no NUL".to_owned(), None);
        }
        if let Some(unknown) = placeholders(argument).find(|name| !PLACEHOLDERS.contains(name)) {
            let message = format!("`{{{unknown}}}` stands for nothing in `entrypoint`");
            let hint = did_you_mean(unknown, &PLACEHOLDERS);
            findings.illegal(&argument_at, message, hint.as_deref());
        }
    }
}

/// The names in braces: `{config}`.
fn placeholders(argument: &str) -> impl Iterator<Item = &str> {
    let names = argument.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    names.filter(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    })
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

fn grpc(table: Option<GrpcTable>, findings: &mut Findings<'_>) -> GrpcDetails {
    let table = table.unwrap_or_default();
    let cookie = table.magic_cookie.unwrap_or_default();
    let (cookie_key, cookie_value) = match <[String; 2]>::try_from(cookie) {
        Ok([key, value]) => (key, value),
        Err(_) => ("FLEXCORE_PLUGIN".to_owned(), super::PLUGIN_API.to_owned()),
    };
    if VariableName::parse(&cookie_key).is_err() || cookie_value.contains('\0') {
        let message = "`magic_cookie` is the name of an environment variable and its value";
        findings.illegal(&at("grpc", "magic_cookie"), message.to_owned(), None);
    }
    if table.auto_mtls == Some(true) {
        let hint = "leave it out: the socket lies in a folder that only the two can reach";
        findings.illegal(
            &at("grpc", "auto_mtls"),
            "`auto_mtls` is not supported".to_owned(),
            Some(hint),
        );
    }
    let mut app_versions = table.app_versions.unwrap_or_else(|| vec![1]);
    app_versions.sort_unstable();
    app_versions.dedup();
    GrpcDetails { cookie_key, cookie_value, app_versions }
}

fn wasm(kind: PluginKind, table: &WasmTable, findings: &mut Findings<'_>) -> WasmDetails {
    match table.world.as_deref() {
        Some(_) if kind == PluginKind::WasmExtism => {
            let message = "a module of the Extism ABI has no `world`".to_owned();
            findings.illegal(&at("wasm", "world"), message, None);
        }
        Some(world) if world != WIT_WORLD => {
            let message = format!("`world` is {}", list_of(&[WIT_WORLD], "or"));
            findings.illegal(&at("wasm", "world"), message, None);
        }
        _ => {}
    }
    WasmDetails {
        isolation: match table.isolation {
            Some(Isolation::InProcess) => WasmIsolation::InProcess,
            Some(Isolation::Process) | None => WasmIsolation::Process,
        },
        fuel: table.fuel.filter(|fuel| *fuel > 0),
    }
}

fn http(table: Option<HttpTable>, findings: &mut Findings<'_>) -> HttpDetails {
    let Some(table) = table else {
        let message = "a plugin of kind `http` needs `[http]` with its `url`".to_owned();
        findings.note(&[Step::Key("plugin")], Mistake::MissingKey, message, None);
        return HttpDetails {
            url: String::new(),
            health: String::new(),
            authentication: HttpAuthentication::None,
        };
    };
    let url = parse_url(&table.url).unwrap_or_else(|message| {
        findings.illegal(&at("http", "url"), message.to_owned(), None);
        String::new()
    });
    let health = table.health.unwrap_or_else(|| "/health".to_owned());
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    if !health.starts_with('/') || health.contains("..") || !health.bytes().all(legal) {
        let message = "`health` is a path that begins with `/`".to_owned();
        findings.illegal(&at("http", "health"), message, None);
    }
    let authentication = table.auth.as_deref().map(HttpAuthentication::parse);
    if authentication == Some(None) {
        let message = "`auth` is `bearer:SECRET` or `mtls:CERTIFICATE,KEY`, with names of secrets";
        findings.illegal(&at("http", "auth"), message.to_owned(), None);
    }
    HttpDetails {
        url,
        health,
        authentication: authentication.flatten().unwrap_or(HttpAuthentication::None),
    }
}

fn is_name(text: &str) -> bool {
    let legal =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 63
        && text.bytes().all(legal)
}
