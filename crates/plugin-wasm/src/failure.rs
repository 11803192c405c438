//! From a failure to the error that the core knows.

use flexcore_domain::ErrorClass;
use flexcore_ports::PluginError;

use crate::task::{Failure, FailureKind};

impl FailureKind {
    /// The stable code; the page is in `docs/errors`.
    const fn code(self) -> &'static str {
        match self {
            Self::NotWasm => "FC0650",
            Self::TooLarge => "FC0651",
            Self::Import => "FC0652",
            Self::Trap => "FC0653",
            Self::Time | Self::Memory | Self::Cancelled => "FC0654",
            Self::Answer => "FC0655",
            Self::Configuration | Self::Data | Self::Network | Self::Internal => "FC0656",
            Self::Worker => "FC0657",
            Self::Mismatch => "FC0658",
            Self::Cache => "FC0659",
        }
    }

    const fn class(self) -> ErrorClass {
        match self {
            Self::Trap | Self::Internal | Self::Answer | Self::Data => ErrorClass::ExitCode,
            Self::Time => ErrorClass::Timeout,
            Self::Memory => ErrorClass::Oom,
            Self::Network => ErrorClass::Network,
            Self::Worker | Self::Cancelled => ErrorClass::Signal,
            Self::NotWasm
            | Self::TooLarge
            | Self::Import
            | Self::Configuration
            | Self::Mismatch
            | Self::Cache => ErrorClass::Refused,
        }
    }

    /// Whether the plugin is to blame rather than settings, data, another system or this machine.
    const fn is_fault(self) -> bool {
        !matches!(
            self,
            Self::Configuration | Self::Data | Self::Network | Self::Cache | Self::Cancelled
        )
    }
}

impl From<Failure> for PluginError {
    fn from(Failure { kind, message }: Failure) -> Self {
        Self {
            class: kind.class(),
            code: kind.code(),
            message,
            is_fault: kind.is_fault(),
            cancelled: kind == FailureKind::Cancelled,
            stderr_tail: Vec::new(),
        }
    }
}
