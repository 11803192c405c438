//! A running service, and the host that calls it.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use flexcore_plugin_http::{HttpHost, HttpOptions};
use flexcore_plugin_protocol::{ContentDigest, Grants, Manifest, Requests, Subject, effective};
use flexcore_ports::{
    AttemptLog, CallablePlugin, LogSource, PluginCall, PluginEnd, PluginError, PluginHost as _,
};
use flexcore_secrets::{EnvSecrets, ProvidedSecrets, SecretMask};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A service in Python; ends with the test.
pub(crate) struct Service {
    child: Child,
    pub(crate) port: u16,
    certificates: Option<TempDir>,
}

impl Service {
    pub(crate) fn plain() -> Self {
        Self::start(None, &[])
    }

    pub(crate) fn tls(arguments: &[&str]) -> Self {
        Self::start(Some(TempDir::new().unwrap()), arguments)
    }

    fn start(certificates: Option<TempDir>, arguments: &[&str]) -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = manifest.join("../../.cache/venvs/http-service/bin/python");
        assert!(python.exists(), "{} is missing: run `make setup`", python.display());
        let mut command = Command::new(python);
        command.arg(manifest.join("tests/service/service.py")).args(arguments);
        if let Some(folder) = &certificates {
            command.arg("--certificates").arg(folder.path());
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("no port, but {line:?}"));
        Self { child, port, certificates }
    }

    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.certificates.as_ref().unwrap().path().join(name)
    }

    pub(crate) fn pem(&self, name: &str) -> String {
        std::fs::read_to_string(self.certificate(name)).unwrap()
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    pub(crate) fn plugin(&self) -> CallablePlugin {
        plugin(&self.url(), "")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A plugin at an address, with everything granted that it asks for.
pub(crate) fn plugin(url: &str, rest: &str) -> CallablePlugin {
    let address = url.replace("http://", "tcp://");
    let manifest = manifest(url, &address, rest);
    let granted = manifest.replace("manifest = 1", "");
    let secrets = granted.lines().find(|line| line.starts_with("secrets")).unwrap_or_default();
    let grants = format!(
        "grants = 1\n[[grant]]\nplugin = \"flext\"\nnetwork = [\"{address}\"]\n{secrets}\n"
    );
    callable(&manifest, &grants)
}

pub(crate) fn manifest(url: &str, address: &str, rest: &str) -> String {
    format!(
        "manifest = 1\n[plugin]\nname = \"flext\"\nversion = \"1.0.0\"\nkind = \"http\"\n\
         type = \"extractor\"\n[capabilities]\nnetwork = [\"{address}\"]\n{}\n[http]\nurl = \"{url}\"\n{}",
        rest.lines().filter(|line| line.starts_with("secrets")).collect::<String>(),
        rest.lines().filter(|line| !line.starts_with("secrets")).collect::<Vec<_>>().join("\n"),
    )
}

pub(crate) fn callable(manifest: &str, grants: &str) -> CallablePlugin {
    let manifest = Manifest::parse("plugin.toml", manifest).unwrap();
    let grants = Grants::parse("grants.toml", grants).unwrap();
    let subject = Subject { plugin: Some(manifest.name.clone()), ..Subject::default() };
    let asked = (&manifest.capabilities, &manifest.limits);
    let effective = effective(Requests { manifest: Some(asked), step: None }, &grants, &subject);
    CallablePlugin {
        digest: ContentDigest::of(b"flext"),
        folder: None,
        effective,
        tenant: "default".to_owned(),
        manifest: Arc::new(manifest),
    }
}

pub(crate) fn options(secrets: &[(&str, &str)]) -> HttpOptions {
    let variables = secrets.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let variables: Vec<(std::ffi::OsString, std::ffi::OsString)> = variables.collect();
    let provider = Box::new(EnvSecrets::new("", variables));
    HttpOptions::new(Arc::new(ProvidedSecrets::new(
        vec![provider],
        Arc::new(SecretMask::default()),
    )))
}

pub(crate) fn host() -> HttpHost {
    HttpHost::new(options(&[]))
}

pub(crate) fn call(operation: &str) -> PluginCall {
    PluginCall {
        id: "ex1/load/1".to_owned(),
        idempotency_key: "ex1/load".to_owned(),
        attempt: 1,
        operation: operation.to_owned(),
        config: json!({}),
        input: Value::Null,
        state: None,
        secrets: vec![],
        timeout: Some(Duration::from_secs(20)),
        trace: None,
    }
}

pub(crate) async fn execute(plugin: &CallablePlugin, call: PluginCall) -> PluginEnd {
    host().execute(plugin, call, Arc::new(Lines::default()), CancellationToken::new()).await
}

/// The error of a call that must fail.
pub(crate) async fn failure(plugin: &CallablePlugin, operation: &str) -> PluginError {
    let end = execute(plugin, call(operation)).await;
    match end.outcome {
        Err(error) => error,
        Ok(output) => panic!("`{operation}` gave {output:?}"),
    }
}

/// What a call logged.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) lines: Mutex<Vec<String>>,
    pub(crate) changed: tokio::sync::Notify,
}

impl AttemptLog for Lines {
    fn line(&self, _source: LogSource, text: &str) {
        self.lines.lock().unwrap().push(text.to_owned());
        self.changed.notify_one();
    }
}

/// The calls whose cancel the service took note of, asked until there is one.
pub(crate) async fn cancelled(service: &Service) -> Vec<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for _ in 0..1_000 {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", service.port)).await.unwrap();
        let request = "GET /cancelled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let body = answer.rsplit("\r\n\r\n").next().unwrap();
        let ids: Vec<String> = serde_json::from_str(body).unwrap();
        if !ids.is_empty() {
            return ids;
        }
    }
    panic!("the service heard of no cancel");
}
