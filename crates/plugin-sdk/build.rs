//! Makes the gRPC services from the descriptors of `flexcore-plugin-protocol`, whose message types
//! they use.

use std::{env, error::Error, fs};

use prost::Message;
use tonic_prost_build::FileDescriptorSet;

/// Where the messages of each protobuf package are.
const PACKAGES: [(&str, &str); 3] = [
    (".flexcore.plugin.v1", "::flexcore_plugin_protocol::protobuf::v1"),
    (".plugin", "::flexcore_plugin_protocol::protobuf::goplugin"),
    (".grpc.health.v1", "::flexcore_plugin_protocol::protobuf::health"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let file = env::var_os("DEP_FLEXCORE_PLUGIN_PROTOCOL_DESCRIPTORS")
        .ok_or("flexcore-plugin-protocol says where its descriptors lie")?;
    let descriptors = FileDescriptorSet::decode(fs::read(file)?.as_slice())?;
    let mut builder = tonic_prost_build::configure().build_transport(false);
    for (package, path) in PACKAGES {
        builder = builder.extern_path(package, path);
    }
    builder.compile_fds(descriptors)?;
    Ok(())
}
