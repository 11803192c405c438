//! Any event at all, for properties.

pub(crate) mod access;

use std::{fmt::Debug, str::FromStr, time::Duration};

use flexcore_domain::{
    CapabilityUse, Condition, ControlRecord, EnvironmentName, ErrorClass, ExecutionId,
    ExecutionOrder, FailureReason, FullRefresh, Isolation, IsolationPlace, Jitter, JsonText,
    PipelineDefinition, PipelineId, PipelineName, PluginCallId, RetryPolicy, RunOn, SkipCause,
    StepCounts, StepDefinition, StepError, StepId, StepKind, StepReference, StoredOutput,
    data_stream::{DataStreamEvent, SyncPlugins},
    execution::ExecutionEvent,
    pipeline::PipelineEvent,
    pipeline_name::NameEvent,
    plugin::{PluginCallFailure, PluginEvent, PluginRegistration, PluginRights},
};
use flexcore_eventsourcing::{Epoch, Hash, Timestamp};
use proptest::{collection::vec, num, option, prelude::*, sample::select};
use serde_json::Value;
use uuid::Uuid;

fn parsed<T: FromStr<Err: Debug> + Debug>(pattern: &'static str) -> impl Strategy<Value = T> {
    pattern.prop_map(|text| text.parse().unwrap())
}

fn step_id() -> impl Strategy<Value = StepId> {
    parsed("[a-z][a-z0-9_]{0,12}")
}

fn pipeline_name() -> impl Strategy<Value = PipelineName> {
    parsed("[a-z][a-z0-9_-]{0,62}")
}

fn pipeline_id() -> impl Strategy<Value = PipelineId> {
    any::<u128>().prop_map(|id| PipelineId(Uuid::from_u128(id)))
}

fn execution_id() -> impl Strategy<Value = ExecutionId> {
    any::<u128>().prop_map(|id| ExecutionId(Uuid::from_u128(id)))
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_micros)
}

fn duration() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_micros)
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn text() -> impl Strategy<Value = String> {
    any::<String>()
}

pub(crate) fn json() -> impl Strategy<Value = Value> {
    let finite = num::f64::NORMAL | num::f64::SUBNORMAL | num::f64::ZERO;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        finite.prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// JSON texts with the spaces and the numbers that a parser would not keep.
fn json_text() -> impl Strategy<Value = JsonText> {
    let number = "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?(e[+-]?[0-9]{1,5})?";
    prop_oneof![
        json().prop_map(|value| JsonText(value.to_string())),
        json().prop_map(|value| JsonText(format!("{value:#}"))),
        number.prop_map(JsonText),
        number.prop_map(|number| JsonText(format!("{{ \"bookmarks\" : [ {number} ] }}"))),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let reference = (text(), option::of(text()))
        .prop_map(|(step, output_field)| StepReference { step, output_field });
    (text(), vec(reference, 0..3), option::of(any::<bool>()))
        .prop_map(|(expression, reads, constant)| Condition { expression, reads, constant })
}

fn error_class() -> impl Strategy<Value = ErrorClass> {
    select(vec![
        ErrorClass::ExitCode,
        ErrorClass::Signal,
        ErrorClass::Timeout,
        ErrorClass::Network,
        ErrorClass::Oom,
        ErrorClass::Refused,
        ErrorClass::Any,
    ])
}

fn retry() -> impl Strategy<Value = RetryPolicy> {
    let jitter = select(vec![Jitter::None, Jitter::Full]);
    let factor = num::f64::NORMAL | num::f64::ZERO;
    (any::<u32>(), duration(), factor, duration(), jitter, vec(error_class(), 0..3)).prop_map(
        |(attempts, initial, factor, max, jitter, errors)| RetryPolicy {
            attempts,
            initial,
            factor,
            max,
            jitter,
            errors,
        },
    )
}

fn step() -> impl Strategy<Value = StepDefinition> {
    let kind = select(vec![StepKind::Sync, StepKind::Command]);
    let run_on = select(vec![RunOn::Completed, RunOn::Failed, RunOn::Ended, RunOn::Cancelled]);
    let needs = vec(step_id(), 0..3);
    (step_id(), kind, needs, run_on, option::of(condition()), retry(), any::<bool>()).prop_map(
        |(id, kind, needs, run_on, when, retry, allow_failure)| StepDefinition {
            id,
            kind,
            needs,
            run_on,
            when,
            retry,
            allow_failure,
        },
    )
}

fn definition() -> impl Strategy<Value = PipelineDefinition> {
    let about = (pipeline_name(), option::of(text()), option::of(text()), vec(text(), 0..3));
    (about, vec(step(), 0..4), json()).prop_map(
        |((name, description, owner, tags), steps, document)| PipelineDefinition {
            name,
            description,
            owner,
            tags,
            steps,
            document,
        },
    )
}

pub(crate) fn pipeline() -> impl Strategy<Value = PipelineEvent> {
    prop_oneof![
        (pipeline_id(), definition())
            .prop_map(|(id, definition)| PipelineEvent::Created { id, definition }),
        (any::<u32>(), definition())
            .prop_map(|(version, definition)| PipelineEvent::Updated { version, definition }),
        Just(PipelineEvent::Activated),
        Just(PipelineEvent::Deactivated),
        Just(PipelineEvent::Archived),
    ]
}

pub(crate) fn name() -> impl Strategy<Value = NameEvent> {
    prop_oneof![
        pipeline_id().prop_map(NameEvent::Reserved),
        pipeline_id().prop_map(NameEvent::Released)
    ]
}

fn order() -> impl Strategy<Value = ExecutionOrder> {
    let environment = parsed::<EnvironmentName>("[a-z][a-z0-9_-]{0,62}");
    let refresh = prop_oneof![
        Just(FullRefresh::AsDefined),
        Just(FullRefresh::All),
        vec((step_id(), option::of(text())), 0..3).prop_map(FullRefresh::Steps),
    ];
    let what = (execution_id(), pipeline_id(), pipeline_name(), any::<u32>(), any::<u32>());
    let how = (environment, json(), option::of(text()), vec(step_id(), 0..4), vec(text(), 0..3));
    (what, how, refresh, time()).prop_map(|(what, how, full_refresh, created_at)| {
        let (id, pipeline_id, pipeline, version, rules) = what;
        let (environment, params, run_key, steps, streams) = how;
        ExecutionOrder {
            id,
            pipeline_id,
            pipeline,
            version,
            rules,
            environment,
            params,
            run_key,
            steps,
            streams,
            full_refresh,
            created_at,
        }
    })
}

fn counts() -> impl Strategy<Value = StepCounts> {
    (any::<u64>(), any::<u64>()).prop_map(|(records, bytes)| StepCounts { records, bytes })
}

fn step_error() -> impl Strategy<Value = StepError> {
    let reason =
        prop_oneof![error_class().prop_map(FailureReason::Attempt), Just(FailureReason::NodeLost),];
    (reason, text(), option::of(any::<i32>()), vec(text(), 0..3)).prop_map(
        |(reason, message, exit_code, stderr_tail)| StepError {
            reason,
            message,
            exit_code,
            stderr_tail,
        },
    )
}

pub(crate) fn execution() -> impl Strategy<Value = ExecutionEvent> {
    prop_oneof![execution_as_a_whole(), step_event()]
}

fn execution_as_a_whole() -> impl Strategy<Value = ExecutionEvent> {
    use ExecutionEvent as E;
    prop_oneof![
        order().prop_map(E::Created),
        (text(), any::<u64>()).prop_map(|(node, epoch)| E::Claimed { node, epoch: Epoch(epoch) }),
        (time(), option::of(time())).prop_map(|(at, deadline)| E::Started { at, deadline }),
        option::of(text()).prop_map(|reason| E::CancellationRequested { reason }),
        Just(E::Completed),
        (step_id(), text()).prop_map(|(step, error)| E::Failed { step, error }),
        Just(E::Cancelled),
        vec(step_id(), 0..4).prop_map(|steps| E::Retried { steps }),
    ]
}

fn isolation() -> impl Strategy<Value = Isolation> {
    let place = prop_oneof![
        text().prop_map(|tier| IsolationPlace::Jail { tier }),
        Just(IsolationPlace::InProcess),
        Just(IsolationPlace::Remote),
        Just(IsolationPlace::Unconfined),
    ];
    let control =
        (text(), text(), any::<bool>(), text()).prop_map(|(name, state, required, detail)| {
            ControlRecord { name, state, required, detail }
        });
    (text(), place, vec(control, 0..3)).prop_map(|(part, place, controls)| Isolation {
        part,
        place,
        controls,
    })
}

fn capability_use() -> impl Strategy<Value = CapabilityUse> {
    (text(), any::<bool>(), any::<u64>(), any::<u64>()).prop_map(
        |(capability, allowed, times, bytes)| CapabilityUse { capability, allowed, times, bytes },
    )
}

fn step_event() -> impl Strategy<Value = ExecutionEvent> {
    use ExecutionEvent as E;
    let output = prop_oneof![
        json().prop_map(StoredOutput::Inline),
        (hash(), any::<u64>()).prop_map(|(sha256, size)| StoredOutput::Artifact { sha256, size }),
    ];
    let cause = select(vec![SkipCause::Condition, SkipCause::Upstream]);
    prop_oneof![
        (step_id(), any::<u32>(), option::of(time()))
            .prop_map(|(step, attempt, deadline)| E::StepStarted { step, attempt, deadline }),
        (step_id(), any::<u32>(), output, duration(), counts()).prop_map(
            |(step, attempt, output, duration, counts)| E::StepCompleted {
                step,
                attempt,
                output,
                duration,
                counts,
            }
        ),
        (step_id(), any::<u32>(), step_error(), any::<bool>()).prop_map(
            |(step, attempt, error, retryable)| E::StepFailed { step, attempt, error, retryable }
        ),
        (step_id(), any::<u32>(), vec(isolation(), 0..3), vec(text(), 0..3), vec(text(), 0..3))
            .prop_map(|(step, attempt, isolation, granted, refused)| E::StepSandboxed {
                step,
                attempt,
                isolation,
                granted,
                refused,
            }),
        (step_id(), any::<u32>(), vec(capability_use(), 0..3))
            .prop_map(|(step, attempt, uses)| E::StepCapabilitiesUsed { step, attempt, uses }),
        (step_id(), time()).prop_map(|(step, due_at)| E::StepRetryScheduled { step, due_at }),
        (step_id(), cause).prop_map(|(step, cause)| E::StepSkipped { step, cause }),
        step_id().prop_map(|step| E::StepCancelled { step }),
    ]
}

pub(crate) fn plugin() -> impl Strategy<Value = PluginEvent> {
    use PluginEvent as E;
    let call = any::<u128>().prop_map(|id| PluginCallId(Uuid::from_u128(id)));
    let failure = (error_class(), text(), text(), any::<bool>()).prop_map(
        |(class, code, message, cancelled)| PluginCallFailure { class, code, message, cancelled },
    );
    let uses = vec(
        (text(), any::<bool>(), any::<u64>(), any::<u64>()).prop_map(
            |(capability, allowed, times, bytes)| CapabilityUse {
                capability,
                allowed,
                times,
                bytes,
            },
        ),
        0..3,
    );
    let uses = uses.boxed();
    prop_oneof![
        (text(), text(), hash(), text(), option::of(text()), plugin_rights()).prop_map(
            |(version, kind, digest, manifest, signed_by, rights)| {
                E::Registered(PluginRegistration {
                    version,
                    plugin_type: kind.clone(),
                    kind,
                    digest,
                    manifest,
                    signed_by,
                    rights,
                })
            }
        ),
        plugin_rights().prop_map(E::CapabilityGranted),
        text().prop_map(|detail| E::Initialized { detail }),
        option::of(text()).prop_map(|problem| E::HealthChanged { problem }),
        (call.clone(), text())
            .prop_map(|(call, operation)| E::ExecutionStarted { call, operation }),
        (call.clone(), duration(), any::<u64>()).prop_map(|(call, duration, records)| {
            E::ExecutionCompleted { call, duration, records, isolation: None }
        }),
        (call.clone(), duration(), failure).prop_map(|(call, duration, error)| {
            E::ExecutionFailed { call, duration, error, isolation: None }
        }),
        (call.clone(), uses.clone()).prop_map(|(call, uses)| E::CapabilityUsed { call, uses }),
        (call, uses).prop_map(|(call, uses)| E::CapabilityDenied { call, uses }),
        text().prop_map(|reason| E::Quarantined { reason }),
        Just(E::Released),
        option::of(text()).prop_map(|reason| E::Disabled { reason }),
        Just(E::Enabled),
        Just(E::Unregistered),
    ]
}

fn plugin_rights() -> impl Strategy<Value = PluginRights> {
    (vec(text(), 0..3), vec(text(), 0..3), hash())
        .prop_map(|(requested, effective, digest)| PluginRights { requested, effective, digest })
}

pub(crate) fn data_stream() -> impl Strategy<Value = DataStreamEvent> {
    use DataStreamEvent as E;
    let plugins = (text(), text()).prop_map(|(tap, target)| SyncPlugins { tap, target });
    prop_oneof![
        (execution_id(), plugins)
            .prop_map(|(execution, plugins)| E::SyncStarted { execution, plugins }),
        (execution_id(), json_text(), hash())
            .prop_map(|(execution, state, line)| E::BookmarkAdvanced { execution, state, line }),
        (execution_id(), text())
            .prop_map(|(execution, reason)| E::BookmarkRefused { execution, reason }),
        option::of(json_text()).prop_map(|remaining| E::BookmarkReset { remaining }),
        json_text().prop_map(|state| E::BookmarkSet { state }),
        Just(E::BookmarkKept),
        (text(), json()).prop_map(|(stream, schema)| E::SchemaObserved { stream, schema }),
        (execution_id(), counts())
            .prop_map(|(execution, counts)| E::SyncRecorded { execution, counts }),
    ]
}
