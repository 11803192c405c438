//! Why a connector ended without doing its work, and with which exit code it says so.

use std::{io, path::PathBuf};

use flexcore_singer::{CatalogError, StateError};

use crate::{
    arguments::ArgumentsError, settings::SettingsError, tap::TapError, target::TargetError,
};

/// The end of a connector that did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("there is no such connector{hint}")]
    UnknownConnector { hint: String },
    #[error(transparent)]
    Arguments(#[from] ArgumentsError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot use the state file {}", .path.display())]
    State { path: PathBuf, source: StateError },
    #[error("cannot use the catalog file {}", .path.display())]
    Catalog { path: PathBuf, source: CatalogError },
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    #[error(transparent)]
    Tap(#[from] TapError),
    #[error(transparent)]
    Target(#[from] TargetError),
}

impl Failure {
    /// 2 if the call itself was wrong, 1 if the work failed.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownConnector { .. } | Self::Arguments(_) | Self::Settings(_) => 2,
            _ => 1,
        }
    }
}
