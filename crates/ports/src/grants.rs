//! The operator's word about what plugins and steps may do.

use std::sync::Arc;

use flexcore_plugin_protocol::Grants;
use thiserror::Error;

/// What the operator of this node allows.
pub trait OperatorGrants: Send + Sync {
    /// The grants as they are now: an operator may have changed them since they were asked for
    /// last.
    ///
    /// # Errors
    /// [`GrantsError`] if they cannot be read, or are not what such a file holds.
    fn grants(&self) -> Result<Arc<Grants>, GrantsError>;
}

/// Why nobody knows what the operator allows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct GrantsError {
    /// The stable code; the page is in `docs/errors`.
    pub code: &'static str,
    /// What is wrong, where, and what to do.
    pub message: String,
}
