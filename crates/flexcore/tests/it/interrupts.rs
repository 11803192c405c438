//! Ctrl-C: once cancels, twice leaves the execution to a resume.

use rustix::process::Signal;

use crate::project::{Project, attempts_alive, wait_until};

const SLOW: &str = "\
pipeline: slow
steps:
  - { id: first, command: { run: \"echo first >> trace\" } }
  - id: wait
    needs: [first]
    command:
      run: |
        trap 'echo asked >> trace; exit 0' TERM
        echo wait >> trace
        sleep 600 & wait
  - { id: last, needs: [wait], command: { run: \"echo last >> trace\" } }
  - { id: clean, needs: [wait], run_on: cancelled, command: { run: \"echo clean >> trace\" } }
";

#[test]
fn one_interrupt_cancels_and_ends_the_tree() {
    for signal in [Signal::INT, Signal::TERM] {
        let project = Project::with(SLOW);
        let running = project.start(&["run", "pipeline.yaml"]);
        wait_until("the step runs", || project.count_lines("trace", "wait") == 1);
        running.signal(signal);
        let finished = running.finish().ends_with(130);
        let execution = project.last_execution();
        assert_eq!(execution["status"], "cancelled", "{finished}");
        assert_eq!(execution["steps"][1]["status"], "cancelled", "{execution:#}");
        assert_eq!(project.read("trace"), "first\nwait\nasked\nclean\n", "{signal:?}");
        let id = execution["id"].as_str().expect("an id");
        assert_eq!(attempts_alive(id), Vec::<String>::new());
        project.assert_log_verifies();
        project.flexcore(&["run", "--resume", "pipeline.yaml"]).ends_with(130);
    }
}

/// A terminal sends Ctrl-C to every process of its foreground group, the launcher too.
#[test]
fn an_interrupt_of_the_whole_group_cancels_as_gently() {
    let project = Project::with(SLOW);
    let running = project.start_in_own_group(&["run", "pipeline.yaml"]);
    wait_until("the step runs", || project.count_lines("trace", "wait") == 1);
    running.signal_group(Signal::INT);
    running.finish().ends_with(130);
    assert_eq!(project.last_execution()["status"], "cancelled");
    assert_eq!(project.read("trace"), "first\nwait\nasked\nclean\n");
    project.assert_log_verifies();
}

#[test]
fn two_interrupts_leave_it_interrupted_and_a_resume_goes_on() {
    let stubborn = "\
pipeline: slow
steps:
  - { id: first, command: { run: \"echo first >> trace\" } }
  - id: wait
    needs: [first]
    command:
      run: |
        trap '' TERM INT
        echo wait >> trace
        [ $(grep -c wait trace) -gt 1 ] || while :; do sleep 1; done
";
    let project = Project::with(stubborn);
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the step runs", || project.count_lines("trace", "wait") == 1);
    running.signal(Signal::INT);
    wait_until("it is said", || running.stderr().contains("Ctrl-C again"));
    running.signal(Signal::INT);
    running.finish().ends_with(130);
    let execution = project.last_execution();
    let id = execution["id"].as_str().expect("an id");
    assert_eq!(execution["status"], "running", "{execution:#}");
    assert_eq!(attempts_alive(id), Vec::<String>::new());
    // The first interrupt asked for its end, and a resume does not forget that.
    let resumed = project.flexcore(&["run", "--resume", "pipeline.yaml"]).ends_with(130);
    assert_eq!(project.last_execution()["status"], "cancelled", "{resumed}");
    assert_eq!(project.count_lines("trace", "first"), 1);
    project.assert_log_verifies();
}

#[test]
fn a_cancelled_execution_is_retried_from_where_it_was() {
    let project =
        Project::with(&SLOW.replace("sleep 600 & wait", "[ -e go ] || { sleep 600 & wait; }"));
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the step runs", || project.count_lines("trace", "wait") == 1);
    running.signal(Signal::INT);
    running.finish().ends_with(130);
    project.write("go", "");
    project.flexcore(&["execution", "retry", "last"]).completes();
    assert_eq!(project.read("trace"), "first\nwait\nasked\nclean\nwait\nlast\n");
    assert_eq!(project.last_execution()["status"], "completed");
}

#[test]
fn an_interrupted_reader_ends_quietly() {
    let project = Project::with(SLOW);
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the step runs", || project.count_lines("trace", "wait") == 1);
    let tail = project.start(&["events", "tail", "--output", "json"]);
    wait_until("events are shown", || tail.stdout().lines().count() > 3);
    tail.signal(Signal::INT);
    let ended = tail.finish();
    assert!(ended.stderr.is_empty(), "{ended}");
    running.signal(Signal::INT);
    running.finish().ends_with(130);
}

/// A tap that goes on until it is asked to end, and then does as `last_words` say.
fn endless_sync(last_words: &str) -> Project {
    let project = Project::with(
        "pipeline: endless\nsteps:\n  - id: load\n    sync:\n      tap: { command: [sh, tap.sh] }\n      \
         target: { plugin: target-jsonl, config: { path: out } }\n",
    );
    let schema = r#"{"type":"SCHEMA","stream":"rows","key_properties":[],"schema":{"type":"object","properties":{"id":{"type":"integer"}}}}"#;
    let record = r#"{"type":"RECORD","stream":"rows","record":{"id":1}}"#;
    project.write(
        "tap.sh",
        format!(
            "trap '{last_words}' TERM\necho '{schema}'\necho '{record}'\ntouch on\n\
             while :; do sleep 0.02; done\n"
        ),
    );
    project
        .write("state", "{\"type\":\"STATE\",\"value\":{\"bookmarks\":{\"rows\":{\"id\":1}}}}\n");
    project
}

#[test]
fn a_cancelled_sync_keeps_what_its_target_confirms_at_the_end() {
    let project = endless_sync("cat state; exit 0");
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the tap runs", || project.path("on").exists());
    running.signal(Signal::INT);
    running.finish().ends_with(130);
    let execution = project.last_execution();
    assert_eq!(execution["status"], "cancelled");
    assert_eq!(execution["steps"][0]["status"], "cancelled", "exit 0 is no success here");
    assert_eq!(project.read("out/rows.jsonl"), "{\"id\":1}\n");
    let bookmark = project.json(&["bookmark", "show", "endless/load"]).completes().value();
    assert_eq!(bookmark["state"]["bookmarks"]["rows"]["id"], 1, "{bookmark:#}");
    project.assert_log_verifies();
}

#[test]
fn a_sync_that_does_not_listen_is_left_at_the_second_interrupt() {
    let project = endless_sync("");
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the tap runs", || project.path("on").exists());
    running.signal(Signal::INT);
    wait_until("it is said", || running.stderr().contains("Ctrl-C again"));
    running.signal(Signal::INT);
    running.finish().ends_with(130);
    let id = project.last_execution()["id"].as_str().expect("an id").to_owned();
    assert_eq!(attempts_alive(&id), Vec::<String>::new());
    project.assert_log_verifies();
}
