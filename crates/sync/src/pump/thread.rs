//! The pump on a thread of its own: blocking pipes at both ends, nothing of the runtime in between.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use flexcore_ports::{AttemptLog, LogSource};
use tokio::sync::{mpsc, oneshot};

use super::{Counts, Listener, Pump, PumpError};
use crate::text::excerpt;

/// Lines that are no messages are shown in the log up to this many; the rest is only counted.
const SHOWN_REJECTIONS: u64 = 100;

/// What the pump is given.
pub(crate) struct PumpOrder {
    /// The tap's standard output.
    pub(crate) source: OwnedFd,
    /// The target's standard input.
    pub(crate) sink: OwnedFd,
    /// The longest line that may pass, in bytes.
    pub(crate) max_line: u64,
    /// The tap's name, for the log.
    pub(crate) tap: String,
    /// Takes note of lines that are no messages.
    pub(crate) log: Arc<dyn AttemptLog>,
    /// Takes each distinct SCHEMA line: its stream and the line.
    pub(crate) schemas: mpsc::Sender<(String, Vec<u8>)>,
}

/// What can be seen of a running pump.
#[derive(Debug, Default)]
pub(crate) struct PumpView {
    counts: Mutex<Counts>,
    input_ended: AtomicBool,
}

impl PumpView {
    /// The counts so far; the pump waits while they are held.
    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether we ended the target's input. True before the target can see that: a target that ends
    /// while this is false ended too early.
    pub(crate) fn has_ended_input(&self) -> bool {
        self.input_ended.load(Ordering::Acquire)
    }
}

/// A pump that has ended.
pub(crate) struct PumpEnd {
    pub(crate) result: Result<(), PumpError>,
    /// Another reading end of the target's pipe: what is left in it when the target has ended was
    /// never read.
    unread: Option<File>,
    /// Held open until the tap was dealt with: closing it would make the tap fail by itself.
    _source: Option<File>,
}

impl PumpEnd {
    /// What stands for the end of a pump that panicked: its files were closed then.
    pub(crate) const fn panicked() -> Self {
        Self { result: Ok(()), unread: None, _source: None }
    }

    /// Bytes that the target, which has ended, left in its input.
    pub(crate) fn bytes_unread(&self) -> u64 {
        let unread = self.unread.as_ref().map(|pipe| rustix::io::ioctl_fionread(pipe.as_fd()));
        unread.and_then(Result::ok).unwrap_or(0)
    }
}

/// Starts a pump; its end comes over the channel.
pub(crate) fn start(order: PumpOrder) -> io::Result<(Arc<PumpView>, oneshot::Receiver<PumpEnd>)> {
    let view = Arc::new(PumpView::default());
    let (ended, end) = oneshot::channel();
    let in_thread = Arc::clone(&view);
    thread::Builder::new().name("pump".to_owned()).spawn(move || {
        // Nobody waits any more if the attempt was dropped.
        let _ = ended.send(pump(order, &in_thread));
    })?;
    Ok((view, end))
}

fn pump(order: PumpOrder, view: &PumpView) -> PumpEnd {
    let PumpOrder { source, sink, max_line, tap, log, schemas } = order;
    let (mut source, mut sink) = (File::from(source), File::from(sink));
    let mut listener = LogAndChannel { tap, log, schemas, shown: 0 };
    let max_line = usize::try_from(max_line).unwrap_or(usize::MAX);
    let mut pump = Pump::new(&mut sink, max_line, &view.counts);
    let result = pump.run(&mut source, &mut listener);
    let mut unread = None;
    if !matches!(result, Err(PumpError::TargetClosed)) {
        // Opening the pipe anew by its descriptor gives a reading end, see proc_pid_fd(5).
        unread = File::open(format!("/proc/self/fd/{}", sink.as_raw_fd())).ok();
        view.input_ended.store(true, Ordering::Release);
    }
    drop(sink);
    PumpEnd { result, unread, _source: Some(source) }
}

struct LogAndChannel {
    tap: String,
    log: Arc<dyn AttemptLog>,
    schemas: mpsc::Sender<(String, Vec<u8>)>,
    shown: u64,
}

impl Listener for LogAndChannel {
    fn schema(&mut self, stream: &str, line: &[u8]) {
        // The other side ends only with the attempt.
        let _ = self.schemas.blocking_send((stream.to_owned(), line.to_owned()));
    }

    fn rejected(&mut self, number: u64, line: &[u8]) {
        self.shown += 1;
        if self.shown > SHOWN_REJECTIONS {
            return;
        }
        let (tap, line) = (&self.tap, excerpt(line));
        let text = format!(
            "tap `{tap}`: line {number} of its output is no Singer message and was not handed over: {line}"
        );
        self.log.line(LogSource::Runner, &text);
        if self.shown == SHOWN_REJECTIONS {
            let text = format!("tap `{tap}`: further lines like these are only counted");
            self.log.line(LogSource::Runner, &text);
        }
    }
}
