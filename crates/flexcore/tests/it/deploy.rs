//! What `deploy/` holds works with this binary: read by the programs that it is for, where they can
//! run here, and by its rules where they cannot.

mod balancer;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::project::Project;

/// A file of `deploy/`.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("deploy/{name}: {error}"))
}

/// The words of a program that looks at a file; it must find nothing.
fn finds_nothing(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; run `make setup`"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

#[test]
fn systemd_takes_the_unit() {
    let project = Project::new();
    let unit = text("systemd/flexcore.service");
    let binary = env!("CARGO_BIN_EXE_flexcore");
    let installed = "/usr/local/bin/flexcore";
    assert!(unit.contains(installed));
    project.write("flexcore.service", unit.replace(installed, binary));
    let path = project.path("flexcore.service");
    let output = Command::new("systemd-analyze").arg("verify").arg(&path).output();
    let output = output.expect("systemd-analyze; run `make setup`");
    let said = String::from_utf8_lossy(&output.stderr);
    // Units of the machine itself may have faults of their own.
    assert!(output.status.success() && !said.contains("flexcore"), "{said}");
}

#[test]
fn haproxy_takes_its_configuration() {
    let path = file("haproxy/haproxy.cfg");
    let output = Command::new("haproxy")
        .args(["-c", "-f"])
        .arg(&path)
        .env("LISTEN", "127.0.0.1:18080")
        .env("STATISTICS", "127.0.0.1:18404")
        .env("FLEXCORE_1", "127.0.0.1:18081")
        .env("FLEXCORE_2", "127.0.0.1:18082")
        .output()
        .expect("haproxy; run `make setup`");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("WARNING"), "{said}");
}

#[test]
fn the_examples_of_settings_are_settings() {
    let mut project = Project::new();
    project.write("server.toml", text("systemd/server.toml.example"));
    for line in text("systemd/environment.example").lines() {
        if let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            project.set(name, value);
        }
    }
    let shown = project.json(&["config", "show", "--config", "server.toml"]).completes().value();
    let items = shown["items"].as_array().expect("settings");
    let setting = |key: &str| items.iter().find(|item| item["key"] == key).expect("a setting");
    assert_eq!(setting("telemetry.log_format")["value"], "json");
    let url = setting("store.database_url")["value"].as_str().expect("a URL");
    assert!(url.contains("***") && !url.contains("CHANGE-ME"), "{url}");
}

#[test]
fn the_stack_holds_together() {
    let stack: Value = serde_saphyr::from_str(&text("compose/compose.yaml")).expect("YAML");
    let services = stack["services"].as_object().expect("services");
    let mut environment = Project::new();
    for (name, service) in services {
        assert!(service["image"].is_string(), "{name} has no image");
        for port in service["ports"].as_array().into_iter().flatten() {
            let port = port.as_str().unwrap_or_default();
            assert!(port.starts_with("127.0.0.1:"), "{name} is reached from outside: {port}");
        }
        for secret in service["secrets"].as_array().into_iter().flatten() {
            let known = stack["secrets"].get(secret.as_str().unwrap_or_default());
            assert!(known.is_some(), "{name} wants a secret that is not there: {secret}");
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let from = volume.as_str().unwrap_or_default().split(':').next().unwrap_or_default();
            let is_there = match from.starts_with('.') {
                true => file("compose").join(from).exists(),
                false => stack["volumes"].get(from).is_some(),
            };
            assert!(is_there, "{name} mounts what is not there: {from}");
        }
        for needed in names(&service["depends_on"]) {
            assert!(services.contains_key(&needed), "{name} waits for {needed}");
        }
        if name.starts_with("flexcore-") {
            for (variable, value) in service["environment"].as_object().into_iter().flatten() {
                if variable != "FLEXCORE_CONFIG" {
                    environment.set(variable, value.as_str().unwrap_or_default());
                }
            }
        }
    }
    environment.flexcore(&["config", "show"]).ends_with(0);
}

#[test]
fn prometheus_takes_the_settings_of_the_stack() {
    let project = Project::new();
    let key = project.path("key");
    project.write("key", "flx_…");
    let settings = text("compose/prometheus.yml");
    assert!(settings.contains("/run/secrets/prometheus_key"));
    let settings = settings.replace("/run/secrets/prometheus_key", &key.display().to_string());
    project.write("prometheus.yml", settings);
    project.write("alerts.yml", text("prometheus/alerts.yml"));
    let settings = project.path("prometheus.yml");
    finds_nothing("promtool", &["check", "config", &settings.display().to_string()]);
}

/// The keys of an object, or the items of a list.
fn names(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => map.keys().cloned().collect(),
        Value::Array(items) => {
            items.iter().filter_map(|item| Some(item.as_str()?.to_owned())).collect()
        }
        _ => vec![],
    }
}

#[test]
fn the_image_has_no_shell_and_an_ordinary_user() {
    let text = text("docker/Dockerfile").replace("\\\n", " ");
    let instructions: Vec<(&str, &str)> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.trim().split_once(' '))
        .collect();
    let last_stage = instructions.iter().rposition(|(name, _)| *name == "FROM").expect("a stage");
    assert!(instructions[last_stage].1.contains("distroless"));
    let stage = &instructions[last_stage..];
    let value = |wanted: &str| {
        let found = stage.iter().rfind(|(name, _)| *name == wanted);
        found.unwrap_or_else(|| panic!("the image has no {wanted}")).1
    };
    assert_ne!(value("USER").split(':').next(), Some("0"));
    assert!(!stage.iter().any(|(name, _)| *name == "RUN"), "there is no shell to run it");
    // Words in brackets: without a shell there is nobody to split a line.
    let words = |text: &str| -> Vec<String> { serde_json::from_str(text).expect("a list") };
    assert_eq!(words(value("ENTRYPOINT")), ["/usr/local/bin/flexcore"]);
    assert_eq!(words(value("CMD")), ["serve"]);
    let health = value("HEALTHCHECK").split_once("CMD ").expect("a command").1;
    assert_eq!(words(health)[..2], ["/usr/local/bin/flexcore", "health"]);
    let verb: Vec<String> = words(health)[1..].to_vec();
    let verb: Vec<&str> = verb.iter().map(String::as_str).chain(["--help"]).collect();
    Project::new().flexcore(&verb).ends_with(0);
}

#[test]
fn scripts_are_what_a_shell_reads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    for entry in fs::read_dir(folder).expect("scripts").flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "sh") {
            finds_nothing("bash", &["-n", &path.display().to_string()]);
        }
    }
}
