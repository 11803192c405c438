//! How a server is.

use flexcore_api::ServerHealth;

use super::{Align, Style, Table};

/// How a server is, part by part where it says so.
pub(crate) fn health_text(health: &ServerHealth, style: Style) -> String {
    let status = format!("{}\n", health.status);
    if health.checks.is_empty() {
        return status;
    }
    let mut table =
        Table::new([("part", Align::Left), ("status", Align::Left), ("detail", Align::Left)]);
    for check in &health.checks {
        let word = if check.healthy { "healthy" } else { "failed" };
        table.row([&*check.name, word, &*check.detail]);
    }
    format!("{status}\n{}", table.text(style))
}
