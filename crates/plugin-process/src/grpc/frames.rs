//! Messages in a stream of bytes: a flag, a length of four bytes, and the message.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::Message;

use super::GrpcError;

const PREFIX: usize = 5;

/// Messages with their prefixes.
pub(crate) fn encode<'a, M: Message + 'a>(messages: impl IntoIterator<Item = &'a M>) -> Bytes {
    let mut bytes = BytesMut::new();
    for message in messages {
        let length = message.encoded_len();
        bytes.reserve(PREFIX + length);
        bytes.put_u8(0);
        // A message of 4 GiB would have met a limit long before it got here.
        bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        message.encode_raw(&mut bytes);
    }
    bytes.freeze()
}

/// A message that is bytes already, with its prefix.
pub(crate) fn prefixed(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(PREFIX + message.len());
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    bytes.extend_from_slice(message);
    bytes.freeze()
}

/// Cuts a stream of bytes into messages. Keeps no more than one message and what came with its end.
#[derive(Debug)]
pub(super) struct Frames {
    limit: usize,
    buffer: BytesMut,
}

impl Frames {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, buffer: BytesMut::new() }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message. Looks at the announced length before anything is waited for.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, GrpcError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX>() else { return Ok(None) };
        let [flag, length @ ..] = *prefix;
        if flag != 0 {
            return Err(GrpcError::broken("sent a compressed message, which was not agreed on"));
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > self.limit {
            return Err(GrpcError::TooLong { length, limit: self.limit });
        }
        if self.buffer.len() < PREFIX + length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// Whether a message has begun that is not whole.
    pub(super) fn has_half_a_message(&self) -> bool {
        !self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn messages_of(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut frames = Frames::new(100);
        let mut found = Vec::new();
        for chunk in chunks {
            frames.feed(chunk);
            while let Some(message) = frames.next().unwrap() {
                found.push(message.to_vec());
            }
        }
        assert!(!frames.has_half_a_message());
        found
    }

    #[test]
    fn an_announced_length_beyond_the_limit_is_refused_before_it_comes() {
        let mut frames = Frames::new(100);
        frames.feed(&[0, 0xff, 0xff, 0xff, 0xff]);
        assert!(matches!(
            frames.next(),
            Err(GrpcError::TooLong { length: 0xffff_ffff, limit: 100 })
        ));
    }

    #[test]
    fn compressed_messages_are_refused() {
        let mut frames = Frames::new(100);
        frames.feed(&[1, 0, 0, 0, 1, b'x']);
        assert!(frames.next().is_err());
    }

    #[test]
    fn half_a_message_is_noticed() {
        let mut frames = Frames::new(100);
        frames.feed(&prefixed(b"whole")[..7]);
        assert!(matches!(frames.next(), Ok(None)));
        assert!(frames.has_half_a_message());
    }

    proptest! {
        #[test]
        fn messages_read_back_however_they_are_cut(
            messages in vec(vec(any::<u8>(), 0..50), 0..8),
            size in 1_usize..30,
        ) {
            let bytes: Vec<u8> = messages.iter().flat_map(|one| prefixed(one)).collect();
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(messages_of(&chunks), messages);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let mut frames = Frames::new(100);
            frames.feed(&bytes);
            while let Ok(Some(_)) = frames.next() {}
        }
    }
}
