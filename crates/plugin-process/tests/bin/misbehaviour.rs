//! A plugin for the tests of the host that does one thing wrong, named by its first argument; `good`
//! does everything right. The second argument is how many calls it takes at the same time.
//!
//! Written on HTTP/2 frames and, where those are right too often, on the bare socket.

#[path = "misbehaviour/answers.rs"]
mod answers;
#[path = "misbehaviour/raw.rs"]
mod raw;

use std::{io::Write as _, path::PathBuf};

use bytes::{Buf as _, Bytes, BytesMut};
use flexcore_plugin_protocol::protobuf::v1::{self, execute_request::Message as Asked};
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, Request, Response};
use prost::Message;
use tokio::net::{UnixListener, UnixStream};

/// What a handler of a call works with.
pub(crate) struct Plugin {
    pub(crate) mode: String,
    pub(crate) concurrent: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mode = std::env::args().nth(1).expect("a mode");
    let concurrent = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(0);
    let folder = std::env::var_os("PLUGIN_UNIX_SOCKET_DIR").expect("run by a host");
    let socket = PathBuf::from(folder).join("socket");
    let listener = UnixListener::bind(&socket).expect("the folder can be written");
    let mut line = format!("1|1|unix|{}|grpc\n", socket.display());
    if mode == "second-line" {
        line.push_str("1|1|unix|/somewhere/else|grpc\n");
    }
    std::io::stdout().write_all(line.as_bytes()).expect("somebody reads");
    let plugin: &'static Plugin = Box::leak(Box::new(Plugin { mode, concurrent }));
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        tokio::spawn(async move {
            if let Some(stream) = raw::speak(&plugin.mode, stream).await {
                serve(plugin, stream).await;
            }
        });
    }
}

/// Serves a connection as HTTP/2.
pub(crate) async fn serve(plugin: &'static Plugin, stream: UnixStream) {
    let mut builder = h2::server::Builder::new();
    builder.max_send_buffer_size(64 << 20);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(async move {
            // A host that went away is the end of a call.
            let _ = answers::answer(plugin, request, respond).await;
        });
    }
}

/// Messages of a request.
pub(crate) struct Messages {
    body: RecvStream,
    buffer: BytesMut,
}

impl Messages {
    pub(crate) fn new(request: Request<RecvStream>) -> Self {
        Self { body: request.into_body(), buffer: BytesMut::new() }
    }

    pub(crate) async fn next<M: Message + Default>(&mut self) -> Option<M> {
        loop {
            if self.buffer.len() >= 5 {
                let length = u32::from_be_bytes(self.buffer[1..5].try_into().ok()?) as usize;
                if self.buffer.len() >= 5 + length {
                    self.buffer.advance(5);
                    return M::decode(self.buffer.split_to(length)).ok();
                }
            }
            let data = self.body.data().await?.ok()?;
            self.body.flow_control().release_capacity(data.len()).ok()?;
            self.buffer.extend_from_slice(&data);
        }
    }

    /// Waits for the end of the input; gives back how an execution begins.
    pub(crate) async fn all(&mut self) -> Option<v1::BeginExecution> {
        let mut begin = None;
        loop {
            match self.next::<v1::ExecuteRequest>().await?.message? {
                Asked::Begin(found) => begin = Some(found),
                Asked::EndOfInput(_) => return begin,
                _ => {}
            }
        }
    }
}

/// Where the answer to one call goes.
pub(crate) struct Answer(h2::SendStream<Bytes>);

impl Answer {
    pub(crate) fn open(mut respond: SendResponse<Bytes>) -> Result<Self, h2::Error> {
        respond.send_response(grpc(), false).map(Self)
    }

    pub(crate) fn message(&mut self, message: &impl Message) -> Result<(), h2::Error> {
        self.bytes(framed(message))
    }

    pub(crate) fn bytes(&mut self, bytes: impl Into<Bytes>) -> Result<(), h2::Error> {
        self.0.send_data(bytes.into(), false)
    }

    /// Waits until the host takes so much more.
    pub(crate) async fn wait_for_room(&mut self, bytes: usize) {
        self.0.reserve_capacity(bytes);
        while self.0.capacity() < bytes {
            if !matches!(std::future::poll_fn(|cx| self.0.poll_capacity(cx)).await, Some(Ok(_))) {
                return;
            }
        }
    }

    pub(crate) fn ok(&mut self) -> Result<(), h2::Error> {
        self.status("0", "")
    }

    pub(crate) fn status(&mut self, code: &str, message: &str) -> Result<(), h2::Error> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", code.parse().expect("a header"));
        trailers.insert("grpc-message", message.parse().expect("a header"));
        self.0.send_trailers(trailers)
    }

    pub(crate) fn end(&mut self) -> Result<(), h2::Error> {
        self.0.send_data(Bytes::new(), true)
    }

    pub(crate) fn reset(&mut self) {
        self.0.send_reset(h2::Reason::INTERNAL_ERROR);
    }
}

pub(crate) fn grpc() -> Response<()> {
    let mut response = Response::new(());
    let content = "application/grpc".parse().expect("a header");
    response.headers_mut().insert("content-type", content);
    response
}

pub(crate) fn framed(message: &impl Message) -> Bytes {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&u32::try_from(message.encoded_len()).expect("short").to_be_bytes());
    bytes.extend_from_slice(&message.encode_to_vec());
    bytes.into()
}
