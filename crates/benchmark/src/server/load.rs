//! Load on a server, by `wrk`: a process of its own that asks over many connections at once.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// How many connections ask at a time.
const CONNECTIONS: &str = "64";
/// How long a slice takes.
const SLICE: &str = "2s";

/// What is asked, again and again.
#[derive(Debug, Clone)]
pub(super) struct Load {
    url: String,
    body: Option<String>,
    bearer: Option<String>,
}

/// What a slice came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loaded {
    /// Answers a second.
    pub(super) rate: f64,
    /// Below this, in milliseconds, 95 of 100 answers came.
    pub(super) p95: f64,
    /// The same for 99 of 100.
    pub(super) p99: f64,
}

impl Load {
    pub(super) fn get(url: String) -> Self {
        Self { url, body: None, bearer: None }
    }

    pub(super) fn post(url: String, body: &Value) -> Self {
        Self { url, body: Some(body.to_string()), bearer: None }
    }

    pub(super) fn bearer(self, token: &str) -> Self {
        Self { bearer: Some(token.to_owned()), ..self }
    }

    /// Asks for one slice. Every answer must be a good one.
    pub(super) fn run(&self, work: &Path) -> anyhow::Result<Loaded> {
        let script = work.join("load.lua");
        fs::write(&script, self.script()?)?;
        let mut command = Command::new("wrk");
        command.args(["--threads", "1", "--connections", CONNECTIONS, "--duration", SLICE]);
        command.arg("--script").arg(&script).arg(&self.url);
        let done = command.stdin(Stdio::null()).output();
        let done = done.context("wrk cannot be started; install Debian's package `wrk`")?;
        let said = String::from_utf8_lossy(&done.stdout);
        ensure!(done.status.success(), "wrk {}: {said}", self.url);
        let line =
            said.lines().find_map(|line| line.strip_prefix("measured ")).context("a line")?;
        let numbers: Vec<f64> =
            line.split(' ').map(str::parse).collect::<Result<_, _>>().context("numbers")?;
        let [requests, micros, p95, p99, refused, broken] = numbers[..] else { bail!("{line}") };
        ensure!(
            refused == 0.0 && broken == 0.0,
            "{}: {refused} refused, {broken} broken",
            self.url
        );
        Ok(Loaded { rate: requests / micros * 1e6, p95: p95 / 1e3, p99: p99 / 1e3 })
    }

    /// What makes wrk ask this and tell numbers. Texts are written as Lua takes them.
    fn script(&self) -> anyhow::Result<String> {
        let mut script = String::new();
        if let Some(token) = &self.bearer {
            writeln!(script, "wrk.headers['Authorization'] = {:?}", format!("Bearer {token}"))?;
        }
        if let Some(body) = &self.body {
            writeln!(script, "wrk.method = 'POST'\nwrk.body = {body:?}")?;
            writeln!(script, "wrk.headers['Content-Type'] = 'application/json'")?;
        }
        script.push_str(
            "function done(summary, latency, requests)\n\
             local e = summary.errors\n\
             io.write(string.format('measured %d %d %d %d %d %d\\n', summary.requests,\n\
             summary.duration, latency:percentile(95), latency:percentile(99), e.status,\n\
             e.connect + e.read + e.write + e.timeout))\nend\n",
        );
        Ok(script)
    }
}
