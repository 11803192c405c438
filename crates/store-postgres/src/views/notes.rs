//! What projections remember for themselves.

use flexcore_ports::{KEPT_FROM_NOTE, NoteRow, StoreError};

use super::{
    PostgresViewStore,
    columns::{get, text},
    upsert::{Change, Upsert},
};

/// Inserts, replaces and removes notes.
pub(super) fn write(projection: &str, notes: &[&NoteRow]) -> [Option<Change>; 2] {
    let kept: Vec<_> = notes
        .iter()
        .filter_map(|note| Some((text(&note.key), text(note.value.as_ref()?))))
        .collect();
    let gone: Vec<String> =
        notes.iter().filter(|note| note.value.is_none()).map(|note| text(&note.key)).collect();
    let remove = Change {
        sql: "DELETE FROM flexcore.view_#_note WHERE projection = $1 AND key = ANY($2)".to_owned(),
        parameters: vec![Box::new(projection.to_owned()), Box::new(gone.clone())],
    };
    let projections = vec![projection.to_owned(); kept.len()];
    let are_kept = !kept.is_empty();
    let (keys, values) = kept.into_iter().unzip();
    let keep = Upsert::into("note", &["projection", "key"])
        .column::<String>("projection", "text", projections)
        .column::<String>("key", "text", keys)
        .column::<String>("value", "text", values)
        .build();
    [are_kept.then_some(keep), (!gone.is_empty()).then_some(remove)]
}

/// Notes of a projection, and of the store's own those that every projection may read.
pub(super) async fn find_by_keys(
    views: &PostgresViewStore,
    projection: &str,
    keys: &[String],
) -> Result<Vec<NoteRow>, StoreError> {
    let own = |key: &String| if key == KEPT_FROM_NOTE { "" } else { projection }.to_owned();
    let projections: Vec<String> = keys.iter().map(own).collect();
    let keys: Vec<String> = keys.iter().map(|key| text(key)).collect();
    let sql = "SELECT key, value FROM unnest($1::text[], $2::text[]) k (projection, key) \
               JOIN flexcore.view_#_note USING (projection, key)";
    let rows = views.rows(sql, &[Box::new(projections), Box::new(keys)]).await?;
    let note = |row| Ok(NoteRow { key: get(row, "key")?, value: Some(get(row, "value")?) });
    rows.iter().map(note).collect()
}
