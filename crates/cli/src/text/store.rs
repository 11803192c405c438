//! What holds of a store.

use std::fmt::Write as _;

use flexcore_api::{PipelinePruned, StorePruned};

use super::{Align, Style, Table, builder::Text, bytes_text, count_text};
use crate::store_status::{
    DatabaseLogStatus, DatabaseStatus, FolderStatus, StoreMigration, StoreStatus, StoreWriter,
};

/// A store and everything that its operator should know.
pub(crate) fn store_status_text(status: &StoreStatus, style: Style) -> String {
    match status {
        StoreStatus::Sqlite(status) => folder_text(status, style),
        StoreStatus::Postgresql(status) => database_text(status, style),
    }
}

fn folder_text(status: &FolderStatus, style: Style) -> String {
    let mut text = Text::default();
    text.line(style.bold(format!("embedded store in {}", status.folder)));
    text.fact(style, "format", version(status.format, status.newest_format));
    text.fact(style, "journal", status.journal_mode.as_deref().unwrap_or("unknown"));
    text.fact(style, "writer", writer_text(status.writer.as_ref()));
    let mut table = Table::new([("file", Align::Left), ("size", Align::Right)]);
    for file in &status.files {
        table.row([file.name.clone(), bytes_text(file.bytes)]);
    }
    text.line("");
    text.push(table.text(style));
    text.finish()
}

fn database_text(status: &DatabaseStatus, style: Style) -> String {
    let mut text = Text::default();
    text.line(style.bold(format!("store in {}", status.server)));
    let standby = if status.is_in_recovery { ", a standby: it can be read only" } else { "" };
    text.fact(style, "server", format!("PostgreSQL {}{standby}", status.server_version));
    let schema = match status.schema_version {
        0 => "none yet; `flexcore store migrate` makes it, or the first run".to_owned(),
        found => version(found, status.newest_schema_version),
    };
    text.fact(style, "schema", schema);
    text.fact(style, "role", &status.role);
    text.fact(style, "durability", durability(status, style));
    text.fact(style, "writer", writer_text(status.writer.as_ref()));
    if let Some(log) = &status.log {
        log_facts(&mut text, log, style);
    }
    text.finish()
}

fn log_facts(text: &mut Text, log: &DatabaseLogStatus, style: Style) {
    let (events, batches) = (count_text(log.position), count_text(log.batch));
    let bytes = bytes_text(log.bytes);
    text.fact(style, "log", format!("{events} events in {batches} batches, {bytes}"));
    let partitions = log.partitions;
    let ahead = count_text(log.positions_ahead);
    text.fact(style, "partitions", format!("{partitions}, with room for {ahead} more events"));
    let yes = |holds: bool, what: &str, not: &str| {
        if holds { style.green(what) } else { style.yellow(not) }
    };
    let owner = &log.owner;
    let rights = yes(
        log.append_only_by_rights,
        &format!("append-only: the log belongs to {owner}"),
        "this role could change the log; `flexcore store migrate --app-role` separates the two",
    );
    text.fact(style, "rights", rights);
    let missing = "missing: run `flexcore events verify`, and find out who removed them";
    let triggers = yes(log.append_only_by_triggers, "refuse to change or remove events", missing);
    text.fact(style, "triggers", triggers);
}

fn version(found: u32, newest: u32) -> String {
    match found.cmp(&newest) {
        std::cmp::Ordering::Less => format!("{found}; this program would bring it to {newest}"),
        std::cmp::Ordering::Equal => format!("{found}, the newest that this program knows"),
        std::cmp::Ordering::Greater => format!("{found}; this program knows up to {newest}"),
    }
}

fn durability(status: &DatabaseStatus, style: Style) -> String {
    let mut faults = Vec::new();
    if !status.fsync {
        faults.push("fsync is off: a crash of the machine can destroy the log");
    }
    if status.synchronous_commit == "off" {
        faults.push("synchronous_commit is off: a crash can lose what was acknowledged");
    }
    if !status.full_page_writes {
        faults.push("full_page_writes is off: a crash of the machine can tear pages");
    }
    if faults.is_empty() {
        let commit = &status.synchronous_commit;
        return format!("fsync and full_page_writes on, synchronous_commit {commit}");
    }
    style.red(faults.join("; "))
}

fn writer_text(writer: Option<&StoreWriter>) -> String {
    let Some(StoreWriter { pid, purpose }) = writer else {
        return "no process of this folder".to_owned();
    };
    let process = pid.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}"));
    if purpose.is_empty() { process } else { format!("{process} ({purpose})") }
}

/// What became of a schema.
pub(crate) fn store_migration_text(migration: &StoreMigration, _: Style) -> String {
    let StoreMigration { server, from, to, app_role } = migration;
    let schema = match (from, to) {
        (0, to) => format!("{server} has a store now, with schema {to}\n"),
        (from, to) if from == to => format!("{server} has schema {to} already\n"),
        (from, to) => format!("{server} was brought from schema {from} to {to}\n"),
    };
    let role = app_role
        .as_ref()
        .map(|role| format!("role {role} may use the store, and cannot change its events\n"));
    schema + &role.unwrap_or_default()
}

/// What was removed from a store, or would be.
pub(crate) fn store_pruned_text(pruned: &StorePruned, _: Style) -> String {
    let StorePruned { before, dry_run, executions, pipelines, logs } = pruned;
    let would = if *dry_run { "would remove" } else { "removed" };
    let from = before.as_ref().map(|before| format!(" from before {before}")).unwrap_or_default();
    let count = count_text(*executions);
    let mut text = format!("{would} {count} executions{from} from the views; events stay\n");
    for one in pipelines {
        let PipelinePruned { pipeline, tenant, before, executions } = one;
        let count = count_text(*executions);
        let of = if tenant == "default" { String::new() } else { format!(" of {tenant}") };
        // Writing to memory cannot fail.
        let _ =
            writeln!(text, "  {count} of `{pipeline}`{of}, by its retention: from before {before}");
    }
    if let Some(logs) = logs {
        let (count, bytes) = (count_text(logs.executions), bytes_text(logs.bytes));
        let _ = writeln!(text, "{would} the logs of {count} executions, {bytes}");
    }
    text
}

#[cfg(test)]
mod tests;
