//! What a call of WebAssembly costs: each in a fresh instance, in this process and in a worker,
//! beside bare wasmtime; and how soon a plugin that was compiled before answers.

mod bare;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use flexcore_plugin_protocol::{
    Capabilities, Capability, CapabilityKind, ContentDigest, Effective, Manifest, SecretName,
};
use flexcore_plugin_wasm::{WasmHost, WasmOptions};
use flexcore_ports::{AttemptLog, CallablePlugin, LogSource, PluginCall, PluginHost as _};
use flexcore_sandbox::{IsolationPolicy, Jailer, JailerOptions, Launcher, LauncherOptions};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::measure::{Measure, Reach};

const CALLS: usize = 20_000;
/// Turns in which calls and bare calls alternate.
const TURNS: usize = 4;
const STARTS: usize = 30;

/// A module that answers its input.
const ECHO: &str = r#"(module
    (import "extism:host/env" "input_offset" (func $offset (result i64)))
    (import "extism:host/env" "input_length" (func $length (result i64)))
    (import "extism:host/env" "output_set" (func $answer (param i64 i64)))
    (memory (export "memory") 1)
    (func (export "execute") (result i32)
      (call $answer (call $offset) (call $length)) (i32.const 0)))"#;

pub(super) fn run(work: &Path) -> anyhow::Result<Vec<Measure>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let work = work.to_owned();
    // In a task, as the server's calls are.
    runtime.block_on(async move { tokio::spawn(measure(work)).await? })
}

async fn measure(work: PathBuf) -> anyhow::Result<Vec<Measure>> {
    let bench = Bench::new(&work).await?;
    let wasm = wat::parse_str(ECHO)?;
    let mut measures = in_process(&bench, &wasm).await?;
    measures.extend(in_worker(&bench, &wasm).await?);
    let small = bench.plugin("echo", "wasm-extism", &wasm, "process")?;
    measures.push(cold_start(&bench, &small, json!(1), "WASM from cache", 5.0).await?);
    let python = bench.python()?;
    let records = json!([{ "email": "a@b" }]);
    let name = "18 MB Python component from cache";
    measures.push(cold_start(&bench, &python, records, name, 60.0).await?);
    Ok(measures)
}

async fn in_process(bench: &Bench, wasm: &[u8]) -> anyhow::Result<Vec<Measure>> {
    let plugin = bench.plugin("echo", "wasm-extism", wasm, "inprocess")?;
    let bare = bare::Bare::new(wasm)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        // The first turn warms.
        let bare_times = bare.calls(CALLS)?;
        let times = bench.calls(&plugin, CALLS).await?;
        if turn > 0 {
            ours.extend(times);
            theirs.extend(bare_times);
        }
    }
    let (ours, theirs) = (Spread::of(ours, 1e6), Spread::of(theirs, 1e6));
    let name = "WASM call with a fresh instance, in process, p50";
    Ok(vec![
        row(name, ours.p50, None, Reach::Below(5.0)),
        row("the same, p99", ours.p99, None, Reach::Below(20.0)),
        row(
            "the same, p50, beside bare wasmtime",
            ours.p50,
            Some(theirs.p50),
            Reach::RatioAtMost(3.0),
        ),
    ])
}

async fn in_worker(bench: &Bench, wasm: &[u8]) -> anyhow::Result<Vec<Measure>> {
    let plugin = bench.plugin("echo", "wasm-extism", wasm, "process")?;
    bench.calls(&plugin, CALLS / 4).await?;
    let times = Spread::of(bench.calls(&plugin, CALLS).await?, 1e6);
    let name = format!("WASM call with a fresh instance, in a worker, p99 (p50 {:.1})", times.p50);
    Ok(vec![row(&name, times.p99, None, Reach::Below(60.0))])
}

fn row(name: &str, value: f64, against: Option<f64>, reach: Reach) -> Measure {
    Measure { name: name.to_owned(), value, unit: "µs", against, reach }
}

/// From no process to the answer of the first call, compiled before.
async fn cold_start(
    bench: &Bench,
    plugin: &CallablePlugin,
    input: Value,
    name: &str,
    reach: f64,
) -> anyhow::Result<Measure> {
    bench.execute(plugin, input.clone()).await?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        bench.host.release(&plugin.digest).await;
        let began = Instant::now();
        bench.execute(plugin, input.clone()).await?;
        times.push(began.elapsed());
    }
    let spread = Spread::of(times, 1e3);
    let name = format!("cold start to first answer, {name}, p50 (p99 {:.1})", spread.p99);
    Ok(Measure { name, value: spread.p50, unit: "ms", against: None, reach: Reach::Below(reach) })
}

/// A host of WebAssembly with a jailer.
struct Bench {
    host: WasmHost,
    log: Arc<dyn AttemptLog>,
    folder: PathBuf,
}

impl Bench {
    async fn new(work: &Path) -> anyhow::Result<Self> {
        let launcher = Launcher::start(LauncherOptions {
            executable: "/proc/self/exe".into(),
            lock_path: work.join("wasm-launcher.lock"),
            lock_patience: Duration::ZERO,
            environment: Vec::new(),
            isolation: IsolationPolicy::Strongest,
        });
        let jailer = Jailer::new(launcher.await?, JailerOptions::default());
        let mut options = WasmOptions::new(work, &std::env::current_exe()?);
        options.in_process.push(digest("echo", "inprocess"));
        options.start = Duration::from_mins(1);
        options.compile.time = Duration::from_mins(1);
        let host = WasmHost::new(Arc::new(jailer), options);
        Ok(Self { host, log: Arc::new(Discard), folder: work.to_owned() })
    }

    fn plugin(
        &self,
        name: &str,
        kind: &str,
        wasm: &[u8],
        isolation: &str,
    ) -> anyhow::Result<CallablePlugin> {
        let folder = self.folder.join(format!("{name}-{isolation}"));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("guest.wasm"), wasm)?;
        let text = format!(
            "manifest = 1\n[plugin]\nname = \"{name}\"\nversion = \"0.1.0\"\nkind = \"{kind}\"\n\
             type = \"processor\"\nentrypoint = [\"guest.wasm\"]\n\
             [pool]\nmax_uses = 4000000000\nmax_age = \"7d\"\n[wasm]\nisolation = \"{isolation}\"\n"
        );
        let manifest = Manifest::parse("plugin.toml", &text).map_err(|error| anyhow!("{error}"))?;
        Ok(CallablePlugin {
            digest: digest(name, isolation),
            manifest: Arc::new(manifest),
            folder: Some(folder),
            effective: Effective::default(),
            tenant: "default".to_owned(),
        })
    }

    /// The component in Python that `make setup` built.
    fn python(&self) -> anyhow::Result<CallablePlugin> {
        let file = crate::target_folder().with_file_name(".cache").join("guests/pseudonymize.wasm");
        let wasm = std::fs::read(&file)
            .with_context(|| format!("{}: `make setup` builds it", file.display()))?;
        let mut plugin = self.plugin("pseudonymize", "wasm-component", &wasm, "process")?;
        let secret = Capability::from_parts(CapabilityKind::Secrets, Some("pseudonym_key"))?;
        plugin.effective.capabilities = [secret].into_iter().collect::<Capabilities>();
        Ok(plugin)
    }

    async fn calls(&self, plugin: &CallablePlugin, count: usize) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(count);
        let input = json!({ "text": "x".repeat(180) });
        for _ in 0..count {
            let call = Self::call(input.clone())?;
            let began = Instant::now();
            self.carry_out(plugin, call).await?;
            times.push(began.elapsed());
        }
        Ok(times)
    }

    async fn execute(&self, plugin: &CallablePlugin, input: Value) -> anyhow::Result<()> {
        self.carry_out(plugin, Self::call(input)?).await
    }

    fn call(input: Value) -> anyhow::Result<PluginCall> {
        Ok(PluginCall {
            id: "ex_1/step/1".to_owned(),
            idempotency_key: "ex_1/step".to_owned(),
            attempt: 1,
            operation: String::new(),
            config: json!({ "fields": ["email"], "key": "pseudonym_key" }),
            input,
            state: None,
            secrets: vec![(SecretName::parse("pseudonym_key")?, "key".to_owned())],
            timeout: Some(Duration::from_mins(1)),
            trace: None,
        })
    }

    async fn carry_out(&self, plugin: &CallablePlugin, call: PluginCall) -> anyhow::Result<()> {
        let cancel = CancellationToken::new();
        let end = self.host.execute(plugin, call, Arc::clone(&self.log), cancel).await;
        end.outcome.map(|_| ()).map_err(|error| anyhow!("{error:?}"))
    }
}

/// What names a plugin here; the same bytes run in two places.
fn digest(name: &str, isolation: &str) -> ContentDigest {
    ContentDigest::of(format!("{name} {isolation}").as_bytes())
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
