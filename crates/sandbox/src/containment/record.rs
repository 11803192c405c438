//! From a jail to the trail of audits.

use flexcore_domain::{CapabilityUse, ControlRecord, Isolation, IsolationPlace};
use flexcore_plugin_protocol::{Capability, CapabilityKind};

use super::Containment;
use crate::{Control, ControlState, GrantUse, JailExit, Jailed, SandboxReport};

impl Containment {
    /// What holds a program that was started by this.
    pub fn isolation(&self, jailed: &Jailed) -> Isolation {
        self.isolation_of(&jailed.report)
    }

    /// What a report says, for a program that was started by this or refused.
    pub fn isolation_of(&self, report: &SandboxReport) -> Isolation {
        let place = if self.is_off() {
            IsolationPlace::Unconfined
        } else {
            IsolationPlace::Jail { tier: report.tier.as_str().to_owned() }
        };
        let mut controls: Vec<_> = report.controls.iter().map(record).collect();
        if self.has_manifest && !self.may_start_programs && !self.is_off() {
            controls.push(exec_is_not_held());
        }
        Isolation { part: self.part.clone(), place, controls }
    }

    /// How the network grants were used: each that was, and each that was refused because its name
    /// led where no name may.
    pub fn uses(&self, network: &[GrantUse]) -> Vec<CapabilityUse> {
        let mut uses = Vec::new();
        for GrantUse { grant, connections, failed, refused, bytes_sent, bytes_received } in network
        {
            let endpoint = self.endpoints.iter().find(|(known, _)| known == grant);
            let capability = endpoint.map_or_else(
                || format!("network tcp://{grant}"),
                |(_, endpoint)| Capability::Network(endpoint.clone()).to_string(),
            );
            let mut push = |allowed, times, bytes| {
                if times > 0 {
                    uses.push(CapabilityUse {
                        capability: capability.clone(),
                        allowed,
                        times,
                        bytes,
                    });
                }
            };
            push(true, connections + failed, bytes_sent + bytes_received);
            push(false, *refused, 0);
        }
        uses
    }
}

impl Containment {
    /// How its rights were used until it ended, and how often it tried in vain to reach what it was
    /// not granted.
    pub fn all_uses(&self, exit: &JailExit) -> Vec<CapabilityUse> {
        let mut uses = self.uses(&exit.network);
        if exit.denied_connects > 0 {
            uses.push(CapabilityUse {
                capability: CapabilityKind::Network.key().to_owned(),
                allowed: false,
                times: exit.denied_connects,
                bytes: 0,
            });
        }
        uses
    }
}

/// A process becomes its program by the very call that starts another: it cannot be taken away
/// before, and nobody can take it away after.
fn exec_is_not_held() -> ControlRecord {
    ControlRecord {
        name: CapabilityKind::Exec.key().to_owned(),
        state: ControlState::Unavailable.as_str().to_owned(),
        required: false,
        detail:
            "it was not granted `exec`, and nothing keeps it from starting the programs that its \
                 jail shows; they are held by the same jail"
                .to_owned(),
    }
}

fn record(control: &Control) -> ControlRecord {
    let limit = control.limit.map(|limit| format!("limit {limit}"));
    let said = [control.via.clone(), limit, control.detail.clone()];
    ControlRecord {
        name: control.name.to_string(),
        state: control.state.as_str().to_owned(),
        required: control.required,
        detail: said.into_iter().flatten().collect::<Vec<_>>().join(", "),
    }
}
