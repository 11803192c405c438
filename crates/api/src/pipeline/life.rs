//! The life of a pipeline: activate, deactivate, archive.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Command, Route};

macro_rules! life_command {
    ($(#[$doc:meta])* $name:ident, $permission:literal, $path:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The pipeline: its name, or its id
            pub name: String,
            /// Only if it has changed this often, as `aggregate_version` of its view says
            #[arg(long, value_name = "N")]
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub expected_version: Option<u64>,
        }

        impl Command for $name {
            type Reply = PipelineStatusChanged;
            const NAME: &'static str = stringify!($name);
            const PERMISSION: &'static str = $permission;
            const ROUTE: Option<Route> =
                Some(Route::post($path).matched_by("expected_version"));
        }
    };
}

life_command!(
    /// Makes a pipeline active: what its file says about when it runs by itself counts.
    ActivatePipeline,
    "pipeline.activate",
    "pipelines/{name}/activate"
);
life_command!(
    /// Keeps a pipeline from beginning new executions; those that are there go on to their ends.
    DeactivatePipeline,
    "pipeline.deactivate",
    "pipelines/{name}/deactivate"
);
life_command!(
    /// Ends a pipeline for good: it can be read by its id, and its name is free for another one.
    ArchivePipeline,
    "pipeline.archive",
    "pipelines/{name}/archive"
);

/// What became of a pipeline's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineStatusChanged {
    /// The pipeline's id.
    pub id: String,
    /// Its name; an archived one's may belong to another pipeline by now.
    pub name: String,
    /// `active`, `inactive` or `archived`.
    pub status: String,
    /// How often it has changed.
    pub aggregate_version: u64,
    /// The log's position after it; 0 if nothing changed.
    pub position: u64,
}
