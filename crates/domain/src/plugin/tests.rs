use std::time::Duration;

use flexcore_eventsourcing::{Aggregate, fold, testing::given};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{CapabilityUse, ErrorClass, Isolation, IsolationPlace};

const NOW: Timestamp = Timestamp::EPOCH;
const CALL: PluginCallId = PluginCallId(Uuid::from_u128(1));

fn rights(effective: &[&str]) -> PluginRights {
    PluginRights {
        requested: vec!["network tcp://db:5432".into()],
        effective: effective.iter().map(|one| (*one).to_owned()).collect(),
        digest: Hash([effective.len().try_into().unwrap(); 32]),
    }
}

fn registration(version: &str) -> PluginRegistration {
    PluginRegistration {
        version: version.into(),
        kind: "process".into(),
        plugin_type: "transformer".into(),
        digest: Hash([7; 32]),
        manifest: "manifest = 1".into(),
        signed_by: None,
        rights: rights(&[]),
    }
}

fn registered() -> PluginEvent {
    PluginEvent::Registered(registration("1.0.0"))
}

fn initialized() -> PluginEvent {
    PluginEvent::Initialized { detail: String::new() }
}

fn unwell() -> PluginEvent {
    PluginEvent::HealthChanged { problem: Some("no answer".into()) }
}

fn quarantined() -> PluginEvent {
    PluginEvent::Quarantined { reason: "crashed 15 times".into() }
}

fn started() -> PluginEvent {
    PluginEvent::ExecutionStarted { call: CALL, operation: String::new() }
}

fn start() -> PluginCommand {
    PluginCommand::StartExecution { call: CALL, operation: String::new() }
}

fn used(allowed: bool) -> CapabilityUse {
    let capability = "network tcp://db:5432".to_owned();
    CapabilityUse { capability, allowed, times: 3, bytes: 10 }
}

fn end(outcome: Result<u64, PluginCallFailure>) -> PluginCallEnd {
    let isolation = Isolation {
        part: String::new(),
        place: IsolationPlace::Jail { tier: "root".into() },
        controls: vec![],
    };
    PluginCallEnd {
        call: CALL,
        duration: Duration::from_millis(5),
        outcome,
        isolation: Some(isolation),
        uses: vec![used(true), used(false)],
    }
}

fn status_after(events: &[PluginEvent]) -> PluginStatus {
    given::<Plugin>(events).state().unwrap().status
}

#[test]
fn the_same_again_is_no_event_and_another_version_is_an_upgrade() {
    let again = PluginCommand::Register(registration("1.0.0"));
    given::<Plugin>(&[]).when(&again, NOW).then(&[registered()]);
    given::<Plugin>(&[registered()]).when(&again, NOW).then(&[]);
    let newer = registration("1.1.0");
    let state = given::<Plugin>(&[registered(), initialized()])
        .when(&PluginCommand::Register(newer.clone()), NOW)
        .then(&[PluginEvent::Registered(newer)])
        .state()
        .unwrap();
    assert_eq!((state.version, state.status), (2, PluginStatus::Registered));
}

#[test]
fn other_grants_are_no_new_version() {
    let granted = rights(&["network tcp://db:5432"]);
    let again = PluginRegistration { rights: granted.clone(), ..registration("1.0.0") };
    let event = PluginEvent::CapabilityGranted(granted.clone());
    given::<Plugin>(&[registered()])
        .when(&PluginCommand::Register(again), NOW)
        .then(std::slice::from_ref(&event));
    let state = given::<Plugin>(&[registered()])
        .when(&PluginCommand::Grant(granted.clone()), NOW)
        .then(&[event])
        .state()
        .unwrap();
    assert_eq!(state.registration.rights, granted);
    assert_eq!(state.version, 1);
}

#[test]
fn only_a_change_of_health_is_a_fact() {
    let report =
        |problem: Option<&str>| PluginCommand::ReportHealth { problem: problem.map(str::to_owned) };
    let well = PluginEvent::HealthChanged { problem: None };
    let history = [registered(), initialized(), well.clone()];
    given::<Plugin>(&history[..2]).when(&report(None), NOW).then(std::slice::from_ref(&well));
    given::<Plugin>(&history).when(&report(None), NOW).then(&[]);
    given::<Plugin>(&history).when(&report(Some("no answer")), NOW).then(&[unwell()]);
    let history = [registered(), initialized(), unwell()];
    given::<Plugin>(&history).when(&report(Some("still none")), NOW).then(&[]);
    given::<Plugin>(&history).when(&report(None), NOW).then(&[well]);
}

#[test]
fn what_was_disabled_or_quarantined_is_not_called_until_it_is_enabled() {
    let reason = Some("it deletes rows".to_owned());
    let disabled = PluginEvent::Disabled { reason: reason.clone() };
    for (event, back) in [(disabled, PluginEvent::Enabled), (quarantined(), PluginEvent::Released)]
    {
        let history = [registered(), event];
        let rejection = given::<Plugin>(&history).when(&start(), NOW).then_rejected();
        assert!(matches!(
            rejection,
            PluginRejection::Disabled(_) | PluginRejection::Quarantined(_)
        ));
        given::<Plugin>(&history)
            .when(&PluginCommand::Enable, NOW)
            .then(&[back])
            .when(&start(), NOW)
            .then(&[started()]);
    }
    let text = PluginRejection::Disabled(reason).to_string();
    assert_eq!(text, "the plugin is disabled: it deletes rows");
}

#[test]
fn an_upgrade_ends_a_quarantine_but_not_what_an_operator_disabled() {
    let upgrade = PluginEvent::Registered(registration("2.0.0"));
    let status = status_after(&[registered(), quarantined(), upgrade.clone()]);
    assert_eq!(status, PluginStatus::Registered);
    let disabled = PluginEvent::Disabled { reason: None };
    let status = status_after(&[registered(), disabled, upgrade]);
    assert_eq!(status, PluginStatus::Disabled { reason: None });
}

#[test]
fn a_call_tells_what_it_used_before_it_ends() {
    let state = given::<Plugin>(&[registered(), started()])
        .when(&PluginCommand::EndExecution(end(Ok(2))), NOW)
        .then(&[
            PluginEvent::CapabilityUsed { call: CALL, uses: vec![used(true)] },
            PluginEvent::CapabilityDenied { call: CALL, uses: vec![used(false)] },
            PluginEvent::ExecutionCompleted {
                call: CALL,
                duration: Duration::from_millis(5),
                records: 2,
                isolation: end(Ok(2)).isolation,
            },
        ])
        .state()
        .unwrap();
    assert_eq!(state.calls, PluginCalls { started: 1, completed: 1, failed: 0, denied: 3 });
    assert!(state.running.is_empty());
}

#[test]
fn a_call_ends_once_and_also_after_its_plugin_was_disabled() {
    let command = PluginCommand::EndExecution(PluginCallEnd { uses: vec![], ..end(Ok(0)) });
    let rejection = given::<Plugin>(&[registered()]).when(&command, NOW).then_rejected();
    assert_eq!(rejection, PluginRejection::NotRunning(CALL));
    let history = [registered(), started(), PluginEvent::Disabled { reason: None }];
    let after = given::<Plugin>(&history).when(&command, NOW);
    let completed = PluginEvent::ExecutionCompleted {
        call: CALL,
        duration: Duration::from_millis(5),
        records: 0,
        isolation: end(Ok(0)).isolation,
    };
    after.then(&[completed]);
}

#[test]
fn what_is_unregistered_is_gone_until_it_is_registered_again() {
    let history = [registered(), PluginEvent::Unregistered];
    for command in [start(), PluginCommand::Unregister, PluginCommand::Enable] {
        let rejection = given::<Plugin>(&history).when(&command, NOW).then_rejected();
        assert_eq!(rejection, PluginRejection::NotRegistered);
    }
    given::<Plugin>(&history)
        .when(&PluginCommand::Register(registration("1.0.0")), NOW)
        .then(&[registered()]);
}

#[test]
fn calls_that_never_end_do_not_pile_up() {
    let history: Vec<_> = std::iter::once(registered())
        .chain((0..2_000).map(|n| PluginEvent::ExecutionStarted {
            call: PluginCallId(Uuid::from_u128(n)),
            operation: String::new(),
        }))
        .collect();
    let state = given::<Plugin>(&history).state().unwrap();
    assert_eq!(state.running.len(), MAX_RUNNING);
    assert_eq!(state.running.first(), Some(&PluginCallId(Uuid::from_u128(976))));
}

fn any_command() -> impl Strategy<Value = PluginCommand> {
    use PluginCommand as C;
    let call = (0..3_u128).prop_map(|n| PluginCallId(Uuid::from_u128(n)));
    let problem = proptest::option::of(Just("no answer".to_owned()));
    let failure = || PluginCallFailure {
        class: ErrorClass::Timeout,
        code: "FC0640".into(),
        message: String::new(),
        cancelled: false,
    };
    prop_oneof![
        any::<bool>().prop_map(|second| C::Register(registration(if second { "2" } else { "1" }))),
        any::<bool>().prop_map(|all| C::Grant(rights(if all { &["clock"] } else { &[] }))),
        Just(C::Initialize { detail: "ready".into() }),
        problem.clone().prop_map(|problem| C::ReportHealth { problem }),
        call.clone().prop_map(|call| C::StartExecution { call, operation: "x".into() }),
        (call, any::<bool>()).prop_map(move |(call, well)| {
            let outcome = if well { Ok(1) } else { Err(failure()) };
            C::EndExecution(PluginCallEnd { call, ..end(outcome) })
        }),
        Just(C::Quarantine { reason: "loops".into() }),
        problem.prop_map(|reason| C::Disable { reason }),
        Just(C::Enable),
        Just(C::Unregister),
    ]
}

proptest! {
    #[test]
    fn what_is_decided_is_always_legal(commands in proptest::collection::vec(any_command(), 0..40)) {
        let mut state: Option<Plugin> = None;
        for command in &commands {
            let Ok(events) = Plugin::decide(state.as_ref(), command, NOW) else { continue };
            state = fold(state, 1, &events).unwrap();
        }
    }
}
