//! Compiles `proto/` into message types and into the descriptor set that other crates make their
//! services from. Reads the files itself (protox), so that no protoc has to be installed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

/// Every file, as `import` names it.
const FILES: [&str; 5] = [
    "flexcore/plugin/v1/plugin.proto",
    "goplugin/grpc_broker.proto",
    "goplugin/grpc_controller.proto",
    "goplugin/grpc_stdio.proto",
    "grpc/health/v1/health.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(folder.join("descriptors.bin"), descriptors.encode_to_vec())?;
    prost_build::Config::new()
        // Payloads are handed on without a copy.
        .bytes([".flexcore.plugin.v1"])
        .compile_fds(descriptors)?;
    Ok(())
}
