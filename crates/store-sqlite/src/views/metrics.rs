//! The system metrics view.

use std::collections::BTreeMap;

use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{MetricFilter, MetricKey, MetricRow, Page, StoreError};
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::Value;

use super::query::{Query, corrupt, not_a_cursor};
use crate::error::store_error;

const COLUMNS: &str = "name, labels, value, updated_at";

/// Inserts or replaces a row.
pub(crate) fn write(connection: &Connection, row: &MetricRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO metric VALUES (?, ?, ?, ?)")?
        .execute((
            &row.key.name,
            labels_text(&row.key.labels),
            row.value,
            row.updated_at.as_micros(),
        ))
        .map(drop)
}

/// The metric with that name and labels.
pub(crate) fn find(
    connection: &Connection,
    key: &MetricKey,
) -> Result<Option<MetricRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM metric WHERE name = ?1 AND labels = ?2");
    connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            let key = (&key.name, labels_text(&key.labels));
            statement.query_row(key, |row| Ok(metric(row))).optional()
        })
        .map_err(|error| store_error(&error, "table metric"))?
        .transpose()
}

/// A page, by name and labels.
pub(crate) fn list(
    connection: &Connection,
    filter: &MetricFilter,
    limit: usize,
    after: Option<&str>,
) -> Result<Page<MetricRow>, StoreError> {
    let mut query = Query::new("metric", COLUMNS);
    query.any_of("name", &filter.names);
    if let Some(after) = after {
        let (name, labels) = after.split_once('/').ok_or_else(|| not_a_cursor(after))?;
        query.and("(name, labels) > (?, ?)", [name.to_owned(), labels.to_owned()]);
    }
    query.page(connection, "name, labels", limit, metric, |row| {
        format!("{}/{}", row.key.name, labels_text(&row.key.labels))
    })
}

/// The labels as a JSON object, sorted by name: one text for each set of labels.
fn labels_text(labels: &BTreeMap<String, String>) -> String {
    let fields = labels.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    Value::Object(fields.collect()).to_string()
}

fn labels_of(text: &str) -> Option<BTreeMap<String, String>> {
    let Value::Object(fields) = serde_json::from_str(text).ok()? else { return None };
    fields.into_iter().map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
}

fn metric(row: &Row<'_>) -> Result<MetricRow, StoreError> {
    let read = || -> rusqlite::Result<_> {
        let (name, labels): (String, String) = (row.get(0)?, row.get(1)?);
        let (value, time): (i64, i64) = (row.get(2)?, row.get(3)?);
        Ok((name, labels, value, Timestamp::from_micros(time)))
    };
    let (name, labels, value, updated_at) =
        read().map_err(|error| corrupt("table metric", &error))?;
    let labels = labels_of(&labels).ok_or_else(|| StoreError::Corrupt {
        place: format!("metric {name}"),
        reason: format!("`{labels}` are not labels"),
    })?;
    Ok(MetricRow { key: MetricKey { name, labels }, value, updated_at })
}
