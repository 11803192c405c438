//! A minute at half of what the server can do: no error, steady memory, short answers.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{PIPELINE, load::Load, serving::Serving};
use crate::{
    measure::{Measure, Reach},
    sample::{count, median},
};

/// How long it goes on.
const SOAK: Duration = Duration::from_mins(1);
/// Callers at a time. Each tenth request of one creates an execution, the others read.
const CALLERS: usize = 32;
/// Between two looks at the memory.
const LOOK: Duration = Duration::from_secs(2);

pub(super) fn run(folder: &Path) -> anyhow::Result<Vec<Measure>> {
    let serving = Serving::start(folder, PIPELINE, &["--roles", "api"])?;
    let peak = peak(folder, &serving)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let serving = Arc::new(serving);
    let (memory, mut times) = runtime.block_on(soak(&serving, peak / 2.0))?;
    drop(runtime);
    if let Some(serving) = Arc::into_inner(serving) {
        serving.end()?;
    }
    times.sort_unstable();
    let at = |percent: usize| {
        let time = times.get(times.len().saturating_sub(1) * percent / 100);
        time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    let quarter = memory.len() / 4;
    let (early, late) = (memory.get(quarter..2 * quarter), memory.get(memory.len() - quarter..));
    let middle = |part: Option<&[f64]>| median(part.unwrap_or_default().to_vec());
    let measure =
        |name: String, value, unit, against, reach| Measure { name, value, unit, against, reach };
    let rate = count(times.len()) / SOAK.as_secs_f64();
    Ok(vec![
        measure(
            format!("a minute at half load ({rate:.0} requests/s): p95"),
            at(95),
            "ms",
            None,
            Reach::Below(10.0),
        ),
        measure("the same, p99".to_owned(), at(99), "ms", None, Reach::Below(25.0)),
        measure(
            "the same, memory of its last quarter / of its second".to_owned(),
            middle(late),
            "MB",
            Some(middle(early)),
            Reach::RatioAtMost(1.1),
        ),
    ])
}

/// What the same mixture comes to when nobody waits: a tenth of the requests creates.
fn peak(folder: &Path, serving: &Serving) -> anyhow::Result<f64> {
    let token = serving.token();
    let read = Load::get(serving.api("pipelines/orders")).bearer(token).run(folder)?;
    let body = serde_json::json!({});
    let create = Load::post(serving.api("pipelines/orders/executions"), &body).bearer(token);
    let create = create.run(folder)?;
    Ok(1.0 / (0.9 / read.rate + 0.1 / create.rate))
}

async fn soak(serving: &Arc<Serving>, rate: f64) -> anyhow::Result<(Vec<f64>, Vec<Duration>)> {
    let times = Arc::new(Mutex::new(Vec::new()));
    let mut callers = JoinSet::new();
    let every = Duration::from_secs_f64(count(CALLERS) / rate);
    for number in 0..CALLERS {
        let (serving, times) = (Arc::clone(serving), Arc::clone(&times));
        callers.spawn(async move {
            let taken = call(&serving, number, every).await?;
            times.lock().unwrap_or_else(PoisonError::into_inner).extend(taken);
            anyhow::Ok(())
        });
    }
    let mut memory = vec![];
    let mut look = interval(LOOK);
    loop {
        tokio::select! {
            _ = look.tick() => memory.push(serving.memory()?),
            ended = callers.join_next() => match ended {
                Some(ended) => ended??,
                None => break,
            },
        }
    }
    let times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((memory, times))
}

/// One caller, on one connection, a request at a time at a steady pace.
async fn call(serving: &Serving, number: usize, every: Duration) -> anyhow::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(serving.address()).await?;
    stream.set_nodelay(true)?;
    let read = format!("{}\r\n", serving.head("GET", "pipelines/orders"));
    let head = serving.head("POST", "pipelines/orders/executions");
    let create = format!("{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}");
    let mut pace = interval(every);
    // Whoever is late does not hurry afterwards.
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let began = Instant::now();
    let mut times = vec![];
    let mut buffer = Vec::new();
    for turn in number.. {
        pace.tick().await;
        if began.elapsed() >= SOAK {
            break;
        }
        let creates = turn % 10 == 0;
        let (request, good) =
            if creates { (&create, "HTTP/1.1 202") } else { (&read, "HTTP/1.1 200") };
        let asked = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        let answer = answer(&mut stream, &mut buffer).await?;
        times.push(asked.elapsed());
        ensure!(answer.starts_with(good), "asked {turn} times: {answer}");
    }
    Ok(times)
}

/// The head of the next answer, whose body is read to its end.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<String> {
    buffer.clear();
    let mut piece = [0; 8192];
    loop {
        let read = stream.read(&mut piece).await?;
        ensure!(read > 0, "the server closed the connection");
        buffer.extend_from_slice(&piece[..read]);
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("an answer has a length")?.trim().parse()?;
        if buffer.len() >= end + 4 + length {
            return Ok(head);
        }
    }
}
