//! Secret values are used and never seen.

use std::{fs, path::Path, time::Duration};

use flexcore_testkit::vault::VaultDouble;

use crate::project::{Project, wait_until};

const VALUE: &str = "correct-horse-battery-staple";

const PIPELINE: &str = "\
pipeline: guarded
params:
  token: { type: string, secret: true, default: \"{{ secret('TOKEN') }}\" }
steps:
  - id: use
    env: { PASSWORD: \"{{ secret('TOKEN') }}\", TOKEN: \"{{ params.token }}\" }
    command:
      run: |
        [ \"$PASSWORD\" = \"$TOKEN\" ]
        echo \"the password is $PASSWORD\"
        echo \"twice: $TOKEN\" >&2
        echo \"{\\\"leaked\\\": \\\"$TOKEN\\\", \\\"length\\\": ${#TOKEN}}\" > \"$FLEXCORE_OUTPUT\"
  - id: move
    needs: [use]
    env: { PASSWORD: \"{{ secret('TOKEN') }}\" }
    sync:
      tap: { command: [sh, tap.sh], config: { password: \"{{ secret('TOKEN') }}\" } }
      target: { plugin: target-jsonl, config: { path: out } }
  - id: fail
    needs: [move]
    env: { PASSWORD: \"{{ secret('TOKEN') }}\" }
    command: { run: \"echo cannot log in with $PASSWORD >&2; exit 3\" }
";

/// Says what it was given, as careless programs do.
const TAP: &str = "\
echo \"config: $(cat $2)\" >&2
echo '{\"type\":\"SCHEMA\",\"stream\":\"rows\",\"key_properties\":[],\"schema\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\"}}}}'
echo '{\"type\":\"RECORD\",\"stream\":\"rows\",\"record\":{\"id\":1}}'
echo '{\"type\":\"STATE\",\"value\":{\"id\":1}}'
";

fn guarded() -> Project {
    let mut project = Project::with(PIPELINE);
    project.write("tap.sh", TAP);
    project.set("FLEXCORE_SECRET_TOKEN", VALUE);
    project
}

/// Files below a folder that hold a text, in clear or as base64.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if let Ok(bytes) = fs::read(&path) {
            let holds = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            found.extend(holds.then(|| path.display().to_string()));
        }
    }
    found
}

#[test]
fn a_secret_reaches_its_program_and_nothing_else() {
    let project = guarded();
    let finished = project.flexcore(&["run", "pipeline.yaml", "-v"]).ends_with(1);
    let execution = project.last_execution();
    assert_eq!(execution["steps"][0]["output"]["length"], VALUE.len());
    assert_eq!(execution["steps"][0]["output"]["leaked"], "***");
    assert_eq!(execution["steps"][1]["status"], "completed", "{execution:#}");
    assert_eq!(execution["steps"][2]["error"]["exit_code"], 3);
    assert!(!format!("{}{}{execution}", finished.stdout, finished.stderr).contains(VALUE));
    let logs = project.flexcore(&["logs"]).completes().stdout;
    assert!(logs.contains("the password is ***") && logs.contains("config: "), "{logs}");
    assert!(!logs.contains(VALUE), "{logs}");
    for arguments in [
        &["events", "read", "--limit", "1000"][..],
        &["plan", "pipeline.yaml"],
        &["pipeline", "show", "guarded"],
        &["validate", "pipeline.yaml"],
    ] {
        let shown = project.json(arguments);
        assert!(!format!("{}{}", shown.stdout, shown.stderr).contains(VALUE), "{shown}");
    }
    assert_eq!(files_with(project.root(), VALUE), Vec::<String>::new());
}

#[test]
fn a_secret_parameter_takes_a_reference_and_no_literal() {
    let mut project = guarded();
    project.set("FLEXCORE_SECRET_OTHER", VALUE);
    let literal = format!("token={VALUE}");
    let refused = project.flexcore(&["run", "pipeline.yaml", "--param", &literal]);
    assert_ne!(refused.status.code(), Some(0));
    assert!(refused.stderr.contains("@secret:"), "{refused}");
    assert!(!refused.stderr.contains(VALUE), "{refused}");
    let arguments = ["run", "pipeline.yaml", "--only", "use", "--param", "token=@secret:OTHER"];
    project.flexcore(&arguments).completes();
    let params = project.last_execution()["params"].to_string();
    assert!(params.contains("OTHER") && !params.contains(VALUE), "{params}");
    assert_eq!(files_with(project.root(), VALUE), Vec::<String>::new());
}

#[test]
fn a_secret_that_does_not_exist_fails_its_step_by_name() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - { id: a, env: { X: \"{{ secret('NOPE') }}\" }, command: { argv: [\"true\"] } }\n",
    );
    let finished = project.json(&["run", "pipeline.yaml"]).ends_with(1);
    let message = finished.value()["steps"][0]["error"]["message"].clone();
    assert!(message.as_str().expect("a message").contains("NOPE"), "{message}");
}

#[test]
fn a_secret_in_arguments_is_refused_before_anything_runs() {
    for argument in ["{{ secret('TOKEN') }}", "--token={{ params.token }}"] {
        let pipeline = format!(
            "pipeline: p\nparams: {{ token: {{ type: string, secret: true, default: \"{{{{ secret('TOKEN') }}}}\" }} }}\n\
             steps:\n  - {{ id: a, command: {{ argv: [echo, \"{argument}\"] }} }}\n"
        );
        let project = Project::with(&pipeline);
        let refused = project.json(&["run", "pipeline.yaml"]).ends_with(3);
        assert!(refused.stderr.contains("FC0114"), "{refused}");
    }
}

#[test]
fn secrets_come_from_files_where_the_project_says_so() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - { id: a, env: { X: \"{{ secret('TOKEN') }}\" }, command: { run: 'echo ${#X} > length' } }\n",
    );
    project.write("flexcore.yaml", "secrets: [{ file: keys }]\nwritable: ['.']\n");
    project.write("keys/TOKEN", format!("{VALUE}\n"));
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    assert_eq!(project.read("length"), format!("{}\n", VALUE.len()));
}

#[test]
fn the_config_of_a_killed_plugin_is_swept_by_the_next_run() {
    let mut project = Project::with(
        "pipeline: p\nsteps:\n  - id: move\n    sync:\n      \
         tap: { command: [sh, tap.sh], config: { password: \"{{ secret('TOKEN') }}\" } }\n      \
         target: { plugin: target-jsonl, config: { path: out } }\n",
    );
    let runtime = project.scratch().join("runtime");
    fs::create_dir(&runtime).expect("a folder");
    project.set("XDG_RUNTIME_DIR", &runtime.display().to_string());
    project.set("FLEXCORE_SECRET_TOKEN", VALUE);
    let tap = "cp \"$2\" seen; cp \"$2\" \"$FLEXCORE_WORK/copy\"; [ -e go ] || sleep 600\n"
        .to_owned()
        + TAP;
    project.write("tap.sh", tap);
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the tap has its config", || project.read("seen").contains(VALUE));
    let holding = files_with(&runtime, VALUE);
    assert!(!holding.is_empty(), "the config lies below XDG_RUNTIME_DIR");
    for path in &holding {
        assert_private(Path::new(path));
    }
    assert!(running.kill_after(Duration::ZERO));
    project.write("go", "");
    project.flexcore(&["run", "--resume", "pipeline.yaml"]).completes();
    assert_eq!(files_with(&runtime, VALUE), Vec::<String>::new());
    fs::remove_file(project.path("seen")).expect("what the tap wrote");
    assert_eq!(files_with(project.root(), VALUE), Vec::<String>::new());
}

/// Only its owner may read it and its folder.
fn assert_private(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(file), 0o600, "{}", file.display());
    assert_eq!(mode(file.parent().expect("a folder")), 0o700, "{}", file.display());
}

#[test]
fn secrets_come_from_a_vault_where_the_project_says_so() {
    let vault = VaultDouble::start().expect("a port");
    vault.add_token("hvs.nobody-may-see-this", None, false);
    vault.put("apps/shop/TOKEN", &format!(r#"{{"value":"{VALUE}"}}"#));
    let project = Project::with(
        "pipeline: p\nsteps:\n  - id: a\n    env: { X: \"{{ secret('TOKEN') }}\" }\n    \
         command: { run: 'echo ${#X} > length; echo says $X; cat token || true' }\n",
    );
    project.write(
        "flexcore.yaml",
        format!(
            "writable: ['.']\nsecrets:\n  - vault: {{ address: 'http://{}', prefix: apps/shop, \
             token_file: token }}\n",
            vault.address()
        ),
    );
    project.write("token", "hvs.nobody-may-see-this\n");
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    assert_eq!(project.read("length"), format!("{}\n", VALUE.len()));
    let logs = project.flexcore(&["logs"]).completes().stdout;
    assert!(logs.contains("says ***") && !logs.contains("nobody-may-see"), "{logs}");
    vault.revoke("hvs.nobody-may-see-this");
    let refused = project.json(&["run", "pipeline.yaml"]).ends_with(1);
    let message = refused.value()["steps"][0]["error"]["message"].to_string();
    assert!(message.contains("FC0681") && message.contains("/token"), "{message}");
    assert!(!message.contains("nobody-may-see"), "{message}");
    assert_eq!(files_with(&project.path(".flexcore"), VALUE), Vec::<String>::new());
}
