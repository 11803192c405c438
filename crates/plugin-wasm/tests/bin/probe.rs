//! The executable of the launcher and of workers in this crate's tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = flexcore_sandbox::run_if_launcher(std::env::args_os()) {
        return code;
    }
    flexcore_plugin_wasm::run_if_worker(std::env::args_os()).unwrap_or(ExitCode::FAILURE)
}
