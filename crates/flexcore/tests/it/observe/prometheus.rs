//! A real Prometheus (Debian's) that scrapes a live server.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::{PIPELINE, deployed::deploy, run_once};
use crate::{
    project::{PATIENCE, Project, wait_until},
    serve::Served,
};

/// A Prometheus that ends with the test.
struct Prometheus {
    process: Child,
    address: SocketAddr,
}

impl Prometheus {
    fn start(project: &Project, server: &Served) -> Self {
        let folder = project.scratch().join("prometheus");
        fs::create_dir(&folder).expect("a folder");
        let settings = fs::read_to_string(deploy("prometheus/prometheus.yml")).expect("settings");
        let settings = settings
            .replace("flexcore:8080", &server.address.to_string())
            .replace("scrape_interval: 15s", "scrape_interval: 200ms")
            .replace("evaluation_interval: 15s", "evaluation_interval: 200ms");
        fs::write(folder.join("prometheus.yml"), settings).expect("settings");
        fs::copy(deploy("prometheus/alerts.yml"), folder.join("alerts.yml")).expect("alerts");
        fs::write(folder.join("flexcore.token"), &server.token).expect("a token");
        // Free a moment ago; somebody else's in between is a chance that the test can take.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = address.expect("a free port");
        let log = fs::File::create(folder.join("log")).expect("a log");
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus is missing; run `make setup` first");
        Self { process, address }
    }

    /// What it answers; `None` while it does not.
    fn get(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let head = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// The first value of an expression.
    fn value(&self, expression: &str) -> Option<f64> {
        let answer = self.get(&format!("/api/v1/query?query={expression}"))?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn prometheus_reads_a_server_and_answers() {
    let project = Project::with(PIPELINE);
    let server = Served::start(&project, &[]);
    run_once(&project, &server);
    let prometheus = Prometheus::start(&project, &server);
    wait_until("it has read the server", || prometheus.value("up") == Some(1.0));
    wait_until("it knows of the execution", || {
        prometheus.value("sum(flexcore_executions_ended_total)") == Some(1.0)
    });
    let slow = "histogram_quantile(0.99,sum(flexcore_append_batch_duration_seconds_bucket)by(le))";
    assert!(prometheus.value(slow).is_some_and(|seconds| seconds > 0.0));
    let rules = prometheus.get("/api/v1/rules").expect("rules");
    let rules = rules["data"]["groups"][0]["rules"].as_array().expect("rules").clone();
    assert!(rules.len() >= 10, "{rules:?}");
    for rule in &rules {
        assert!(rule["lastError"].is_null(), "{rule:#}");
    }
    server.end();
}
