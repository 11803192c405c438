//! What an init does for a jail before it knows which: leaving the namespaces of the machine takes
//! longer than anything that an order can ask for, so it is done while nobody waits.

use std::os::fd::OwnedFd;

use rustix::{io::Errno, thread::UnshareFlags};

use super::{Denials, network};
use crate::{
    IsolationPolicy,
    jail::report::{Control, ControlName},
};

/// An init that has left what it could leave.
#[derive(Debug)]
pub(in crate::daemon) struct Ready {
    pub(super) controls: Vec<Control>,
    pub(super) network: Option<OwnNetwork>,
}

/// A network with nothing in it but its loopback interface.
#[derive(Debug)]
pub(super) struct OwnNetwork {
    /// A socket in it, to configure it by.
    pub(super) socket: OwnedFd,
    pub(super) denials: Option<Denials>,
}

impl Ready {
    /// Leaves the namespaces that can be left. Processes and mounts are the init's own already.
    pub(in crate::daemon) fn make(policy: IsolationPolicy) -> Self {
        let mut ready = Self { controls: Vec::new(), network: None };
        if policy == IsolationPolicy::ProcessGroup {
            return ready;
        }
        ready.controls.push(Control::enforced(ControlName::PidNs));
        ready.controls.push(Control::enforced(ControlName::MountNs));
        ready.leave(UnshareFlags::NEWIPC, ControlName::IpcNs);
        if ready.leave(UnshareFlags::NEWUTS, ControlName::UtsNs) {
            // The machine's own name stays if this fails; it is no secret.
            let _ = rustix::system::sethostname(b"plugin");
        }
        if unshare(UnshareFlags::NEWNET).is_ok() {
            match network::loopback() {
                Ok(socket) => {
                    ready.controls.push(Control::enforced(ControlName::NetNs));
                    ready.network = Some(OwnNetwork { socket, denials: Denials::open() });
                }
                // Nothing leads out of it; but nothing that is granted could be listened for.
                Err(error) => {
                    let why = format!("its loopback interface: {error}");
                    ready.controls.push(Control::unavailable(ControlName::NetNs, why));
                }
            }
        } else {
            let why = "the kernel refuses a network namespace";
            ready.controls.push(Control::unavailable(ControlName::NetNs, why));
        }
        ready
    }

    /// Leaves a namespace that depends on what the init has joined.
    pub(super) fn leave(&mut self, flag: UnshareFlags, name: ControlName) -> bool {
        let left = unshare(flag);
        let is_left = left.is_ok();
        self.controls.push(match left {
            Ok(()) => Control::enforced(name),
            Err(error) => Control::unavailable(name, error.to_string()),
        });
        is_left
    }
}

#[expect(unsafe_code, reason = "unshare can pull descriptors and memory apart")]
fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    // SAFETY: none of the flags above touches the table of descriptors or memory, and the init has
    // one thread.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}
