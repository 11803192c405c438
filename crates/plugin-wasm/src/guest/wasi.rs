//! WASI, for guests that were built against it: everything that it knows can be asked, and what was
//! not granted is denied. There are no sockets; folders and variables are those that were granted.
//!
//! Without the capability `clock`, the time of day is always the beginning of 1970, and the clock
//! that only goes forward begins at 0 with the call and shows whole milliseconds: enough to wait by,
//! too coarse to measure others by. Random numbers are real; they tell a guest nothing.

use std::{
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    FsPerms, HostMonotonicClock, HostWallClock, WasiCtxBuilder, WasiCtxView, WasiView,
    cli::{IsTerminal, StdoutStream},
    p1::WasiP1Ctx,
    p2::{OutputStream, Pollable, StreamResult},
};

use super::Call;
use crate::{
    services::{Level, LogBudget, Services},
    task::{Failure, FailureKind},
};

/// Numbers the private folders of calls.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// What a guest gets by WASI.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct WasiRights {
    /// Folders and whether it may write there; it sees them under their own paths.
    pub(crate) folders: Vec<(PathBuf, bool)>,
    /// Where each call gets a private folder, `/scratch`, if it may have one.
    pub(crate) scratch: Option<PathBuf>,
    /// Variables.
    pub(crate) environment: Vec<(String, String)>,
    /// Whether it may know the time of day.
    pub(crate) clock: bool,
}

/// WASI as one call sees it.
pub(super) struct Wasi {
    context: WasiP1Ctx,
    output: Option<Lines>,
    scratch: Option<PathBuf>,
}

impl Wasi {
    pub(super) fn new(rights: &WasiRights, services: &Arc<dyn Services>) -> Result<Self, Failure> {
        let output = Lines::new(services);
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(output.clone())
            .stderr(output.clone())
            .max_random_size(1 << 20)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        for (name, value) in &rights.environment {
            wasi.env(name, value);
        }
        if !rights.clock {
            wasi.wall_clock(Stopped).monotonic_clock(Coarse(Instant::now()));
        }
        for (folder, writable) in &rights.folders {
            let perms = if *writable { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            let opened = wasi.preopened_dir(folder, folder.to_string_lossy(), perms);
            opened.map_err(|error| no_folder(folder, &error))?;
        }
        let scratch = rights.scratch.as_ref().map(|all| {
            let name = CALLS.fetch_add(1, Ordering::Relaxed).to_string();
            all.join(name)
        });
        if let Some(folder) = &scratch {
            std::fs::create_dir(folder).map_err(|error| no_folder(folder, &error))?;
            let opened = wasi.preopened_dir(folder, "/scratch", FsPerms::ReadWrite);
            opened.map_err(|error| no_folder(folder, &error))?;
        }
        Ok(Self { context: wasi.build_p1(), output: Some(output), scratch })
    }

    /// WASI for a guest that did not seem to want any: nothing at all.
    fn nothing() -> Self {
        let mut wasi = WasiCtxBuilder::new();
        wasi.wall_clock(Stopped).monotonic_clock(Coarse(Instant::now()));
        Self { context: wasi.build_p1(), output: None, scratch: None }
    }

    /// The form in which modules see it.
    pub(super) fn context(&mut self) -> &mut WasiP1Ctx {
        &mut self.context
    }
}

impl Drop for Wasi {
    fn drop(&mut self) {
        if let Some(output) = &self.output {
            output.finish();
        }
        if let Some(folder) = &self.scratch {
            // What cannot be removed goes with the folder above it.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn no_folder(folder: &std::path::Path, error: &dyn std::fmt::Display) -> Failure {
    let message = format!(
        "the folder {} was granted and cannot be opened ({error}); WebAssembly can be given folders, not single files",
        folder.display()
    );
    Failure::new(FailureKind::Configuration, message)
}

impl WasiView for Call {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi().ctx()
    }
}

impl Call {
    /// The form in which modules see WASI.
    pub(super) fn wasi(&mut self) -> &mut WasiP1Ctx {
        self.wasi.get_or_insert_with(Wasi::nothing).context()
    }
}

/// A time of day that never changes.
struct Stopped;

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

/// Whole milliseconds since the call began.
struct Coarse(Instant);

const MILLISECOND: u64 = 1_000_000;

impl HostMonotonicClock for Coarse {
    fn resolution(&self) -> u64 {
        MILLISECOND
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_mul(MILLISECOND)
    }
}

/// Makes lines of the log of what a guest prints.
#[derive(Clone)]
struct Lines(Arc<Mutex<Printed>>);

struct Printed {
    services: Arc<dyn Services>,
    budget: LogBudget,
    line: Vec<u8>,
}

impl Lines {
    fn new(services: &Arc<dyn Services>) -> Self {
        let services = Arc::clone(services);
        Self(Arc::new(Mutex::new(Printed { services, budget: LogBudget::new(), line: vec![] })))
    }

    fn take(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(bytes);
    }

    /// Writes what came after the last line break.
    fn finish(&self) {
        let mut printed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !printed.line.is_empty() {
            printed.emit();
        }
        if let Some(remark) = printed.budget.remark() {
            printed.services.log(Level::Warn, &remark);
        }
    }
}

impl Printed {
    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let content = piece.strip_suffix(b"\n");
            let kept = content.unwrap_or(piece);
            let room = LogBudget::MAX_LINE.saturating_sub(self.line.len()).min(kept.len());
            self.line.extend_from_slice(&kept[..room]);
            if content.is_some() {
                self.emit();
            }
        }
    }

    fn emit(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        if let Some(text) = self.budget.admit(text.trim_end_matches('\r')) {
            self.services.log(Level::Info, text);
        }
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl AsyncWrite for Lines {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
