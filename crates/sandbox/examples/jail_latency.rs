//! Measures the start of a program in a jail with every control that the machine has, beside
//! `bwrap --unshare-all` with the same binds where that is installed.
//!
//! `cargo run --release -p flexcore-sandbox --example jail_latency [BWRAP]`

use std::{
    ffi::OsString,
    io::Write as _,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use flexcore_sandbox::{
    IsolationPolicy, JailSpec, Jailer, JailerOptions, Launcher, LauncherOptions, SpawnRequest,
    Stdin,
};

const ROUNDS: usize = 300;

fn main() -> ExitCode {
    if let Some(code) = flexcore_sandbox::run_if_launcher(std::env::args_os()) {
        return code;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    for isolation in
        [IsolationPolicy::Strongest, IsolationPolicy::UserNamespace, IsolationPolicy::ProcessGroup]
    {
        for control_groups in [true, false] {
            runtime.block_on(measure(isolation, control_groups));
        }
    }
    let bwrap = std::env::args_os().nth(1).unwrap_or_else(|| "bwrap".into());
    measure_bwrap(&bwrap);
    ExitCode::SUCCESS
}

async fn measure(isolation: IsolationPolicy, control_groups: bool) {
    let lock_path = std::env::temp_dir().join(format!("jail-latency-{}", std::process::id()));
    let launcher = Launcher::start(LauncherOptions {
        executable: "/proc/self/exe".into(),
        lock_path: lock_path.clone(),
        lock_patience: Duration::from_secs(5),
        environment: Vec::new(),
        isolation,
    })
    .await
    .expect("the launcher starts");
    let jailer = Jailer::new(launcher.clone(), JailerOptions { control_groups, own_users: true });
    let request = SpawnRequest {
        argv: vec![OsString::from("/bin/true")],
        cwd: "/".into(),
        environment: Vec::new(),
        stdin: Stdin::Null,
        attempt: "jail-latency".to_owned(),
    };
    let spec = JailSpec { strict: false, ..JailSpec::default() };
    let (mut starts, mut rounds) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let inside = jailer.spawn(request.clone(), spec.clone(), &[]).await;
        let inside = inside.expect("/bin/true starts in a jail");
        starts.push(begin.elapsed());
        assert!(inside.wait().await.status.is_success());
        rounds.push(begin.elapsed());
    }
    launcher.shut_down().await;
    // A file in the folder for temporary files that is left there harms nobody.
    let _ = std::fs::remove_file(lock_path);
    let groups = if control_groups { "with" } else { "without" };
    print(&format!("{isolation:?} {groups} control groups: started"), starts);
    print(&format!("{isolation:?} {groups} control groups: started, ended, removed"), rounds);
}

fn measure_bwrap(bwrap: &OsString) {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut command = Command::new(bwrap);
        command.args(["--unshare-all", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
        for path in JailSpec::default().runtime {
            command.arg("--ro-bind-try").args([&path, &path]);
        }
        let begin = Instant::now();
        let status = command.arg("/bin/true").stdin(Stdio::null()).status();
        let Ok(status) = status else {
            let _ = writeln!(std::io::stdout(), "bwrap is not installed");
            return;
        };
        assert!(status.success(), "bwrap runs /bin/true");
        rounds.push(begin.elapsed());
    }
    print("bwrap --unshare-all: started, ended", rounds);
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    let _ = writeln!(std::io::stdout(), "{what}: p50 {:?} p95 {:?}", at(50), at(95));
}
