//! A program of a sync while it runs, and what is to be recorded of it.

use std::{os::fd::OwnedFd, sync::Arc};

use flexcore_domain::{CapabilityUse, Isolation};
use flexcore_sandbox::{Containment, Housed, JailExit, Jailed, Process};

/// The part of the first of the two programs that a tap may run as.
const DISCOVER: &str = "discover";

/// A program that was just started.
pub(crate) struct Program {
    pub(crate) process: Arc<Process>,
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    pub(crate) held: Held,
}

/// What holds a program.
pub(crate) struct Held {
    jailed: Jailed,
    containment: Containment,
}

/// How a program ended, and the memory that it could have if that was too little.
pub(crate) struct Exit {
    pub(crate) exit: JailExit,
    pub(crate) memory_ran_out: Option<u64>,
}

/// What is recorded of the programs of an attempt.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    pub(crate) isolation: Vec<Isolation>,
    pub(crate) uses: Vec<CapabilityUse>,
}

impl Program {
    pub(crate) fn new(housed: Housed, trail: &mut Trail) -> Self {
        let Housed { mut jailed, containment } = housed;
        trail.begin(containment.isolation(&jailed));
        Self {
            process: Arc::clone(&jailed.process),
            stdin: jailed.stdin.take(),
            stdout: jailed.stdout.take().expect("nobody took it yet"),
            stderr: jailed.stderr.take().expect("nobody took it yet"),
            held: Held { jailed, containment },
        }
    }
}

impl Held {
    /// Waits for the end of every process and takes down what it used.
    pub(crate) async fn finish(self, trail: &mut Trail) -> Exit {
        let Self { jailed, containment } = self;
        let exit = jailed.wait().await;
        for used in containment.all_uses(&exit) {
            trail.add(used);
        }
        let memory_ran_out = exit.out_of_memory.then(|| containment.limits().memory_bytes);
        Exit { exit, memory_ran_out }
    }

    /// Kills the program; returns when nothing of it is left.
    pub(crate) async fn kill(self, trail: &mut Trail) {
        self.jailed.begin_kill();
        self.finish(trail).await;
    }
}

impl Trail {
    /// A tap that was asked for its catalog first is held in the same way when it runs.
    fn begin(&mut self, isolation: Isolation) {
        if isolation.part == "tap" {
            self.isolation.retain(|known| known.part != DISCOVER);
        }
        self.isolation.push(isolation);
    }

    fn add(&mut self, used: CapabilityUse) {
        let same = |known: &&mut CapabilityUse| {
            known.capability == used.capability && known.allowed == used.allowed
        };
        match self.uses.iter_mut().find(same) {
            Some(known) => {
                known.times = known.times.saturating_add(used.times);
                known.bytes = known.bytes.saturating_add(used.bytes);
            }
            None => self.uses.push(used),
        }
    }
}
