//! What a call of a plugin that is a process costs: warm beside a bare gRPC call over a Unix socket,
//! from nothing, and many at the same time. The plugins are ours in Rust, made with the SDK, and one
//! in Go, made with go-plugin.

mod bare;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, ensure};
use flexcore_plugin_process::{ProcessHost, ProcessOptions};
use flexcore_plugin_protocol::{ContentDigest, Effective, Manifest};
use flexcore_plugin_sdk::{
    Call, Failure, Plugin, PluginInfo, PluginType, Records, Setup, Sink, serve,
};
use flexcore_ports::{AttemptLog, CallablePlugin, LogSource, PluginCall, PluginHost as _};
use flexcore_sandbox::{IsolationPolicy, Jailer, JailerOptions, Launcher, LauncherOptions};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::measure::{Measure, Reach};

/// The argument that makes this executable a plugin.
pub(crate) const PLUGIN: &str = "process-plugin";
/// The argument that makes this executable a bare gRPC server.
pub(crate) use bare::{SERVER, serve as serve_bare};

const CALLS: usize = 5_000;
/// Turns in which calls and bare calls alternate.
const TURNS: usize = 4;
const STARTS: usize = 30;
const TOGETHER: usize = 100;
const PAYLOAD: usize = 200;

pub(super) fn run(work: &Path) -> anyhow::Result<Vec<Measure>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let work = work.to_owned();
    // In a task, as the server's calls are.
    runtime.block_on(async move { tokio::spawn(measure(work)).await? })
}

async fn measure(work: PathBuf) -> anyhow::Result<Vec<Measure>> {
    let bench = Bench::new(&work).await?;
    let mut measures = round_trips(&bench).await?;
    measures.push(cold_start(&bench, &bench.native(1), "native process", 20.0).await?);
    measures.push(cold_start(&bench, &bench.go()?, "Go plugin", 30.0).await?);
    measures.push(together(&bench).await?);
    bench.host.close().await;
    Ok(measures)
}

async fn round_trips(bench: &Bench) -> anyhow::Result<Vec<Measure>> {
    let plugin = bench.native(1);
    let bare = bare::Bare::start().await?;
    let text = "x".repeat(PAYLOAD);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        // The first turn warms.
        let (mut times, mut bare_times) = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            bare_times.push(bare.call(&text).await?);
        }
        for _ in 0..CALLS {
            let call = call("", json!({ "text": text }));
            let began = Instant::now();
            bench.execute(&plugin, call).await?;
            times.push(began.elapsed());
        }
        if turn > 0 {
            ours.append(&mut times);
            theirs.append(&mut bare_times);
        }
    }
    let (ours, theirs) = (Spread::of(ours, 1e6), Spread::of(theirs, 1e6));
    let row = |name: &str, value, against, reach| Measure {
        name: name.to_owned(),
        value,
        unit: "µs",
        against,
        reach,
    };
    Ok(vec![
        row("pooled process plugin, execute, 200 bytes, p50", ours.p50, None, Reach::Below(100.0)),
        row(
            &format!("the same, p99 (the bare call's {:.0})", theirs.p99),
            ours.p99,
            None,
            Reach::Below(300.0),
        ),
        row(
            "the same, p50, beside a bare gRPC unary call",
            ours.p50,
            Some(theirs.p50),
            Reach::RatioAtMost(2.0),
        ),
    ])
}

/// From no process to the answer of the first call.
async fn cold_start(
    bench: &Bench,
    plugin: &CallablePlugin,
    name: &str,
    reach: f64,
) -> anyhow::Result<Measure> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        bench.host.release(&plugin.digest).await;
        let input = if name == "Go plugin" { json!([{"name": "Ada"}]) } else { json!({}) };
        let began = Instant::now();
        bench.execute(plugin, call("", input)).await?;
        times.push(began.elapsed());
    }
    let spread = Spread::of(times, 1e3);
    let name = format!("cold start to first answer, {name}, p50 (p99 {:.1})", spread.p99);
    Ok(Measure { name, value: spread.p50, unit: "ms", against: None, reach: Reach::Below(reach) })
}

/// Many calls of a second each, from no process, each in a process of its own.
async fn together(bench: &Bench) -> anyhow::Result<Measure> {
    let plugin = bench.native(TOGETHER);
    bench.host.release(&plugin.digest).await;
    let began = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..TOGETHER {
        let call = call("second", json!({}));
        let (host, plugin, log) = (Arc::clone(&bench.host), plugin.clone(), Arc::clone(&bench.log));
        calls.spawn(async move {
            let cancel = CancellationToken::new();
            host.execute(&plugin, call, log, cancel).await.outcome
        });
    }
    while let Some(end) = calls.join_next().await {
        end?.map_err(|error| anyhow!("{error:?}"))?;
    }
    Ok(Measure {
        name: format!("{TOGETHER} calls of 1 s at the same time, each in a process of its own"),
        value: began.elapsed().as_secs_f64(),
        unit: "s",
        against: None,
        reach: Reach::Below(1.5),
    })
}

/// A host, and the plugins.
struct Bench {
    host: Arc<ProcessHost>,
    log: Arc<dyn AttemptLog>,
    executable: PathBuf,
    folder: PathBuf,
    _run: tempfile::TempDir,
}

impl Bench {
    async fn new(work: &Path) -> anyhow::Result<Self> {
        let launcher = Launcher::start(LauncherOptions {
            executable: "/proc/self/exe".into(),
            lock_path: work.join("process-launcher.lock"),
            lock_patience: Duration::ZERO,
            environment: Vec::new(),
            isolation: IsolationPolicy::Strongest,
        });
        let jailer = Jailer::new(launcher.await?, JailerOptions::default());
        // Sockets need short paths, and those of a work folder are long.
        let run = tempfile::Builder::new().prefix("fx").tempdir()?;
        let host = ProcessHost::new(Arc::new(jailer), ProcessOptions::new(run.path()));
        Ok(Self {
            host: Arc::new(host),
            log: Arc::new(Discard),
            executable: std::env::current_exe()?,
            folder: work.to_owned(),
            _run: run,
        })
    }

    /// This executable as a plugin, with so many processes at most.
    fn native(&self, max: usize) -> CallablePlugin {
        let entrypoint = format!("[{:?}, \"{PLUGIN}\"]", self.executable.to_string_lossy());
        plugin("benchmark", &entrypoint, max, None)
    }

    /// The plugin in Go that `make setup` built.
    fn go(&self) -> anyhow::Result<CallablePlugin> {
        let folder = self.folder.join("go");
        std::fs::create_dir_all(&folder)?;
        let target = crate::target_folder();
        let program = target.with_file_name(".cache").join("go/bin/go-greeter");
        std::fs::copy(&program, folder.join("go-greeter"))
            .with_context(|| format!("{}: `make setup` builds it", program.display()))?;
        Ok(plugin("go-greeter", "[\"go-greeter\"]", 1, Some(folder)))
    }

    async fn execute(&self, plugin: &CallablePlugin, call: PluginCall) -> anyhow::Result<()> {
        let cancel = CancellationToken::new();
        let end = self.host.execute(plugin, call, Arc::clone(&self.log), cancel).await;
        let output = end.outcome.map_err(|error| anyhow!("{error:?}"))?;
        ensure!(output.result.is_some() || !output.records.is_empty(), "there is an answer");
        Ok(())
    }
}

fn call(operation: &str, input: Value) -> PluginCall {
    PluginCall {
        id: "ex_1/step/1".to_owned(),
        idempotency_key: "ex_1/step".to_owned(),
        attempt: 1,
        operation: operation.to_owned(),
        config: json!({}),
        input,
        state: None,
        secrets: Vec::new(),
        timeout: Some(Duration::from_mins(1)),
        trace: None,
    }
}

fn plugin(name: &str, entrypoint: &str, max: usize, folder: Option<PathBuf>) -> CallablePlugin {
    let text = format!(
        "manifest = 1\n[plugin]\nname = \"{name}\"\nversion = \"1.0.0\"\nkind = \"process\"\n\
         type = \"processor\"\nentrypoint = {entrypoint}\n\
         [pool]\nmax = {max}\nmax_uses = 4000000000\nmax_age = \"7d\"\n"
    );
    let manifest = Manifest::parse("plugin.toml", &text).expect("the manifest is right");
    CallablePlugin {
        digest: ContentDigest::of(text.as_bytes()),
        manifest: Arc::new(manifest),
        folder,
        effective: Effective::default(),
        tenant: "default".to_owned(),
    }
}

/// This executable as a plugin.
pub(crate) fn serve_plugin() -> ExitCode {
    serve(Echo)
}

struct Echo;

impl Plugin for Echo {
    type Session = ();

    fn info(&self) -> PluginInfo {
        PluginInfo::new("benchmark", "1.0.0", PluginType::Processor)
    }

    async fn initialize(&self, _setup: Setup) -> Result<(), Failure> {
        Ok(())
    }

    async fn execute(
        &self,
        (): &(),
        call: &Call,
        _records: &mut Records,
        _sink: &mut Sink,
    ) -> Result<Value, Failure> {
        if call.operation == "second" {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        call.parameters()
    }
}

#[derive(Debug)]
struct Discard;

impl AttemptLog for Discard {
    fn line(&self, _source: LogSource, _text: &str) {}
}

/// Where times lie.
struct Spread {
    p50: f64,
    p99: f64,
}

impl Spread {
    /// In a unit of which a second has so many.
    fn of(mut times: Vec<Duration>, unit: f64) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let time = times.get(times.len().saturating_sub(1) * percent / 100);
            time.map_or(f64::NAN, |time| time.as_secs_f64() * unit)
        };
        Self { p50: at(50), p99: at(99) }
    }
}
