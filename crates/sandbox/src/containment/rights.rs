//! From single rights and limits to the parts of a jail.

use std::path::PathBuf;

use flexcore_plugin_protocol::{Capability, CapabilityPath, Endpoint, Host, LimitName, Limits};

use super::{Containment, ContainmentError, Shown};
use crate::{Access, HostPort, JailSpec, Network};

impl Containment {
    pub(super) fn allow(&mut self, capability: &Capability) -> Result<(), ContainmentError> {
        match capability {
            Capability::Network(endpoint) => self.allow_endpoint(endpoint),
            Capability::FsRead(path) => self.allow_path(path, Access::ReadOnly)?,
            Capability::FsWrite(path) => self.allow_path(path, Access::ReadWrite)?,
            Capability::Env(name) => self.variables.push(name.clone()),
            Capability::Exec => self.may_start_programs = true,
            // Whoever starts the program hands it the values; a process has the clock anyway.
            Capability::Secret(_) | Capability::Clock => {}
            Capability::Gpu => {
                return Err(ContainmentError::NotPossible { capability: capability.to_string() });
            }
        }
        Ok(())
    }

    fn allow_endpoint(&mut self, endpoint: &Endpoint) {
        let host = match &endpoint.host {
            Host::Name(name) => name.clone(),
            Host::Address(address) => address.to_string(),
        };
        let grant = HostPort { host, port: endpoint.port };
        if self.endpoints.iter().any(|(known, _)| *known == grant) {
            return;
        }
        self.endpoints.push((grant.clone(), endpoint.clone()));
        let mut grants = self.spec.network.grants().to_vec();
        grants.push(grant);
        self.spec.network = Network::Only(grants);
    }

    fn allow_path(
        &mut self,
        path: &CapabilityPath,
        access: Access,
    ) -> Result<(), ContainmentError> {
        match path {
            CapabilityPath::Scratch => self.has_scratch = true,
            CapabilityPath::Machine(path) => {
                let source = PathBuf::from(path);
                self.shown.push(Shown { source, target: None, access, is_granted: true });
            }
            CapabilityPath::Project(_) => {
                return Err(ContainmentError::NoProject { path: path.to_string() });
            }
        }
        Ok(())
    }
}

/// Puts stated limits in the place of those of the base.
pub(super) fn limit(spec: &mut JailSpec, limits: &Limits) {
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    for (name, value) in limits.iter() {
        match name {
            LimitName::Memory => spec.limits.memory_bytes = value,
            LimitName::Swap => spec.limits.swap_bytes = value,
            LimitName::Cpu => spec.limits.cpu_milli = Some(number(value)),
            LimitName::Pids => spec.limits.pids = number(value),
            LimitName::Nofile => spec.limits.open_files = number(value),
            LimitName::Disk => spec.tmp_bytes = value,
            LimitName::Inodes => spec.tmp_files = value,
            LimitName::IoReadBps => spec.limits.io_read_bytes_per_second = Some(value),
            LimitName::IoWriteBps => spec.limits.io_write_bytes_per_second = Some(value),
            LimitName::OutputBytes
            | LimitName::MaxFrame
            | LimitName::Start
            | LimitName::Execute
            | LimitName::Idle => {}
        }
    }
}
