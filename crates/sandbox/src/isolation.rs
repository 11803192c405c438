//! What separates the processes of an attempt from everything else.

/// How an attempt's processes are kept together, so that they can be ended as one.
///
/// What the tiers promise when everything goes wrong:
///
/// * `PidNamespace`: no process of the attempt outlives its init; the kernel sees to it.
/// * `ProcessGroup`: descendants come back to the attempt's init as their parents die, and it ends
///   every one that `/proc` shows, until none is left. If the init itself is killed from outside,
///   the launcher does the same in its place. Only a tree whose init *and* launcher are killed can
///   be left behind; its processes carry `FLEXCORE_ATTEMPT`, unless one of them has hidden that
///   too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// A PID namespace of its own, and a mount namespace with it: mounts that the machine makes
    /// still appear in it, those that the attempt makes end with it.
    PidNamespace {
        /// Whether `/proc` shows this namespace. Where the machine forbids mounting it (some
        /// containers), the attempt sees the machine's processes there, but under other numbers
        /// than its own `getpid` says.
        own_proc: bool,
    },
    /// A session and process group of its own under a subreaper.
    ProcessGroup,
}

impl Isolation {
    pub(crate) const fn encode(self) -> u8 {
        match self {
            Self::PidNamespace { own_proc: true } => 1,
            Self::PidNamespace { own_proc: false } => 2,
            Self::ProcessGroup => 3,
        }
    }

    pub(crate) const fn decode(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::PidNamespace { own_proc: true }),
            2 => Some(Self::PidNamespace { own_proc: false }),
            3 => Some(Self::ProcessGroup),
            _ => None,
        }
    }
}

/// Where the launcher begins to look for a tier that this machine allows. It tries each by making
/// one, not by guessing from versions and rights, and goes on with the next weaker one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum IsolationPolicy {
    /// A PID namespace made with the rights that the process has.
    #[default]
    Strongest,
    /// A PID namespace inside a user namespace, as an ordinary user gets it. In it, files of other
    /// users appear to belong to `nobody`, and set-user-id programs have no effect.
    UserNamespace,
    /// No namespace.
    ProcessGroup,
}

impl IsolationPolicy {
    /// The policy that is tried when this one does not work here.
    pub(crate) const fn weaker(self) -> Option<Self> {
        match self {
            Self::Strongest => Some(Self::UserNamespace),
            Self::UserNamespace => Some(Self::ProcessGroup),
            Self::ProcessGroup => None,
        }
    }

    /// Its word on the launcher's command line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Strongest => "strongest",
            Self::UserNamespace => "user-namespace",
            Self::ProcessGroup => "process-group",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Strongest, Self::UserNamespace, Self::ProcessGroup]
            .into_iter()
            .find(|policy| policy.as_str() == word)
    }
}
