//! Asking the process that writes a store.

use std::{io, os::fd::AsRawFd, path::Path, time::Duration};

use rustix::fs::{Mode, OFlags};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
};

use super::{Answer, MAX_LINE, Request, SOCKET};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the live writer of a state folder; `None` if there is none.
///
/// # Errors
/// If there is one and it does not answer as it should.
pub(crate) async fn ask(folder: &Path, request: &Request) -> io::Result<Option<Answer>> {
    let Some(stream) = connect(folder).await? else {
        return Ok(None);
    };
    let asked = tokio::time::timeout(PATIENCE, exchange(stream, request)).await;
    asked.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map(Some)
}

/// A connection, or `None` where no process listens.
async fn connect(folder: &Path) -> io::Result<Option<UnixStream>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = match rustix::fs::open(folder, flags, Mode::empty()) {
        Ok(folder) => folder,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let path = format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd());
    match UnixStream::connect(path).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn exchange(mut stream: UnixStream, request: &Request) -> io::Result<Answer> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = String::new();
    BufReader::new(stream.take(MAX_LINE)).read_line(&mut answer).await?;
    Ok(serde_json::from_str(&answer)?)
}
