//! What holds a command.

use flexcore_domain::{ErrorClass, IsolationPlace};
use flexcore_plugin_protocol::{Effective, LimitName};
use flexcore_ports::{LogSource, attempt::AttemptOutcome};

use crate::bench::{Bench, error, output, script};

#[tokio::test]
async fn the_project_is_read_and_its_writable_folders_are_written() {
    let bench = Bench::new().await;
    std::fs::write(bench.project.path().join("given"), "here").unwrap();
    output(bench.run(script("cat given > out/copy; ! touch given out/../new 2> out/said")).await);
    let read = |name: &str| std::fs::read_to_string(bench.project.path().join(name)).unwrap();
    assert_eq!(read("out/copy"), "here");
    assert!(read("out/said").contains("Read-only file system"));
}

#[tokio::test]
async fn what_flexcore_keeps_in_the_project_is_not_seen() {
    let bench = Bench::new().await;
    std::fs::create_dir(bench.project.path().join(".flexcore")).unwrap();
    std::fs::write(bench.project.path().join(".flexcore/log.db"), "events").unwrap();
    output(bench.run(script("cat .flexcore/log.db || echo unseen")).await);
    assert_eq!(bench.log.of(LogSource::Stdout), ["unseen"]);
}

#[tokio::test]
async fn an_attempt_tells_what_held_it() {
    let bench = Bench::new().await;
    let end = bench.run_to_end(script("true"), bench.context()).await;
    let [isolation] = &end.isolation[..] else { panic!("{end:?}") };
    assert!(matches!(isolation.place, IsolationPlace::Jail { .. }), "{isolation:?}");
    let seccomp = isolation.controls.iter().find(|control| control.name == "seccomp").unwrap();
    assert!(seccomp.required && seccomp.state == "enforced", "{seccomp:?}");
}

#[tokio::test]
async fn a_command_that_did_not_start_was_held_by_nothing() {
    let bench = Bench::new().await;
    let missing = crate::bench::argv(&["no-such-program"]);
    let end = bench.run_to_end(missing, bench.context()).await;
    assert!(matches!(end.outcome, AttemptOutcome::Failed(_)));
    assert!(end.isolation.is_empty() && end.uses.is_empty());
}

#[tokio::test]
async fn memory_beyond_the_limit_is_a_class_of_its_own() {
    let bench = Bench::new().await;
    let mut context = bench.context();
    let limits = [(LimitName::Memory, 64 << 20)].into_iter().collect();
    context.rights.effective = Effective { limits, ..Effective::default() };
    // It grows in small pieces, so that no single one is refused.
    let hog = "head -c 300M /dev/zero | tail";
    let failed = error(bench.run_to_end(script(hog), context).await.outcome);
    let counted = failed.class == ErrorClass::Oom && failed.message.contains("than the 64 MiB");
    // Where the kernel counts no memory of groups, the program is refused its next piece.
    let refused = failed.stderr_tail.iter().any(|line| line.contains("memory exhausted"));
    assert!(counted || refused, "{failed:?}");
}
