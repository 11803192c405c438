//! `examples/plugins`: one pipeline through a plugin of every kind.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::project::{Project, wait_until};

const PLUGINS: [&str; 6] = ["pseudonymize", "places", "go-greeter", "score", "titles", "letters"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The service of the example, ended with the test.
struct Places(Child);

impl Places {
    fn serve(port: u16) -> Self {
        let python = repository().join(".cache/venvs/http-service/bin/python");
        assert!(python.exists(), "{} is missing; run make setup", python.display());
        let child = Command::new(python)
            .arg(repository().join("examples/plugins/places-http/service.py"))
            .arg(port.to_string())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.expect("the service starts");
        let stderr = child.stderr.take().expect("a pipe");
        std::thread::spawn(move || BufReader::new(stderr).lines().for_each(drop));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_until("the service listens", || TcpStream::connect(address).is_ok());
        Self(child)
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The example, its plugins assembled, with a service at a port of its own.
fn example() -> (Project, Places) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its number").port();
    drop(listener);
    let mut project = Project::new();
    project.set("FLEXCORE_SECRET_pseudonym_key", "a key of the test");
    let source = repository().join("examples/plugins");
    for file in ["flexcore.yaml", "pipelines/customers.yaml", "data/customers.csv"] {
        project.write(file, fs::read(source.join(file)).expect("a file of the example"));
    }
    let assembled = Command::new(source.join("assemble.sh")).arg(project.path("plugins")).status();
    assert!(assembled.expect("bash runs").success(), "run make setup");
    let of_port = |text: String| text.replace("8091", &port.to_string());
    project
        .write("plugins/places/plugin.toml", of_port(project.read("plugins/places/plugin.toml")));
    let grants = fs::read_to_string(source.join("grants.toml")).expect("the example's grants");
    project.write("grants.toml", of_port(grants));
    (project, Places::serve(port))
}

fn step<'a>(view: &'a Value, id: &str) -> &'a Value {
    let steps = view["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no `{id}`: {view:#}"))
}

#[test]
fn one_pipeline_calls_plugins_of_every_kind() {
    let (mut project, _places) = example();
    let grants = project.path("grants.toml").display().to_string();
    project.set("FLEXCORE_GRANTS", &grants);
    for plugin in PLUGINS {
        project.flexcore(&["plugin", "register", &format!("plugins/{plugin}")]).ends_with(0);
    }
    let finished = project.json(&["run", "pipelines/customers.yaml"]);
    let view = finished.value();
    assert_eq!(view["status"], "completed", "{view:#}");

    let titled = &step(&view, "titles")["output"]["records"];
    let ada = &titled.as_object().and_then(|all| all.values().next()).expect("records")[0];
    assert_eq!(ada["title"], "Ada Lovelace of London, United Kingdom");
    assert_eq!(ada["email"].as_str().map(str::len), Some(16), "{ada}");
    let checked = &step(&view, "check")["output"]["result"];
    assert_eq!((&checked["records"], &checked["invalid"]), (&5.into(), &0.into()), "{checked}");

    for (id, place) in [
        ("load", "jail"),
        ("pseudonymize", "jail"),
        ("place", "remote"),
        ("greet", "jail"),
        ("score", "jail"),
        ("titles", "jail"),
        ("letters", "jail"),
    ] {
        let sandbox = step(&view, id)["sandbox"].to_string();
        assert!(sandbox.contains(&format!("\"place\":\"{place}\"")), "{id}: {sandbox}");
    }
    let used = step(&view, "pseudonymize")["sandbox"].to_string();
    assert!(used.contains("pseudonym_key") && !used.contains("a key of the test"), "{used}");
    project.assert_log_verifies();
}

#[test]
fn without_grants_it_is_told_what_to_grant() {
    let (project, _places) = example();
    for plugin in PLUGINS {
        project.flexcore(&["plugin", "register", &format!("plugins/{plugin}")]).ends_with(0);
    }
    let finished = project.flexcore(&["run", "pipelines/customers.yaml"]);
    assert_ne!(finished.status.code(), Some(0), "{finished}");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(said.contains("pseudonym_key") && said.contains("[[grant]]"), "{said}");
}
