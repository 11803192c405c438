//! Use cases of plugins.

mod get;
mod list;

use flexcore_api::PluginView;
use flexcore_domain::InvalidName;
use flexcore_ports::{PluginRole, PluginRow};

use crate::{UseCaseError, format_time};

/// The role that a caller names.
fn role(text: &str) -> Result<PluginRole, UseCaseError> {
    text.parse().map_err(|error: InvalidName| UseCaseError::invalid(error.to_string()))
}

fn view(row: PluginRow) -> PluginView {
    PluginView {
        name: row.key.name,
        role: row.key.role.to_string(),
        pipelines: row.pipelines,
        attempts: row.attempts,
        failures: row.failures,
        last_used_at: row.last_used_at.map(format_time),
        last_failed_at: row.last_failed_at.map(format_time),
        last_error: row.last_error,
    }
}
