//! Serves a processor by name: `plugin-serve NAME`, as the product's executable does.

use std::process::ExitCode;

fn main() -> ExitCode {
    let name = std::env::args().nth(2).unwrap_or_default();
    flexcore_processors::serve(&name)
}
