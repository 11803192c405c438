//! Which fact about a plugin may follow which.

use std::collections::BTreeSet;

use flexcore_eventsourcing::IllegalEvent;

use super::{MAX_RUNNING, Plugin, PluginCalls, PluginEvent, PluginRegistration, PluginStatus as S};

pub(super) fn evolve(state: Option<Plugin>, event: &PluginEvent) -> Result<Plugin, IllegalEvent> {
    use PluginEvent as E;
    if let E::Registered(registration) = event {
        return Ok(registered(state, registration));
    }
    let Some(mut plugin) = state.filter(|plugin| plugin.status != S::Unregistered) else {
        return Err(IllegalEvent::new(&"a plugin that is not registered", event));
    };
    let status = match (&plugin.status, event) {
        (S::Registered, E::Initialized { .. }) => Some(S::Initialized),
        (S::Initialized | S::Unhealthy { .. }, E::HealthChanged { problem: None }) => {
            Some(S::Healthy)
        }
        (
            S::Registered | S::Initialized | S::Healthy,
            E::HealthChanged { problem: Some(reason) },
        ) => Some(S::Unhealthy { reason: reason.clone() }),
        (status, E::Quarantined { reason }) if status.is_callable() => {
            Some(S::Quarantined { reason: reason.clone() })
        }
        (S::Quarantined { .. }, E::Released) | (S::Disabled { .. }, E::Enabled) => {
            Some(S::Registered)
        }
        (status, E::Disabled { reason }) if !matches!(status, S::Disabled { .. }) => {
            Some(S::Disabled { reason: reason.clone() })
        }
        (_, E::Unregistered) => Some(S::Unregistered),
        (_, E::CapabilityGranted(_)) => None,
        // A call may end, and so tell what it used, after somebody stopped its plugin.
        (_, event) if is_of_calls(event) => None,
        (_, event) => return Err(IllegalEvent::new(&plugin, event)),
    };
    if let E::CapabilityGranted(rights) = event {
        plugin.registration.rights = rights.clone();
    }
    if !plugin.count(event) {
        return Err(IllegalEvent::new(&plugin, event));
    }
    if let Some(status) = status {
        plugin.status = status;
    }
    Ok(plugin)
}

/// An upgrade leaves alone what an operator disabled, and ends a quarantine: the version that
/// failed is gone.
fn registered(former: Option<Plugin>, registration: &PluginRegistration) -> Plugin {
    let registration = registration.clone();
    let Some(former) = former else {
        return Plugin {
            registration,
            status: S::Registered,
            version: 1,
            running: BTreeSet::new(),
            calls: PluginCalls::default(),
        };
    };
    let status = match former.status {
        S::Disabled { reason } => S::Disabled { reason },
        _ => S::Registered,
    };
    Plugin { registration, status, version: former.version.saturating_add(1), ..former }
}

const fn is_of_calls(event: &PluginEvent) -> bool {
    matches!(
        event,
        PluginEvent::ExecutionStarted { .. }
            | PluginEvent::ExecutionCompleted { .. }
            | PluginEvent::ExecutionFailed { .. }
            | PluginEvent::CapabilityUsed { .. }
            | PluginEvent::CapabilityDenied { .. }
    )
}

impl Plugin {
    /// Keeps count of calls; `false` if the event cannot be.
    fn count(&mut self, event: &PluginEvent) -> bool {
        match event {
            PluginEvent::ExecutionStarted { call, .. } => {
                if !self.status.is_callable() || !self.running.insert(*call) {
                    return false;
                }
                // Whoever began the oldest one has died long ago; ids grow with time.
                while self.running.len() > MAX_RUNNING {
                    self.running.pop_first();
                }
                self.calls.started += 1;
            }
            PluginEvent::ExecutionCompleted { call, .. } => {
                self.calls.completed += 1;
                return self.running.remove(call);
            }
            PluginEvent::ExecutionFailed { call, .. } => {
                self.calls.failed += 1;
                return self.running.remove(call);
            }
            PluginEvent::CapabilityUsed { call, .. } => return self.running.contains(call),
            PluginEvent::CapabilityDenied { call, uses } => {
                for one in uses {
                    self.calls.denied = self.calls.denied.saturating_add(one.times);
                }
                return self.running.contains(call);
            }
            _ => {}
        }
        true
    }
}
