//! Programs that cannot be started, and what people are told.

use std::{error::Error as _, os::unix::fs::PermissionsExt as _};

use flexcore_sandbox::{IsolationPolicy, SpawnError};

use crate::bench::{Bench, TIERS};

async fn refusal(bench: &Bench, argv: &[&str]) -> SpawnError {
    bench.launcher.spawn(bench.request(argv)).await.unwrap_err()
}

fn write(bench: &Bench, name: &str, content: &str, mode: u32) {
    let file = bench.folder.path().join(name);
    std::fs::write(&file, content).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_missing_program_is_named_with_where_it_was_looked_for() {
    for tier in TIERS {
        let bench = Bench::new(tier).await;
        let error = refusal(&bench, &["no-such-tap"]).await;
        assert_eq!(
            error.to_string(),
            "program `no-such-tap` not found in PATH (/usr/local/bin:/usr/bin:/bin); install it, \
             correct PATH in `env`, or give its path"
        );
        let error = refusal(&bench, &["./no-such-tap"]).await;
        assert_eq!(error.to_string(), "program `./no-such-tap` not found");
        assert!(bench.script("exit 0").await.process.wait().await.is_success(), "goes on");
    }
}

#[tokio::test]
async fn a_file_that_is_not_executable_or_has_no_interpreter_says_so() {
    let bench = Bench::new(IsolationPolicy::Strongest).await;
    write(&bench, "plain", "#!/bin/sh\n", 0o644);
    let error = refusal(&bench, &["./plain"]).await;
    assert!(matches!(&error, SpawnError::NotExecutable { program } if program == "./plain"));

    write(&bench, "orphan", "#!/no/such/python -u\n", 0o755);
    let error = refusal(&bench, &["./orphan"]).await;
    assert_eq!(
        error.to_string(),
        "the interpreter of `./orphan` does not exist; check its first line \
         (`#!/no/such/python -u`)"
    );
}

#[tokio::test]
async fn a_bad_working_directory_is_not_mistaken_for_a_bad_program() {
    let bench = Bench::new(IsolationPolicy::Strongest).await;
    for (cwd, reason) in [
        (bench.folder.path().join("missing"), "No such file or directory"),
        (bench.lock_path(), "Not a directory"),
        ("relative".into(), "it is not an absolute path"),
    ] {
        let mut request = bench.request(&["/bin/true"]);
        request.cwd.clone_from(&cwd);
        let error = bench.launcher.spawn(request).await.unwrap_err();
        assert!(matches!(&error, SpawnError::WorkingDirectory { cwd: named, .. } if *named == cwd));
        assert!(error.source().unwrap().to_string().contains(reason), "{error:?}");
    }
}

#[tokio::test]
async fn strings_that_no_program_can_be_given_are_refused_before_anything_starts() {
    let bench = Bench::new(IsolationPolicy::Strongest).await;
    let error = refusal(&bench, &[]).await;
    assert!(matches!(error, SpawnError::NoProgram));
    let error = refusal(&bench, &["/bin/echo", "a\0b"]).await;
    assert!(error.to_string().starts_with("argument 1 contains a zero byte"), "{error}");

    let mut request = bench.request(&["/bin/true"]);
    request.environment.push(("A".into(), "\0".into()));
    let error = bench.launcher.spawn(request).await.unwrap_err();
    assert!(error.to_string().starts_with("the environment variable A contains"), "{error}");

    let mut request = bench.request(&["/bin/true"]);
    request.environment.push(("A=B".into(), "c".into()));
    let error = bench.launcher.spawn(request).await.unwrap_err();
    assert_eq!(error.to_string(), "`A=B` is not a name for an environment variable");
}

#[tokio::test]
async fn arguments_beyond_the_systems_limit_say_so() {
    let bench = Bench::new(IsolationPolicy::Strongest).await;
    let error = refusal(&bench, &["/bin/true", &"x".repeat(4 * 1024 * 1024)]).await;
    assert!(matches!(error, SpawnError::TooLong { .. }), "{error}");
}
