//! The built binary, as users run it.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

/// Between two looks at a process that is measured.
const LOOK_AGAIN: Duration = Duration::from_millis(4);

/// A project folder and the binary that runs in it.
pub(crate) struct Project {
    binary: PathBuf,
    root: PathBuf,
}

/// What a run of the binary came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran {
    /// From before its start to after its end.
    pub(crate) time: Duration,
    /// The most memory that it held at a time, in megabytes; 0 unless that was looked at.
    pub(crate) peak_megabytes: f64,
}

impl Project {
    /// A new folder with one pipeline file.
    pub(crate) fn new(root: &Path, pipeline: &str) -> anyhow::Result<Self> {
        let binary = std::env::current_exe()?.with_file_name("flexcore");
        ensure!(binary.exists(), "{} is missing; `make benchmark` builds it", binary.display());
        fs::create_dir_all(root)?;
        let project = Self { binary, root: root.to_owned() };
        project.write("pipeline.yaml", pipeline)?;
        // The programs of a measurement leave their times beside it.
        project.write("flexcore.yaml", "writable: ['.']\n")?;
        Ok(project)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> anyhow::Result<()> {
        fs::write(self.path(name), content).with_context(|| name.to_owned())
    }

    /// Runs the pipeline to its end, which must be a good one.
    pub(crate) fn run(&self) -> anyhow::Result<Ran> {
        self.run_held("best_effort")
    }

    /// The same with this wish about jails.
    pub(crate) fn run_held(&self, policy: &str) -> anyhow::Result<Ran> {
        let start = Instant::now();
        let mut child = self.start(policy)?;
        let status = child.wait()?;
        let time = start.elapsed();
        self.expect_success(status.success())?;
        Ok(Ran { time, peak_megabytes: 0.0 })
    }

    /// The same, looking at its memory meanwhile.
    pub(crate) fn run_watched(&self) -> anyhow::Result<Ran> {
        let start = Instant::now();
        let mut child = self.start("best_effort")?;
        let status = format!("/proc/{}/status", child.id());
        let mut peak_megabytes = 0.0;
        let ended = loop {
            if let Some(peak) = fs::read_to_string(&status).ok().as_deref().and_then(high_water) {
                peak_megabytes = peak;
            }
            if let Some(ended) = child.try_wait()? {
                break ended;
            }
            pause();
        };
        let time = start.elapsed();
        self.expect_success(ended.success())?;
        Ok(Ran { time, peak_megabytes })
    }

    fn start(&self, policy: &str) -> anyhow::Result<Child> {
        let messages = File::create(self.path("messages"))?;
        let mut command = Command::new(&self.binary);
        command.args(["run", "pipeline.yaml"]).current_dir(&self.root);
        command.env("FLEXCORE_SANDBOX", policy);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(messages);
        command.spawn().context("the binary does not start")
    }

    fn expect_success(&self, success: bool) -> anyhow::Result<()> {
        if success {
            return Ok(());
        }
        let mut text = String::new();
        File::open(self.path("messages"))?.read_to_string(&mut text)?;
        bail!("the measured run failed:\n{text}")
    }
}

#[expect(clippy::disallowed_methods, reason = "memory is sampled; nothing wakes us when it grows")]
fn pause() {
    std::thread::sleep(LOOK_AGAIN);
}

/// The high-water mark of resident memory in megabytes (proc_pid_status(5)). A process that has
/// ended and was not waited for has none.
fn high_water(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}

/// How long a shell takes for a script, whose words are `$1`, `$2`, …
pub(crate) fn shell(script: &str, words: &[&Path]) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).args(words);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    ensure!(status.success(), "`{script}` failed");
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status_of_a_process() {
        let status = "Name:\tflexcore\nVmPeak:\t  500000 kB\nVmHWM:\t   24000 kB\nVmRSS:\t 10 kB\n";
        assert!(high_water(status).is_some_and(|peak| (peak - 24.576).abs() < 1e-9));
        assert_eq!(high_water("Name:\tgone\n"), None);
    }
}
