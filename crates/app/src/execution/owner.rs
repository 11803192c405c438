//! Who drives an execution now.

use flexcore_domain::ExecutionId;
use flexcore_ports::{LeaseHolder, StoreError};

use crate::{Services, UseCaseError};

/// The lease that whoever drives an execution holds.
pub(crate) fn lease_name(execution: ExecutionId) -> String {
    format!("execution/{execution}")
}

impl Services {
    /// The process that holds an execution's lease: this one, or another that is alive as far as
    /// anybody can tell. `None` for an execution that is interrupted, not begun or at its end.
    ///
    /// # Errors
    /// [`UseCaseError`] if leases cannot be asked for.
    pub async fn live_owner(
        &self,
        execution: ExecutionId,
    ) -> Result<Option<LeaseHolder>, UseCaseError> {
        let asked = self.ports.coordinator.holder(&lease_name(execution)).await;
        asked.map_err(|error| StoreError::Unavailable(error.to_string()).into())
    }
}
