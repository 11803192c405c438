//! The system metrics view.

use std::collections::BTreeMap;

use flexcore_ports::{MetricFilter, MetricKey, MetricRow, Page, StoreError};
use serde_json::Value;
use tokio_postgres::Row;

use super::{
    PostgresViewStore,
    columns::{get, text, time},
    query::{Query, not_a_cursor},
    upsert::{Change, Upsert},
};
use crate::error::corrupt;

const COLUMNS: &str = "name, labels, value, updated_at";

/// Inserts or replaces rows.
pub(super) fn write(rows: &[&MetricRow]) -> Change {
    let times = rows.iter().map(|row| row.updated_at.as_micros()).collect();
    let labels = rows.iter().map(|row| labels_text(&row.key.labels)).collect();
    Upsert::into("metric", &["name", "labels"])
        .column::<i64>("value", "bigint", rows.iter().map(|row| row.value).collect())
        .column::<i64>("updated_at", "bigint", times)
        .column::<String>("name", "text", rows.iter().map(|row| text(&row.key.name)).collect())
        .column::<String>("labels", "text", labels)
        .build()
}

/// The metrics with these names and labels.
pub(super) async fn find_by_keys(
    views: &PostgresViewStore,
    keys: &[MetricKey],
) -> Result<Vec<MetricRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM unnest($1::text[], $2::text[]) k (name, labels) \
         JOIN flexcore.view_#_metric USING (name, labels)"
    );
    let names: Vec<_> = keys.iter().map(|key| text(&key.name)).collect();
    let labels: Vec<_> = keys.iter().map(|key| labels_text(&key.labels)).collect();
    views.rows(&sql, &[Box::new(names), Box::new(labels)]).await?.iter().map(metric).collect()
}

/// A page, by name and labels.
pub(super) async fn list(
    views: &PostgresViewStore,
    filter: &MetricFilter,
    limit: usize,
    after: Option<&str>,
) -> Result<Page<MetricRow>, StoreError> {
    let mut query = Query::new("metric", COLUMNS);
    query.any_of("name", &filter.names);
    if let Some(after) = after {
        let (name, labels) = after.split_once('/').ok_or_else(|| not_a_cursor(after))?;
        query.and("(name, labels) > (?, ?)", [Box::new(text(name)), Box::new(text(labels))]);
    }
    let next = |row: &MetricRow| format!("{}/{}", row.key.name, labels_text(&row.key.labels));
    query.page(views, "name, labels", limit, metric, next).await
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

fn metric(row: &Row) -> Result<MetricRow, StoreError> {
    let name: String = get(row, "name")?;
    let labels: &str = get(row, "labels")?;
    let labels = labels_of(labels)
        .ok_or_else(|| corrupt(format!("metric {name}"), format!("`{labels}` are not labels")))?;
    let (value, updated_at) = (get(row, "value")?, time(row, "updated_at")?);
    Ok(MetricRow { key: MetricKey { name, labels }, value, updated_at })
}
