//! How a host and its worker speak: frames over the worker's standard input and output.
//!
//! A frame is its length (`u32`, little endian, of what follows), a tag (`u8`), the number of the
//! call that it belongs to (`u64`, 0 for none) and a body of at most 16 MiB. What has a structure is
//! JSON; bytes travel behind it as they are.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use flexcore_plugin_protocol::PluginKind;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncReadExt as _, BufReader},
    net::unix::pipe,
    sync::Notify,
};

use crate::{
    cache::HASH,
    guest::WasiRights,
    services::{HttpRefusal, HttpRequest, HttpResponse, Level, SecretRefusal},
    task::{Answer, Description, Failure, Finish, Payload, State},
};

/// The largest frame.
pub(crate) const MAX_FRAME: usize = 16 << 20;
/// Of what is larger, each frame holds so much.
const PART: usize = 4 << 20;
const HEAD: usize = 9;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    /// To the worker: what to load.
    Load = 1,
    /// To the worker: a part of a call's input.
    Input,
    /// To the worker: a call, its input being complete.
    Call,
    /// To the worker: the call is no longer wanted.
    Cancel,
    /// To the worker: the answer to what a guest asked its host.
    Reply,
    /// From the worker: it can be called.
    Ready,
    /// From the worker: it cannot be called.
    Refused,
    /// From the worker: a guest asks its host.
    Ask,
    /// From the worker: a line of the log.
    Log,
    /// From the worker: a part of a call's output.
    Output,
    /// From the worker: a call has ended, its output being complete.
    End,
}

impl Tag {
    const ALL: [Self; 11] = [
        Self::Load,
        Self::Input,
        Self::Call,
        Self::Cancel,
        Self::Reply,
        Self::Ready,
        Self::Refused,
        Self::Ask,
        Self::Log,
        Self::Output,
        Self::End,
    ];
}

/// A frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) tag: Tag,
    pub(crate) call: u64,
    pub(crate) body: Vec<u8>,
}

/// What a worker is to load.
#[derive(Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) is_component: bool,
    pub(crate) path: PathBuf,
    pub(crate) key: [u8; HASH],
    pub(crate) counts_fuel: bool,
    pub(crate) calls: u32,
    pub(crate) rights: WasiRights,
}

impl Load {
    pub(crate) const fn kind(&self) -> PluginKind {
        if self.is_component { PluginKind::WasmComponent } else { PluginKind::WasmExtism }
    }
}

/// What a guest asks its host.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    Secret(String),
    Http(HttpRequest),
}

/// What the host answers.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Secret(Result<String, SecretRefusal>),
    Http(Result<HttpResponse, HttpRefusal>),
}

/// A line of the log; the text follows.
#[derive(Serialize, Deserialize)]
pub(crate) struct LogHead {
    pub(crate) level: Level,
}

/// How a call ended; output came before.
#[derive(Serialize, Deserialize)]
pub(crate) struct End {
    outcome: Result<Ended, Failure>,
    state: State,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ended {
    Description(Description),
    Schema(Option<String>),
    Problems(Vec<(String, String)>),
    Output,
}

impl End {
    /// Takes the output apart from the rest.
    pub(crate) fn of(finish: Finish) -> (Self, Vec<Payload>) {
        let mut output = Vec::new();
        let outcome = finish.outcome.map(|answer| match answer {
            Answer::Description(description) => Ended::Description(description),
            Answer::Schema(schema) => Ended::Schema(schema),
            Answer::Problems(problems) => Ended::Problems(problems),
            Answer::Output(payloads) => {
                output = payloads;
                Ended::Output
            }
        });
        (Self { outcome, state: finish.state }, output)
    }

    /// Puts both together again.
    pub(crate) fn with(self, output: Vec<Payload>) -> Finish {
        let outcome = self.outcome.map(|ended| match ended {
            Ended::Description(description) => Answer::Description(description),
            Ended::Schema(schema) => Answer::Schema(schema),
            Ended::Problems(problems) => Answer::Problems(problems),
            Ended::Output => Answer::Output(output),
        });
        Finish { outcome, state: self.state }
    }
}

/// A structure and the bytes that follow it.
pub(crate) fn pack<T: Serialize>(head: &T, rest: &[u8]) -> io::Result<Vec<u8>> {
    let head = serde_json::to_vec(head)?;
    let length = u32::try_from(head.len()).map_err(|_| bad("a head that is too long"))?;
    Ok([&length.to_le_bytes()[..], &head, rest].concat())
}

/// The reverse.
pub(crate) fn unpack<T: DeserializeOwned>(body: &[u8]) -> io::Result<(T, &[u8])> {
    let (length, rest) = body.split_first_chunk().ok_or_else(|| bad("a body without a head"))?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (head, rest) = rest.split_at_checked(length).ok_or_else(|| bad("a head that is cut"))?;
    Ok((serde_json::from_slice(head)?, rest))
}

/// Payloads as frames: each is cut into parts, and the first byte of a part says whether more follow.
pub(crate) fn parts_of(payload: &Payload) -> Vec<Vec<u8>> {
    let mut bytes = Vec::with_capacity(payload.size() + 1);
    match payload {
        Payload::None => bytes.push(0),
        Payload::Bytes(content) => {
            bytes.push(1);
            bytes.extend_from_slice(content);
        }
        Payload::Records(records) => {
            bytes.push(2);
            for text in records.iter().flat_map(|(name, json)| [name, json]) {
                bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
        }
    }
    let count = bytes.len().div_ceil(PART);
    let part = |(index, part): (usize, &[u8])| [&[u8::from(index + 1 < count)], part].concat();
    bytes.chunks(PART).enumerate().map(part).collect()
}

/// Puts parts together again.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    part: Vec<u8>,
    bytes: u64,
    pub(crate) payloads: Vec<Payload>,
}

impl Assembly {
    /// Takes a part; refuses more than `most` bytes in all.
    pub(crate) fn take(&mut self, part: &[u8], most: u64) -> io::Result<()> {
        let (more, content) = part.split_first().ok_or_else(|| bad("an empty part"))?;
        self.bytes = self.bytes.saturating_add(part.len() as u64);
        if self.bytes > most {
            return Err(bad("more than it may hand over"));
        }
        self.part.extend_from_slice(content);
        if *more == 0 {
            let payload = payload_of(&std::mem::take(&mut self.part));
            self.payloads.push(payload.ok_or_else(|| bad("a payload that is none"))?);
        }
        Ok(())
    }
}

fn payload_of(bytes: &[u8]) -> Option<Payload> {
    let (kind, content) = bytes.split_first()?;
    match kind {
        0 => content.is_empty().then_some(Payload::None),
        1 => Some(Payload::Bytes(content.to_vec())),
        2 => {
            let (mut rest, mut records) = (content, Vec::new());
            while !rest.is_empty() {
                let name = text(&mut rest)?;
                records.push((name, text(&mut rest)?));
            }
            Some(Payload::Records(records))
        }
        _ => None,
    }
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let (length, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (text, after) = after.split_at_checked(length)?;
    *rest = after;
    String::from_utf8(text.to_vec()).ok()
}

pub(crate) fn bad(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}

/// Reads frames.
#[derive(Debug)]
pub(crate) struct Inbox(BufReader<pipe::Receiver>);

impl Inbox {
    pub(crate) fn new(pipe: pipe::Receiver) -> Self {
        Self(BufReader::with_capacity(64 << 10, pipe))
    }

    /// The next frame; `None` at the end.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Frame>> {
        let length = match self.0.read_u32_le().await {
            Ok(length) => usize::try_from(length).unwrap_or(usize::MAX),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        if !(HEAD..=MAX_FRAME + HEAD).contains(&length) {
            return Err(bad("a frame of an impossible length"));
        }
        let tag = self.0.read_u8().await?;
        let tag = Tag::ALL.into_iter().find(|known| *known as u8 == tag);
        let call = self.0.read_u64_le().await?;
        // Memory grows as bytes come, not as a length promises.
        let mut body = Vec::new();
        let wanted = length - HEAD;
        let read = (&mut self.0).take(wanted as u64).read_to_end(&mut body).await?;
        if read < wanted {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(Frame { tag: tag.ok_or_else(|| bad("a frame of no kind"))?, call, body }))
    }
}

/// Writes frames, whole ones always: what the pipe does not take at once waits here.
#[derive(Debug)]
pub(crate) struct Outbox {
    pipe: pipe::Sender,
    waiting: Mutex<VecDeque<u8>>,
    more: Notify,
}

impl Outbox {
    pub(crate) fn new(pipe: pipe::Sender) -> Self {
        Self { pipe, waiting: Mutex::default(), more: Notify::new() }
    }

    /// Sends a frame, or has it wait. An error means that nobody reads any more.
    pub(crate) fn send(&self, tag: Tag, call: u64, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len() + HEAD).ok();
        let length = length.filter(|_| body.len() <= MAX_FRAME);
        let length = length.ok_or_else(|| bad("a frame that is too long"))?;
        let mut frame = Vec::with_capacity(body.len() + HEAD + 4);
        frame.extend_from_slice(&length.to_le_bytes());
        frame.push(tag as u8);
        frame.extend_from_slice(&call.to_le_bytes());
        frame.extend_from_slice(body);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = &frame[..];
        while waiting.is_empty() && !left.is_empty() {
            match self.pipe.try_write(left) {
                Ok(written) => left = &left[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if !left.is_empty() {
            waiting.extend(left);
            self.more.notify_one();
        }
        Ok(())
    }

    /// Writes what waits, until nobody reads any more.
    pub(crate) async fn pump(&self) -> io::Error {
        loop {
            self.more.notified().await;
            while let Err(error) = self.drain() {
                if error.kind() != ErrorKind::WouldBlock {
                    return error;
                }
                if let Err(error) = self.pipe.writable().await {
                    return error;
                }
            }
        }
    }

    fn drain(&self) -> io::Result<()> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while !waiting.is_empty() {
            let written = self.pipe.try_write(waiting.as_slices().0)?;
            waiting.drain(..written);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(payload: &Payload, most: u64) -> io::Result<Vec<Payload>> {
        let mut assembly = Assembly::default();
        for part in parts_of(payload) {
            assembly.take(&part, most)?;
        }
        Ok(assembly.payloads)
    }

    #[test]
    fn payloads_survive_being_cut_into_parts() {
        let record = |size: usize| ("a".to_owned(), "é".repeat(size));
        for payload in [
            Payload::None,
            Payload::Bytes(vec![]),
            Payload::Bytes(vec![7; 3 * PART]),
            Payload::Records(vec![]),
            Payload::Records(vec![record(0), record(PART), record(3)]),
        ] {
            assert!(round(&payload, u64::MAX).unwrap() == [payload]);
        }
        assert!(round(&Payload::Bytes(vec![0; 100]), 50).is_err());
    }

    #[test]
    fn what_is_no_payload_is_refused() {
        for part in
            [&b""[..], b"\0", b"\0\x05", b"\0\0x", b"\0\x02\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert!(Assembly::default().take(part, 100).is_err(), "{part:?}");
        }
        for body in [&b""[..], b"\xff\xff\xff\xff{}", b"\x02\0\0\0[]"] {
            assert!(unpack::<State>(body).is_err(), "{body:?}");
        }
    }

    #[tokio::test]
    async fn frames_go_over_a_pipe_even_if_it_is_full() {
        let (sender, receiver) = pipe::pipe().unwrap();
        let outbox = std::sync::Arc::new(Outbox::new(sender));
        let pumping = tokio::spawn({
            let outbox = std::sync::Arc::clone(&outbox);
            async move { outbox.pump().await }
        });
        let bodies: Vec<Vec<u8>> = (0..40).map(|number| vec![number; 20_000]).collect();
        for (call, body) in (0..).zip(&bodies) {
            outbox.send(Tag::Output, call, body).unwrap();
        }
        assert!(outbox.send(Tag::Output, 1, &vec![0; MAX_FRAME + 1]).is_err());
        let mut inbox = Inbox::new(receiver);
        for (call, body) in (0..).zip(&bodies) {
            let frame = inbox.next().await.unwrap().unwrap();
            assert!((frame.tag, frame.call, &frame.body) == (Tag::Output, call, body));
        }
        pumping.abort();
    }

    #[tokio::test]
    async fn a_lie_about_the_length_is_refused() {
        for length in [0_u32, 8, u32::MAX] {
            let (sender, receiver) = pipe::pipe().unwrap();
            sender.writable().await.unwrap();
            sender.try_write(&length.to_le_bytes()).unwrap();
            sender.try_write(&[0; 20]).unwrap();
            assert!(Inbox::new(receiver).next().await.is_err(), "{length}");
        }
    }
}
