//! Singer's command line flags.

use std::{ffi::OsString, path::PathBuf};

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Print what the connector is and which settings it takes.
    About,
    /// Print name and version.
    Version,
    /// Print the catalog.
    Discover(Inputs),
    /// Do the work.
    Run(Inputs),
}

/// Files named on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inputs {
    pub(crate) config: Option<PathBuf>,
    pub(crate) state: Option<PathBuf>,
    pub(crate) catalog: Option<PathBuf>,
}

/// What kind of connector the flags are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Tap,
    Target,
}

/// Why the command line was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentsError {
    #[error("unknown argument '{argument}'; {}", usage(*.role))]
    Unknown { argument: String, role: Role },
    #[error("{flag} needs a file name after it")]
    NoValue { flag: &'static str },
    #[error("{flag} is given twice")]
    Twice { flag: &'static str },
    #[error("unknown format '{0}' after --format; only json is known")]
    Format(String),
}

fn usage(role: Role) -> &'static str {
    match role {
        Role::Tap => {
            "usage: --config FILE [--state FILE] [--catalog FILE] [--discover], or --about, --version"
        }
        Role::Target => "usage: --config FILE, or --about, --version",
    }
}

impl Request {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(
        role: Role,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, ArgumentsError> {
        let mut inputs = Inputs::default();
        let (mut discover, mut about, mut version) = (false, false, false);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let text = argument.to_string_lossy().into_owned();
            let (name, inline) = match text.split_once('=') {
                Some((name, value)) if name.starts_with("--") => {
                    (name.to_owned(), Some(OsString::from(value)))
                }
                _ => (text.clone(), None),
            };
            let (flag, place) = match (name.as_str(), role) {
                ("--config" | "-c", _) => ("--config", &mut inputs.config),
                ("--state" | "-s", Role::Tap) => ("--state", &mut inputs.state),
                ("--catalog" | "--properties" | "-p", Role::Tap) => {
                    ("--catalog", &mut inputs.catalog)
                }
                ("--discover" | "-d", Role::Tap) => {
                    discover = true;
                    continue;
                }
                ("--about", _) => {
                    about = true;
                    continue;
                }
                ("--version", _) => {
                    version = true;
                    continue;
                }
                ("--format", _) => {
                    let format = inline.or_else(|| arguments.next()).unwrap_or_default();
                    if format != "json" {
                        return Err(ArgumentsError::Format(format.to_string_lossy().into()));
                    }
                    continue;
                }
                _ => return Err(ArgumentsError::Unknown { argument: text, role }),
            };
            let value = inline.or_else(|| arguments.next());
            let value = value.ok_or(ArgumentsError::NoValue { flag })?;
            if place.replace(PathBuf::from(value)).is_some() {
                return Err(ArgumentsError::Twice { flag });
            }
        }
        Ok(match (about, version, discover) {
            (true, _, _) => Self::About,
            (_, true, _) => Self::Version,
            (_, _, true) => Self::Discover(inputs),
            _ => Self::Run(inputs),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(role: Role, arguments: &[&str]) -> Result<Request, ArgumentsError> {
        Request::parse(role, arguments.iter().map(OsString::from))
    }

    #[test]
    fn flags_of_taps_are_understood_in_both_spellings() {
        let inputs = Inputs {
            config: Some("c.json".into()),
            state: Some("s.json".into()),
            catalog: Some("k.json".into()),
        };
        assert_eq!(
            parse(Role::Tap, &["--config", "c.json", "--state=s.json", "--properties", "k.json"]),
            Ok(Request::Run(inputs))
        );
        assert!(matches!(
            parse(Role::Tap, &["-c", "c.json", "--discover"]),
            Ok(Request::Discover(_))
        ));
        assert_eq!(parse(Role::Target, &["--about", "--format=json"]), Ok(Request::About));
        assert_eq!(parse(Role::Target, &["--version"]), Ok(Request::Version));
    }

    #[test]
    fn mistakes_are_named() {
        let message = |role, arguments: &[&str]| parse(role, arguments).unwrap_err().to_string();
        assert_eq!(message(Role::Tap, &["--config"]), "--config needs a file name after it");
        assert_eq!(message(Role::Tap, &["-c", "a", "-c", "b"]), "--config is given twice");
        assert_eq!(
            message(Role::Target, &["--state", "s"]),
            "unknown argument '--state'; usage: --config FILE, or --about, --version"
        );
        assert_eq!(
            message(Role::Tap, &["--about", "--format", "text"]),
            "unknown format 'text' after --format; only json is known"
        );
    }
}
