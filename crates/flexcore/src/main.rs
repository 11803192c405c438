//! The one binary: configuration, wiring and lifecycle.
//!
//! Several programs in one file, told apart by their first arguments: the launcher (see `sandbox`), a
//! native connector (`plugin run NAME --`), a plugin of FlexCore's own (`plugin-serve NAME`), a
//! worker for WebAssembly (`wasm-worker`), and everything else, the command line. Adapters are
//! named here and nowhere else.

mod callers;
mod checkpoints;
mod clock;
mod conformance;
mod control;
mod doctor;
mod grants;
mod host;
mod lease;
mod node;
mod observe;
mod paths;
mod plugin_files;
mod plugins;
mod reader;
mod run_folder;
mod sandbox;
mod secrets;
mod serve;
mod serving;
mod settings;
mod store;
mod transfer;
mod writer;

use std::{ffi::OsString, process::ExitCode};

use flexcore_cli::Terminal;
use host::BinaryHost;
use observe::Observability;

fn main() -> ExitCode {
    if let Some(code) = flexcore_sandbox::run_if_launcher(std::env::args_os()) {
        return code;
    }
    if let Some(code) = flexcore_plugin_wasm::run_if_worker(std::env::args_os()) {
        return code;
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // A connector is spawned for every sync: it starts without a runtime and its threads.
    if let Some((name, arguments)) = connector_of(&arguments) {
        return host::run_connector(&name, arguments);
    }
    // A plugin of ours is started again and again too.
    if let Some(name) = served_plugin(&arguments) {
        return flexcore_processors::serve(&name);
    }
    let mut terminal = Terminal::of_process();
    let cli = match flexcore_cli::parse(&arguments, &mut terminal) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let observability = Observability::start(cli.log_level());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the system gave no threads");
            return ExitCode::from(5);
        }
    };
    let host = BinaryHost::of_this_process(observability);
    runtime.block_on(flexcore_cli::execute(cli, &host, terminal))
}

/// `plugin run NAME [--] ARGS…`, if that is what the arguments say.
fn connector_of(arguments: &[OsString]) -> Option<(String, Vec<OsString>)> {
    let [_, plugin, run, name, rest @ ..] = arguments else {
        return None;
    };
    if plugin != "plugin" || run != "run" || rest.first().is_none_or(|first| first != "--") {
        return None;
    }
    Some((name.to_str()?.to_owned(), rest[1..].to_vec()))
}

/// `plugin-serve NAME`, if that is what the arguments say.
fn served_plugin(arguments: &[OsString]) -> Option<String> {
    match arguments {
        [_, verb, name] if verb == plugins::SERVE => Some(name.to_str()?.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn a_connector_is_told_by_its_words() {
        let found = connector_of(&words("flexcore plugin run tap-csv -- --config c.json"));
        assert_eq!(found, Some(("tap-csv".to_owned(), words("--config c.json"))));
        assert_eq!(connector_of(&words("flexcore run tap-csv -- x")), None);
        assert_eq!(connector_of(&words("flexcore plugin run --help")), None);
    }
}
