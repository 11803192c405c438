//! The entry point of a plugin: its program and arguments.

use super::at;
use crate::diagnostic::Mistake;
use crate::document::{Step, did_you_mean};
use crate::integrity::ContentPath;
use crate::language::Findings;
use crate::manifest::file::PluginKind;

/// What stands for something else in the arguments of an entry point.
const PLACEHOLDERS: [&str; 4] = ["config", "catalog", "state", "folder"];

pub(super) fn check(kind: PluginKind, entrypoint: &[String], findings: &mut Findings<'_>) {
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
