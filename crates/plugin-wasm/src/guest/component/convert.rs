//! Payloads between the world's types and ours.

use super::types;
use crate::task::Payload;

pub(super) fn payload_in(payload: Payload) -> types::Payload {
    match payload {
        Payload::None => types::Payload::None,
        Payload::Bytes(bytes) => types::Payload::Bytes(bytes),
        Payload::Records(records) => {
            let record = |(data_stream, json)| types::DataRecord { data_stream, json };
            types::Payload::Records(records.into_iter().map(record).collect())
        }
    }
}

pub(super) fn payload_out(payload: types::Payload) -> Payload {
    match payload {
        types::Payload::None => Payload::None,
        types::Payload::Bytes(bytes) => Payload::Bytes(bytes),
        types::Payload::Records(records) => Payload::Records(
            records.into_iter().map(|record| (record.data_stream, record.json)).collect(),
        ),
    }
}
