//! What a command is given.

use flexcore_domain::ErrorClass;
use flexcore_ports::{
    LogSource,
    attempt::{CommandProgram, CommandSettings, Shell},
};
use serde_json::json;

use crate::bench::{Bench, argv, error, output, script};

#[tokio::test]
async fn arguments_arrive_as_they_are() {
    let bench = Bench::new().await;
    let arguments = ["/usr/bin/printf", "%s\\n", "a b", "$HOME", "", "; exit 1", "ü"];
    assert_eq!(output(bench.run(argv(&arguments)).await), json!({ "exit_code": 0 }));
    assert_eq!(bench.log.of(LogSource::Stdout), ["a b", "$HOME", "", "; exit 1", "ü"]);
}

#[tokio::test]
async fn a_script_stops_at_the_first_error_also_inside_a_pipe() {
    let bench = Bench::new().await;
    let failed = error(bench.run(script("echo one\nfalse | cat\necho two")).await);
    assert_eq!((failed.class, failed.exit_code), (ErrorClass::ExitCode, Some(1)));
    assert_eq!(failed.message, "the script ended with exit code 1");
    assert_eq!(bench.log.of(LogSource::Stdout), ["one"]);

    let failed = error(bench.run(script("echo $unset_name")).await);
    assert_eq!(failed.stderr_tail, ["bash: line 1: unset_name: unbound variable"]);
}

#[tokio::test]
async fn the_shell_may_be_sh() {
    let bench = Bench::new().await;
    let program =
        CommandProgram::Script { script: "echo $0; false; echo".into(), shell: Shell::Sh };
    let failed = error(bench.run(CommandSettings { program, ..script("") }).await);
    assert_eq!(failed.exit_code, Some(1));
    assert_eq!(bench.log.of(LogSource::Stdout), ["sh"]);
}

#[tokio::test]
async fn the_environment_is_the_steps_and_six_names_of_ours() {
    let bench = Bench::new().await;
    output(bench.run(argv(&["env"])).await);
    let mut seen = bench.log.of(LogSource::Stdout);
    seen.sort_unstable();
    let work = bench.work_folder().display().to_string();
    assert_eq!(
        seen,
        [
            format!("FLEXCORE_ATTEMPT={}/load/1", bench.execution()),
            format!("FLEXCORE_EXECUTION={}", bench.execution()),
            format!("FLEXCORE_OUTPUT={work}/output.json"),
            "FLEXCORE_STEP=load".to_owned(),
            format!("FLEXCORE_WORK={work}"),
            format!("HOME={work}/home"),
            "PATH=/usr/bin:/bin".to_owned(),
            format!("TMPDIR={work}/tmp"),
        ]
    );
}

#[tokio::test]
async fn the_work_folder_is_private_and_gone_afterwards() {
    let bench = Bench::new().await;
    output(bench.run(script("stat -c %a $FLEXCORE_WORK; touch $FLEXCORE_WORK/file")).await);
    assert_eq!(bench.log.of(LogSource::Stdout), ["700"]);
    assert!(!bench.work_folder().exists());
    error(bench.run(script("exit 1")).await);
    assert!(!bench.work_folder().exists());
}

#[tokio::test]
async fn a_command_runs_in_the_project_or_in_a_folder_of_it() {
    let bench = Bench::new().await;
    std::fs::create_dir(bench.project.path().join("scripts")).unwrap();
    let root = bench.project.path().display().to_string();
    output(bench.run(argv(&["pwd"])).await);
    let inside = CommandSettings { cwd: Some("scripts".into()), ..argv(&["pwd"]) };
    output(bench.run(inside).await);
    assert_eq!(bench.log.of(LogSource::Stdout), [root.clone(), format!("{root}/scripts")]);

    let outside = CommandSettings { cwd: Some("../..".into()), ..argv(&["pwd"]) };
    let refused = error(bench.run(outside).await);
    assert_eq!(refused.class, ErrorClass::Refused);
    assert!(refused.message.starts_with("`cwd: ../..` leads out of the project folder"));

    let missing = CommandSettings { cwd: Some("missing".into()), ..argv(&["pwd"]) };
    let refused = error(bench.run(missing).await);
    let expected = format!(
        "cannot use {root}/missing as the working directory: No such file or directory (os error 2)"
    );
    assert_eq!((refused.class, refused.message), (ErrorClass::Refused, expected));
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_a_refusal_that_names_it() {
    let bench = Bench::new().await;
    let refused = error(bench.run(argv(&["no-such-program"])).await);
    assert_eq!(refused.class, ErrorClass::Refused);
    assert!(refused.message.starts_with("program `no-such-program` not found in PATH"));
    assert!(!bench.work_folder().exists());
}

#[tokio::test]
async fn standard_input_is_empty() {
    let bench = Bench::new().await;
    assert_eq!(output(bench.run(argv(&["cat"])).await), json!({ "exit_code": 0 }));
}
