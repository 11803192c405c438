//! The data stream aggregate: the memory of one sync between its executions.
//!
//! There is one per tenant, environment, pipeline, state name and item key. It holds the bookmark
//! (the merged Singer state that the target confirmed), which plugins it belongs to, which
//! execution holds it now, and the schemas that were seen.

use std::collections::BTreeMap;

use flexcore_eventsourcing::{Aggregate, Hash, IllegalEvent, Timestamp};
use serde_json::Value;
use thiserror::Error;

use crate::{ExecutionId, execution::StepCounts};

/// JSON as the text that it was read as: a Singer state may hold numbers that no machine type can,
/// and they must come back as they were.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonText(pub String);

impl JsonText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is known of one sync.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DataStream {
    /// How far the sync got.
    pub bookmark: Option<Bookmark>,
    /// The plugins that the bookmark belongs to.
    pub plugins: Option<SyncPlugins>,
    /// The execution that holds it now.
    pub holder: Option<ExecutionId>,
    /// The newest schema of each Singer stream.
    pub schemas: BTreeMap<String, Value>,
    /// What its last finished sync counted.
    pub last_sync: Option<LastSync>,
}

/// How far a sync got.
#[derive(Debug, Clone, PartialEq)]
pub struct Bookmark {
    /// The Singer state, merged per stream.
    pub state: JsonText,
    /// The execution that advanced it last; `None` if a person set it.
    pub execution: Option<ExecutionId>,
    /// SHA-256 of the raw STATE line that the target confirmed last; `None` if a person set it.
    pub line: Option<Hash>,
}

/// Which tap and target a bookmark belongs to: names that stay the same while settings change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncPlugins {
    /// The tap.
    pub tap: String,
    /// The target.
    pub target: String,
}

/// What a finished sync counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSync {
    /// The execution.
    pub execution: ExecutionId,
    /// What it counted.
    pub counts: StepCounts,
}

/// A request about a data stream.
#[derive(Debug, Clone, PartialEq)]
pub enum DataStreamCommand {
    /// Begin a sync: hold the stream for an execution.
    Hold {
        /// The execution.
        execution: ExecutionId,
        /// Its plugins; refused if the bookmark belongs to others.
        plugins: SyncPlugins,
        /// Whether the former holder is known to be dead or at its end.
        former_is_gone: bool,
    },
    /// The target confirmed a STATE.
    Advance {
        /// The execution that holds the stream.
        execution: ExecutionId,
        /// The state, merged onto the former bookmark.
        state: JsonText,
        /// SHA-256 of the raw line.
        line: Hash,
    },
    /// A STATE was not taken.
    Refuse {
        /// The execution that holds the stream.
        execution: ExecutionId,
        /// Why, for a person.
        reason: String,
    },
    /// A SCHEMA was seen.
    Observe {
        /// The Singer stream.
        stream: String,
        /// The JSON Schema.
        schema: Value,
    },
    /// End a sync: give the stream back.
    Record {
        /// The execution that holds the stream.
        execution: ExecutionId,
        /// What it counted.
        counts: StepCounts,
    },
    /// Forget the bookmark, or one stream's part of it.
    Reset {
        /// The bookmark that is left; `None`: none.
        remaining: Option<JsonText>,
    },
    /// Put another bookmark in place.
    Set {
        /// The whole Singer state.
        state: JsonText,
    },
    /// Keep the bookmark for other plugins.
    Keep,
}

/// A fact about a data stream.
#[derive(Debug, Clone, PartialEq)]
pub enum DataStreamEvent {
    /// An execution began a sync.
    SyncStarted {
        /// The execution.
        execution: ExecutionId,
        /// Its plugins.
        plugins: SyncPlugins,
    },
    /// The target confirmed a STATE.
    BookmarkAdvanced {
        /// The execution.
        execution: ExecutionId,
        /// The merged state.
        state: JsonText,
        /// SHA-256 of the raw line.
        line: Hash,
    },
    /// A STATE was not taken.
    BookmarkRefused {
        /// The execution.
        execution: ExecutionId,
        /// Why.
        reason: String,
    },
    /// A person forgot the bookmark, or a part of it.
    BookmarkReset {
        /// What is left.
        remaining: Option<JsonText>,
    },
    /// A person put another bookmark in place.
    BookmarkSet {
        /// The whole Singer state.
        state: JsonText,
    },
    /// A person kept the bookmark for whatever plugins come next.
    BookmarkKept,
    /// A new or changed schema was seen.
    SchemaObserved {
        /// The Singer stream.
        stream: String,
        /// The JSON Schema.
        schema: Value,
    },
    /// A sync ended.
    SyncRecorded {
        /// The execution.
        execution: ExecutionId,
        /// What it counted.
        counts: StepCounts,
    },
}

/// Why a command was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DataStreamRejection {
    /// Another execution holds it.
    #[error("execution {0} is running this sync")]
    Held(ExecutionId),
    /// This execution does not hold it.
    #[error("execution {0} does not hold this sync")]
    NotHeld(ExecutionId),
    /// The bookmark belongs to other plugins.
    #[error(
        "the bookmark was made by {} and {}, but the step now has {} and {}; `bookmark keep` goes on from it, `bookmark reset` starts over",
        .made_by.tap, .made_by.target, .now.tap, .now.target
    )]
    OtherPlugins {
        /// Whose bookmark it is.
        made_by: SyncPlugins,
        /// What the step has now.
        now: SyncPlugins,
    },
    /// There is no bookmark.
    #[error("there is no bookmark")]
    NoBookmark,
}

impl Aggregate for DataStream {
    type Command = DataStreamCommand;
    type Event = DataStreamEvent;
    type Rejection = DataStreamRejection;
    const CATEGORY: &'static str = "data-stream";

    fn decide(
        state: Option<&Self>,
        command: &DataStreamCommand,
        _now: Timestamp,
    ) -> Result<Vec<DataStreamEvent>, DataStreamRejection> {
        use DataStreamCommand as C;
        let unknown = Self::default();
        let stream = state.unwrap_or(&unknown);
        match command {
            C::Hold { execution, plugins, former_is_gone } => {
                stream.hold(*execution, plugins, *former_is_gone)
            }
            C::Advance { execution, state, line } => {
                stream.must_hold(*execution)?;
                if stream.bookmark.as_ref().is_some_and(|bookmark| bookmark.state == *state) {
                    return Ok(vec![]);
                }
                let (execution, state, line) = (*execution, state.clone(), *line);
                Ok(vec![DataStreamEvent::BookmarkAdvanced { execution, state, line }])
            }
            C::Refuse { execution, reason } => {
                stream.must_hold(*execution)?;
                let (execution, reason) = (*execution, reason.clone());
                Ok(vec![DataStreamEvent::BookmarkRefused { execution, reason }])
            }
            C::Observe { stream: name, schema } => {
                if stream.schemas.get(name) == Some(schema) {
                    return Ok(vec![]);
                }
                let (stream, schema) = (name.clone(), schema.clone());
                Ok(vec![DataStreamEvent::SchemaObserved { stream, schema }])
            }
            C::Record { execution, counts } => {
                stream.must_hold(*execution)?;
                Ok(vec![DataStreamEvent::SyncRecorded { execution: *execution, counts: *counts }])
            }
            C::Reset { remaining } => match &stream.bookmark {
                None => Err(DataStreamRejection::NoBookmark),
                Some(_) => {
                    Ok(vec![DataStreamEvent::BookmarkReset { remaining: remaining.clone() }])
                }
            },
            C::Set { state } => Ok(vec![DataStreamEvent::BookmarkSet { state: state.clone() }]),
            C::Keep => match &stream.bookmark {
                None => Err(DataStreamRejection::NoBookmark),
                Some(_) => Ok(vec![DataStreamEvent::BookmarkKept]),
            },
        }
    }

    fn evolve(state: Option<Self>, event: &DataStreamEvent) -> Result<Self, IllegalEvent> {
        use DataStreamEvent as E;
        let mut stream = state.unwrap_or_default();
        match event {
            E::SyncStarted { execution, plugins } => {
                stream.holder = Some(*execution);
                stream.plugins = Some(plugins.clone());
            }
            E::BookmarkAdvanced { execution, state, line } if stream.holder == Some(*execution) => {
                stream.bookmark = Some(Bookmark {
                    state: state.clone(),
                    execution: Some(*execution),
                    line: Some(*line),
                });
            }
            E::BookmarkRefused { execution, .. } if stream.holder == Some(*execution) => {}
            E::SyncRecorded { execution, counts } if stream.holder == Some(*execution) => {
                stream.holder = None;
                stream.last_sync = Some(LastSync { execution: *execution, counts: *counts });
            }
            E::BookmarkReset { remaining } if stream.bookmark.is_some() => {
                stream.bookmark = remaining.clone().map(set_by_hand);
                if stream.bookmark.is_none() {
                    stream.plugins = None;
                }
            }
            E::BookmarkSet { state } => stream.bookmark = Some(set_by_hand(state.clone())),
            E::BookmarkKept if stream.bookmark.is_some() => stream.plugins = None,
            E::SchemaObserved { stream: name, schema } => {
                stream.schemas.insert(name.clone(), schema.clone());
            }
            event => return Err(IllegalEvent::new(&stream, event)),
        }
        Ok(stream)
    }
}

fn set_by_hand(state: JsonText) -> Bookmark {
    Bookmark { state, execution: None, line: None }
}

impl DataStream {
    fn hold(
        &self,
        execution: ExecutionId,
        plugins: &SyncPlugins,
        former_is_gone: bool,
    ) -> Result<Vec<DataStreamEvent>, DataStreamRejection> {
        if let Some(holder) = self.holder
            && holder != execution
            && !former_is_gone
        {
            return Err(DataStreamRejection::Held(holder));
        }
        if let (Some(made_by), Some(_)) = (&self.plugins, &self.bookmark)
            && made_by != plugins
        {
            let (made_by, now) = (made_by.clone(), plugins.clone());
            return Err(DataStreamRejection::OtherPlugins { made_by, now });
        }
        if self.holder == Some(execution) && self.plugins.as_ref() == Some(plugins) {
            return Ok(vec![]);
        }
        Ok(vec![DataStreamEvent::SyncStarted { execution, plugins: plugins.clone() }])
    }

    fn must_hold(&self, execution: ExecutionId) -> Result<(), DataStreamRejection> {
        if self.holder == Some(execution) {
            Ok(())
        } else {
            Err(DataStreamRejection::NotHeld(execution))
        }
    }
}

#[cfg(test)]
mod tests {
    use flexcore_eventsourcing::testing::given;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::EPOCH;
    const ONE: ExecutionId = ExecutionId(Uuid::from_u128(1));
    const TWO: ExecutionId = ExecutionId(Uuid::from_u128(2));

    fn plugins(tap: &str) -> SyncPlugins {
        SyncPlugins { tap: tap.into(), target: "target-jsonl".into() }
    }

    fn started(execution: ExecutionId) -> DataStreamEvent {
        DataStreamEvent::SyncStarted { execution, plugins: plugins("tap-csv") }
    }

    fn hold(execution: ExecutionId, tap: &str, former_is_gone: bool) -> DataStreamCommand {
        DataStreamCommand::Hold { execution, plugins: plugins(tap), former_is_gone }
    }

    fn advanced(text: &str) -> DataStreamEvent {
        let state = JsonText(text.into());
        DataStreamEvent::BookmarkAdvanced { execution: ONE, state, line: Hash::ZERO }
    }

    fn recorded() -> DataStreamEvent {
        DataStreamEvent::SyncRecorded { execution: ONE, counts: StepCounts::default() }
    }

    #[test]
    fn a_second_live_execution_is_refused_and_a_dead_one_gives_way() {
        let rejection =
            given::<DataStream>(&[started(ONE)]).when(&hold(TWO, "tap-csv", false), NOW);
        assert_eq!(rejection.then_rejected(), DataStreamRejection::Held(ONE));
        given::<DataStream>(&[started(ONE)])
            .when(&hold(TWO, "tap-csv", true), NOW)
            .then(&[started(TWO)]);
        given::<DataStream>(&[started(ONE)]).when(&hold(ONE, "tap-csv", false), NOW).then(&[]);
    }

    #[test]
    fn an_equal_state_is_not_recorded_again() {
        let advance = |text: &str| DataStreamCommand::Advance {
            execution: ONE,
            state: JsonText(text.into()),
            line: Hash::ZERO,
        };
        given::<DataStream>(&[started(ONE), advanced("1")]).when(&advance("1"), NOW).then(&[]);
        given::<DataStream>(&[started(ONE), advanced("1")])
            .when(&advance("2"), NOW)
            .then(&[advanced("2")]);
    }

    #[test]
    fn only_the_holder_advances_the_bookmark() {
        let command = DataStreamCommand::Advance {
            execution: TWO,
            state: JsonText("1".into()),
            line: Hash::ZERO,
        };
        let rejection = given::<DataStream>(&[started(ONE)]).when(&command, NOW).then_rejected();
        assert_eq!(rejection, DataStreamRejection::NotHeld(TWO));
    }

    #[test]
    fn a_changed_plugin_is_refused_until_keep_or_reset() {
        let history = [started(ONE), advanced("1"), recorded()];
        let rejection = given::<DataStream>(&history).when(&hold(TWO, "tap-x", false), NOW);
        assert!(matches!(rejection.then_rejected(), DataStreamRejection::OtherPlugins { .. }));
        for change in
            [DataStreamEvent::BookmarkKept, DataStreamEvent::BookmarkReset { remaining: None }]
        {
            let history = [&history[..], &[change]].concat();
            given::<DataStream>(&history).when(&hold(TWO, "tap-x", false), NOW).then(&[
                DataStreamEvent::SyncStarted { execution: TWO, plugins: plugins("tap-x") },
            ]);
        }
    }

    #[test]
    fn a_schema_is_recorded_when_it_changes() {
        let observe = |schema| DataStreamCommand::Observe { stream: "a".into(), schema };
        let observed = |schema| DataStreamEvent::SchemaObserved { stream: "a".into(), schema };
        given::<DataStream>(&[observed(json!(1))]).when(&observe(json!(1)), NOW).then(&[]);
        given::<DataStream>(&[observed(json!(1))])
            .when(&observe(json!(2)), NOW)
            .then(&[observed(json!(2))]);
    }
}
