//! One fixed event of each type, and more where a form has cases. The samples of a stored version
//! never change, no more than its golden files do.

pub(crate) mod access;
pub(crate) mod plugins;

use std::time::Duration;

use flexcore_domain::{
    CapabilityUse, Condition, ControlRecord, ErrorClass, ExecutionId, ExecutionOrder,
    FailureReason, FullRefresh, Isolation, IsolationPlace, Jitter, JsonText, PipelineDefinition,
    PipelineId, RetryPolicy, RunOn, SkipCause, StepCounts, StepDefinition, StepError, StepId,
    StepKind, StepReference, StoredOutput,
    data_stream::{DataStreamEvent, SyncPlugins},
    execution::ExecutionEvent,
    pipeline::PipelineEvent,
    pipeline_name::NameEvent,
};
use flexcore_eventsourcing::{Epoch, Hash, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const PIPELINE: PipelineId =
    PipelineId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
pub(crate) const EXECUTION: ExecutionId =
    ExecutionId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002));

/// An event and the case of its type that it shows; empty for the usual one.
pub(crate) type Sample<E> = (&'static str, E);

pub(crate) fn step_id(text: &str) -> StepId {
    text.parse().unwrap()
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + seconds * 1_000_000)
}

pub(crate) fn pipeline() -> Vec<Sample<PipelineEvent>> {
    vec![
        ("", PipelineEvent::Created { id: PIPELINE, definition: definition() }),
        ("", PipelineEvent::Updated { version: 2, definition: small_definition() }),
        ("", PipelineEvent::Activated),
        ("", PipelineEvent::Deactivated),
        ("", PipelineEvent::Archived),
    ]
}

pub(crate) fn small_definition() -> PipelineDefinition {
    PipelineDefinition {
        name: "flights".parse().unwrap(),
        description: None,
        owner: None,
        tags: vec![],
        steps: vec![step("load", StepKind::Sync)],
        document: Value::Null,
    }
}

fn step(id: &str, kind: StepKind) -> StepDefinition {
    StepDefinition {
        id: step_id(id),
        kind,
        needs: vec![],
        run_on: RunOn::Completed,
        when: None,
        retry: RetryPolicy::default(),
        allow_failure: false,
    }
}

/// Has every word of every enum.
fn definition() -> PipelineDefinition {
    let patient = RetryPolicy {
        attempts: 5,
        initial: Duration::from_millis(250),
        factor: 1.5,
        max: Duration::from_mins(10),
        jitter: Jitter::None,
        errors: vec![
            ErrorClass::ExitCode,
            ErrorClass::Signal,
            ErrorClass::Timeout,
            ErrorClass::Network,
            ErrorClass::Oom,
            ErrorClass::Refused,
        ],
    };
    let condition = Condition {
        expression: "steps.load.output.records > 0".into(),
        reads: vec![
            StepReference { step: "load".into(), output_field: Some("records".into()) },
            StepReference { step: "load".into(), output_field: None },
        ],
        constant: None,
    };
    let always = Condition { expression: "true".into(), reads: vec![], constant: Some(true) };
    let after = |id, run_on| StepDefinition {
        needs: vec![step_id("load")],
        run_on,
        ..step(id, StepKind::Command)
    };
    PipelineDefinition {
        name: "nightly-flights".parse().unwrap(),
        description: Some("Flights, \"every\" night\nand Zürich's weather".into()),
        owner: Some("data@example.org".into()),
        tags: vec!["nightly".into(), "flights".into()],
        steps: vec![
            StepDefinition { retry: patient, ..step("load", StepKind::Sync) },
            StepDefinition { when: Some(condition), ..after("check", RunOn::Completed) },
            StepDefinition { when: Some(always), ..after("alarm", RunOn::Failed) },
            StepDefinition { allow_failure: true, ..after("tidy", RunOn::Ended) },
            after("undo", RunOn::Cancelled),
        ],
        document: json!({
            "a": [1, -2, 0.1, 1e-300, 18_446_744_073_709_551_615_u64, 12.0],
            "name": "nightly-flights",
            "nothing": null,
            "template": "{{ params.day }}",
        }),
    }
}

pub(crate) fn names() -> Vec<Sample<NameEvent>> {
    vec![("", NameEvent::Reserved(PIPELINE)), ("", NameEvent::Released(PIPELINE))]
}

pub(crate) fn order() -> ExecutionOrder {
    ExecutionOrder {
        id: EXECUTION,
        pipeline_id: PIPELINE,
        pipeline: "nightly-flights".parse().unwrap(),
        version: 3,
        rules: 1,
        environment: "prod".parse().unwrap(),
        params: json!({ "day": "2026-01-31", "token": { "$secret": "TOKEN" } }),
        run_key: Some("2026-01-31".into()),
        steps: vec![step_id("load"), step_id("check"), step_id("notify")],
        streams: vec!["flights".into()],
        full_refresh: FullRefresh::Steps(vec![
            (step_id("load"), Some("flights".into())),
            (step_id("check"), None),
        ]),
        created_at: at(0),
    }
}

pub(crate) fn execution() -> Vec<Sample<ExecutionEvent>> {
    [execution_as_a_whole(), steps()].concat()
}

fn execution_as_a_whole() -> Vec<Sample<ExecutionEvent>> {
    use ExecutionEvent as E;
    let plain = ExecutionOrder {
        environment: flexcore_domain::EnvironmentName::default(),
        params: json!({}),
        run_key: None,
        streams: vec![],
        full_refresh: FullRefresh::AsDefined,
        ..order()
    };
    let refresh = ExecutionOrder { full_refresh: FullRefresh::All, ..plain.clone() };
    vec![
        ("", E::Created(order())),
        ("plain", E::Created(plain)),
        ("full_refresh", E::Created(refresh)),
        ("", E::Claimed { node: "node-1".into(), epoch: Epoch(2) }),
        ("", E::Started { at: at(1), deadline: Some(at(3_601)) }),
        ("no_deadline", E::Started { at: at(1), deadline: None }),
        ("", E::CancellationRequested { reason: Some("wrong day".into()) }),
        ("no_reason", E::CancellationRequested { reason: None }),
        ("", E::Completed),
        ("", E::Failed { step: step_id("load"), error: "tap-csv ended with code 2".into() }),
        ("", E::Cancelled),
        ("", E::Retried { steps: vec![step_id("check"), step_id("notify")] }),
    ]
}

fn steps() -> Vec<Sample<ExecutionEvent>> {
    use ExecutionEvent as E;
    let load = || step_id("load");
    let failed = |reason, exit_code, stderr_tail, retryable| E::StepFailed {
        step: load(),
        attempt: 1,
        error: StepError { reason, message: "it did not work".into(), exit_code, stderr_tail },
        retryable,
    };
    let completed = |output| E::StepCompleted {
        step: load(),
        attempt: 1,
        output,
        duration: Duration::from_micros(1_234_567),
        counts: StepCounts { records: 336_776, bytes: 31_053_850 },
    };
    let sandboxed = |isolation, granted, refused| E::StepSandboxed {
        step: load(),
        attempt: 1,
        isolation,
        granted,
        refused,
    };
    let artifact = StoredOutput::Artifact { sha256: Hash([0xab; 32]), size: 70_000 };
    let timeout = FailureReason::Attempt(ErrorClass::Timeout);
    let code = FailureReason::Attempt(ErrorClass::ExitCode);
    let tail = vec!["Traceback:".into(), "  no such file".into()];
    vec![
        ("", E::StepStarted { step: load(), attempt: 1, deadline: Some(at(60)) }),
        ("no_deadline", E::StepStarted { step: load(), attempt: 2, deadline: None }),
        ("", sandboxed(jails(), vec![API.into()], vec!["fs_read /etc/passwd".into()])),
        ("unconfined", sandboxed(vec![unconfined()], vec![], vec![])),
        ("", E::StepCapabilitiesUsed { step: load(), attempt: 1, uses: uses() }),
        ("", completed(StoredOutput::Inline(json!({ "rate": 0.25, "records": 336_776 })))),
        ("artifact", completed(artifact)),
        ("", failed(code, Some(2), tail, true)),
        ("timeout", failed(timeout, None, vec![], false)),
        ("node_lost", failed(FailureReason::NodeLost, None, vec![], true)),
        ("", E::StepRetryScheduled { step: load(), due_at: at(90) }),
        ("", E::StepSkipped { step: load(), cause: SkipCause::Condition }),
        ("upstream", E::StepSkipped { step: load(), cause: SkipCause::Upstream }),
        ("", E::StepCancelled { step: load() }),
    ]
}

const API: &str = "network https://api.example.com:443";

/// What held the two programs of a sync.
fn jails() -> Vec<Isolation> {
    let control = |name: &str, state: &str, required, detail: &str| ControlRecord {
        name: name.into(),
        state: state.into(),
        required,
        detail: detail.into(),
    };
    let jail = |part: &str, controls| Isolation {
        part: part.into(),
        place: IsolationPlace::Jail { tier: "user_ns".into() },
        controls,
    };
    vec![
        jail(
            "tap",
            vec![
                control("mount_ns", "enforced", true, ""),
                control("memory", "best_effort", false, "watchdog, limit 1073741824"),
            ],
        ),
        jail("target", vec![control("seccomp", "enforced", true, "")]),
    ]
}

fn unconfined() -> Isolation {
    Isolation { part: String::new(), place: IsolationPlace::Unconfined, controls: vec![] }
}

fn uses() -> Vec<CapabilityUse> {
    let used =
        |allowed, times, bytes| CapabilityUse { capability: API.into(), allowed, times, bytes };
    vec![used(true, 3, 4_096), used(false, 12, 0)]
}

/// Has a number that no machine type holds: it has to come back digit for digit.
pub(crate) fn state() -> JsonText {
    JsonText(r#"{"bookmarks": {"flights": {"id": 123456789012345678901234567890.10}}}"#.into())
}

fn plugins() -> SyncPlugins {
    SyncPlugins { tap: "tap-csv".into(), target: "target-jsonl".into() }
}

pub(crate) fn data_stream() -> Vec<Sample<DataStreamEvent>> {
    use DataStreamEvent as E;
    let counts = StepCounts { records: 336_776, bytes: 31_053_850 };
    let schema = json!({ "properties": { "carrier": { "type": ["null", "string"] } } });
    vec![
        ("", E::SyncStarted { execution: EXECUTION, plugins: plugins() }),
        ("", E::BookmarkAdvanced { execution: EXECUTION, state: state(), line: Hash([0x1f; 32]) }),
        ("", E::BookmarkRefused { execution: EXECUTION, reason: "not an object".into() }),
        ("", E::BookmarkReset { remaining: Some(JsonText(r#"{"bookmarks":{}}"#.into())) }),
        ("nothing_left", E::BookmarkReset { remaining: None }),
        ("null_left", E::BookmarkReset { remaining: Some(JsonText("null".into())) }),
        ("", E::BookmarkSet { state: state() }),
        ("", E::BookmarkKept),
        ("", E::SchemaObserved { stream: "flights".into(), schema }),
        ("", E::SyncRecorded { execution: EXECUTION, counts }),
    ]
}
