//! The operator's word: `grants.toml`, which says what each plugin may have of what it asks for.
//!
//! ```toml
//! grants = 1
//!
//! [limits]                      # for every plugin, unless a grant says otherwise
//! memory = "1GiB"
//!
//! [[grant]]                     # for whom: all of these that are there must match
//! plugin = "tap-postgres"
//! pipeline = "sales"
//! network = ["tcp://db.example.com:5432"]
//! secrets = ["pg_password"]
//! limits = { memory = "4GiB" }
//! ```
//!
//! Nothing is granted that is not written here. Several grants for one plugin add up.

mod effective;
mod file;
mod lines;

pub use effective::{
    CapabilityRequest, Effective, LoweredLimit, Refusal, Requests, Rule, effective,
};
pub use file::{Grant, Grants};
pub use lines::{append_grant, grant_lines};

/// For whom capabilities are looked up: a plugin, a step of a pipeline, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// The name of the plugin.
    pub plugin: Option<String>,
    /// The plugin's version.
    pub version: Option<String>,
    /// The digest of the plugin's content, in hexadecimal.
    pub sha256: Option<String>,
    /// The name of the pipeline.
    pub pipeline: Option<String>,
    /// The id of the step.
    pub step: Option<String>,
}

impl Subject {
    /// Each of its parts that is there, with its key in the file.
    fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let parts = [
            ("plugin", &self.plugin),
            ("version", &self.version),
            ("sha256", &self.sha256),
            ("pipeline", &self.pipeline),
            ("step", &self.step),
        ];
        parts.into_iter().filter_map(|(key, part)| Some((key, part.as_deref()?)))
    }

    /// Whether everything that this names is the same in the other.
    fn matches(&self, other: &Self) -> bool {
        self.parts().all(|part| other.parts().any(|theirs| theirs == part))
    }
}
