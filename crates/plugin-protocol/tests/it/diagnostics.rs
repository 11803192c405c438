//! Every mistake in a manifest or a grants file has its name, its place and, where one is known,
//! what to do.

use flexcore_plugin_protocol::{Grants, Manifest};

fn of_manifest(text: &str) -> String {
    Manifest::parse("plugin.toml", text).unwrap_err().to_string()
}

fn of_grants(text: &str) -> String {
    Grants::parse("grants.toml", text).unwrap_err().to_string()
}

#[test]
fn mistakes_of_shape() {
    insta::assert_snapshot!(of_manifest(
        r#"manifest = 1
colour = "red"
[plugin]
nam = "tap"
version = 2
kind = "singr"
entrypoint = "tap"
[limits]
memory = 256
pids = -1
inodes = 4_294_967_296
nofile = 0.5
[pool]
max = 4096
"#
    ));
}

#[test]
fn mistakes_of_values() {
    insta::assert_snapshot!(of_manifest(
        r#"manifest = 1
[plugin]
name = "Tap"
version = "1 2"
kind = "singer"
type = "loader"
roles = ["tap"]
entrypoint = ["../tap", "{confg}"]
[artifact]
sha256 = "ABC"
files = "files.txt"
key_id = "mine"
[config]
schema = "/etc/schema.json"
[capabilities]
network = ["db:5432", "tcp://*.example.com:443", "https://a/b", "tcp://db"]
fs_read = ["/", "../x", "/proc/1", "~/in"]
fs_write = ["/data/*"]
env = ["A-B"]
secrets = ["a/b"]
[limits]
memory = "256MB"
disk = "0B"
cpu = 0.00001
start = "0s"
[sandbox]
require = ["net ns"]
[grpc]
auto_mtls = true
[http]
url = "http://api.example.com"
"#
    ));
}

#[test]
fn mistakes_of_kinds() {
    let process = r#"manifest = 1
[plugin]
name = "p"
version = "1"
kind = "process"
type = "processor"
[grpc]
magic_cookie = ["A-B", "x"]
auto_mtls = true
[pool]
min_idle = 9
max = 3
max_age = "1x"
"#;
    let wasm = r#"manifest = 1
[plugin]
name = "w"
version = "1"
kind = "wasm-component"
entrypoint = ["/usr/lib/w.wasm", "x"]
[wasm]
world = "other"
"#;
    let http = r#"manifest = 1
[plugin]
name = "h"
version = "1"
kind = "http"
type = "loader"
roles = ["target"]
entrypoint = ["x"]
[http]
url = "http://flext.example.com"
health = "health"
auth = "basic:me"
"#;
    let all = [process, wasm, http].map(of_manifest).join("\n\n----\n\n");
    insta::assert_snapshot!(all);
}

#[test]
fn a_file_that_is_no_toml_or_of_a_newer_version() {
    let newer = of_manifest("manifest = 2\n[plugin]\nname = \"x\"\nshape = \"round\"\n");
    let malformed = of_manifest("manifest = 1\n[plugin\nname = \"x\n");
    let empty = of_manifest("");
    insta::assert_snapshot!([newer, malformed, empty].join("\n\n----\n\n"));
}

#[test]
fn mistakes_in_grants() {
    insta::assert_snapshot!(of_grants(
        r#"grants = 1
[limits]
memry = "1GiB"
[[grant]]
network = ["tcp://db:5432"]
[[grant]]
plugin = "tap"
[[grant]]
plugins = "tap"
"#
    ));
    insta::assert_snapshot!(
        "mistakes_in_the_values_of_grants",
        of_grants(
            r#"grants = 1
[limits]
execute = "soon"
[[grant]]
plugin = "*"
version = ""
[[grant]]
step = "load"
sha256 = "12"
fs_read = [
  "/data",
  "/data/../etc",
]
limits = { memory = "1GB" }
"#
        )
    );
}

#[test]
fn a_password_is_never_shown() {
    for text in [
        "network = [\"tcp://me:hunter2@db:5432\", \"tcp://db\"]",
        "network = \"tcp://me:hunter2@db:5432\"",
        "\"tcp://me:hunter2@db\" = 1",
        "secrets = [\"hunter2!\"]",
        "network = [\"postgres://me:hunter2@db\", 7]",
    ] {
        let manifest = format!(
            "manifest = 1\n[plugin]\nname = \"p\"\nversion = \"1\"\nkind = \"command\"\ntype = \"loader\"\nentrypoint = [\"p\"]\n[capabilities]\n{text}\n"
        );
        let shown = of_manifest(&manifest);
        assert!(!shown.contains("hunter2"), "{shown}");
        let shown = of_grants(&format!("grants = 1\n[[grant]]\nplugin = \"p\"\n{text}\n"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
