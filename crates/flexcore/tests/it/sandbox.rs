//! What holds the programs of steps, seen from outside.

use serde_json::Value;

use crate::project::Project;

/// The programs of the only step of the newest execution, as `execution show` has them.
fn sandbox(project: &Project) -> Value {
    project.last_execution()["steps"][0]["sandbox"].clone()
}

fn script(text: &str) -> Project {
    let project = Project::with(&format!(
        "pipeline: p\nsteps:\n  - id: look\n    command:\n      run: |\n        {}\n",
        text.replace('\n', "\n        ")
    ));
    project.write("flexcore.yaml", "writable: [out/, made]\n");
    project
}

#[test]
fn a_step_sees_its_project_and_writes_where_the_project_says() {
    let project = script(
        "cat pipeline.yaml > /dev/null\necho a > out/a\necho b > made/b\n! touch here 2> out/refused\n\
         ls -A .flexcore > out/hidden\necho \"$HOME $TMPDIR\" > out/folders\ntouch \"$HOME/x\" \"$TMPDIR/y\"",
    );
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    assert_eq!((project.read("out/a"), project.read("made/b")), ("a\n".into(), "b\n".into()));
    assert!(project.read("out/refused").contains("Read-only file system"));
    // Of FlexCore's folder it sees the way to its own work folder.
    assert!(["", "work\n"].contains(&project.read("out/hidden").as_str()));
    assert!(project.read("out/folders").contains(".flexcore/work/"));
    let held = sandbox(&project);
    assert_eq!(held["programs"][0]["place"], "jail", "{held:#}");
    let shown = project.flexcore(&["execution", "show", "last"]).completes();
    assert!(shown.stdout.contains("look: jail, tier"), "{shown}");
    assert!(shown.stdout.contains("StepSandboxed"), "{shown}");
}

#[test]
fn files_of_the_machine_need_a_grant() {
    let project = Project::new();
    project.write("../outside/data", "from outside\n");
    let outside = project.scratch().join("outside").canonicalize().expect("it is there");
    project.write(
        "pipeline.yaml",
        format!(
            "pipeline: p\nsteps:\n  - id: look\n    capabilities: {{ fs_read: ['{0}'] }}\n    command: \
             {{ run: \"mkdir -p out; cat {0}/data > out/seen; ! touch {0}/new\" }}\n",
            outside.display()
        ),
    );
    let refused = project.flexcore(&["run", "pipeline.yaml"]).ends_with(4);
    assert!(refused.stderr.contains("FC0611"), "{refused}");
    assert!(!project.path("out/seen").exists());
    project.flexcore(&["run", "pipeline.yaml", "--grant"]).completes();
    assert_eq!(project.read("out/seen"), "from outside\n");
    assert!(!outside.join("new").exists());
    let granted = &sandbox(&project)["granted"];
    let expected = format!("fs_read {}", outside.display());
    assert!(granted.as_array().is_some_and(|all| all.iter().any(|one| *one == *expected)));
}

/// A step that asks for a file of the machine, in a project that was granted nothing.
fn asking() -> Project {
    let project = Project::new();
    project.write("../outside/data", "from outside\n");
    let outside = project.scratch().join("outside").canonicalize().expect("it is there");
    let outside = outside.display();
    project.write(
        "pipeline.yaml",
        format!(
            "pipeline: p\nsteps:\n  - id: look\n    capabilities: {{ fs_read: ['{outside}'] }}\n    \
             command: {{ run: \"mkdir -p out; cat {outside}/data > out/seen\" }}\n",
        ),
    );
    project
}

const QUESTION: &str = "grant these? [y/N]";

#[test]
fn on_a_terminal_the_operator_is_asked_once_and_yes_is_kept() {
    let project = asking();
    let granted = project.answering(&["run", "pipeline.yaml"], QUESTION, "y").completes();
    assert!(granted.stdout.contains("fs_read = ["), "the lines are shown first: {granted}");
    assert_eq!(project.read("out/seen"), "from outside\n");
    assert!(project.read(".flexcore/grants.toml").contains("fs_read"));
    let again = project.on_terminal(&["run", "pipeline.yaml"]).completes();
    assert!(!again.stdout.contains(QUESTION), "{again}");
}

#[test]
fn on_a_terminal_no_grants_nothing_and_starts_nothing() {
    for answer in ["n", "", "maybe"] {
        let project = asking();
        let refused = project.answering(&["run", "pipeline.yaml"], QUESTION, answer).ends_with(4);
        assert!(refused.stdout.contains("FC0611"), "{refused}");
        assert!(
            !project.path(".flexcore/grants.toml").exists() && !project.path("out/seen").exists()
        );
    }
}

/// Runs the binary where it can have no namespace at all, so that only Landlock and filters are left.
fn without_namespaces(project: &Project, arguments: &[&str]) -> crate::project::Finished {
    let binary = project.command(arguments);
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c"]);
    command.arg(
        "echo 0 > /proc/sys/user/max_user_namespaces && \
         exec setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all \"$@\"",
    );
    command.arg("sh").arg(binary.get_program()).args(binary.get_args());
    command.current_dir(project.root()).stdin(std::process::Stdio::null()).env_clear();
    command.envs(binary.get_envs().filter_map(|(name, value)| Some((name, value?))));
    crate::project::Finished::of(command, arguments)
}

#[test]
fn strict_refuses_what_the_machine_cannot_enforce_and_a_project_may_ask_for_it() {
    let project = script("touch out/ran");
    without_namespaces(&project, &["run", "pipeline.yaml"]).completes();
    assert!(project.path("out/ran").exists());
    std::fs::remove_file(project.path("out/ran")).expect("it is there");
    project.write("flexcore.yaml", "sandbox: strict\nwritable: [out/, made]\n");
    let refused = without_namespaces(&project, &["run", "pipeline.yaml"]).ends_with(1);
    assert!(refused.stderr.contains("mount_ns"), "{refused}");
    assert!(!project.path("out/ran").exists());
    // Where everything is enforced the same project runs.
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    assert!(project.path("out/ran").exists());
}

#[test]
fn a_step_without_network_reaches_nothing_and_is_told_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let project = script(&format!("echo hello > /dev/tcp/127.0.0.1/{port}"));
    let failed = project.flexcore(&["run", "pipeline.yaml"]).ends_with(1);
    assert!(failed.stderr.contains("step `look` runs without network"), "{failed}");
}

#[test]
fn a_granted_address_is_reached_and_counted() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let project = Project::with(&format!(
        "pipeline: p\nsteps:\n  - id: look\n    capabilities: {{ network: ['tcp://127.0.0.1:{port}'] }}\n    \
         command: {{ run: \"echo hello > /dev/tcp/127.0.0.1/{port}\" }}\n",
    ));
    project.flexcore(&["run", "pipeline.yaml", "--grant"]).completes();
    let used = &sandbox(&project)["uses"][0];
    assert_eq!(used["capability"], format!("network tcp://127.0.0.1:{port}"), "{used:#}");
    assert_eq!((&used["allowed"], &used["times"]), (&true.into(), &1.into()), "{used:#}");
    let types: Vec<String> = project.events().into_iter().map(|event| event.kind).collect();
    let position = |name: &str| types.iter().position(|kind| kind == name);
    let (held, counted) = (position("StepSandboxed"), position("StepCapabilitiesUsed"));
    assert!(held.is_some() && held < counted && counted < position("StepCompleted"), "{types:?}");
}

#[test]
fn too_much_memory_is_an_error_of_its_own_class_with_the_limit() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - id: hog\n    limits: { memory: 64MiB }\n    command: \
         { argv: [python3, -c, 'x = bytearray(512 << 20)'] }\n",
    );
    let failed = project.flexcore(&["run", "pipeline.yaml"]).ends_with(1);
    // Where the kernel counts no memory of groups, the allocation itself is refused.
    let said = &failed.stderr;
    assert!(said.contains("than the 64 MiB") || said.contains("MemoryError"), "{failed}");
}

#[test]
fn without_a_jail_by_order_everything_is_as_it_was_and_that_is_recorded() {
    let mut project = script("touch anywhere; echo \"$HOME\" > anywhere");
    project.set("FLEXCORE_SANDBOX", "off");
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    assert_eq!(project.read("anywhere"), format!("{}\n", project.scratch().display()));
    assert_eq!(sandbox(&project)["programs"][0]["place"], "unconfined");
}

#[test]
fn a_wish_that_nobody_knows_is_refused() {
    let mut project = script("true");
    project.set("FLEXCORE_SANDBOX", "perhaps");
    let refused = project.flexcore(&["run", "pipeline.yaml"]).ends_with(4);
    assert!(refused.stderr.contains("FC0630"), "{refused}");
}

#[test]
fn the_machine_is_looked_at() {
    let project = Project::new();
    let report = project.json(&["sandbox", "report"]).completes().value();
    let controls = report["controls"].as_array().expect("controls");
    assert!(controls.iter().any(|control| control["name"] == "seccomp"), "{report:#}");
    let doctor = project.json(&["doctor"]).completes().value();
    assert_eq!(doctor["ready"], true, "{doctor:#}");
    let names: Vec<&str> = doctor["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .filter_map(|c| c["name"].as_str())
        .collect();
    assert_eq!(names, ["sandbox", "store", "state folder", "clock", "python3", "uv", "plugins"]);
    let text = project.flexcore(&["doctor"]).completes();
    assert!(text.stdout.contains("nothing here would stop a run"), "{text}");
}
