//! A worker that compiles one file and ends: WebAssembly comes in, machine code or an explanation
//! goes out.

use std::io::{self, Read as _, Write as _};

use flexcore_plugin_protocol::PluginKind;

use crate::{compile, task::Failure, wire::bad};

/// What comes out begins with this where it is code.
const IS_CODE: u8 = 0;
/// What comes out begins with this where it is the JSON of a failure.
const IS_FAILURE: u8 = 1;

pub(super) fn run(kind: &str, counts_fuel: bool) -> io::Result<()> {
    let kinds = [PluginKind::WasmComponent, PluginKind::WasmExtism];
    let kind = kinds.into_iter().find(|known| known.as_str() == kind);
    let kind = kind.ok_or_else(|| bad("there is no such kind of WebAssembly"))?;
    let mut wasm = Vec::new();
    io::stdin().lock().read_to_end(&mut wasm)?;
    let (first, rest) = match compile::compile(kind, &wasm, counts_fuel) {
        Ok(code) => (IS_CODE, code),
        Err(failure) => (IS_FAILURE, serde_json::to_vec(&failure)?),
    };
    let mut output = io::stdout().lock();
    output.write_all(&[first])?;
    output.write_all(&rest)?;
    output.flush()
}

/// What a compiling worker handed over.
pub(crate) fn read(output: &[u8]) -> Option<Result<Vec<u8>, Failure>> {
    let (first, rest) = output.split_first()?;
    match *first {
        IS_CODE => Some(Ok(rest.to_vec())),
        IS_FAILURE => serde_json::from_slice(rest).ok().map(Err),
        _ => None,
    }
}
