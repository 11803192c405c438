//! The launcher's executable for this crate's integration tests and measurements.

use std::process::ExitCode;

fn main() -> ExitCode {
    flexcore_sandbox::run_if_launcher(std::env::args_os()).unwrap_or(ExitCode::FAILURE)
}
