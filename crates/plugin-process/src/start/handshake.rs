//! The first line of a plugin.

use std::os::fd::OwnedFd;

use flexcore_plugin_protocol::{FirstLine, Handshake, HandshakeError, HandshakeOffer, first_line};
use tokio::{io::AsyncReadExt as _, net::unix::pipe};

use crate::error::Fault;

/// Reads the handshake from a plugin's output. Gives back the output and what came with the line.
pub(super) async fn read(
    stdout: OwnedFd,
    (app_versions, socket_folder): (&[u32], &str),
) -> Result<(Handshake, OwnedFd, Vec<u8>), Fault> {
    let machine = |source| Fault::Machine { what: "its output", source };
    let mut receiver = pipe::Receiver::from_owned_fd(stdout).map_err(machine)?;
    let mut bytes = Vec::new();
    let offer = HandshakeOffer { app_versions, socket_folder, multiplex: false };
    let (handshake, rest) = loop {
        match first_line(&bytes) {
            FirstLine::Complete { line, rest } => {
                break (Handshake::parse(line, offer)?, rest.to_vec());
            }
            FirstLine::TooLong => return Err(HandshakeError::TooLong.into()),
            FirstLine::Incomplete => {}
        }
        if receiver.read_buf(&mut bytes).await.map_err(machine)? == 0 {
            return Err(Fault::EndedEarly { status: None });
        }
    };
    let stdout = receiver.into_blocking_fd().map_err(machine)?;
    Ok((handshake, stdout, rest))
}
