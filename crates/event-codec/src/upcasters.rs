//! The steps from stored forms of the past to the newest ones.

use std::{collections::BTreeMap, sync::LazyLock};

use flexcore_eventsourcing::Upcasters;
use serde_json::value::RawValue;

/// What a step works on: the fields of a payload, each as the text that was stored, so that what a
/// step does not touch stays exactly as it was.
pub(crate) type Fields = BTreeMap<String, Box<RawValue>>;

/// One step for each version of an event type that is no longer the newest; type names are unique
/// across aggregates.
///
/// Every type is in its first version, so there is no step yet. The first one goes here as
/// `.with("StepStarted", 1, |fields| …)`, which turns version 1 into version 2.
pub(crate) static UPCASTERS: LazyLock<Upcasters<Fields>> = LazyLock::new(Upcasters::new);
