//! The store on PostgreSQL: a database that folders and machines share.

use flexcore_cli::{HostError, HostErrorKind};
use flexcore_store_postgres::OpenError;

/// The store's refusals in the host's words.
pub(crate) fn open_error(error: OpenError) -> HostError {
    let message = error.to_string();
    let (kind, code) = match error {
        OpenError::BadUrl { .. } => (HostErrorKind::Refused, "FC0407"),
        OpenError::Unreachable { .. } => (HostErrorKind::Failed, "FC0408"),
        OpenError::Login { .. } => (HostErrorKind::Failed, "FC0409"),
        OpenError::Rights { .. } => (HostErrorKind::Failed, "FC0410"),
        OpenError::NotMigrated { found: 0, .. } => (HostErrorKind::Absent, "FC0402"),
        OpenError::NotMigrated { .. } => (HostErrorKind::Failed, "FC0411"),
        OpenError::Newer { .. } => (HostErrorKind::NewerVersion, "FC0404"),
        OpenError::Changed { .. } => (HostErrorKind::NewerVersion, "FC0412"),
        OpenError::Unfit { .. } => (HostErrorKind::Failed, "FC0413"),
        OpenError::Failed { .. } => (HostErrorKind::Failed, "FC0401"),
    };
    HostError { kind, code, message, hint: None }
}
