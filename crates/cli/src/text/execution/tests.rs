use flexcore_api::{ExecutionSummary, TimelineEntry};
use serde_json::json;

use super::*;

fn step(id: &str, status: &str) -> StepView {
    StepView {
        id: id.to_owned(),
        status: status.to_owned(),
        skip_cause: None,
        attempts: 1,
        started_at: Some("2026-01-01T00:00:01.000000Z".to_owned()),
        duration_ms: Some(1_250),
        due_at: None,
        output: None,
        records: None,
        bytes: None,
        error: None,
        sandbox: None,
    }
}

fn error(reason: &str, message: &str) -> AttemptErrorView {
    AttemptErrorView {
        reason: reason.to_owned(),
        message: message.to_owned(),
        exit_code: Some(1),
        stderr_tail: vec!["Traceback:".to_owned(), "\u{1b}[31mboom".to_owned()],
    }
}

fn entry(position: u64, event: &str, step: Option<&str>, detail: Option<&str>) -> TimelineEntry {
    TimelineEntry {
        at: format!("2026-01-01T00:00:0{position}.123456Z"),
        position,
        event: event.to_owned(),
        step: step.map(str::to_owned),
        detail: detail.map(str::to_owned),
    }
}

/// An execution in which two steps failed, the second of the file first.
pub(crate) fn failed() -> ExecutionView {
    ExecutionView {
        id: "ex_0190abcd".to_owned(),
        pipeline: "flights".to_owned(),
        version: 3,
        environment: "default".to_owned(),
        status: "failed".to_owned(),
        cancel_requested: false,
        params: json!({ "since": "2026-01-01" }),
        run_key: Some("nightly".to_owned()),
        created_at: "2026-01-01T00:00:00.000000Z".to_owned(),
        started_at: Some("2026-01-01T00:00:00.500000Z".to_owned()),
        ended_at: Some("2026-01-01T00:00:09.000000Z".to_owned()),
        duration_ms: Some(8_500),
        steps: vec![
            StepView {
                records: Some(48_000),
                bytes: Some(5_242_880),
                ..step("to_jsonl", "completed")
            },
            StepView {
                error: Some(error("timeout", "no end after 5 s")),
                ..step("slow", "failed")
            },
            StepView {
                attempts: 2,
                error: Some(error("exit_code", "tap-x ended with exit code 1\nsecond line")),
                ..step("to_sqlite", "failed")
            },
            StepView {
                attempts: 0,
                duration_ms: None,
                skip_cause: Some("upstream".to_owned()),
                ..step("verify", "skipped")
            },
        ],
        timeline: vec![
            entry(1, "PipelineExecutionCreated", None, Some("version 3, environment default")),
            entry(2, "StepStarted", Some("to_sqlite"), Some("attempt 1")),
            entry(
                3,
                "StepFailed",
                Some("to_sqlite"),
                Some("exit_code: tap-x ended with exit code 1"),
            ),
            entry(4, "StepFailed", Some("slow"), Some("timeout: no end after 5 s")),
            entry(5, "PipelineExecutionFailed", Some("to_sqlite"), None),
        ],
    }
}

#[test]
fn the_summary_has_a_row_per_step_and_the_end() {
    insta::assert_snapshot!(summary_text(&failed(), Style::PLAIN));
}

#[test]
fn an_execution_is_shown_with_its_history() {
    insta::assert_snapshot!(execution_text(&failed(), Style::PLAIN));
}

#[test]
fn the_error_that_came_first_is_shown_and_obeys_no_escape_sequence() {
    insta::assert_snapshot!(first_error_text(&failed(), Style::PLAIN).unwrap(), @r"
    step `to_sqlite` failed (exit_code): tap-x ended with exit code 1
    second line
      | Traceback:
      | �[31mboom
    ");
}

#[test]
fn an_execution_without_an_error_has_no_first_one() {
    let view = ExecutionView { steps: vec![step("a", "completed")], ..failed() };
    assert_eq!(first_error_text(&view, Style::PLAIN), None);
}

#[test]
fn an_unfinished_execution_is_summed_up_as_interrupted() {
    let view = ExecutionView { status: "running".to_owned(), ..failed() };
    assert!(summary_text(&view, Style::PLAIN).contains("flights interrupted in 8.5 s"));
}

#[test]
fn a_list_cuts_long_errors_and_names_the_next_page() {
    let item = ExecutionSummary {
        id: "ex_0190abcd".to_owned(),
        pipeline: "flights".to_owned(),
        version: 3,
        environment: "prod".to_owned(),
        status: "failed".to_owned(),
        created_at: "2026-01-01T00:00:00.000000Z".to_owned(),
        ended_at: None,
        duration_ms: Some(125_000),
        error: Some("x".repeat(200)),
    };
    let page = ExecutionPage { items: vec![item], next: Some("c1".to_owned()) };
    insta::assert_snapshot!(execution_page_text(&page, Style::PLAIN));
    let empty = ExecutionPage { items: vec![], next: None };
    assert_eq!(execution_page_text(&empty, Style::PLAIN), "no executions\n");
}

#[test]
fn times_are_shown_to_the_millisecond() {
    assert_eq!(time_text("2026-01-01T00:00:00.123456Z"), "2026-01-01 00:00:00.123Z");
    assert_eq!(time_text("2026-01-01T00:00:00Z"), "2026-01-01 00:00:00Z");
    assert_eq!(time_text("5us"), "5us");
}
