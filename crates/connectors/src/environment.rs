//! What the engine tells a connector besides its configuration.

use std::ffi::OsString;

/// The engine's part of the process environment; all empty when a connector is run by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Id of the execution (`FLEXCORE_EXECUTION`).
    pub execution: Option<String>,
    /// Id of the step (`FLEXCORE_STEP`).
    pub step: Option<String>,
    /// SHA-256, in hex, of the last STATE line of this execution that is committed
    /// (`FLEXCORE_COMMITTED_STATE`); `None` if none is.
    pub committed_state: Option<String>,
}

impl Environment {
    /// Picks the known variables; empty ones count as absent.
    pub fn from_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            let place = match name.to_str() {
                Some("FLEXCORE_EXECUTION") => &mut environment.execution,
                Some("FLEXCORE_STEP") => &mut environment.step,
                Some("FLEXCORE_COMMITTED_STATE") => &mut environment.committed_state,
                _ => continue,
            };
            *place = value.into_string().ok().filter(|value| !value.is_empty());
        }
        environment
    }

    /// The owner of marks in a target's output; `None` by hand, when nothing is ever resumed.
    pub(crate) fn owner(&self) -> Option<Owner> {
        Some(Owner {
            execution: self.execution.clone()?,
            step: self.step.clone().unwrap_or_default(),
        })
    }
}

/// Whose marks these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) execution: String,
    pub(crate) step: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_known_variables_count_and_empty_ones_are_absent() {
        let variables = [("FLEXCORE_EXECUTION", "ex_1"), ("FLEXCORE_STEP", ""), ("PATH", "/bin")]
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let environment = Environment::from_variables(variables);
        assert_eq!(environment.execution.as_deref(), Some("ex_1"));
        assert_eq!(environment.step, None);
        let owner = environment.owner().unwrap();
        assert_eq!((owner.execution.as_str(), owner.step.as_str()), ("ex_1", ""));
        assert_eq!(Environment::default().owner(), None);
    }
}
