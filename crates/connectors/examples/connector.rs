//! A native connector as a program of its own: `connector tap-csv --config tap.json`.
//!
//! The shipped binary offers the same as `flexcore plugin run NAME -- ARGS`; tests and measurements
//! use this one, which needs nothing but this crate.

use std::process::ExitCode;

use flexcore_connectors::Environment;

#[expect(
    clippy::disallowed_methods,
    reason = "a program reads its environment once, at its start, and passes it down"
)]
fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let name = arguments.next().unwrap_or_default();
    let environment = Environment::from_variables(std::env::vars_os());
    flexcore_connectors::run(&name.to_string_lossy(), arguments, &environment)
}
