//! Answering other processes while this one writes a store.

use std::{io, os::fd::AsRawFd, path::Path, sync::Arc};

use flexcore_api::ErrorBody;
use flexcore_app::{CommandBus, RequestContext, Services, dispatch};
use rustix::fs::{AtFlags, Mode, OFlags};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    task::JoinHandle,
};

use super::{Answer, MAX_LINE, Request, SOCKET};

/// Answers until it is dropped.
#[derive(Debug)]
pub(crate) struct ControlServer {
    task: JoinHandle<()>,
}

impl ControlServer {
    /// Listens in a state folder whose lock this process holds: a socket that lies there already
    /// belongs to nobody.
    ///
    /// # Errors
    /// If the socket cannot be bound.
    pub(crate) fn listen(
        folder: &Path,
        services: Arc<Services>,
        commands: CommandBus,
    ) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(folder, flags, Mode::empty())?;
        match rustix::fs::unlinkat(&folder, SOCKET, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let path = format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd());
        let listener = UnixListener::bind(&path)?;
        rustix::fs::chmod(path.as_str(), Mode::RUSR | Mode::WUSR)?;
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (services, commands) = (Arc::clone(&services), commands.clone());
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &services, &commands).await {
                        tracing::debug!(%error, "a caller of the control socket went away");
                    }
                });
            }
        });
        Ok(Self { task })
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: UnixStream,
    services: &Services,
    commands: &CommandBus,
) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != rustix::process::geteuid().as_raw() {
        tracing::warn!(uid = peer, "another user tried the control socket and was refused");
        return Ok(());
    }
    let mut line = String::new();
    BufReader::new((&mut stream).take(MAX_LINE)).read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line) {
        Ok(Request::CatchUp) => match services.catch_up().await {
            Ok(()) => Answer::Reply(Value::Null),
            Err(error) => Answer::Error(error.body()),
        },
        Ok(Request::Command(envelope)) => {
            let context = RequestContext::local(format!("uid:{peer}"));
            match dispatch(commands, &context, envelope).await {
                Ok(reply) => Answer::Reply(reply),
                Err(error) => Answer::Error(error),
            }
        }
        Err(error) => Answer::Error(ErrorBody {
            code: "FC0202".to_owned(),
            message: format!("the control socket was sent something else than a request: {error}"),
            hint: None,
        }),
    };
    let mut reply = serde_json::to_vec(&answer)?;
    reply.push(b'\n');
    stream.write_all(&reply).await
}
