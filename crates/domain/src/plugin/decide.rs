//! What follows from a request about a plugin.

use super::{
    Plugin, PluginCommand, PluginEvent, PluginRegistration, PluginRejection, PluginStatus,
    command::PluginCallEnd,
};
use crate::CapabilityUse;

pub(super) fn decide(
    state: Option<&Plugin>,
    command: &PluginCommand,
) -> Result<Vec<PluginEvent>, PluginRejection> {
    use PluginCommand as C;
    let registered = state.filter(|plugin| plugin.status != PluginStatus::Unregistered);
    if let C::Register(registration) = command {
        return Ok(register(registered, registration));
    }
    let plugin = registered.ok_or(PluginRejection::NotRegistered)?;
    match command {
        C::Register(_) => Ok(vec![]),
        C::Grant(rights) if plugin.registration.rights == *rights => Ok(vec![]),
        C::Grant(rights) => Ok(vec![PluginEvent::CapabilityGranted(rights.clone())]),
        C::Initialize { detail } => {
            plugin.must_be_callable()?;
            let is_new = plugin.status == PluginStatus::Registered;
            Ok(if is_new {
                vec![PluginEvent::Initialized { detail: detail.clone() }]
            } else {
                vec![]
            })
        }
        C::ReportHealth { problem } => Ok(plugin.health(problem.as_ref())),
        C::StartExecution { call, operation } => {
            plugin.must_be_callable()?;
            if plugin.running.contains(call) {
                return Err(PluginRejection::AlreadyStarted(*call));
            }
            let operation = operation.clone();
            Ok(vec![PluginEvent::ExecutionStarted { call: *call, operation }])
        }
        C::EndExecution(end) if plugin.running.contains(&end.call) => Ok(ended(end)),
        C::EndExecution(end) => Err(PluginRejection::NotRunning(end.call)),
        C::Quarantine { reason } => Ok(if plugin.status.is_callable() {
            vec![PluginEvent::Quarantined { reason: reason.clone() }]
        } else {
            vec![]
        }),
        C::Disable { reason } => Ok(match plugin.status {
            PluginStatus::Disabled { .. } => vec![],
            _ => vec![PluginEvent::Disabled { reason: reason.clone() }],
        }),
        C::Enable => Ok(match plugin.status {
            PluginStatus::Disabled { .. } => vec![PluginEvent::Enabled],
            PluginStatus::Quarantined { .. } => vec![PluginEvent::Released],
            _ => vec![],
        }),
        C::Unregister => Ok(vec![PluginEvent::Unregistered]),
    }
}

/// The same again changes nothing; the same with other grants is no new version.
fn register(former: Option<&Plugin>, registration: &PluginRegistration) -> Vec<PluginEvent> {
    let Some(former) = former else {
        return vec![PluginEvent::Registered(registration.clone())];
    };
    let as_before =
        PluginRegistration { rights: former.registration.rights.clone(), ..registration.clone() };
    if as_before != former.registration {
        vec![PluginEvent::Registered(registration.clone())]
    } else if registration.rights != former.registration.rights {
        vec![PluginEvent::CapabilityGranted(registration.rights.clone())]
    } else {
        vec![]
    }
}

fn ended(end: &PluginCallEnd) -> Vec<PluginEvent> {
    let PluginCallEnd { call, duration, outcome, isolation, uses } = end.clone();
    let (used, denied): (Vec<CapabilityUse>, Vec<_>) =
        uses.into_iter().partition(|one| one.allowed);
    let mut events = Vec::new();
    if !used.is_empty() {
        events.push(PluginEvent::CapabilityUsed { call, uses: used });
    }
    if !denied.is_empty() {
        events.push(PluginEvent::CapabilityDenied { call, uses: denied });
    }
    events.push(match outcome {
        Ok(records) => PluginEvent::ExecutionCompleted { call, duration, records, isolation },
        Err(error) => PluginEvent::ExecutionFailed { call, duration, error, isolation },
    });
    events
}

impl Plugin {
    fn must_be_callable(&self) -> Result<(), PluginRejection> {
        match &self.status {
            PluginStatus::Disabled { reason } => Err(PluginRejection::Disabled(reason.clone())),
            PluginStatus::Quarantined { reason } => {
                Err(PluginRejection::Quarantined(reason.clone()))
            }
            PluginStatus::Unregistered => Err(PluginRejection::NotRegistered),
            _ => Ok(()),
        }
    }

    /// Only changes are facts; and what nobody may call has no health.
    fn health(&self, problem: Option<&String>) -> Vec<PluginEvent> {
        let changes = match (&self.status, problem) {
            (PluginStatus::Initialized | PluginStatus::Unhealthy { .. }, None) => true,
            (status, Some(_)) => {
                status.is_callable() && !matches!(status, PluginStatus::Unhealthy { .. })
            }
            _ => false,
        };
        if changes {
            vec![PluginEvent::HealthChanged { problem: problem.cloned() }]
        } else {
            vec![]
        }
    }
}
