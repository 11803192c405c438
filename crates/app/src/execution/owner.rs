//! Who drives an execution now.

use std::time::Duration;

use flexcore_domain::ExecutionId;
use flexcore_ports::{LeaseHolder, StoreError};

use crate::{Services, UseCaseError};

/// The lease that whoever drives an execution holds.
pub(crate) fn lease_name(execution: ExecutionId) -> String {
    format!("execution/{execution}")
}

/// How long an execution is kept for the process that created it: enough for the way to the runner,
/// which renews the lease for as long as it was told to.
const UNTIL_DRIVEN: Duration = Duration::from_secs(6);

impl Services {
    /// Takes the lease of an execution that is about to be created and that this process is going to
    /// drive: until it does, others must not take it for interrupted. Nothing is lost if somebody has
    /// the lease: then the execution is there already.
    pub(super) async fn expect_to_drive(&self, execution: ExecutionId) -> Result<(), UseCaseError> {
        if !self.drives {
            return Ok(());
        }
        let taken = self.ports.coordinator.acquire(&lease_name(execution), UNTIL_DRIVEN).await;
        taken.map(drop).map_err(|error| StoreError::Unavailable(error.to_string()).into())
    }

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
