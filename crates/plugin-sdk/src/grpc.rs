//! The gRPC services, generated: servers for the SDK, clients for whoever tests a plugin without a
//! host. The messages are in `flexcore-plugin-protocol`.
#![expect(
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]

/// FlexCore's own protocol, version 1.
pub mod v1 {
    tonic::include_proto!("flexcore.plugin.v1");
}

/// What hosts of HashiCorp's go-plugin ask besides.
pub mod goplugin {
    tonic::include_proto!("plugin");
}

/// gRPC's health check.
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}
