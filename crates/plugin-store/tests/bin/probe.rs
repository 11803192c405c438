//! The launcher's executable in this crate's integration tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    flexcore_sandbox::run_if_launcher(std::env::args_os()).unwrap_or(ExitCode::FAILURE)
}
