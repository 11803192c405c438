//! The connectors by name, and the program that each of them is.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use flexcore_singer::{Catalog, State};
use serde::Serialize;
use serde_json::Value;

use crate::{
    arguments::{Inputs, Request, Role},
    environment::Environment,
    failure::Failure,
    log, settings,
    stop::Stop,
    tap::{self, Output},
    target,
};

/// What a connector is, as `--about` prints it (the form of the Meltano SDK).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct About {
    /// Name, such as `tap-csv`.
    pub name: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Version of this build.
    pub version: &'static str,
    /// What it can do, in Singer's words.
    pub capabilities: &'static [&'static str],
    /// JSON Schema of its configuration.
    pub settings: Value,
}

struct Connector {
    name: &'static str,
    description: &'static str,
    kind: Kind,
    settings: fn() -> Value,
}

#[derive(Clone, Copy)]
enum Kind {
    Tap(tap::Open),
    Target(target::Open),
}

const TAP_CAPABILITIES: &[&str] = &["about", "catalog", "discover", "properties", "state"];
const TARGET_CAPABILITIES: &[&str] = &["about", "batch"];
const SQL_TARGET_CAPABILITIES: &[&str] = &["about", "activate-version", "batch", "hard-delete"];

const CONNECTORS: [Connector; 5] = [
    Connector {
        name: "tap-csv",
        description: "Reads CSV files, with types inferred, incrementally by file or by a column.",
        kind: Kind::Tap(tap::open_csv),
        settings: settings::schema::<tap::CsvSettings>,
    },
    Connector {
        name: "tap-jsonl",
        description: "Reads JSON Lines files, values untouched, incrementally by file or by a property.",
        kind: Kind::Tap(tap::open_jsonl),
        settings: settings::schema::<tap::JsonlSettings>,
    },
    Connector {
        name: "target-csv",
        description: "Writes one CSV file per stream.",
        kind: Kind::Target(target::open_csv),
        settings: settings::schema::<target::CsvSettings>,
    },
    Connector {
        name: "target-jsonl",
        description: "Writes one JSON Lines file per stream, each record in the very bytes it came in.",
        kind: Kind::Target(target::open_jsonl),
        settings: settings::schema::<target::JsonlSettings>,
    },
    Connector {
        name: "target-sqlite",
        description: "Loads each stream into a table of a SQLite database, by key where there is one.",
        kind: Kind::Target(target::open_sqlite),
        settings: settings::schema::<target::SqliteSettings>,
    },
];

/// Names of all connectors, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    CONNECTORS.iter().map(|connector| connector.name)
}

/// What the connector of this name is; `None` if there is no such connector.
pub fn about(name: &str) -> Option<About> {
    find(name).map(Connector::about)
}

/// Runs a connector as a program: Singer's flags in `arguments` (without the program's name),
/// messages on the process's standard input and output, log lines on its standard error.
///
/// Takes over SIGTERM and SIGINT of the process: a tap then writes its last STATE, a target makes
/// durable and echoes what it has, and both end with success. The exit code is 0 on success, 1 if
/// the work failed, 2 if arguments or configuration are wrong.
pub fn run(
    name: &str,
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> ExitCode {
    let outcome = match find(name) {
        Some(connector) => connector.run(arguments, environment),
        None => Err(Failure::UnknownConnector {
            hint: settings::hint(name, CONNECTORS.iter().map(|connector| connector.name)),
        }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::critical(name, &failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn find(name: &str) -> Option<&'static Connector> {
    CONNECTORS.iter().find(|connector| connector.name == name)
}

impl Connector {
    fn about(&self) -> About {
        About {
            name: self.name,
            description: self.description,
            version: env!("CARGO_PKG_VERSION"),
            capabilities: match self.kind {
                Kind::Tap(_) => TAP_CAPABILITIES,
                Kind::Target(_) if self.name == "target-sqlite" => SQL_TARGET_CAPABILITIES,
                Kind::Target(_) => TARGET_CAPABILITIES,
            },
            settings: (self.settings)(),
        }
    }

    fn run(
        &self,
        arguments: impl IntoIterator<Item = OsString>,
        environment: &Environment,
    ) -> Result<(), Failure> {
        let role = match self.kind {
            Kind::Tap(_) => Role::Tap,
            Kind::Target(_) => Role::Target,
        };
        match (Request::parse(role, arguments)?, self.kind) {
            (Request::About, _) => {
                let about = serde_json::to_string_pretty(&self.about())
                    .expect("an about has only string keys");
                print(&about)
            }
            (Request::Version, _) => print(&format!("{} {}", self.name, env!("CARGO_PKG_VERSION"))),
            (Request::Discover(inputs), Kind::Tap(open)) => {
                let catalog = open(inputs.config.as_deref())?.discover()?;
                print(&catalog.to_json().to_string())
            }
            (Request::Run(inputs), Kind::Tap(open)) => run_tap(open, &inputs),
            // The flags of targets have no discovery, so that this is always a run.
            (Request::Run(inputs) | Request::Discover(inputs), Kind::Target(open)) => {
                let stop = Stop::on_signals().map_err(Failure::Signals)?;
                let sink = open(inputs.config.as_deref(), environment)?;
                Ok(target::run(sink, &stop)?)
            }
        }
    }
}

fn run_tap(open: tap::Open, inputs: &Inputs) -> Result<(), Failure> {
    let stop = Stop::on_signals().map_err(Failure::Signals)?;
    let mut tap = open(inputs.config.as_deref())?;
    let catalog = inputs.catalog.as_deref().map(read_catalog).transpose()?;
    let state = inputs.state.as_deref().map(read_state).transpose()?.unwrap_or_default();
    let mut output = Output::standard().map_err(Failure::Output)?;
    Ok(tap.sync(catalog.as_ref(), &state, &mut output, &stop)?)
}

fn read_text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|source| Failure::Read { path: path.to_owned(), source })
}

fn read_catalog(path: &Path) -> Result<Catalog, Failure> {
    Catalog::parse(&read_text(path)?)
        .map_err(|source| Failure::Catalog { path: path.to_owned(), source })
}

fn read_state(path: &Path) -> Result<State, Failure> {
    State::parse(&read_text(path)?)
        .map_err(|source| Failure::State { path: path.to_owned(), source })
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}
