//! What goes wrong with a Vault, for people.

use std::{fmt, time::Duration};

use crate::vault::settings::VaultToken;

/// Why a Vault gave no answer that says something about a secret.
#[derive(Debug)]
pub(super) enum Fault {
    /// The name of a secret cannot be one here.
    Name(&'static str),
    /// There is no token to ask with.
    NoToken { why: String },
    /// Nobody answers there, or not in time.
    Unreachable { why: String },
    /// It is sealed, or not initialised.
    Sealed,
    /// It does not let this token do this.
    Denied { token: String, said: String },
    /// No engine is mounted there.
    NoEngine { mount: String },
    /// The engine is of version 1, or of another kind.
    OtherEngine { mount: String },
    /// The newest version of the secret was deleted.
    Deleted { at: Option<String> },
    /// The secret has no such field, or it is not clear which is meant.
    Field { wanted: Option<String>, there: Vec<String> },
    /// It answers something else.
    Answer { status: u16, said: String },
    /// What answers there is no Vault, or answers too much.
    Garbage { why: String },
}

impl Fault {
    /// The stable code of it.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } | Self::Answer { .. } | Self::Garbage { .. } => "FC0679",
            Self::Sealed => "FC0680",
            Self::NoToken { .. } | Self::Denied { .. } => "FC0681",
            Self::Name(_)
            | Self::NoEngine { .. }
            | Self::OtherEngine { .. }
            | Self::Deleted { .. }
            | Self::Field { .. } => "FC0682",
        }
    }

    /// Nobody answered within a time.
    pub(super) fn late(patience: Duration) -> Self {
        Self::Unreachable { why: format!("there was no answer within {} s", patience.as_secs()) }
    }

    /// It refuses what was asked with a token.
    pub(super) fn denied(token: &VaultToken, said: String) -> Self {
        Self::Denied { token: token.shown(), said }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(why) => formatter.write_str(why),
            Self::NoToken { why } => write!(formatter, "there is no token to ask with: {why}"),
            Self::Unreachable { why } => write!(formatter, "it does not answer: {why}"),
            Self::Sealed => formatter.write_str(
                "it is sealed or not initialised, and answers nobody; unseal it (`vault operator \
                 unseal`) and try again",
            ),
            Self::Denied { token, said } => write!(
                formatter,
                "it refuses the token of {token} ({said}): the token ended, or its policy lacks \
                 `read` on this path"
            ),
            Self::NoEngine { mount } => {
                write!(formatter, "no secrets engine is mounted at `{mount}`; `mount` names it")
            }
            Self::OtherEngine { mount } => write!(
                formatter,
                "the engine at `{mount}` is no key-value engine of version 2; enable its versions \
                 (`vault kv enable-versioning {mount}`), or name another `mount`"
            ),
            Self::Deleted { at: Some(at) } => write!(
                formatter,
                "its newest version was deleted at {at}; write a new one, or undelete it"
            ),
            Self::Deleted { at: None } => {
                formatter.write_str("its newest version was destroyed; write a new one")
            }
            Self::Field { wanted, there } => field(formatter, wanted.as_deref(), there),
            Self::Answer { status, said } => write!(formatter, "it answers {status}: {said}"),
            Self::Garbage { why } => write!(formatter, "what answers there is no Vault: {why}"),
        }
    }
}

/// The names of fields are no secrets; their values are not here.
fn field(
    formatter: &mut fmt::Formatter<'_>,
    wanted: Option<&str>,
    there: &[String],
) -> fmt::Result {
    let there = match there {
        [] => "no field at all".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    };
    match wanted {
        Some(wanted) => write!(formatter, "it has no field `{wanted}`, but {there}"),
        None => write!(
            formatter,
            "it has several fields and none is named `value`: {there}; add `#FIELD` to the name"
        ),
    }
}
