//! Measures a spawn-and-wait round trip of `/bin/true`, per isolation tier.
//!
//! `cargo run --release -p flexcore-sandbox --example spawn_latency`

use std::{ffi::OsString, io::Write as _, process::ExitCode, time::Duration, time::Instant};

use flexcore_sandbox::{IsolationPolicy, Launcher, LauncherOptions, SpawnRequest, Stdin};

const ROUNDS: usize = 500;

fn main() -> ExitCode {
    if let Some(code) = flexcore_sandbox::run_if_launcher(std::env::args_os()) {
        return code;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    for policy in
        [IsolationPolicy::Strongest, IsolationPolicy::UserNamespace, IsolationPolicy::ProcessGroup]
    {
        runtime.block_on(measure(policy));
    }
    ExitCode::SUCCESS
}

async fn measure(isolation: IsolationPolicy) {
    let lock_path = std::env::temp_dir().join(format!("spawn-latency-{}", std::process::id()));
    let options = LauncherOptions {
        executable: "/proc/self/exe".into(),
        lock_path: lock_path.clone(),
        lock_patience: Duration::from_secs(5),
        environment: Vec::new(),
        isolation,
    };
    let origin = Instant::now();
    let launcher = Launcher::start(options).await.expect("the launcher starts");
    let request = SpawnRequest {
        argv: vec![OsString::from("/bin/true")],
        cwd: "/".into(),
        environment: Vec::new(),
        stdin: Stdin::Null,
        attempt: "spawn-latency".to_owned(),
    };
    let mut rounds = Vec::with_capacity(ROUNDS);
    let mut starts = Vec::with_capacity(ROUNDS);
    let mut first = None;
    let mut used = None;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let spawned = launcher.spawn(request.clone()).await.expect("/bin/true starts");
        starts.push(begin.elapsed());
        used = Some(spawned.process.isolation());
        assert!(spawned.process.wait().await.is_success());
        rounds.push(begin.elapsed());
        first.get_or_insert_with(|| origin.elapsed());
    }
    launcher.shut_down().await;
    let _ = std::fs::remove_file(lock_path);
    rounds.sort_unstable();
    starts.sort_unstable();
    let at = |of: &[Duration], percent: usize| of[(ROUNDS - 1) * percent / 100];
    let _ = writeln!(
        std::io::stdout(),
        "{used:?}: first with launcher start {:?}; started p50 {:?}; round trip p50 {:?} p95 {:?} max {:?}",
        first.unwrap_or_default(),
        at(&starts, 50),
        at(&rounds, 50),
        at(&rounds, 95),
        at(&rounds, 100),
    );
}
