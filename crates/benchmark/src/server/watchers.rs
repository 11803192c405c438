//! What a server holds while many watch it live.

use std::path::Path;

use anyhow::ensure;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use super::{PIPELINE, serving::Serving};
use crate::measure::{Measure, Reach};

/// How many watch.
const WATCHERS: usize = 1_000;
/// How many executions are made while they do; each is an event at least.
const EXECUTIONS: usize = 200;

pub(super) fn run(folder: &Path) -> anyhow::Result<Vec<Measure>> {
    let serving = Serving::start(folder, PIPELINE, &["--roles", "api"])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let memory = runtime.block_on(watch(&serving))?;
    serving.end()?;
    Ok(vec![Measure {
        name: format!("memory with {WATCHERS} live watchers, each told {EXECUTIONS} events"),
        value: memory,
        unit: "MB",
        against: None,
        reach: Reach::Below(150.0),
    }])
}

async fn watch(serving: &Serving) -> anyhow::Result<f64> {
    let mut watchers = JoinSet::new();
    for _ in 0..WATCHERS {
        let mut stream = TcpStream::connect(serving.address()).await?;
        let head = serving.head("GET", "events/live");
        stream.write_all(format!("{head}\r\n").as_bytes()).await?;
        let mut buffer = vec![0; 4096];
        let read = stream.read(&mut buffer).await?;
        ensure!(buffer[..read].starts_with(b"HTTP/1.1 200"), "a watcher was refused");
        watchers.spawn(told(stream, buffer));
    }
    let path = "pipelines/orders/executions";
    for _ in 0..EXECUTIONS {
        let (status, body) = serving.ask("POST", path, "{}")?;
        ensure!(status == 202, "{status} {body}");
        // The watchers read in this thread.
        tokio::task::yield_now().await;
    }
    let mut streams = vec![];
    while let Some(told) = watchers.join_next().await {
        streams.push(told??);
    }
    serving.memory()
}

/// Reads until it was told of as many events as there are executions; gives the open stream back.
async fn told(mut stream: TcpStream, mut buffer: Vec<u8>) -> anyhow::Result<TcpStream> {
    let mut seen = 0;
    // A name may come in two pieces.
    let mut line: Vec<u8> = Vec::new();
    while seen < EXECUTIONS {
        let read = stream.read(&mut buffer).await?;
        ensure!(read > 0, "a watcher was dropped after {seen} events");
        for byte in &buffer[..read] {
            if *byte == b'\n' {
                seen += usize::from(line.starts_with(b"event: PipelineExecutionCreated"));
                line.clear();
            } else {
                line.push(*byte);
            }
        }
    }
    Ok(stream)
}
