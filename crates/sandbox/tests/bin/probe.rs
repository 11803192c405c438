//! The executable of this crate's integration tests: the launcher, and a server to be killed.
//!
//! `flexcore-sandbox-probe serve POLICY LOCK ATTEMPT SCRIPT [MILLISECONDS]` starts a launcher and in
//! it `/bin/sh -c SCRIPT`, copies what the script prints to its own output, and stays. With a time,
//! the launcher is to end everything after it.

use std::{
    ffi::OsString,
    fs::File,
    io,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use flexcore_sandbox::{IsolationPolicy, Launcher, LauncherOptions, SpawnRequest, Stdin};

fn main() -> ExitCode {
    if let Some(code) = flexcore_sandbox::run_if_launcher(std::env::args_os()) {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", policy, lock, attempt, script, ref limit @ ..] => {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
            let limit = limit.first().map(|limit| limit.parse().expect("milliseconds"));
            runtime.block_on(serve(policy, lock, attempt, script, limit));
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

async fn serve(policy: &str, lock: &str, attempt: &str, script: &str, limit: Option<u64>) {
    let isolation = match policy {
        "strongest" => IsolationPolicy::Strongest,
        "user-namespace" => IsolationPolicy::UserNamespace,
        _ => IsolationPolicy::ProcessGroup,
    };
    let launcher = Launcher::start(LauncherOptions {
        executable: PathBuf::from("/proc/self/exe"),
        lock_path: PathBuf::from(lock),
        lock_patience: Duration::from_secs(20),
        environment: Vec::new(),
        isolation,
    })
    .await
    .expect("the launcher starts");
    let spawned = launcher
        .spawn(SpawnRequest {
            argv: ["/bin/sh", "-c", script].map(OsString::from).to_vec(),
            cwd: PathBuf::from("/"),
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
            stdin: Stdin::Null,
            attempt: attempt.to_owned(),
        })
        .await
        .expect("the script starts");
    if let Some(limit) = limit {
        launcher.end_all_at(Some(Instant::now() + Duration::from_millis(limit))).await;
    }
    let copied = tokio::task::spawn_blocking(move || {
        io::copy(&mut File::from(spawned.stdout), &mut io::stdout())
    });
    let _ = copied.await;
    spawned.process.wait().await;
}
