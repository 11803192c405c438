//! States are stored as the golden files say, and folding on from a stored state comes to what
//! folding from the beginning comes to.

use std::{collections::BTreeMap, fmt::Debug, fs, path::Path};

use flexcore_domain::{
    AccessIndex, ApiKey, AuditTrail, DataStream, ErrorClass, Execution, ExecutionId,
    ExecutionOrder, ExecutionStatus, FailureReason, JsonText, NameReservation, Pipeline,
    PipelineId, PipelineStatus, Plugin, PluginStatus, Role, SkipCause, StepCounts, StepError,
    StepProgress, StepState, StoredOutput,
    data_stream::{Bookmark, DataStreamEvent, LastSync, SyncPlugins},
    execution::ExecutionEvent,
    pipeline::PipelineEvent,
    pipeline_name::NameEvent,
    plugin::PluginCalls,
};
use flexcore_event_codec::{StateError, StoredState};
use flexcore_eventsourcing::{Epoch, Hash, fold};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use crate::samples::{
    EXECUTION, PIPELINE, access, at, order, plugins, small_definition, state, step_id,
};

fn check<A: StoredState + Debug + PartialEq>(state: &A) {
    let name = format!("golden/state/{}.v{}.json", A::CATEGORY, A::STATE_VERSION);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
    let text = String::from_utf8(state.encode_state()).unwrap();
    assert!(file.exists(), "{name} is missing; it should hold\n{text}");
    assert_eq!(fs::read_to_string(file).unwrap(), format!("{text}\n"), "{name}");
    assert_eq!(&A::decode_state(A::STATE_VERSION, text.as_bytes()).unwrap(), state);
}

/// With a step in every state.
fn execution() -> Execution {
    let error = StepError {
        reason: FailureReason::Attempt(ErrorClass::ExitCode),
        message: "the check ended with code 2".into(),
        exit_code: Some(2),
        stderr_tail: vec!["no such file".into()],
    };
    let artifact = StoredOutput::Artifact { sha256: Hash([0xab; 32]), size: 70_000 };
    let states = [
        ("a_new", StepState::Pending),
        ("b_timed", StepState::Running { deadline: Some(at(60)) }),
        ("c_running", StepState::Running { deadline: None }),
        ("d_waiting", StepState::Waiting { due_at: at(90) }),
        ("e_done", StepState::Completed { output: StoredOutput::Inline(json!({ "n": 10 })) }),
        ("f_large", StepState::Completed { output: artifact }),
        ("g_failed", StepState::Failed { error }),
        ("h_skipped", StepState::Skipped { cause: SkipCause::Upstream }),
        ("i_cancelled", StepState::Cancelled),
    ];
    let step = |(id, state)| (step_id(id), StepProgress { state, attempts: 2, tries: 1 });
    Execution {
        order: ExecutionOrder {
            steps: states.iter().map(|(id, _)| step_id(id)).collect(),
            ..order()
        },
        status: ExecutionStatus::Running,
        epoch: Epoch(3),
        node: Some("node-1".into()),
        started_at: Some(at(1)),
        deadline: Some(at(3_601)),
        cancel_requested: true,
        steps: states.into_iter().map(step).collect(),
    }
}

#[test]
fn states_are_stored_as_the_golden_files_say() {
    check(&execution());
    check(&Pipeline {
        id: PIPELINE,
        status: PipelineStatus::Inactive,
        version: 2,
        definition: small_definition(),
    });
    check(&NameReservation { holder: Some(PIPELINE) });
    check(&Plugin {
        registration: plugins::registration(),
        status: PluginStatus::Unhealthy { reason: "no answer".into() },
        version: 2,
        running: [plugins::CALL].into(),
        calls: PluginCalls { started: 9, completed: 7, failed: 1, denied: 12 },
    });
    check(&ApiKey { grant: access::grant(), is_revoked: false });
    check(&Role { definition: Some(access::definition()) });
    let roles = ["loader".parse().unwrap()].into();
    check(&AccessIndex { keys: [access::KEY].into(), roles });
    check(&AuditTrail { records: 3 });
    check(&DataStream {
        bookmark: Some(Bookmark {
            state: state(),
            execution: Some(EXECUTION),
            line: Some(Hash([0x1f; 32])),
        }),
        plugins: Some(SyncPlugins { tap: "tap-csv".into(), target: "target-jsonl".into() }),
        holder: Some(EXECUTION),
        schemas: BTreeMap::from([("flights".into(), json!({ "properties": {} }))]),
        last_sync: Some(LastSync {
            execution: EXECUTION,
            counts: StepCounts { records: 10, bytes: 1_000 },
        }),
    });
}

#[test]
fn a_state_of_another_version_or_form_is_left_aside() {
    let stored = NameReservation { holder: None }.encode_state();
    assert_eq!(stored, b"{}");
    let other = NameReservation::decode_state(2, &stored).unwrap_err();
    assert_eq!(other, StateError::OtherVersion { stored: 2, known: 1 });
    for wrong in ["", "{", "[1]", r#"{"colour":1}"#, "{} {}", "null"] {
        let error = NameReservation::decode_state(1, wrong.as_bytes()).unwrap_err();
        assert!(matches!(error, StateError::Malformed { .. }), "{wrong}");
    }
    let twice = r#"{"schemas":{"a":1,"a":2}}"#;
    let error = DataStream::decode_state(1, twice.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "the state is malformed: a key is there twice");
}

/// A random legal history: of everything that might happen next, what `evolve` takes.
fn walk<A>(candidates: impl Fn(Option<&A>) -> Vec<A::Event>, choices: &[u16]) -> Vec<A::Event>
where
    A: StoredState + Clone,
{
    let mut state: Option<A> = None;
    let mut history = Vec::new();
    for choice in choices {
        let mut legal: Vec<(A, A::Event)> = candidates(state.as_ref())
            .into_iter()
            .filter_map(|event| Some((A::evolve(state.clone(), &event).ok()?, event)))
            .collect();
        if legal.is_empty() {
            break;
        }
        let (next, event) = legal.swap_remove(usize::from(*choice) % legal.len());
        state = Some(next);
        history.push(event);
    }
    history
}

/// From a snapshot after each event, the rest leads to the same end.
fn snapshots_change_nothing<A>(history: &[A::Event]) -> Result<(), TestCaseError>
where
    A: StoredState + Clone + Debug + PartialEq,
{
    let whole: Option<A> = fold(None, 1, history).unwrap();
    for taken in 1..=history.len() {
        let state: A = fold(None, 1, &history[..taken]).unwrap().unwrap();
        let stored = A::decode_state(A::STATE_VERSION, &state.encode_state()).unwrap();
        prop_assert_eq!(&stored, &state);
        let version = taken as u64 + 1;
        prop_assert_eq!(&fold(Some(stored), version, &history[taken..]).unwrap(), &whole);
    }
    Ok(())
}

fn of_execution(state: Option<&Execution>) -> Vec<ExecutionEvent> {
    use ExecutionEvent as E;
    let Some(execution) = state else { return vec![E::Created(order())] };
    let epoch = execution.epoch.next();
    let mut events = vec![
        E::Claimed { node: format!("node-{epoch}"), epoch },
        E::Started { at: at(1), deadline: Some(at(100)) },
        E::CancellationRequested { reason: None },
        E::Completed,
        E::Failed { step: step_id("load"), error: "no".into() },
        E::Cancelled,
        E::Retried { steps: execution.steps.keys().cloned().collect() },
    ];
    for (step, progress) in &execution.steps {
        let (step, attempt) = (step.clone(), progress.attempts);
        let failed = |reason| E::StepFailed {
            step: step.clone(),
            attempt,
            error: StepError { reason, message: "no".into(), exit_code: None, stderr_tail: vec![] },
            retryable: true,
        };
        events.extend([
            E::StepStarted { step: step.clone(), attempt: attempt + 1, deadline: None },
            E::StepCompleted {
                step: step.clone(),
                attempt,
                output: StoredOutput::Inline(json!({ "rate": 0.25, "attempt": attempt })),
                duration: std::time::Duration::from_micros(7),
                counts: StepCounts { records: 1, bytes: 2 },
            },
            failed(FailureReason::NodeLost),
            failed(FailureReason::Attempt(ErrorClass::Timeout)),
            E::StepRetryScheduled { step: step.clone(), due_at: at(9) },
            E::StepSkipped { step: step.clone(), cause: SkipCause::Condition },
            E::StepCancelled { step: step.clone() },
        ]);
    }
    events
}

fn of_data_stream(state: Option<&DataStream>) -> Vec<DataStreamEvent> {
    use DataStreamEvent as E;
    let execution = state.and_then(|stream| stream.holder).unwrap_or(EXECUTION);
    let seen = state.map_or(0, |stream| stream.schemas.len());
    let plugins = SyncPlugins { tap: "tap-csv".into(), target: "target-jsonl".into() };
    vec![
        E::SyncStarted { execution: ExecutionId(Uuid::from_u128(seen as u128)), plugins },
        E::BookmarkAdvanced { execution, state: self::state(), line: Hash([3; 32]) },
        E::BookmarkRefused { execution, reason: "no".into() },
        E::BookmarkReset { remaining: None },
        E::BookmarkReset { remaining: Some(JsonText("null".into())) },
        E::BookmarkSet { state: JsonText("{\"a\": 1.10}".into()) },
        E::BookmarkKept,
        E::SchemaObserved { stream: format!("s{seen}"), schema: json!({ "n": seen }) },
        E::SyncRecorded { execution, counts: StepCounts { records: 1, bytes: 2 } },
    ]
}

fn of_pipeline(state: Option<&Pipeline>) -> Vec<PipelineEvent> {
    let definition = small_definition();
    let version = state.map_or(1, |pipeline| pipeline.version) + 1;
    vec![
        PipelineEvent::Created { id: PIPELINE, definition: definition.clone() },
        PipelineEvent::Updated { version, definition },
        PipelineEvent::Activated,
        PipelineEvent::Deactivated,
        PipelineEvent::Archived,
    ]
}

fn of_name(state: Option<&NameReservation>) -> Vec<NameEvent> {
    let holder = state.and_then(|name| name.holder).unwrap_or(PIPELINE);
    let other = PipelineId(Uuid::from_u128(9));
    vec![NameEvent::Reserved(PIPELINE), NameEvent::Reserved(other), NameEvent::Released(holder)]
}

proptest! {
    #[test]
    fn folding_on_from_a_snapshot_is_folding(choices in prop::collection::vec(any::<u16>(), 1..40)) {
        snapshots_change_nothing::<Execution>(&walk(of_execution, &choices))?;
        snapshots_change_nothing::<DataStream>(&walk(of_data_stream, &choices))?;
        snapshots_change_nothing::<Pipeline>(&walk(of_pipeline, &choices))?;
        snapshots_change_nothing::<NameReservation>(&walk(of_name, &choices))?;
    }

    #[test]
    fn no_bytes_panic_a_reader_of_states(place: prop::sample::Index, byte: u8) {
        let mut stored = execution().encode_state();
        let place = place.index(stored.len());
        assert!(Execution::decode_state(1, &stored[..place]).is_err());
        stored[place] = byte;
        if let Ok(execution) = Execution::decode_state(1, &stored) {
            execution.encode_state();
        }
    }
}
