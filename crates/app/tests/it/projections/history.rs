//! Histories that could have happened, made of seeds.

use std::collections::BTreeMap;

use flexcore_domain::{
    EnvironmentName, ExecutionId, FailureReason, FullRefresh, JsonText, PipelineDefinition,
    PipelineId, RetryPolicy, RunOn, StepCounts, StepDefinition, StepId, StepKind, StoredOutput,
    data_stream::{DataStreamEvent, SyncPlugins},
    execution::{ExecutionEvent, ExecutionOrder, StepError},
    pipeline::PipelineEvent,
};
use flexcore_event_codec::StoredEvent;
use flexcore_eventsourcing::{
    Append, EventContext, EventData, EventId, Hash, StreamName, Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// The time of the first event.
const BEGIN: i64 = 1_767_225_600_000_000;

/// Seven hours: a few events a day.
const STEP: i64 = 7 * 3_600_000_000;

/// An event of no type with a payload.
pub(crate) fn event_of(number: u128, payload: &[u8]) -> EventData {
    let at = BEGIN + i64::try_from(number).unwrap() * STEP;
    EventData {
        id: EventId(Uuid::from_u128(number)),
        type_name: "".into(),
        schema_version: 1,
        occurred_at: Timestamp::from_micros(at),
        context: EventContext::json("default", "tester"),
        payload: payload.to_vec(),
    }
}

/// What an execution may do next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Queued,
    Running,
    Attempt(u32),
    Syncing(u32),
    Ended { may_retry: bool },
}

/// A history in the making.
#[derive(Debug, Default)]
pub(crate) struct History {
    events: u128,
    versions: BTreeMap<String, u64>,
    pipelines: Vec<u32>,
    executions: Vec<(usize, Stage)>,
}

impl History {
    /// What happens next; each seed picks one of what is possible.
    pub(crate) fn appends(&mut self, seeds: &[u8]) -> Vec<Append> {
        seeds.iter().map(|seed| self.next(*seed)).collect()
    }

    fn next(&mut self, seed: u8) -> Append {
        let pick = usize::from(seed) + self.events as usize;
        if self.pipelines.is_empty() || (seed.is_multiple_of(16) && self.pipelines.len() < 4) {
            return self.create();
        }
        let pipeline = pick % self.pipelines.len();
        if seed % 16 < 3 {
            return self.change_pipeline(pipeline, seed);
        }
        let open: Vec<usize> = (0..self.executions.len())
            .filter(|index| self.executions[*index].1 != Stage::Ended { may_retry: false })
            .collect();
        if open.is_empty() || (seed % 16 < 6 && self.executions.len() < 30) {
            return self.order(pipeline);
        }
        self.advance(open[pick % open.len()], seed)
    }

    /// A new pipeline.
    pub(crate) fn create(&mut self) -> Append {
        let number = self.pipelines.len();
        self.pipelines.push(1);
        let id = pipeline_id(number);
        let event = PipelineEvent::Created { id, definition: definition(number, 1) };
        self.append("pipeline", &[&id.to_string()], &[event])
    }

    fn change_pipeline(&mut self, number: usize, seed: u8) -> Append {
        let event = match seed % 4 {
            0 => PipelineEvent::Activated,
            1 => PipelineEvent::Deactivated,
            2 if seed > 200 => PipelineEvent::Archived,
            _ => {
                self.pipelines[number] += 1;
                let version = self.pipelines[number];
                PipelineEvent::Updated { version, definition: definition(number, version) }
            }
        };
        self.append("pipeline", &[&pipeline_id(number).to_string()], &[event])
    }

    /// A new execution.
    pub(crate) fn order(&mut self, pipeline: usize) -> Append {
        let number = self.executions.len();
        self.executions.push((pipeline, Stage::Queued));
        let order = ExecutionOrder {
            id: execution_id(number),
            pipeline_id: pipeline_id(pipeline),
            pipeline: name(pipeline).parse().unwrap(),
            version: self.pipelines[pipeline],
            rules: 1,
            environment: EnvironmentName::default(),
            params: json!({}),
            run_key: number.is_multiple_of(3).then(|| format!("key-{number}")),
            steps: vec![step("load"), step("after")],
            streams: vec![],
            full_refresh: FullRefresh::AsDefined,
            created_at: self.now(),
        };
        self.execution(number, &[ExecutionEvent::Created(order)])
    }

    fn advance(&mut self, number: usize, seed: u8) -> Append {
        let (pipeline, stage) = self.executions[number];
        let load = step("load");
        let at = self.now();
        let (event, next) = match stage {
            Stage::Queued => (ExecutionEvent::Started { at, deadline: None }, Stage::Running),
            Stage::Running if seed.is_multiple_of(5) => {
                let event = match seed % 3 {
                    0 => ExecutionEvent::Completed,
                    1 => ExecutionEvent::Cancelled,
                    _ => ExecutionEvent::Failed { step: load, error: "it's broken".into() },
                };
                let may_retry = !seed.is_multiple_of(3);
                (event, Stage::Ended { may_retry })
            }
            Stage::Running => {
                let step = if seed.is_multiple_of(2) { load } else { step("after") };
                let event = ExecutionEvent::StepStarted { step, attempt: 1, deadline: None };
                (event, Stage::Attempt(1))
            }
            Stage::Attempt(attempt) if !seed.is_multiple_of(3) => {
                self.executions[number].1 = Stage::Syncing(attempt);
                let plugins = SyncPlugins { tap: "tap-csv".into(), target: tap_of(seed) };
                let execution = execution_id(number);
                return self
                    .data_stream(pipeline, &DataStreamEvent::SyncStarted { execution, plugins });
            }
            Stage::Syncing(_) if !seed.is_multiple_of(3) => {
                return self.data_stream(pipeline, &sync_event(execution_id(number), seed));
            }
            Stage::Attempt(attempt) | Stage::Syncing(attempt) => {
                end_of_attempt(load, attempt, seed)
            }
            Stage::Ended { .. } => (ExecutionEvent::Retried { steps: vec![load] }, Stage::Queued),
        };
        self.executions[number].1 = next;
        self.execution(number, &[event])
    }

    /// Events of an execution.
    pub(crate) fn execution(&mut self, number: usize, events: &[ExecutionEvent]) -> Append {
        self.append("execution", &[&execution_id(number).to_string()], events)
    }

    /// An event of the data stream of a pipeline.
    pub(crate) fn data_stream(&mut self, pipeline: usize, event: &DataStreamEvent) -> Append {
        let id = pipeline_id(pipeline).to_string();
        self.append("data-stream", &["default", &id, "loaded"], std::slice::from_ref(event))
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(BEGIN + i64::try_from(self.events).unwrap() * STEP)
    }

    pub(crate) fn append<E: StoredEvent>(
        &mut self,
        category: &str,
        key: &[&str],
        events: &[E],
    ) -> Append {
        let stream = StreamName::new("default", category, key.iter().copied()).unwrap();
        let data: Vec<EventData> = events
            .iter()
            .map(|event| {
                self.events += 1;
                let encoded = event.encode();
                EventData {
                    type_name: encoded.type_name.into(),
                    schema_version: encoded.schema_version,
                    ..event_of(self.events, &encoded.payload)
                }
            })
            .collect();
        let version = self.versions.entry(stream.to_string()).or_default();
        let expected = *version;
        *version += data.len() as u64;
        Append::to(stream, expected, data)
    }
}

fn end_of_attempt(step: StepId, attempt: u32, seed: u8) -> (ExecutionEvent, Stage) {
    let message = "the target said: \"no\"\nand more".to_owned();
    match seed % 4 {
        0 => (ExecutionEvent::StepCancelled { step }, Stage::Running),
        1 => {
            let reason = FailureReason::NodeLost;
            let error = StepError { reason, message, exit_code: None, stderr_tail: vec![] };
            let event = ExecutionEvent::StepFailed { step, attempt, error, retryable: true };
            (event, Stage::Running)
        }
        2 => {
            let reason = FailureReason::Attempt(flexcore_domain::ErrorClass::ExitCode);
            let error = StepError { reason, message, exit_code: Some(1), stderr_tail: vec![] };
            let event = ExecutionEvent::StepFailed { step, attempt, error, retryable: true };
            (event, Stage::Running)
        }
        _ => {
            let event = ExecutionEvent::StepCompleted {
                step,
                attempt,
                output: StoredOutput::Inline(Value::Null),
                duration: std::time::Duration::from_secs(1),
                counts: StepCounts { records: seed.into(), bytes: u64::from(seed) * 10 },
            };
            (event, Stage::Running)
        }
    }
}

fn sync_event(execution: ExecutionId, seed: u8) -> DataStreamEvent {
    let state =
        JsonText(format!(r#"{{"bookmarks":{{"a":{{"id":{seed}}},"b":{{"x":1,"y":[2]}}}}}}"#));
    match seed % 6 {
        0 => DataStreamEvent::BookmarkAdvanced { execution, state, line: Hash([seed; 32]) },
        1 => DataStreamEvent::SchemaObserved { stream: "a".into(), schema: json!({ "v": seed }) },
        2 => DataStreamEvent::BookmarkSet { state },
        3 => DataStreamEvent::BookmarkReset { remaining: (seed > 100).then_some(state) },
        4 => DataStreamEvent::BookmarkKept,
        _ => {
            let counts = StepCounts { records: seed.into(), bytes: 7 };
            DataStreamEvent::SyncRecorded { execution, counts }
        }
    }
}

fn tap_of(seed: u8) -> String {
    if seed > 200 { "shop (python3)".into() } else { "target-jsonl".into() }
}

fn name(pipeline: usize) -> String {
    format!("pipeline-{pipeline}")
}

pub(crate) fn pipeline_id(number: usize) -> PipelineId {
    PipelineId(Uuid::from_u128(0x1000 + number as u128))
}

pub(crate) fn execution_id(number: usize) -> ExecutionId {
    ExecutionId(Uuid::from_u128(0x2000 + number as u128))
}

pub(crate) fn step(id: &str) -> StepId {
    id.parse().unwrap()
}

/// Two steps; the document names the plugins, which differ with the version.
pub(crate) fn definition(pipeline: usize, version: u32) -> PipelineDefinition {
    let of_kind = |id: &str, kind| StepDefinition {
        id: step(id),
        kind,
        needs: vec![],
        run_on: RunOn::Completed,
        when: None,
        retry: RetryPolicy::default(),
        allow_failure: false,
    };
    PipelineDefinition {
        name: name(pipeline).parse().unwrap(),
        description: Some(format!("version {version}")),
        owner: None,
        tags: vec![format!("v{version}")],
        steps: vec![of_kind("load", StepKind::Sync), of_kind("after", StepKind::Command)],
        document: document(pipeline, version),
    }
}

fn document(pipeline: usize, version: u32) -> Value {
    let target = if version.is_multiple_of(2) { "target-csv" } else { "target-jsonl" };
    let text = format!(
        "pipeline: {}\nsteps:\n  - id: load\n    sync:\n      state: loaded\n      \
         tap: {{ plugin: tap-csv, config: {{ files: [{{ path: x.csv }}] }} }}\n      \
         target: {{ plugin: {target}, config: {{ path: out }} }}\n  \
         - {{ id: after, command: {{ argv: [complete] }} }}\n",
        name(pipeline)
    );
    let project = flexcore_pipeline_file::Project::empty(".".into());
    let source = flexcore_pipeline_file::SourceFile::new("pipeline.yaml", text);
    let connectors = ["tap-csv", "target-csv", "target-jsonl"];
    let loaded = flexcore_pipeline_file::parse_pipeline(source, &project, &connectors).unwrap();
    loaded.definition.document
}
