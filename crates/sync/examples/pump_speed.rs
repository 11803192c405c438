//! What the pump costs: `cargo run --release --example pump_speed`.
//!
//! Syncs a file of records from `cat` into a target that discards them, beside
//! `cat FILE | cat > /dev/null`, in turns, and prints records a second, the ratio of both, and the
//! memory of this process at its highest. `pump_speed RECORDS ROUNDS` overrides 5 million and 5.
#![expect(clippy::print_stdout, reason = "a measurement for people")]

use std::{
    error::Error,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use flexcore_ports::{
    AttemptLog, LogSource,
    attempt::{
        AttemptContext, AttemptObserver, AttemptOutcome, AttemptRights, BookmarkRefused,
        PluginSettings, Progress, SyncRunner as _, SyncSettings, Unmatched,
    },
};
use flexcore_sandbox::{
    IsolationPolicy, Jailer, JailerOptions, Launcher, LauncherOptions, ProjectJailer,
    ProjectJailerOptions,
};
use flexcore_sync::{PumpSyncRunner, SyncOptions};
use tokio_util::sync::CancellationToken;

/// Listens to nothing.
#[derive(Debug)]
struct Deaf;

impl AttemptLog for Deaf {
    fn line(&self, _: LogSource, _: &str) {}
}

#[async_trait]
impl AttemptObserver for Deaf {
    fn progress(&self, _: &Progress) {}

    async fn state_confirmed(&self, _: &[u8]) -> Result<(), BookmarkRefused> {
        Ok(())
    }

    async fn schema_observed(&self, _: &str, _: &[u8]) -> Result<(), BookmarkRefused> {
        Ok(())
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if let Some(code) = flexcore_sandbox::run_if_launcher(std::env::args_os()) {
        return Ok(code);
    }
    let mut arguments = std::env::args().skip(1);
    let records: u32 = arguments.next().map_or(Ok(5_000_000), |text| text.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("records.jsonl");
    write_records(&file, records)?;
    let bytes = fs::metadata(&file)?.len();
    let runtime = tokio::runtime::Runtime::new()?;
    let runner = runtime.block_on(runner(folder.path()))?;
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let bare = time(|| bare(&file))?;
        let ours = time(|| runtime.block_on(sync(&runner, folder.path(), &file)))?;
        let rate = |time: Duration| f64::from(records) / time.as_secs_f64() / 1e6;
        let ratio = bare.as_secs_f64() / ours.as_secs_f64();
        println!(
            "bare pipe {:6.2} M records/s, sync {:6.2} M records/s of {} bytes, ratio {ratio:.3}",
            rate(bare),
            rate(ours),
            bytes / u64::from(records)
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.3}; {}", ratios[rounds / 2], highest_memory()?);
    Ok(ExitCode::SUCCESS)
}

fn time(work: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// Records as taps of the Meltano SDK write them, the last line a STATE.
fn write_records(path: &Path, records: u32) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for id in 0..records {
        writeln!(
            file,
            r#"{{"type":"RECORD","stream":"orders","record":{{"id":{id},"email":"ana.silva{id}@example.com","name":"Ana Silva","city":"Porto Alegre","country":"BR","amount":512.33,"qty":17,"active":true,"created_at":"2024-05-17T10:20:00Z","ref":"9f86d081"}}}}"#
        )?;
    }
    writeln!(file, r#"{{"type":"STATE","value":{{"bookmarks":{{"orders":{records}}}}}}}"#)?;
    file.flush()
}

fn bare(file: &Path) -> Result<(), Box<dyn Error>> {
    let script = "cat \"$0\" | cat > /dev/null";
    let status = Command::new("sh").arg("-c").arg(script).arg(file).status()?;
    if status.success() { Ok(()) } else { Err("the bare pipe failed".into()) }
}

async fn runner(folder: &Path) -> Result<PumpSyncRunner, Box<dyn Error>> {
    let launcher = Launcher::start(LauncherOptions {
        executable: PathBuf::from("/proc/self/exe"),
        lock_path: folder.join("launcher.lock"),
        lock_patience: Duration::from_secs(10),
        environment: Vec::new(),
        isolation: IsolationPolicy::default(),
    })
    .await?;
    let jailer = Arc::new(Jailer::new(launcher, JailerOptions::default()));
    let jailer = ProjectJailer::new(jailer, ProjectJailerOptions::default());
    Ok(PumpSyncRunner::new(jailer, SyncOptions::default()))
}

async fn sync(runner: &PumpSyncRunner, folder: &Path, file: &Path) -> Result<(), Box<dyn Error>> {
    let context = AttemptContext {
        execution: "ex_00000000000000000000000000000001".parse()?,
        pipeline: "speed".parse()?,
        step: "load".parse()?,
        attempt: 1,
        epoch: 1,
        project_root: folder.to_owned(),
        work_folder: folder.join("work"),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        grace: Duration::from_secs(10),
        rights: AttemptRights::default(),
        log: Arc::new(Deaf),
    };
    let plugin = |name: &str, script: String| PluginSettings {
        name: name.to_owned(),
        argv: vec!["sh".into(), "-c".into(), script.into()],
        config: serde_json::json!({}),
        environment: Vec::new(),
        native: false,
        folder: None,
    };
    let settings = SyncSettings {
        tap: plugin("tap", format!("exec cat '{}'", file.display())),
        target: plugin("target", "cat > /dev/null; echo '{\"bookmarks\":{}}'".to_owned()),
        select: Vec::new(),
        metadata: Vec::new(),
        schema: Vec::new(),
        only_streams: Vec::new(),
        unmatched: Unmatched::Fail,
        max_line: 16 * 1024 * 1024,
        state: None,
        committed_state: None,
    };
    match runner.run(context, settings, Arc::new(Deaf), CancellationToken::new()).await.outcome {
        AttemptOutcome::Completed { .. } => Ok(()),
        outcome => Err(format!("{outcome:?}").into()),
    }
}

fn highest_memory() -> io::Result<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    Ok(line.unwrap_or("memory unknown").to_owned())
}
