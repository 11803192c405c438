//! The tables of capabilities and limits as manifests and grants write them: their types, from
//! which the schemas are made, and the way from there to values, with a place for each mistake.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::capability::{Capabilities, Capability, CapabilityKind};
use crate::diagnostic::{Diagnostic, Diagnostics, Mistake};
use crate::document::{Document, EXPECTED, Step};
use crate::limits::{LimitName, Limits};
use crate::units::{
    ByteSize, DURATION_EXAMPLES, DURATION_PATTERN, MilliCpu, SIZE_EXAMPLES, SIZE_PATTERN, TimeSpan,
};

/// What a plugin may reach. What is not there is not asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CapabilitiesTable {
    /// Addresses, such as `tcp://db:5432` or `https://api.example.com:443`; no wildcards.
    pub(crate) network: Option<Vec<String>>,
    /// Files and folders that may be read: from `/`, or relative to the project.
    pub(crate) fs_read: Option<Vec<String>>,
    /// Files and folders that may be written; `scratch` is a private folder.
    pub(crate) fs_write: Option<Vec<String>>,
    /// Names of the host's environment variables.
    pub(crate) env: Option<Vec<String>>,
    /// Names of secrets.
    pub(crate) secrets: Option<Vec<String>>,
    /// Whether it may start other programs.
    pub(crate) exec: Option<bool>,
    /// Whether it may read the time of day.
    pub(crate) clock: Option<bool>,
    /// Whether it may use the graphics processor.
    pub(crate) gpu: Option<bool>,
}

/// What a plugin may use. What is not there is not limited.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsTable {
    /// Memory of all processes together.
    memory: Option<SizeText>,
    /// Swap of all processes together.
    swap: Option<SizeText>,
    /// Processors, such as `0.5`.
    cpu: Option<f64>,
    /// How many processes and threads.
    #[schemars(range(min = 1))]
    pids: Option<u32>,
    /// How many open files in each process.
    #[schemars(range(min = 1))]
    nofile: Option<u32>,
    /// Space in the private folder.
    disk: Option<SizeText>,
    /// How many files and folders in the private folder.
    #[schemars(range(min = 1))]
    inodes: Option<u32>,
    /// What may be read from disks in a second.
    io_read_bps: Option<SizeText>,
    /// What may be written to disks in a second.
    io_write_bps: Option<SizeText>,
    /// All that it may hand over in one execution.
    output_bytes: Option<SizeText>,
    /// The largest single message or line.
    max_frame: Option<SizeText>,
    /// How long it may take until its first call.
    start: Option<DurationText>,
    /// How long a call may take.
    execute: Option<DurationText>,
    /// How long it may stand still during a call.
    idle: Option<DurationText>,
}

/// A size such as `256MiB`, or the number 0.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum SizeText {
    Text(String),
    Number(i64),
}

impl JsonSchema for SizeText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SizeText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": SIZE_PATTERN,
            "minimum": 0,
            "maximum": 0,
            (EXPECTED): SIZE_EXAMPLES,
        })
    }
}

impl SizeText {
    fn bytes(&self) -> Option<u64> {
        match self {
            Self::Text(text) => ByteSize::parse(text).map(|size| size.0),
            Self::Number(number) => u64::try_from(*number).ok(),
        }
    }
}

/// A duration such as `250ms`, `30s` or `5m`.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct DurationText(pub(crate) String);

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "DurationText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": DURATION_PATTERN,
            (EXPECTED): DURATION_EXAMPLES,
        })
    }
}

/// Where mistakes of values go, while the rest of a file is still looked at.
#[derive(Debug)]
pub(crate) struct Findings<'a> {
    document: &'a Document<'a>,
    found: Vec<Diagnostic>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(document: &'a Document<'a>) -> Self {
        Self { document, found: Vec::new() }
    }

    /// Notes an illegal value.
    pub(crate) fn illegal(&mut self, path: &[Step<'_>], message: String, hint: Option<&str>) {
        self.note(path, Mistake::IllegalValue, message, hint);
    }

    /// Notes an illegal value without its line: somebody may have put a secret where its name
    /// belongs.
    pub(crate) fn illegal_secret(&mut self, path: &[Step<'_>], message: String) {
        let found = self.document.wrong(path, Mistake::IllegalValue, message);
        self.found.push(Diagnostic { source_line: None, ..found });
    }

    /// Notes a mistake.
    pub(crate) fn note(
        &mut self,
        path: &[Step<'_>],
        mistake: Mistake,
        message: String,
        hint: Option<&str>,
    ) {
        let found = self.document.wrong(path, mistake, message);
        self.found.push(found.maybe_hint(hint.map(str::to_owned)));
    }

    /// The value, if nothing was found.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, Diagnostics> {
        if self.found.is_empty() { Ok(value) } else { Err(Diagnostics::new(self.found)) }
    }
}

impl CapabilitiesTable {
    /// The capabilities of this table, which lies at a path of the file.
    pub(crate) fn read(&self, at: &[Step<'_>], findings: &mut Findings<'_>) -> Capabilities {
        let mut all = Vec::new();
        for kind in CapabilityKind::ALL {
            for (index, text) in self.texts(kind).iter().enumerate() {
                let path = [at, &[Step::Key(kind.key()), Step::Index(index)]].concat();
                match Capability::from_parts(kind, Some(text)) {
                    Ok(capability) => all.push(capability),
                    Err(error) => {
                        let message = format!("{error} (`{}`)", kind.key());
                        if kind == CapabilityKind::Secrets {
                            findings.illegal_secret(&path, message);
                        } else {
                            findings.illegal(&path, message, error.hint());
                        }
                    }
                }
            }
        }
        let flags = [
            (self.exec, Capability::Exec),
            (self.clock, Capability::Clock),
            (self.gpu, Capability::Gpu),
        ];
        all.extend(flags.into_iter().filter(|(flag, _)| *flag == Some(true)).map(|(_, one)| one));
        all.into_iter().collect()
    }

    fn texts(&self, kind: CapabilityKind) -> &[String] {
        let list = match kind {
            CapabilityKind::Network => &self.network,
            CapabilityKind::FsRead => &self.fs_read,
            CapabilityKind::FsWrite => &self.fs_write,
            CapabilityKind::Env => &self.env,
            CapabilityKind::Secrets => &self.secrets,
            CapabilityKind::Exec | CapabilityKind::Clock | CapabilityKind::Gpu => &None,
        };
        list.as_deref().unwrap_or_default()
    }
}

impl LimitsTable {
    /// The limits of this table, which lies at a path of the file.
    pub(crate) fn read(&self, at: &[Step<'_>], findings: &mut Findings<'_>) -> Limits {
        let mut wrong = |name: LimitName, expected: &str| {
            let path = [at, &[Step::Key(name.key())]].concat();
            findings.illegal(&path, format!("`{name}` must be {expected}"), None);
        };
        let mut limits = Vec::new();
        for name in LimitName::ALL {
            match self.value(name) {
                Some(Ok(value)) => limits.push((name, value)),
                Some(Err(expected)) => wrong(name, expected),
                None => {}
            }
        }
        limits.into_iter().collect()
    }

    /// The value of a limit, or what it ought to be.
    fn value(&self, name: LimitName) -> Option<Result<u64, &'static str>> {
        let more_than_nothing = |size: Result<u64, &'static str>| match size {
            Ok(0) => Err("more than nothing"),
            other => other,
        };
        match name {
            LimitName::Swap => size(self.swap.as_ref()),
            LimitName::Memory => size(self.memory.as_ref()).map(more_than_nothing),
            LimitName::Disk => size(self.disk.as_ref()).map(more_than_nothing),
            LimitName::IoReadBps => size(self.io_read_bps.as_ref()).map(more_than_nothing),
            LimitName::IoWriteBps => size(self.io_write_bps.as_ref()).map(more_than_nothing),
            LimitName::OutputBytes => size(self.output_bytes.as_ref()).map(more_than_nothing),
            LimitName::MaxFrame => size(self.max_frame.as_ref()).map(more_than_nothing),
            LimitName::Cpu => self.cpu.map(|cpus| {
                let share = MilliCpu::from_cpus(cpus).ok_or(
                    "a number of processors from 0.001 to 1024, in thousandths, such as `0.5`",
                );
                share.map(|share| share.thousandths().into())
            }),
            LimitName::Pids => self.pids.map(|number| Ok(number.into())),
            LimitName::Nofile => self.nofile.map(|number| Ok(number.into())),
            LimitName::Inodes => self.inodes.map(|number| Ok(number.into())),
            LimitName::Start => span(self.start.as_ref()),
            LimitName::Execute => span(self.execute.as_ref()),
            LimitName::Idle => span(self.idle.as_ref()),
        }
    }
}

fn size(text: Option<&SizeText>) -> Option<Result<u64, &'static str>> {
    text.map(|text| text.bytes().ok_or(SIZE_EXAMPLES))
}

fn span(text: Option<&DurationText>) -> Option<Result<u64, &'static str>> {
    text.map(|text| {
        let span = TimeSpan::parse(&text.0).filter(|span| !span.duration().is_zero());
        let milliseconds = span.and_then(|span| u64::try_from(span.duration().as_millis()).ok());
        milliseconds.ok_or(DURATION_EXAMPLES)
    })
}
