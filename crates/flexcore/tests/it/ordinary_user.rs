//! Whole runs as an ordinary user: everything that root may do beside is missing.

use std::{
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::Command,
};

use serde_json::json;

use crate::project::{Finished, Project};

/// The user that owns nothing, on every Linux system.
const NOBODY: u32 = 65_534;

/// A project of an ordinary user; the user of this test, if that is one.
struct Ordinary(Project);

impl Ordinary {
    fn own(&self) {
        if rustix::process::geteuid().is_root() {
            give(self.0.scratch());
        }
    }

    fn json(&self, arguments: &[&str]) -> Finished {
        self.own();
        let arguments = [arguments, &["--output", "json"]].concat();
        let binary = self.0.command(&arguments);
        if !rustix::process::geteuid().is_root() {
            return Finished::of(binary, &arguments);
        }
        let nobody = NOBODY.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups", "--no-new-privs"]);
        command.arg(binary.get_program()).args(binary.get_args()).env_clear();
        command.envs(binary.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.0.root()).stdin(std::process::Stdio::null());
        Finished::of(command, &arguments)
    }
}

/// Gives a folder and all that is in it to nobody.
fn give(path: &Path) {
    let status = path.symlink_metadata().expect("it is there");
    chown_to_nobody(path, status.is_symlink());
    if status.is_dir() {
        for entry in std::fs::read_dir(path).expect("a folder").flatten() {
            give(&entry.path());
        }
    }
}

fn chown_to_nobody(path: &Path, is_link: bool) {
    if is_link {
        std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    } else {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
}

fn project(pipeline: &str) -> Ordinary {
    let mut project = Project::with(pipeline);
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(project.scratch(), mode).expect("it is ours");
    project.set("PATH", "/usr/local/bin:/usr/bin:/bin");
    Ordinary(project)
}

fn tier(view: &serde_json::Value) -> String {
    let sandbox = &view["steps"][0]["sandbox"];
    let program = &sandbox["programs"][0];
    assert_eq!(program["place"], "jail", "{sandbox:#}");
    program["tier"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn commands_and_syncs_run_in_jails() {
    let ordinary = project(
        "pipeline: p\nsteps:\n  - id: look\n    command: { run: \"id -u > who; ! cat /etc/shadow\" }\n  \
         - id: load\n    needs: [look]\n    sync: { tap: { plugin: tap-csv, config: { files: \
         [{ path: rows.csv }] } }, target: { plugin: target-jsonl, config: { path: out } } }\n",
    );
    ordinary.0.write("rows.csv", "id\n1\n2\n");
    let view = ordinary.json(&["run", "pipeline.yaml"]).completes().value();
    assert_eq!(view["steps"][1]["records"], 2, "{view:#}");
    assert_ne!(tier(&view), "root", "{view:#}");
    assert_ne!(ordinary.0.read("who"), "0\n");
}

#[test]
fn process_plugins_and_webassembly_run_in_jails() {
    let ordinary = project(
        "pipeline: p\nsteps:\n  - id: add\n    plugin: { name: json-transform, config: \
         { filter: \".x += 1\" }, input: [{ x: 1 }] }\n  - id: echo\n    needs: [add]\n    \
         plugin: { name: echo, input: { n: 7 } }\n",
    );
    let module = "(module
        (import \"extism:host/env\" \"input_offset\" (func $offset (result i64)))
        (import \"extism:host/env\" \"input_length\" (func $length (result i64)))
        (import \"extism:host/env\" \"output_set\" (func $output (param i64 i64)))
        (memory (export \"memory\") 1)
        (func (export \"execute\") (result i32) (call $output (call $offset) (call $length)) (i32.const 0)))";
    ordinary.0.write("echo/echo.wasm", wat::parse_str(module).expect("a module"));
    ordinary.0.write(
        "echo/plugin.toml",
        "manifest = 1\n[plugin]\nname = \"echo\"\nversion = \"1.0.0\"\nkind = \"wasm-extism\"\n\
         type = \"processor\"\nentrypoint = [\"echo.wasm\"]\n",
    );
    ordinary.json(&["plugin", "register", "echo"]).completes();
    let view = ordinary.json(&["run", "pipeline.yaml"]).completes().value();
    assert_eq!(view["steps"][0]["output"]["records"]["input"], json!([{ "x": 2 }]), "{view:#}");
    assert_eq!(view["steps"][1]["output"]["result"], json!({ "n": 7 }), "{view:#}");
    assert_ne!(tier(&view), "root", "{view:#}");
}
