//! The protobuf messages: FlexCore's own protocol, what go-plugin's plugins serve besides, and
//! gRPC's health check.
//!
//! Only messages are here. A crate that speaks gRPC makes clients and servers from
//! [`FILE_DESCRIPTORS`] in its build script, with these types for the messages.

/// FlexCore's own protocol, version 1.
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/flexcore.plugin.v1.rs"));
}

/// What plugins of HashiCorp's go-plugin serve besides their own services.
pub mod goplugin {
    include!(concat!(env!("OUT_DIR"), "/plugin.rs"));
}

/// gRPC's health check.
pub mod health {
    include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
}

/// All of these as an encoded `google.protobuf.FileDescriptorSet`, with everything they import.
pub const FILE_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The text of FlexCore's own protocol, for authors of plugins.
pub const PLUGIN_PROTO: &str = include_str!("../proto/flexcore/plugin/v1/plugin.proto");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    #[test]
    fn a_chunk_reads_back() {
        let chunk = v1::DataChunk {
            seq: 7,
            schema_id: 1,
            crc32c: 0xe306_9283,
            records: 1,
            schema: None,
            payload: Some(v1::data_chunk::Payload::Jsonl("{}\n".into())),
        };
        let request =
            v1::ExecuteRequest { message: Some(v1::execute_request::Message::Data(chunk)) };
        let bytes = request.encode_to_vec();
        assert_eq!(v1::ExecuteRequest::decode(bytes.as_slice()), Ok(request));
    }

    #[test]
    fn what_goes_over_the_wire_to_go_plugins_is_fixed() {
        let knock = goplugin::conn_info::Knock { knock: true, ack: true, error: "e".to_owned() };
        let info = goplugin::ConnInfo {
            service_id: 3,
            network: "unix".to_owned(),
            address: "/s".to_owned(),
            knock: Some(knock),
        };
        assert_eq!(
            info.encode_to_vec(),
            b"\x08\x03\x12\x04unix\x1a\x02/s\x22\x07\x08\x01\x10\x01\x1a\x01e"
        );
        let printed = goplugin::StdioData {
            channel: goplugin::stdio_data::Channel::Stderr.into(),
            data: b"x".to_vec(),
        };
        assert_eq!(printed.encode_to_vec(), b"\x08\x02\x12\x01x");
        let health = health::HealthCheckRequest { service: "plugin".to_owned() };
        assert_eq!(health.encode_to_vec(), b"\x0a\x06plugin");
    }

    #[test]
    fn the_descriptors_name_every_service() {
        let text = String::from_utf8_lossy(FILE_DESCRIPTORS);
        for name in ["GRPCBroker", "GRPCController", "GRPCStdio", "Health", "Plugin", "StartStream"]
        {
            assert!(text.contains(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = v1::ExecuteResponse::decode(bytes.as_slice());
            let _ = goplugin::ConnInfo::decode(bytes.as_slice());
        }
    }
}
