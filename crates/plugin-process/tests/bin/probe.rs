//! The launcher's executable in this crate's own tests.

fn main() -> std::process::ExitCode {
    flexcore_sandbox::run_if_launcher(std::env::args_os())
        .unwrap_or(std::process::ExitCode::FAILURE)
}
