//! Calls plugins that are WebAssembly: components and Extism modules.
