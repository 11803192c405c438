//! What steps do: programs, scripts, outputs, conditions, retries, deadlines.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::project::Project;

/// Runs `pipeline.yaml`; the exit code and the view.
fn run(project: &Project) -> (i32, Value) {
    let finished = project.json(&["run", "pipeline.yaml"]);
    let view = finished.value();
    (finished.status.code().expect("not killed"), view)
}

/// A step of a view.
fn step<'a>(view: &'a Value, id: &str) -> &'a Value {
    let steps = view["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no `{id}`: {view:#}"))
}

/// How each step ended, with the cause of a skip.
fn ends(view: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(String::new, str::to_owned);
    let steps = view["steps"].as_array().expect("steps").iter();
    steps
        .map(|step| {
            let cause = match text(&step["skip_cause"]) {
                none if none.is_empty() => none,
                cause => format!(" ({cause})"),
            };
            format!("{}: {}{cause}", text(&step["id"]), text(&step["status"]))
        })
        .collect()
}

#[test]
fn a_script_runs_in_bash_that_stops_at_the_first_error() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - id: bash\n    command:\n      run: |\n        \
         [[ 1 == 1 ]] && false | true\n        touch never\n  \
         - id: posix\n    command:\n      shell: sh\n      run: |\n        \
         echo \"{\\\"name\\\": \\\"$USER\\\"}\" > \"$FLEXCORE_OUTPUT\"\n",
    );
    let (code, view) = run(&project);
    assert_eq!(code, 1);
    assert_eq!(step(&view, "bash")["error"]["reason"], "exit_code");
    assert!(!project.path("never").exists());
    assert_eq!(step(&view, "posix")["output"], json!({ "name": "it" }));
}

#[test]
fn outputs_keep_their_type_on_the_way_to_later_steps() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - id: make\n    command:\n      run: |\n        \
         echo '{\"n\": 7, \"big\": 12345678901234567890, \"list\": [1, \"b\"], \"s\": \"a b\"}' > \"$FLEXCORE_OUTPUT\"\n  \
         - id: use\n    needs: [make]\n    command:\n      \
         argv: [sh, -c, 'printf \"%s\\n\" \"$@\" > seen', x, \"{{ steps.make.output.n }}\", \"{{ steps.make.output.s }}\", \
         \"<{{ steps.make.output.list[1] }}>\", \"{{ steps.make.status }}\", \"{{ steps.make.output.big }}\"]\n      \
         ok_exit_codes: [\"{{ steps.make.output.n - 7 }}\"]\n",
    );
    let (code, view) = run(&project);
    assert_eq!(code, 0, "{view:#}");
    assert_eq!(project.read("seen"), "7\na b\n<b>\ncompleted\n12345678901234567890\n");
}

#[test]
fn a_command_without_an_output_file_has_its_exit_code_as_output() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - id: grep\n    command: { argv: [sh, -c, 'exit 3'], ok_exit_codes: [0, 3] }\n  \
         - { id: other, command: { argv: [sh, -c, 'exit 4'], ok_exit_codes: [0, 3] }, allow_failure: true }\n",
    );
    let (code, view) = run(&project);
    assert_eq!(code, 0, "{view:#}");
    assert_eq!(step(&view, "grep")["output"], json!({ "exit_code": 3 }));
    assert_eq!(step(&view, "other")["error"]["exit_code"], 4);
}

#[test]
fn variables_come_from_where_the_file_says() {
    let mut project = Project::with(
        "pipeline: p\nparams: { who: { type: string, default: world } }\n\
         defaults: { env: { TZ: UTC, LEVEL: pipeline } }\n\
         steps:\n  - id: show\n    env: { LEVEL: step, GREETING: \"hello {{ params.who }}\" }\n    command:\n      \
         run: env > seen\n      env: { PASSED: null, ABSENT: null, LEVEL: command }\n",
    );
    project.set("PASSED", "through");
    project.set("NOT_NAMED", "hidden");
    let (code, view) = run(&project);
    assert_eq!(code, 0, "{view:#}");
    for line in ["TZ=UTC", "LEVEL=command", "GREETING=hello world", "PASSED=through", "USER=it"] {
        assert_eq!(project.count_lines("seen", line), 1, "{line}: {}", project.read("seen"));
    }
    let seen = project.read("seen");
    assert!(!seen.contains("NOT_NAMED") && !seen.contains("ABSENT"), "{seen}");
}

#[test]
fn a_working_directory_is_below_the_project_and_a_work_folder_is_gone_afterwards() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - id: inside\n    command: { run: \"pwd > here; echo \\\"$FLEXCORE_WORK\\\" > work; touch \\\"$FLEXCORE_WORK/file\\\"\", cwd: sub }\n  \
         - { id: outside, command: { argv: [pwd], cwd: .. }, allow_failure: true }\n",
    );
    project.write("sub/.keep", "");
    let (code, view) = run(&project);
    assert_eq!(code, 0, "{view:#}");
    assert!(project.read("sub/here").trim_end().ends_with("project/sub"));
    assert!(!std::path::Path::new(project.read("sub/work").trim_end()).exists());
    assert!(!project.path(".flexcore/work").exists(), "nothing is left of folders of attempts");
    let message = step(&view, "outside")["error"]["message"].as_str().expect("a message");
    assert!(message.contains("out of the project"), "{message}");
}

#[test]
fn conditions_and_ends_of_needs_decide_what_runs() {
    let project = Project::with(
        "pipeline: p\nparams: { full: { type: boolean, default: false } }\nsteps:\n  \
         - { id: good, command: { argv: [\"true\"] } }\n  \
         - { id: bad, command: { argv: [\"false\"] } }\n  \
         - { id: when_false, when: params.full, command: { argv: [\"true\"] } }\n  \
         - { id: behind_condition, needs: [when_false], command: { argv: [\"true\"] } }\n  \
         - { id: behind_bad, needs: [bad], command: { argv: [\"true\"] } }\n  \
         - { id: far_behind_bad, needs: [behind_bad], command: { argv: [\"true\"] } }\n  \
         - { id: on_failed, needs: [far_behind_bad], run_on: failed, command: { argv: [\"true\"] } }\n  \
         - { id: on_failed_of_good, needs: [good], run_on: failed, command: { argv: [\"true\"] } }\n  \
         - { id: on_ended, needs: [good, bad], run_on: ended, command: { argv: [\"true\"] } }\n  \
         - { id: on_cancelled, needs: [good], run_on: cancelled, command: { argv: [\"true\"] } }\n  \
         - { id: when_failed, needs: [bad], run_on: ended, when: \"steps.bad.status == 'failed'\", command: { argv: [\"true\"] } }\n",
    );
    let (code, view) = run(&project);
    assert_eq!((code, view["status"].as_str()), (1, Some("failed")));
    let expected = [
        "good: completed",
        "bad: failed",
        "when_false: skipped (condition)",
        "behind_condition: completed",
        "behind_bad: skipped (upstream)",
        "far_behind_bad: skipped (upstream)",
        "on_failed: completed",
        "on_failed_of_good: skipped (upstream)",
        "on_ended: completed",
        "on_cancelled: skipped (upstream)",
        "when_failed: completed",
    ];
    assert_eq!(ends(&view), expected);
}

#[test]
fn a_failure_that_is_allowed_leaves_the_execution_completed() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - { id: bad, allow_failure: true, command: { argv: [\"false\"] } }\n  \
         - { id: behind, needs: [bad], command: { argv: [\"true\"] } }\n",
    );
    let (code, view) = run(&project);
    assert_eq!((code, view["status"].as_str()), (0, Some("completed")));
    assert_eq!(ends(&view), ["bad: failed", "behind: skipped (upstream)"]);
}

#[test]
fn steps_without_needs_run_side_by_side() {
    let meet = |mine: &str, other: &str| {
        format!(
            "  - id: {mine}\n    timeout: 60s\n    command: {{ run: \"touch {mine}.here; while [ ! -e {other}.here ]; do sleep 0.01; done\" }}\n"
        )
    };
    let steps = meet("left", "right") + &meet("right", "left");
    let project = Project::with(&format!("pipeline: p\nsteps:\n{steps}"));
    let (code, view) = run(&project);
    assert_eq!(code, 0, "{view:#}");
}

#[test]
fn a_failed_attempt_is_tried_again_after_its_wait() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - id: shaky\n    \
         retry: { attempts: 4, initial: 50ms, factor: 2, max: 1s, jitter: none }\n    \
         command: { run: \"echo try >> tries; [ $(wc -l < tries) -ge 3 ]\" }\n",
    );
    let start = Instant::now();
    let (code, view) = run(&project);
    assert_eq!(code, 0, "{view:#}");
    assert_eq!(project.read("tries").lines().count(), 3);
    assert_eq!(step(&view, "shaky")["attempts"], 3);
    assert!(start.elapsed() > Duration::from_millis(150), "{:?}", start.elapsed());
    let events = project.events();
    let waits: Vec<_> = events.iter().filter(|e| e.kind == "StepRetryScheduled").collect();
    assert_eq!(waits.len(), 2);
}

#[test]
fn only_errors_that_the_policy_names_are_tried_again() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - id: shaky\n    \
         retry: { attempts: 4, initial: 10ms, errors: [timeout, signal] }\n    \
         command: { run: \"echo try >> tries; exit 1\" }\n",
    );
    let (code, _) = run(&project);
    assert_eq!(code, 1);
    assert_eq!(project.read("tries").lines().count(), 1);
}

#[test]
fn an_attempt_past_its_timeout_is_ended_with_its_whole_tree() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - id: slow\n    timeout: 300ms\n    \
         command: { run: \"(sleep 600 & sleep 600) & sleep 600\" }\n",
    );
    let start = Instant::now();
    let (code, view) = run(&project);
    assert_eq!(code, 1);
    let error = &step(&view, "slow")["error"];
    assert_eq!(error["reason"], "timeout", "{error:#}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let id = view["id"].as_str().expect("an id");
    assert_eq!(crate::project::attempts_alive(id), Vec::<String>::new());
}

#[test]
fn a_program_that_is_ended_by_a_signal_is_reported_with_it() {
    let project =
        Project::with("pipeline: p\nsteps:\n  - { id: hurt, command: { run: 'kill -SEGV $$' } }\n");
    let (code, view) = run(&project);
    assert_eq!(code, 1);
    let error = &step(&view, "hurt")["error"];
    assert_eq!(error["reason"], "signal", "{error:#}");
    assert!(error["message"].as_str().expect("a message").contains("SEGV"), "{error:#}");
}

#[test]
fn a_large_output_becomes_an_artifact_that_later_steps_read_back() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - id: make\n    command:\n      run: |\n        \
         { printf '{\"text\": \"'; head -c 200000 /dev/zero | tr '\\0' x; printf '\", \"n\": 5}'; } > \"$FLEXCORE_OUTPUT\"\n  \
         - id: use\n    needs: [make]\n    when: steps.make.output.text | length == 200000\n    \
         command: { argv: [sh, -c, 'echo $0 > seen', \"{{ steps.make.output.n }}\"] }\n",
    );
    let (code, view) = run(&project);
    assert_eq!(code, 0, "{view:#}");
    assert_eq!(project.read("seen"), "5\n");
    let events = project.events();
    let completed = events.iter().find(|e| e.kind == "StepCompleted").expect("a step");
    assert!(completed.payload.to_string().len() < 10_000, "the event holds the hash only");
    assert!(project.path(".flexcore/artifacts/sha256").is_dir());
}

#[test]
fn an_output_above_the_limit_fails_its_step() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - id: make\n    command:\n      run: |\n        \
         { printf '\"'; head -c 67108864 /dev/zero | tr '\\0' x; printf '\"'; } > \"$FLEXCORE_OUTPUT\"\n",
    );
    let (code, view) = run(&project);
    assert_eq!(code, 1);
    let message = step(&view, "make")["error"]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("67108864"), "{message}");
    assert!(step(&view, "make")["output"].is_null());
}

#[test]
fn an_output_that_is_not_json_fails_its_step() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - { id: make, command: { run: 'echo {half > \"$FLEXCORE_OUTPUT\"' } }\n",
    );
    let (code, view) = run(&project);
    assert_eq!(code, 1);
    let message = step(&view, "make")["error"]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("not JSON"), "{message}");
}

#[test]
fn a_name_that_is_undefined_when_a_step_starts_fails_the_step_at_its_place() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - { id: make, command: { argv: [\"true\"] } }\n  \
         - { id: use, needs: [make], command: { argv: [echo, \"{{ steps.make.output.nope }}\"] } }\n",
    );
    let (code, view) = run(&project);
    assert_eq!(code, 1);
    let message = step(&view, "use")["error"]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("steps.make.output.nope"), "{message}");
    assert!(message.contains("pipeline.yaml:4"), "{message}");
}

#[test]
fn a_pipeline_past_its_timeout_is_ended() {
    let project = Project::with(
        "pipeline: p\ntimeout: 300ms\nsteps:\n  - { id: slow, command: { argv: [sleep, '600'] } }\n  \
         - { id: behind, needs: [slow], command: { argv: [touch, never] } }\n",
    );
    let start = Instant::now();
    let (code, view) = run(&project);
    assert_ne!(code, 0, "{view:#}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(!project.path("never").exists());
    assert_ne!(view["status"], "completed");
}
