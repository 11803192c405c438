//! Programs that do not begin as a plugin has to.

use std::{fs, os::unix::net::UnixListener, path::PathBuf, time::Duration};

use flexcore_domain::ErrorClass;
use flexcore_ports::PluginHost as _;

use crate::bench::{Bench, call};

const SERVES: &str = r#"echo "1|1|unix|$PLUGIN_UNIX_SOCKET_DIR/s|grpc"; exec sleep 1000"#;

#[tokio::test]
async fn first_lines_that_are_no_handshake_are_named() {
    let bench = Bench::new().await;
    for (name, script, code, says) in [
        ("garbage", "echo hello; exec sleep 1000", "FC0610", "`hello`"),
        (
            "log-first",
            "echo '{\"@level\":\"info\"}'; exec sleep 1000",
            "FC0610",
            "printed something",
        ),
        ("endless", "exec tr '\\0' x </dev/zero", "FC0610", "more than 8192 bytes"),
        ("zeros", "printf '1|1|unix|/a\\000b|grpc\\n'; exec sleep 1000", "FC0610", "no text"),
        ("no-utf8", "printf '\\377\\376\\n'; exec sleep 1000", "FC0610", "no text"),
        (
            "core-2",
            "echo '2|1|unix|/s|grpc'; exec sleep 1000",
            "FC0610",
            "version `2` of go-plugin's",
        ),
        ("app-9", "echo '1|9|unix|/s|grpc'; exec sleep 1000", "FC0610", "version `9`"),
        ("tcp", "echo '1|1|tcp|127.0.0.1:9|grpc'; exec sleep 1000", "FC0610", "`tcp`"),
        ("outside", "echo '1|1|unix|/run/s|grpc'; exec sleep 1000", "FC0610", "not a file in"),
        (
            "climbing",
            "echo \"1|1|unix|$PLUGIN_UNIX_SOCKET_DIR/../s|grpc\"; exec sleep 1000",
            "FC0610",
            "not a file in",
        ),
        (
            "netrpc",
            "echo \"1|1|unix|$PLUGIN_UNIX_SOCKET_DIR/s|netrpc\"; exec sleep 1000",
            "FC0610",
            "only `grpc`",
        ),
        (
            "certificate",
            "echo \"1|1|unix|$PLUGIN_UNIX_SOCKET_DIR/s|grpc|MIIB\"; exec sleep 1000",
            "FC0610",
            "TLS",
        ),
        ("ends", "exit 0", "FC0641", "exit code 0"),
        ("fails", "echo it is broken >&2; exit 7", "FC0641", "exit code 7"),
        ("closes", "exec >&-; exec sleep 1000", "FC0641", "closed its output"),
        ("no-socket", SERVES, "FC0642", "cannot be opened"),
        ("file", &format!("echo > $PLUGIN_UNIX_SOCKET_DIR/s; {SERVES}"), "FC0642", "is no socket"),
        (
            "link",
            &format!("ln -s /run/docker.sock $PLUGIN_UNIX_SOCKET_DIR/s; {SERVES}"),
            "FC0642",
            "is no socket",
        ),
        ("folder", &format!("mkdir $PLUGIN_UNIX_SOCKET_DIR/s; {SERVES}"), "FC0642", "is no socket"),
    ] {
        let plugin = bench.script(name, script, "");
        let error = bench.host.initialize(&plugin).await.unwrap_err();
        assert_eq!(error.code, code, "{name}: {error:?}");
        assert!(error.message.contains(says), "{name}: {error:?}");
        assert!(error.message.contains(name) && error.is_fault, "{name}: {error:?}");
        if name == "fails" {
            assert_eq!(error.stderr_tail, ["it is broken"]);
        }
        // A call says the same, and what held the program.
        let end = bench.execute(&plugin, call("", serde_json::json!(null))).await;
        assert_eq!(end.outcome.unwrap_err().code, code, "{name}");
        assert!(end.isolation.is_some(), "{name}");
    }
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_program_that_says_nothing_is_ended_in_time() {
    let bench = Bench::new().await;
    for (name, script) in [
        ("silent", "exec sleep 1000"),
        ("no-newline", "printf x; exec sleep 1000"),
        ("drips", "while :; do printf 1; sleep 0.01; done"),
        ("forks", "for i in 1 2 3; do setsid sleep 1000 & done; exec sleep 1000"),
    ] {
        let plugin = bench.script(name, script, "[limits]\nstart = \"100ms\"\n");
        let error = bench.host.initialize(&plugin).await.unwrap_err();
        assert_eq!((error.class, error.code), (ErrorClass::Timeout, "FC0641"), "{error:?}");
        assert!(error.message.contains("100ms"), "{error:?}");
    }
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_socket_of_another_process_is_not_spoken_to() {
    let bench = Bench::new().await;
    let wait = "while ! [ -S $PLUGIN_UNIX_SOCKET_DIR/s ]; do sleep 0.01; done";
    let plugin = bench.script("thief", &format!("{wait}; {SERVES}"), "");
    let run = bench.folder.path().join("run");
    let trap = tokio::task::spawn_blocking(move || UnixListener::bind(only_folder(&run).join("s")));
    let error = bench.host.initialize(&plugin).await.unwrap_err();
    assert!(error.code == "FC0642" && error.message.contains("not the plugin's"), "{error:?}");
    let listener = trap.await.unwrap().unwrap();
    listener.set_nonblocking(true).unwrap();
    // It was connected to, to see whose it is, and nothing was said.
    let (mut stream, _) = listener.accept().unwrap();
    let mut said = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut said).unwrap();
    assert!(said.is_empty());
    bench.nothing_is_left().await;
}

/// The private folder of the one plugin that runs, as soon as it is there.
fn only_folder(run: &std::path::Path) -> PathBuf {
    loop {
        if let Some(Ok(entry)) = fs::read_dir(run).ok().and_then(|mut entries| entries.next()) {
            return entry.path();
        }
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_refused() {
    let bench = Bench::new().await;
    let mut plugin = bench.script("missing", "", "");
    fs::remove_file(plugin.folder.as_ref().unwrap().join("script")).unwrap();
    let error = bench.host.initialize(&plugin).await.unwrap_err();
    assert_eq!((error.class, error.code, error.is_fault), (ErrorClass::Refused, "FC0640", false));
    plugin.folder = Some("/nonexistent".into());
    assert_eq!(bench.host.initialize(&plugin).await.unwrap_err().code, "FC0640");
}

#[tokio::test]
async fn a_plugin_may_take_as_long_as_its_limits_say() {
    let bench = Bench::with(|options| options.start = Duration::from_millis(1)).await;
    let program = env!("CARGO_BIN_EXE_flexcore-plugin-process-misbehaviour");
    let limits = "[limits]\nstart = \"1m\"\n";
    let folder = bench.program("misbehaviour", program.as_ref(), limits).folder.unwrap();
    let plugin = crate::bench::plugin("misbehaviour", &["program", "good"], &folder, limits);
    bench.host.initialize(&plugin).await.unwrap();
}

#[tokio::test]
async fn a_script_sees_its_interpreter_wherever_that_lies() {
    let bench = Bench::new().await;
    let code = "import sys; print(sys.executable)";
    let python = std::process::Command::new("python3").args(["-c", code]).output().unwrap();
    let python = String::from_utf8(python.stdout).unwrap();
    let plugin = bench.script("snake", "", "");
    let script = format!("#!{}\nimport ssl\nprint('hello from Python')\n", python.trim());
    fs::write(plugin.folder.as_ref().unwrap().join("script"), script).unwrap();
    let error = bench.host.initialize(&plugin).await.unwrap_err();
    assert!(error.message.contains("`hello from Python`"), "{error:?}");
    bench.nothing_is_left().await;
}
