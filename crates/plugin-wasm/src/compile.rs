//! From WebAssembly to machine code, within a budget.
//!
//! Compiling is work that somebody else's file asks for, so it is done in a jailed process that is
//! ended when it takes too long. What is plainly too much is refused before.

use std::time::Duration;

use flexcore_plugin_protocol::PluginKind;
use wasmparser::{Encoding, Parser, Payload, WasmFeatures};

use crate::{
    engine,
    task::{Failure, FailureKind},
};

/// What compiling one guest may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileBudget {
    /// The largest file, in bytes.
    pub file_bytes: u64,
    /// The most functions, those of all modules in a component together.
    pub functions: u32,
    /// How long it may take, for a file of 4 MiB or less. Larger ones have more time in proportion:
    /// a program of a script language brings its interpreter along.
    pub time: Duration,
    /// The memory that it may take, in bytes.
    pub memory_bytes: u64,
}

impl Default for CompileBudget {
    /// 64 MiB, 200,000 functions, 10 s for each 4 MiB, 2 GiB of memory.
    fn default() -> Self {
        Self {
            file_bytes: 64 << 20,
            functions: 200_000,
            time: Duration::from_secs(10),
            memory_bytes: 2 << 30,
        }
    }
}

impl CompileBudget {
    /// How long a file of this size may take.
    pub(crate) fn time_for(&self, file_bytes: u64) -> Duration {
        let parts = file_bytes.div_ceil(4 << 20).max(1);
        self.time.saturating_mul(u32::try_from(parts).unwrap_or(u32::MAX))
    }

    /// Refuses what is no component or module, or has too many functions. Reads only the outline.
    pub(crate) fn check(&self, kind: PluginKind, wasm: &[u8]) -> Result<(), Failure> {
        let mut functions: u64 = 0;
        let mut parser = Parser::new(0);
        parser.set_features(WasmFeatures::all());
        let mut is_first = true;
        for payload in parser.parse_all(wasm) {
            match payload.map_err(|error| not_wasm(&error.to_string()))? {
                Payload::Version { encoding, .. } if is_first => {
                    is_first = false;
                    check_encoding(kind, encoding)?;
                }
                Payload::FunctionSection(section) => functions += u64::from(section.count()),
                _ => {}
            }
            if functions > u64::from(self.functions) {
                let message = format!(
                    "it has more than {} functions, which is too much to compile; build it smaller",
                    self.functions
                );
                return Err(Failure::new(FailureKind::TooLarge, message));
            }
        }
        if is_first { Err(not_wasm("it is empty")) } else { Ok(()) }
    }
}

fn check_encoding(kind: PluginKind, encoding: Encoding) -> Result<(), Failure> {
    match (kind, encoding) {
        (PluginKind::WasmComponent, Encoding::Module) => {
            Err(not_wasm("it is a module, and `kind` says that it is a component"))
        }
        (PluginKind::WasmExtism, Encoding::Component) => {
            Err(not_wasm("it is a component, and `kind` says that it is an Extism module"))
        }
        _ => Ok(()),
    }
}

/// Compiles; to be called in a process that may be ended.
pub(crate) fn compile(
    kind: PluginKind,
    wasm: &[u8],
    counts_fuel: bool,
) -> Result<Vec<u8>, Failure> {
    let engine = engine::compiler(counts_fuel)?;
    let compiled = match kind {
        PluginKind::WasmComponent => engine.precompile_component(wasm),
        _ => engine.precompile_module(wasm),
    };
    compiled.map_err(|error| not_wasm(&format!("{error:#}")))
}

pub(crate) fn not_wasm(problem: &str) -> Failure {
    Failure::new(FailureKind::NotWasm, format!("this is no WebAssembly that can be run: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_counted_before_anything_is_compiled() {
        let budget = CompileBudget { functions: 3, ..CompileBudget::default() };
        let module =
            |count: usize| wat::parse_str(format!("(module {})", "(func)".repeat(count))).unwrap();
        assert_eq!(budget.check(PluginKind::WasmExtism, &module(3)), Ok(()));
        let refused = budget.check(PluginKind::WasmExtism, &module(4)).unwrap_err();
        assert_eq!(refused.kind, FailureKind::TooLarge);
        let parts = "(core module (func) (func))".repeat(2);
        let component = wat::parse_str(format!("(component {parts})")).unwrap();
        let refused = budget.check(PluginKind::WasmComponent, &component).unwrap_err();
        assert_eq!(refused.kind, FailureKind::TooLarge);
    }

    #[test]
    fn what_is_no_webassembly_is_refused() {
        let budget = CompileBudget::default();
        let module = wat::parse_str("(module)").unwrap();
        let component = wat::parse_str("(component)").unwrap();
        for (kind, bytes) in [
            (PluginKind::WasmExtism, &b""[..]),
            (PluginKind::WasmExtism, b"\0asm"),
            (PluginKind::WasmExtism, b"#!/bin/sh"),
            (PluginKind::WasmExtism, &module[..6]),
            (PluginKind::WasmExtism, &component),
            (PluginKind::WasmComponent, &module),
        ] {
            let refused = budget.check(kind, bytes).unwrap_err();
            assert_eq!(refused.kind, FailureKind::NotWasm, "{bytes:?}");
        }
        assert_eq!(budget.check(PluginKind::WasmComponent, &component), Ok(()));
    }

    #[test]
    fn larger_files_have_more_time() {
        let budget = CompileBudget { time: Duration::from_secs(1), ..CompileBudget::default() };
        assert_eq!(budget.time_for(1), Duration::from_secs(1));
        assert_eq!(budget.time_for(9 << 20), Duration::from_secs(3));
    }
}
