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
    let descriptors_file = folder.join("descriptors.bin");
    fs::write(&descriptors_file, descriptors.encode_to_vec())?;
    // For the build scripts of whoever makes services: DEP_FLEXCORE_PLUGIN_PROTOCOL_DESCRIPTORS.
    println!("cargo::metadata=descriptors={}", descriptors_file.display());
    prost_build::Config::new()
        // Payloads are handed on without a copy.
        .bytes([".flexcore.plugin.v1"])
        .compile_fds(descriptors)?;
    Ok(())
}
