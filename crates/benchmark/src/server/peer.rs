//! The least that a server on the same libraries can do: an axum handler that answers bytes from
//! memory, in a process of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;
use axum::{Router, http::header, routing::get};

/// The argument that makes this executable that server.
pub(crate) const PEER: &str = "http-peer";

/// Answers the bytes of a file at every request, until it is killed.
pub(crate) fn serve(file: &Path) -> anyhow::Result<()> {
    let bytes = bytes::Bytes::from(fs::read(file)?);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let mut said = std::io::stdout().lock();
        std::io::Write::write_fmt(&mut said, format_args!("{}\n", listener.local_addr()?))?;
        drop(said);
        let answer = || async move { ([(header::CONTENT_TYPE, "application/json")], bytes) };
        Ok(axum::serve(listener, Router::new().route("/", get(answer))).await?)
    })
}

/// That process, ended with this.
pub(super) struct Peer {
    process: Child,
    url: String,
}

impl Peer {
    pub(super) fn start(file: &Path, bytes: &[u8]) -> anyhow::Result<Self> {
        fs::write(file, bytes)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(PEER).arg(file).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let said = process.stdout.take().context("its output")?;
        let mut address = String::new();
        BufReader::new(said).read_line(&mut address)?;
        Ok(Self { process, url: format!("http://{}/", address.trim()) })
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
