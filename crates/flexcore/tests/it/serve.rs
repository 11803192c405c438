//! `flexcore serve`, over real connections.

mod calls;
mod life;
mod watchers;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::project::{PATIENCE, Project, Running, wait_until};

const TWO_STEPS: &str = "\
pipeline: two-steps
steps:
  - { id: one, command: { run: \"echo '{\\\"n\\\": 42}' > $FLEXCORE_OUTPUT\" } }
  - { id: two, needs: [one], command: { run: \"true\" } }
";

/// A server of a project, and who may ask it.
pub(crate) struct Served {
    pub(crate) process: Option<Running>,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The stable code of the problem that it is.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem["code"].as_str().expect("a code").to_owned()
    }
}

impl Served {
    pub(crate) fn start(project: &Project, arguments: &[&str]) -> Self {
        let process = project.start(&[&["serve", "--port", "0"], arguments].concat());
        wait_until("it listens", || process.stderr().contains("listening on http://"));
        let said = process.stderr();
        let address = said.split("http://").nth(1).and_then(|rest| rest.split(';').next());
        let address = address.expect("where it listens").parse().expect("an address");
        let token = project.read(".flexcore/token").trim().to_owned();
        Self { process: Some(process), address, token }
    }

    /// The same server, asked by somebody else.
    pub(crate) fn known_by(&self, token: &str) -> Self {
        Self { process: None, address: self.address, token: token.to_owned() }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Sends a head as it is, and a body.
    pub(crate) fn send(&self, head: &str, body: &str) -> Answer {
        let mut stream = self.connect();
        let length = body.len();
        let text = format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        stream.write_all(text.as_bytes()).expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer in UTF-8");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn head(&self, method: &str, path: &str) -> String {
        let (token, address) = (&self.token, self.address);
        format!(
            "{method} /api/v1/flexcore/{path} HTTP/1.1\r\nHost: {address}\r\n\
             Authorization: Bearer {token}\r\n"
        )
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&self.head("GET", path), "")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let head = self.head("POST", path) + "Content-Type: application/json\r\n";
        self.send(&head, &body.to_string())
    }

    /// The events of a live stream until one has this type.
    pub(crate) fn live_until(&self, path: &str, last: &str) -> Vec<(u64, String)> {
        let mut stream = self.connect();
        stream.write_all(format!("{}\r\n", self.head("GET", path)).as_bytes()).expect("it reads");
        let (mut events, mut id) = (vec![], 0);
        for line in BufReader::new(stream).lines() {
            let line = line.expect("the stream goes on");
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.parse().expect("a position");
            }
            if let Some(name) = line.strip_prefix("event: ") {
                events.push(name.to_owned());
            }
            if line.is_empty() && events.last().is_some_and(|name| name == last) {
                break;
            }
        }
        let first = id + 1 - events.len() as u64;
        (first..).zip(events).collect()
    }

    pub(crate) fn end(mut self) {
        let process = self.process.take().expect("it runs");
        process.signal(Signal::TERM);
        process.finish().ends_with(0);
    }
}

/// What `POST pipelines` takes for the pipeline file of a project.
pub(crate) fn document(project: &Project) -> Value {
    let validated = project.json(&["validate", "pipeline.yaml"]).ends_with(0);
    let report: Value = serde_json::from_str(&validated.stdout).expect("JSON");
    json!({ "document": report["files"][0]["document"] })
}

#[test]
fn a_pipeline_is_created_run_and_watched() {
    let project = Project::with(TWO_STEPS);
    let created = document(&project);
    let server = Served::start(&project, &[]);
    assert_eq!(server.post("pipelines", &created).status, 201);
    assert_eq!(server.post("pipelines", &created).code(), "FC0203", "the name is taken");

    let keyed = server.head("POST", "pipelines/two-steps/executions") + "Idempotency-Key: once\r\n";
    let accepted = server.send(&keyed, "");
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let execution = accepted.json()["execution"].as_str().expect("an id").to_owned();
    let repeated = server.send(&keyed, "").json();
    assert_eq!((&repeated["execution"], &repeated["repeated"]), (&json!(execution), &json!(true)));

    let path = format!("executions/{execution}/live?after=0");
    let events = server.live_until(&path, "PipelineExecutionCompleted");
    assert_eq!(events.first().map(|(_, name)| &**name), Some("PipelineExecutionCreated"));

    let shown = server.get(&format!("executions/{execution}"));
    assert_eq!(shown.json()["status"], "completed");
    assert_eq!(shown.json()["steps"][0]["output"]["n"], 42);
    let listed = server.get("executions?statuses=completed&limit=1").json();
    assert_eq!(listed["items"][0]["id"], json!(execution));

    server.end();
    project.assert_log_verifies();
}

#[test]
fn a_client_that_comes_back_misses_nothing() {
    let project = Project::with(TWO_STEPS);
    project.flexcore(&["run", "pipeline.yaml"]).ends_with(0);
    let all = project.events();
    let server = Served::start(&project, &[]);
    let last = all.last().expect("events").kind.clone();
    let whole = server.live_until("events/live?after=0", &last);
    assert_eq!(whole.len(), all.len());
    let some = server.live_until("events/live?after=3", &last);
    assert_eq!(some, whole[3..]);
    server.end();
}

#[test]
fn what_was_interrupted_is_driven_on() {
    let project = Project::with(
        "pipeline: slow\nsteps:\n  - id: wait\n    command:\n      run: test -e data/go || { touch out/began; sleep 600; }\n",
    );
    project.write("out/.keep", "");
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the step runs", || project.path("out/began").exists());
    running.signal(Signal::KILL);
    drop(running);
    project.write("data/go", "");
    let server = Served::start(&project, &[]);
    wait_until("it is driven to its end", || {
        server.get("executions/last").json()["status"] == "completed"
    });
    server.end();
}

#[test]
fn only_who_may_is_answered() {
    let project = Project::with(TWO_STEPS);
    let server = Served::start(&project, &[]);
    let address = server.address;
    let plain = format!("GET /api/v1/flexcore/pipelines HTTP/1.1\r\nHost: {address}\r\n");
    assert_eq!(server.send(&plain, "").code(), "FC0701");
    for (wrong, code) in [
        ("Bearer", "FC0720"),
        ("Bearer x", "FC0701"),
        ("Bearer a.b.c", "FC0701"),
        (&format!("Basic {}", server.token), "FC0720"),
        ("Bearer \u{1f511}", "FC0720"),
    ] {
        let answer = server.send(&format!("{plain}Authorization: {wrong}\r\n"), "");
        assert_eq!(answer.code(), code, "{wrong}");
        assert!(answer.head.contains("www-authenticate: bearer"));
        assert!(!answer.body.contains(&server.token));
    }
    // A name that points here belongs to whoever made it point here.
    let rebound = server.head("GET", "pipelines").replace(&address.to_string(), "evil.example");
    assert_eq!(server.send(&rebound, "").code(), "FC0702");
    let foreign = server.head("GET", "pipelines") + "Origin: https://evil.example\r\n";
    assert_eq!(server.send(&foreign, "").code(), "FC0703");
    let form = server.head("POST", "pipelines/x/executions")
        + "Content-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(server.send(&form, "a=b").code(), "FC0704");
    for open in ["live", "ready", "health"] {
        let head = format!("GET /{open} HTTP/1.1\r\nHost: balancer\r\n");
        assert_eq!(server.send(&head, "").status, 200, "{open}");
    }
    server.end();
    let token = std::fs::metadata(project.path(".flexcore/token")).expect("the token's file");
    assert_eq!(token.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_wrong_request_is_told_what_is_wrong() {
    let project = Project::with(TWO_STEPS);
    let server = Served::start(&project, &[]);
    for (path, status, code) in [
        ("pipelines/nobody", 404, "FC0201"),
        ("nowhere", 404, "FC0706"),
        ("../../etc/passwd", 404, "FC0706"),
        ("executions?limit=ten", 400, "FC0708"),
        ("executions?limitt=1", 400, "FC0708"),
        ("executions?limit=%ff", 400, "FC0708"),
        ("events/live?after=soon", 400, "FC0708"),
        ("aggregates/no/such/stream/at/all", 400, "FC0202"),
    ] {
        let answer = server.get(path);
        assert_eq!((answer.status, &*answer.code()), (status, code), "{path}: {}", answer.body);
    }
    let deleted = server.send(&server.head("DELETE", "pipelines"), "");
    assert_eq!((deleted.status, &*deleted.code()), (405, "FC0707"));
    let json = "Content-Type: application/json\r\n";
    for body in ["{", "[]", "{\"document\": 1, \"document\": 2}", "\u{0}", "{\"documents\": {}}"] {
        let answer = server.send(&(server.head("POST", "pipelines") + json), body);
        assert!((400..500).contains(&answer.status), "{body}: {}", answer.body);
    }
    let unknown = server.post("commands", &json!({ "command": "DropEverything", "body": {} }));
    assert_eq!(unknown.code(), "FC0708");
    let asked = server.post("queries", &json!({ "query": "ListPipelines", "body": {} }));
    assert_eq!(asked.json()["items"], json!([]));
    server.end();
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let project = Project::with(TWO_STEPS);
    let server = Served::start(&project, &[]);
    let first = server.get("pipelines");
    let tag = first.head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag");
    let again = server.head("GET", "pipelines") + &format!("If-None-Match: {tag}\r\n");
    let second = server.send(&again, "");
    assert_eq!((second.status, &*second.body), (304, ""));
    server.end();
}

#[test]
fn without_authentication_only_this_machine_is_served() {
    let project = Project::with(TWO_STEPS);
    let refused = project.flexcore(&["serve", "--address", "0.0.0.0", "--port", "0"]);
    assert_ne!(refused.status.code(), Some(0));
    assert!(refused.stderr.contains("FC0711"), "{}", refused.stderr);
}

#[test]
fn live_streams_end_with_the_server() {
    let project = Project::with(TWO_STEPS);
    let server = Served::start(&project, &[]);
    let mut watcher = server.connect();
    let head = format!("{}\r\n", server.head("GET", "events/live"));
    watcher.write_all(head.as_bytes()).expect("it reads");
    let mut first = [0; 12];
    watcher.read_exact(&mut first).expect("the stream begins");
    server.end();
    let mut rest = Vec::new();
    watcher.read_to_end(&mut rest).expect("the stream ends");
}

#[test]
fn the_life_of_a_pipeline_over_rest() {
    let project = Project::with(TWO_STEPS);
    let created = document(&project);
    let server = Served::start(&project, &[]);
    let json = "Content-Type: application/json\r\n";
    let keyed = server.head("POST", "pipelines") + json + "Idempotency-Key: k-1\r\n";
    let first = server.send(&keyed, &created.to_string());
    assert_eq!(first.status, 201);
    let again = server.send(&keyed, &created.to_string());
    assert_eq!((again.status, &again.json()["id"]), (201, &first.json()["id"]));
    assert_eq!(again.json()["position"], 0);

    let mut changed = created.clone();
    changed["document"]["pipeline"]["content"]["description"] = "another".into();
    let put = server.head("PUT", "pipelines/two-steps") + json;
    assert_eq!(server.send(&put, &changed.to_string()).json()["version"], 2);
    let of = |part: &str| server.get(&format!("pipelines/two-steps/{part}")).json();
    assert_eq!(of("versions")["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(of("steps?version=1")["items"][1]["needs"][0], "one");

    let run = server.post("pipelines/two-steps/executions", &json!({}));
    let id = run.json()["execution"].as_str().expect("an id").to_owned();
    server.live_until(&format!("executions/{id}/live?after=0"), "PipelineExecutionCompleted");
    assert_eq!(of("executions")["items"][0]["id"], *id);
    let timeline = server.get(&format!("executions/{id}/timeline?limit=3")).json();
    assert_eq!(timeline["items"].as_array().map(Vec::len), Some(3));
    assert!(timeline["next"].is_u64(), "{timeline:#}");
    let logs = server.get(&format!("executions/{id}/logs")).json();
    assert_eq!((&logs["status"], &logs["elsewhere"]), (&json!("completed"), &json!([])));

    let stale = json!({ "expected_version": 1 });
    let late = server.post("pipelines/two-steps/deactivate", &stale);
    assert_eq!((late.status, late.code().as_str()), (412, "FC0208"));
    let shown = server.get("pipelines/two-steps");
    assert!(shown.head.contains("etag: \"2\""), "{}", shown.head);
    let matched = server.head("POST", "pipelines/two-steps/deactivate") + json;
    let late = server.send(&(matched + "If-Match: \"1\"\r\n"), "{}");
    assert_eq!((late.status, late.code().as_str()), (412, "FC0208"));
    let off = server.post("pipelines/two-steps/deactivate", &json!({})).json();
    assert_eq!((&off["status"], &off["aggregate_version"]), (&json!("inactive"), &json!(3)));
    let refused = server.post("pipelines/two-steps/executions", &json!({}));
    assert_eq!((refused.status, refused.code().as_str()), (409, "FC0210"));
    let gone = server.post("pipelines/two-steps/archive", &json!({})).json();
    assert_eq!(gone["status"], "archived");
    assert_eq!(server.get("pipelines/two-steps").code(), "FC0201");
    let id = gone["id"].as_str().expect("an id");
    assert_eq!(server.get(&format!("pipelines/{id}")).json()["status"], "archived");
    server.end();
    project.assert_log_verifies();
}

#[test]
fn what_a_killed_server_left_in_memory_is_swept_by_the_next_one() {
    let runtime = tempfile::Builder::new().prefix("rt").tempdir_in("/tmp").expect("a folder");
    let mut project = Project::with(TWO_STEPS);
    project.set("XDG_RUNTIME_DIR", &runtime.path().display().to_string());
    let folders = || {
        let entries = std::fs::read_dir(runtime.path()).expect("a folder").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        // That of attempts has the user's number in its name and stays.
        names.filter(|name| name.len() == "flexcore-".len() + 12).collect::<Vec<_>>()
    };
    let mut killed = Served::start(&project, &[]);
    let left = folders();
    assert_eq!(left.len(), 1, "{left:?}");
    let process = killed.process.take().expect("it runs");
    assert!(process.kill_after(std::time::Duration::ZERO));
    assert_eq!(folders(), left, "nobody was there to remove it");
    let next = Served::start(&project, &[]);
    let now = folders();
    assert!(now.len() == 1 && now != left, "{now:?}");
    next.end();
    assert_eq!(folders(), Vec::<String>::new());
}
