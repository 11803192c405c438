//! Work that blocks.

use crate::{Failure, execution::panic_message};

/// Runs work that blocks or computes for long on a thread of its own, so that the plugin can be
/// asked for its health and cancelled meanwhile.
///
/// # Errors
/// A [`Failure`] of class internal if it panics.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        let message = match error.try_into_panic() {
            Ok(panic) => panic_message(panic.as_ref()).to_owned(),
            Err(error) => error.to_string(),
        };
        Failure::internal(format!("the plugin panicked: {message}"))
    })
}
