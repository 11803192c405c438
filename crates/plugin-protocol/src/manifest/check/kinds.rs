//! What a manifest says for its kind of plugin alone.

use super::at;
use crate::capability::VariableName;
use crate::diagnostic::Mistake;
use crate::document::{Step, list_of};
use crate::language::Findings;
use crate::manifest::PLUGIN_API;
use crate::manifest::details::{
    GrpcDetails, HttpAuthentication, HttpDetails, KindDetails, WasmDetails, WasmIsolation,
    parse_url,
};
use crate::manifest::file::{GrpcTable, HttpTable, Isolation, ManifestFile, PluginKind, WasmTable};
use crate::wit::WIT_WORLD;

/// Sections of another kind have no effect, so they are a mistake.
pub(super) fn check_sections(file: &ManifestFile, findings: &mut Findings<'_>) {
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

/// The details of a kind, from its section.
pub(super) fn details(
    kind: PluginKind,
    (grpc_table, wasm_table, http_table): (Option<GrpcTable>, Option<WasmTable>, Option<HttpTable>),
    findings: &mut Findings<'_>,
) -> KindDetails {
    match kind {
        PluginKind::Process => KindDetails::Process(grpc(grpc_table, findings)),
        PluginKind::Singer => KindDetails::Singer,
        PluginKind::Command => KindDetails::Command,
        PluginKind::WasmComponent | PluginKind::WasmExtism => {
            KindDetails::Wasm(wasm(kind, &wasm_table.unwrap_or_default(), findings))
        }
        PluginKind::Http => KindDetails::Http(http(http_table, findings)),
    }
}

fn grpc(table: Option<GrpcTable>, findings: &mut Findings<'_>) -> GrpcDetails {
    let table = table.unwrap_or_default();
    let cookie = table.magic_cookie.unwrap_or_default();
    let (cookie_key, cookie_value) = match <[String; 2]>::try_from(cookie) {
        Ok([key, value]) => (key, value),
        Err(_) => ("FLEXCORE_PLUGIN".to_owned(), PLUGIN_API.to_owned()),
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
        findings.illegal_secret(&at("http", "auth"), message.to_owned());
    }
    HttpDetails {
        url,
        health,
        authentication: authentication.flatten().unwrap_or(HttpAuthentication::None),
    }
}
