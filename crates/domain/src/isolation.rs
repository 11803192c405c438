//! What held a program while it ran and what it used of its rights: plain records for the trail of
//! audits. Whoever held the program makes them; the domain only keeps them.

/// What held a program, or that nothing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolation {
    /// Which program, where an attempt has several: `tap`, `target`; empty for the only one.
    pub part: String,
    /// Where it ran.
    pub place: IsolationPlace,
    /// What was enforced, control by control; empty where nothing of this machine held it.
    pub controls: Vec<ControlRecord>,
}

/// Where a program ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IsolationPlace {
    /// In a jail of this machine.
    Jail {
        /// How strong a jail the machine allows: `root`, `user_ns`, `restricted`, `none`.
        tier: String,
    },
    /// In FlexCore's own process, as WebAssembly that the operator trusts.
    InProcess,
    /// On another machine, which FlexCore cannot speak for.
    Remote,
    /// On this machine without a jail, because the operator said so.
    Unconfined,
}

impl IsolationPlace {
    /// Its word in events and replies.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Jail { .. } => "jail",
            Self::InProcess => "in_process",
            Self::Remote => "remote",
            Self::Unconfined => "unconfined",
        }
    }
}

/// One control of a jail as it was enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlRecord {
    /// Its stable name, such as `seccomp`.
    pub name: String,
    /// `enforced`, `best_effort`, `unavailable` or `disabled_by_operator`.
    pub state: String,
    /// Whether the program was not to run without it.
    pub required: bool,
    /// By what it is enforced, or why it is not; empty where there is nothing to say.
    pub detail: String,
}

/// How a program used one capability, or tried to use one that it did not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityUse {
    /// The capability as manifests write it, such as `network tcp://db.example.com:5432`.
    pub capability: String,
    /// Whether it was allowed.
    pub allowed: bool,
    /// How often; uses of one attempt are counted, not listed, so that a program cannot flood the
    /// log.
    pub times: u64,
    /// How many bytes went either way, where that is known.
    pub bytes: u64,
}
