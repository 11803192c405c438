//! `flexcore serve`, as users start it.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A module that answers its input.
const ECHO: &str = r#"(module
    (import "extism:host/env" "input_offset" (func $offset (result i64)))
    (import "extism:host/env" "input_length" (func $length (result i64)))
    (import "extism:host/env" "output_set" (func $answer (param i64 i64)))
    (memory (export "memory") 1)
    (func (export "execute") (result i32)
      (call $answer (call $offset) (call $length)) (i32.const 0)))"#;

const MANIFEST: &str = "\
manifest = 1
[plugin]
name = \"echo\"
version = \"0.1.0\"
kind = \"wasm-extism\"
type = \"processor\"
entrypoint = [\"guest.wasm\"]
[pool]
max_uses = 4000000000
max_age = \"7d\"
[wasm]
isolation = \"process\"
";

/// A server with one pipeline, `orders`.
pub(super) struct Serving {
    process: Child,
    binary: PathBuf,
    root: PathBuf,
    address: SocketAddr,
    token: String,
    /// From before its start until it said that it is ready.
    ready: Duration,
}

impl Serving {
    /// Starts one in a folder, which is made if need be.
    pub(super) fn start(root: &Path, pipeline: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let binary = std::env::current_exe()?.with_file_name("flexcore");
        ensure!(binary.exists(), "{} is missing; `make benchmark` builds it", binary.display());
        fs::create_dir_all(root)?;
        fs::write(root.join("pipeline.yaml"), pipeline)?;
        fs::write(root.join("flexcore.yaml"), "project: benchmark\n")?;
        let mut serving = Self::again(&binary, root, arguments)?;
        if serving.ask("GET", "pipelines/orders", "")?.0 == 404 {
            serving.create()?;
        }
        serving.token = fs::read_to_string(root.join(".flexcore/token"))?.trim().to_owned();
        Ok(serving)
    }

    fn again(binary: &Path, root: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let messages = root.join("messages");
        let mut command = Command::new(binary);
        command.args(["serve", "--port", "0"]).args(arguments).current_dir(root);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&messages)?);
        let began = Instant::now();
        let mut process = command.spawn()?;
        let mut address: Option<SocketAddr> = None;
        wait_until(|| {
            let said = fs::read_to_string(&messages).unwrap_or_default();
            let place = said.split("http://").nth(1).and_then(|rest| rest.split(';').next());
            address = address.or_else(|| place?.trim().parse().ok());
            address.is_some_and(is_ready)
        });
        let ready = began.elapsed();
        let Some(address) = address else {
            let _ = process.kill();
            bail!("the server did not start:\n{}", fs::read_to_string(&messages)?);
        };
        let token = fs::read_to_string(root.join(".flexcore/token"))?.trim().to_owned();
        let (binary, root) = (binary.to_owned(), root.to_owned());
        Ok(Self { process, binary, root, address, token, ready })
    }

    fn create(&self) -> anyhow::Result<()> {
        let validated = self.flexcore(&["validate", "pipeline.yaml", "--output", "json"])?;
        let report: Value = serde_json::from_str(&validated)?;
        let body = json!({ "document": report["files"][0]["document"] }).to_string();
        let (status, answer) = self.ask("POST", "pipelines", &body)?;
        ensure!(status == 201, "{answer}");
        Ok(())
    }

    /// Registers a plugin of WebAssembly that answers its input.
    pub(super) fn register_echo(&self) -> anyhow::Result<()> {
        let folder = self.root.join("echo");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("guest.wasm"), wat::parse_str(ECHO)?)?;
        fs::write(folder.join("plugin.toml"), MANIFEST)?;
        self.flexcore(&["plugin", "register", "echo"])?;
        Ok(())
    }

    fn flexcore(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let done = Command::new(&self.binary).args(arguments).current_dir(&self.root).output()?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "flexcore {}: {said}", arguments.join(" "));
        Ok(String::from_utf8(done.stdout)?)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn api(&self, path: &str) -> String {
        format!("{}/api/v1/flexcore/{path}", self.url())
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn ready(&self) -> Duration {
        self.ready
    }

    /// A reply, which must be a good one.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<String> {
        let (status, body) = self.ask("GET", path, "")?;
        ensure!(status == 200, "{path}: {status} {body}");
        Ok(body)
    }

    /// The head of a request, without the line that ends it.
    pub(super) fn head(&self, method: &str, path: &str) -> String {
        let Self { token, address, .. } = self;
        format!(
            "{method} /api/v1/flexcore/{path} HTTP/1.1\r\nHost: {address}\r\n\
             Authorization: Bearer {token}\r\n"
        )
    }

    pub(super) fn ask(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> anyhow::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (head, length) = (self.head(method, path), body.len());
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let text =
            format!("{head}{kind}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        stream.write_all(text.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("a head and a body")?;
        let status = head.split(' ').nth(1).context("a status")?.parse()?;
        Ok((status, body.to_owned()))
    }

    /// Megabytes that the server and its processes hold.
    pub(super) fn memory(&self) -> anyhow::Result<f64> {
        let mut total = 0.0;
        let mut left = vec![self.process.id()];
        while let Some(process) = left.pop() {
            let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) else {
                continue;
            };
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kibibytes: f64 =
                line.unwrap_or("0").trim().trim_end_matches("kB").trim().parse()?;
            total += kibibytes * 1024.0 / 1e6;
            for task in fs::read_dir(format!("/proc/{process}/task"))?.flatten() {
                let children = fs::read_to_string(task.path().join("children"));
                let children = children.unwrap_or_default();
                left.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
            }
        }
        Ok(total)
    }

    /// Ends it as an operator would.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        let status = Command::new("kill").arg(self.process.id().to_string()).status()?;
        ensure!(status.success(), "the server was gone already");
        ensure!(self.process.wait()?.success(), "the server did not end well");
        Ok(())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // After a good end there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_ready(address: SocketAddr) -> bool {
    let answer = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(
            format!("GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    answer().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Whether something comes true within the patience that there is.
#[expect(clippy::disallowed_methods, reason = "another process does not tell us")]
pub(super) fn wait_until(mut is_true: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if is_true() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}
