//! Upcasting: reading stored forms of the past.

use std::{collections::BTreeMap, fmt};

use thiserror::Error;

/// One step from a stored version to the next.
type Step<P> = Box<dyn Fn(P) -> Result<P, String> + Send + Sync>;

/// Steps from each old stored version of an event type to the next, for payloads of type `P`.
///
/// A stored form is never rewritten: when it has to change, its schema version grows by one, and a
/// step from the former version is registered here.
pub struct Upcasters<P> {
    steps: BTreeMap<(String, u16), Step<P>>,
}

/// Why an old payload could not be brought to the newest version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UpcastError {
    /// The stored version is newer than this program.
    #[error("{type_name} is stored in version {stored}, but this program knows only up to {known}")]
    Newer {
        /// The event type.
        type_name: String,
        /// The stored version.
        stored: u16,
        /// The newest version that the program knows.
        known: u16,
    },
    /// No step leads on from this version.
    #[error("no upcaster leads on from version {version} of {type_name}")]
    Missing {
        /// The event type.
        type_name: String,
        /// The version without a step.
        version: u16,
    },
    /// The step refused the payload.
    #[error("version {version} of {type_name} cannot be upcast: {reason}")]
    Refused {
        /// The event type.
        type_name: String,
        /// The version that was read.
        version: u16,
        /// What the step says.
        reason: String,
    },
}

impl<P> Upcasters<P> {
    /// No steps yet.
    pub fn new() -> Self {
        Self { steps: BTreeMap::new() }
    }

    /// Adds the step from `version` of `type_name` to the next version.
    #[must_use]
    pub fn with(
        mut self,
        type_name: &str,
        version: u16,
        step: impl Fn(P) -> Result<P, String> + Send + Sync + 'static,
    ) -> Self {
        self.steps.insert((type_name.to_owned(), version), Box::new(step));
        self
    }

    /// Brings `payload` from version `stored` to version `known`.
    ///
    /// # Errors
    /// [`UpcastError`] if it is newer, a step is missing, or a step refuses.
    pub fn upcast(
        &self,
        type_name: &str,
        stored: u16,
        known: u16,
        payload: P,
    ) -> Result<P, UpcastError> {
        if stored > known {
            return Err(UpcastError::Newer { type_name: type_name.to_owned(), stored, known });
        }
        let mut payload = payload;
        for version in stored..known {
            let step = self
                .steps
                .get(&(type_name.to_owned(), version))
                .ok_or_else(|| UpcastError::Missing { type_name: type_name.to_owned(), version })?;
            payload = step(payload).map_err(|reason| UpcastError::Refused {
                type_name: type_name.to_owned(),
                version,
                reason,
            })?;
        }
        Ok(payload)
    }
}

impl<P> Default for Upcasters<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> fmt::Debug for Upcasters<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.steps.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upcasters() -> Upcasters<String> {
        Upcasters::new()
            .with("Sent", 1, |text| Ok(text + "+2"))
            .with("Sent", 2, |text| Ok(text + "+3"))
            .with("Sent", 4, |_| Err("no amount".to_owned()))
    }

    #[test]
    fn steps_are_taken_in_order() {
        assert_eq!(upcasters().upcast("Sent", 1, 3, "1".to_owned()).unwrap(), "1+2+3");
        assert_eq!(upcasters().upcast("Sent", 3, 3, "3".to_owned()).unwrap(), "3");
    }

    #[test]
    fn a_gap_a_refusal_and_the_future_are_named() {
        let error = |stored, known| {
            upcasters().upcast("Sent", stored, known, String::new()).unwrap_err().to_string()
        };
        assert_eq!(error(3, 4), "no upcaster leads on from version 3 of Sent");
        assert_eq!(error(4, 5), "version 4 of Sent cannot be upcast: no amount");
        assert_eq!(error(6, 5), "Sent is stored in version 6, but this program knows only up to 5");
    }
}
