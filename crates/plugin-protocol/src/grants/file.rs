//! Reading `grants.toml`.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Subject;
use crate::capability::Capabilities;
use crate::diagnostic::{Diagnostics, Mistake};
use crate::document::{Document, Step, schema_of};
use crate::language::{CapabilitiesTable, Findings, LimitsTable};
use crate::limits::Limits;

/// The schema of the file, as checked and as published.
static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<GrantsFile>);
/// The version of the file that this reads.
const VERSION: i64 = 1;

/// What an operator allows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// The limits of every plugin, where no grant says otherwise.
    pub limits: Limits,
    /// The grants, in the order of the file.
    pub grants: Vec<Grant>,
}

/// What an operator allows to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// For whom it is: every part that is there must match.
    pub subject: Subject,
    /// What they may have.
    pub capabilities: Capabilities,
    /// What they may use at most, instead of the file's limits.
    pub limits: Limits,
}

/// What the operator of this machine grants to plugins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "FlexCore grants")]
struct GrantsFile {
    /// The version of this file's form.
    #[schemars(range(min = 1, max = 1))]
    #[serde(rename = "grants")]
    _version: u32,
    /// The limits of every plugin, unless a grant says otherwise.
    limits: Option<LimitsTable>,
    /// Who may have what. Several for the same plugin add up.
    grant: Option<Vec<GrantTable>>,
}

/// For whom, and what. All of `plugin`, `version`, `sha256`, `pipeline` and `step` that are there
/// must match.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GrantTable {
    /// The name of the plugin.
    plugin: Option<String>,
    /// The plugin's version.
    version: Option<String>,
    /// The digest of the plugin's content, so that another content has nothing.
    sha256: Option<String>,
    /// The name of the pipeline.
    pipeline: Option<String>,
    /// The id of a step of that pipeline.
    step: Option<String>,
    /// Addresses, such as `tcp://db:5432` or `https://api.example.com:443`; no wildcards.
    network: Option<Vec<String>>,
    /// Files and folders that may be read: from `/`, or relative to the project.
    fs_read: Option<Vec<String>>,
    /// Files and folders that may be written.
    fs_write: Option<Vec<String>>,
    /// Names of the host's environment variables.
    env: Option<Vec<String>>,
    /// Names of secrets.
    secrets: Option<Vec<String>>,
    /// Whether it may start other programs.
    exec: Option<bool>,
    /// Whether it may read the time of day.
    clock: Option<bool>,
    /// Whether it may use the graphics processor.
    gpu: Option<bool>,
    /// Its limits, instead of the file's.
    limits: Option<LimitsTable>,
}

impl Grants {
    /// Reads a file. `name` is what messages call it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, each with its place.
    pub fn parse(name: &str, text: &str) -> Result<Self, Diagnostics> {
        let document = Document::parse(name, text)?;
        document.refuse_newer("grants", VERSION)?;
        let file: GrantsFile = document.read(&SCHEMA)?;
        let mut findings = Findings::new(&document);
        let limits = file.limits.unwrap_or_default().read(&[Step::Key("limits")], &mut findings);
        let mut grants = Vec::new();
        for (index, table) in file.grant.unwrap_or_default().into_iter().enumerate() {
            let at = [Step::Key("grant"), Step::Index(index)];
            grants.push(table.read(&at, &mut findings));
        }
        findings.finish(Self { limits, grants })
    }

    /// The JSON Schema of the file.
    pub fn schema() -> Value {
        SCHEMA.clone()
    }

    /// All that is granted to somebody: capabilities of all matching grants together, the largest
    /// of their limits, and the file's limits where they have none.
    pub fn of(&self, subject: &Subject) -> (Capabilities, Limits) {
        let matching = self.grants.iter().filter(|grant| grant.subject.matches(subject));
        let none = (Capabilities::default(), Limits::default());
        let (capabilities, limits) = matching.fold(none, |(capabilities, limits), grant| {
            (capabilities.union(&grant.capabilities), limits.larger(&grant.limits))
        });
        (capabilities, limits.or(&self.limits))
    }
}

impl GrantTable {
    fn read(self, at: &[Step<'_>], findings: &mut Findings<'_>) -> Grant {
        let subject = Subject {
            plugin: self.plugin,
            version: self.version,
            sha256: self.sha256.map(|digest| digest.to_ascii_lowercase()),
            pipeline: self.pipeline,
            step: self.step,
        };
        check_subject(&subject, at, findings);
        let capabilities = CapabilitiesTable {
            network: self.network,
            fs_read: self.fs_read,
            fs_write: self.fs_write,
            env: self.env,
            secrets: self.secrets,
            exec: self.exec,
            clock: self.clock,
            gpu: self.gpu,
        };
        let limits = [at, &[Step::Key("limits")]].concat();
        Grant {
            subject,
            capabilities: capabilities.read(at, findings),
            limits: self.limits.unwrap_or_default().read(&limits, findings),
        }
    }
}

fn check_subject(subject: &Subject, at: &[Step<'_>], findings: &mut Findings<'_>) {
    let needs = |findings: &mut Findings<'_>, key: &str, other: &str| {
        let message = format!("a grant with `{key}` needs `{other}`");
        findings.note(at, Mistake::MissingKey, message, None);
    };
    if subject.plugin.is_none() && subject.pipeline.is_none() {
        let message = "a grant says for whom it is: `plugin`, `pipeline` or both".to_owned();
        findings.note(at, Mistake::MissingKey, message, None);
    }
    if subject.step.is_some() && subject.pipeline.is_none() {
        needs(findings, "step", "pipeline");
    }
    for (key, part) in [("version", &subject.version), ("sha256", &subject.sha256)] {
        if part.is_some() && subject.plugin.is_none() {
            needs(findings, key, "plugin");
        }
    }
    for (key, text) in subject.parts() {
        let path = [at, &[Step::Key(key)]].concat();
        if text.contains('*') {
            let hint = "leave the key out to mean every one";
            findings.illegal(&path, format!("`{key}` is one name; no wildcards"), Some(hint));
        } else if text.is_empty() || text.len() > 128 || text.contains(char::is_control) {
            let message = format!("`{key}` is a name of at most 128 bytes");
            findings.illegal(&path, message, None);
        } else if key == "sha256" && !crate::integrity::is_digest(text) {
            let message = "`sha256` is 64 hexadecimal digits".to_owned();
            findings.illegal(&path, message, None);
        }
    }
}
