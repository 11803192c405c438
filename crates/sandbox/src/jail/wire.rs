//! What server and init say to each other about a jail. Both are the same binary, so JSON between
//! them needs no versions.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    report::{Control, SandboxReport},
    spec::JailSpec,
};

/// The first byte of a packet that is about the jail; no [`crate::wire::Report`] begins with it.
const ABOUT_JAIL: u8 = b'J';

/// What the init must know beside the program itself. With it come descriptors: one
/// `cgroup.procs` for each group to enter, and one pipe for each secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JailOrder {
    pub(crate) spec: JailSpec,
    /// The user to become, if the init may.
    pub(crate) uid: Option<u32>,
    /// How many groups are to be entered.
    pub(crate) groups: usize,
    /// What the server has found out about the groups.
    pub(crate) controls: Vec<Control>,
    /// The names of the secrets.
    pub(crate) secrets: Vec<String>,
}

impl JailOrder {
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        decode(bytes)
    }
}

/// What the init tells about the jail before the program starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// The packet carries the listener of the grant with this index.
    Listener(usize),
    /// The jail as it stands. If it is refused, this is the last word.
    Built { report: SandboxReport, refused: bool },
    /// A step failed, and with it the start.
    Failed { step: String, what: String, errno: i32 },
}

impl Message {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![ABOUT_JAIL];
        // Only a map with keys that are no strings could fail; there is none.
        bytes.extend(serde_json::to_vec(self).unwrap_or_default());
        bytes
    }

    /// `None` for a packet that is something else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&tag, rest) = bytes.split_first()?;
        (tag == ABOUT_JAIL).then(|| decode(rest)).flatten()
    }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn an_order_survives_its_encoding() {
        let order = JailOrder {
            spec: JailSpec::default(),
            uid: Some(61_007),
            groups: 3,
            controls: Vec::new(),
            secrets: vec!["token".into()],
        };
        assert_eq!(JailOrder::decode(&order.encode()), Some(order));
    }

    #[test]
    fn a_message_survives_its_encoding_and_is_no_report() {
        let message = Message::Failed { step: "mounts".into(), what: "/x".into(), errno: 2 };
        assert_eq!(Message::decode(&message.encode()), Some(message.clone()));
        assert_eq!(crate::wire::Report::decode(&message.encode()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in vec(any::<u8>(), 0..200)) {
            let _ = Message::decode(&bytes);
            let _ = JailOrder::decode(&bytes);
        }
    }
}
