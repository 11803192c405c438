//! The arguments that every verb shares, and the way from `argv` to a verb.

use std::{ffi::OsString, io::Write as _, process::ExitCode};

use clap::{Parser, error::ErrorKind};
use flexcore_api::ErrorBody;

use crate::{
    Exit, Terminal, exit,
    failure::Code,
    output::{Color, Format},
    server::ServerOptions,
    store_address::StoreText,
    verb::Verb,
};

/// The variables that set what no option does, or what no argument should show.
const ENVIRONMENT: &str = "\
Environment:
    FLEXCORE_DATABASE_URL  the database that holds the store, password included
    FLEXCORE_STORE         the store, as --store takes it
    FLEXCORE_SERVER        the server to ask, as --server takes it
    FLEXCORE_API_KEY       the key to ask it with
    FLEXCORE_ENVIRONMENT   the environment, as --environment takes it
    FLEXCORE_LEASE_TTL     how long a dead owner keeps an execution in a database [default: 6s]
    FLEXCORE_CHECKPOINT_KEY, FLEXCORE_CHECKPOINT_TO, FLEXCORE_CHECKPOINT_EVERY
                           sign checkpoints of the log while a pipeline runs";

/// Runs data-integration pipelines as durable executions
#[derive(Debug, Parser)]
#[command(
    name = "flexcore",
    version,
    after_help = format!("{ENVIRONMENT}\n\n{}", exit::HELP),
    max_term_width = 100
)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Options of every verb")]
pub(crate) struct Options {
    /// The environment whose settings apply [default: FLEXCORE_ENVIRONMENT, else the project's]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// Where executions are recorded: a folder, or postgres://USER@HOST/DATABASE [default:
    /// FLEXCORE_STORE, else FLEXCORE_DATABASE_URL, else the project's, else .flexcore]
    #[arg(long, global = true, value_name = "PATH|URL")]
    pub(crate) store: Option<StoreText>,
    /// The form of results
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Format,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Show nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Log what happens inside; may be repeated
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(flatten)]
    pub(crate) server: ServerOptions,
}

impl Cli {
    /// The lowest level of log messages that are shown: `error`, `warn`, `info`, `debug` or
    /// `trace`, as `--quiet` and `--verbose` ask for.
    pub const fn log_level(&self) -> &'static str {
        match (self.options.quiet, self.options.verbose) {
            (true, _) => "error",
            (false, 0) => "warn",
            (false, 1) => "info",
            (false, 2) => "debug",
            (false, _) => "trace",
        }
    }
}

/// Reads arguments, the program's name first. Help, the version and wrong arguments are shown at
/// once.
///
/// # Errors
/// The exit code of a process that has nothing more to do: 0 after help, 2 after an error.
pub fn parse(arguments: &[OsString], terminal: &mut Terminal) -> Result<Cli, ExitCode> {
    Cli::try_parse_from(arguments).map_err(|error| show(&error, arguments, terminal).into())
}

/// There is nowhere left to say that a message could not be written.
fn show(error: &clap::Error, arguments: &[OsString], terminal: &mut Terminal) -> Exit {
    let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if help {
        let _ = write!(terminal.output, "{}", render(error, terminal.output_is_terminal));
        return Exit::Completed;
    }
    if wants_json(arguments) {
        let message = error.render().to_string();
        let message = message.trim_end().trim_start_matches("error: ").to_owned();
        let body = ErrorBody { code: Code::Usage.as_str().to_owned(), message, hint: None };
        let _ = writeln!(terminal.errors, "{}", serde_json::json!(body));
    } else {
        let _ = write!(terminal.errors, "{}", render(error, terminal.errors_is_terminal));
    }
    Exit::Usage
}

fn render(error: &clap::Error, styled: bool) -> String {
    let text = error.render();
    if styled { text.ansi().to_string() } else { text.to_string() }
}

/// Whether results were to be JSON, as far as arguments tell that cannot be read.
fn wants_json(arguments: &[OsString]) -> bool {
    let mut before = None;
    arguments.iter().take_while(|argument| *argument != "--").any(|argument| {
        let json =
            argument == "--output=json" || (before == Some("--output") && argument == "json");
        before = argument.to_str();
        json
    })
}

#[cfg(test)]
mod tests;
