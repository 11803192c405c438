//! How long a jailed program takes to its first instruction, with every control that the machine has,
//! beside `bwrap --unshare-all` with the same folders, in turns.

use std::{
    fs::File,
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use flexcore_sandbox::{
    Access, Bind, IsolationPolicy, JailSpec, Jailed, Jailer, JailerOptions, Launcher,
    LauncherOptions, SpawnRequest, Stdin,
};

use crate::measure::{Measure, Reach};

const ROUNDS: usize = 300;
/// Rounds before those, in which caches fill and the launcher learns what it is asked for.
const WARMING: usize = 20;

/// Says that it runs, with the least that a program can be: linked statically, so that no loader
/// comes before its first instruction.
const PROGRAM: &str = "#include <unistd.h>\nint main(void) { return write(1, \"x\", 1) != 1; }\n";

pub(super) fn run(work: &Path) -> anyhow::Result<Vec<Measure>> {
    let folder = work.join("program");
    let program = folder.join("first");
    compile(&folder, &program)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (jails, bubbles) = runtime.block_on(measure(work, &folder))?;
    let (jail, bubble) = (Times::of(jails), Times::of(bubbles));
    let tails = format!("p99 {:.2}, bwrap's {:.2} ms", jail.p99, bubble.p99);
    let named = |name: &str, against, reach| Measure {
        name: name.to_owned(),
        value: jail.p50,
        unit: "ms",
        against,
        reach,
    };
    Ok(vec![
        named(
            &format!("jailed spawn to first instruction, p50 ({tails})"),
            None,
            Reach::Below(1.5),
        ),
        named("the same beside bwrap --unshare-all", Some(bubble.p50), Reach::RatioAtMost(0.8)),
    ])
}

struct Times {
    p50: f64,
    p99: f64,
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let time = times.get(times.len().saturating_sub(1) * percent / 100);
            time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
        };
        Self { p50: at(50), p99: at(99) }
    }
}

fn compile(folder: &Path, program: &Path) -> anyhow::Result<()> {
    let source = folder.join("first.c");
    std::fs::create_dir(folder)?;
    std::fs::write(&source, PROGRAM)?;
    let status =
        Command::new("cc").args(["-O2", "-static", "-o"]).args([program, &source]).status();
    ensure!(status.is_ok_and(|status| status.success()), "a C compiler is needed: `make setup`");
    Ok(())
}

/// The times of jails and of bwrap.
async fn measure(work: &Path, folder: &Path) -> anyhow::Result<(Vec<Duration>, Vec<Duration>)> {
    let launcher = Launcher::start(LauncherOptions {
        executable: "/proc/self/exe".into(),
        lock_path: work.join("launcher.lock"),
        lock_patience: Duration::from_secs(5),
        environment: Vec::new(),
        isolation: IsolationPolicy::Strongest,
    })
    .await?;
    let jailer = Jailer::new(launcher.clone(), JailerOptions::default());
    let bind =
        Bind { source: folder.to_owned(), target: "/program".into(), access: Access::ReadOnly };
    let mut spec = JailSpec { binds: vec![bind], strict: false, ..JailSpec::default() };
    spec.limits.cpu_milli = Some(1_000);
    let (mut jails, mut bubbles) = (Vec::new(), Vec::new());
    for round in 0..WARMING + ROUNDS {
        let (jail, bubble) = (jail(&jailer, &spec).await?, bubble(folder)?);
        if round >= WARMING {
            jails.push(jail);
            bubbles.push(bubble);
        }
    }
    launcher.shut_down().await;
    Ok((jails, bubbles))
}

async fn jail(jailer: &Jailer, spec: &JailSpec) -> anyhow::Result<Duration> {
    let request = SpawnRequest {
        argv: vec!["/program/first".into()],
        cwd: "/".into(),
        environment: Vec::new(),
        stdin: Stdin::Null,
        attempt: "benchmark".to_owned(),
    };
    let spec = spec.clone();
    let begin = Instant::now();
    let mut program: Jailed = jailer.spawn(request, spec, &[]).await?;
    let mut output = File::from(program.stdout.take().context("its output")?);
    output.read_exact(&mut [0])?;
    let time = begin.elapsed();
    ensure!(program.wait().await.status.is_success(), "the program fails in its jail");
    Ok(time)
}

fn bubble(folder: &Path) -> anyhow::Result<Duration> {
    let mut command = Command::new("bwrap");
    command.args(["--unshare-all", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
    for path in JailSpec::default().runtime {
        command.arg("--ro-bind-try").args([&path, &path]);
    }
    command.arg("--ro-bind").arg(folder).args(["/program", "/program/first"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let begin = Instant::now();
    let Ok(mut child) = command.spawn() else {
        bail!("bwrap cannot be started; install Debian's package `bubblewrap`");
    };
    child.stdout.take().context("its output")?.read_exact(&mut [0])?;
    let time = begin.elapsed();
    ensure!(child.wait()?.success(), "bwrap does not run here");
    Ok(time)
}
