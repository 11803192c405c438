//! The catalog entry of a stream of files.

use flexcore_singer::{CatalogStream, Json, MetadataEntry, Object};

use crate::tap::{
    error::TapError,
    format::RecordFormat,
    sync::{StreamSource, check_columns, sample},
};

/// Describes a stream by the beginnings of its files.
pub(crate) fn discover_stream<F: RecordFormat + Clone>(
    source: &StreamSource<F>,
) -> Result<CatalogStream, TapError> {
    let mut format = source.format.clone();
    sample(&mut format, source.stream.files.iter())?;
    check_columns(source, &format, source.replication_key.as_deref())?;
    let mut root: Object = [("inclusion", Json::from("available"))].into_iter().collect();
    root.insert("table-key-properties", names(&source.key));
    if let Some(key) = &source.replication_key {
        root.insert("replication-method", "INCREMENTAL".into());
        root.insert("replication-key", key.as_str().into());
        root.insert("valid-replication-keys", names(std::slice::from_ref(key)));
    }
    let mut metadata = vec![MetadataEntry { breadcrumb: Vec::new(), metadata: root }];
    for property in format.properties() {
        let needed = source.key.iter().chain(&source.replication_key).any(|key| key == property);
        let inclusion = if needed { "automatic" } else { "available" };
        metadata.push(MetadataEntry {
            breadcrumb: vec!["properties".to_owned(), property.to_owned()],
            metadata: [("inclusion", Json::from(inclusion))].into_iter().collect(),
        });
    }
    let mut rest = Object::new();
    rest.insert("key_properties", names(&source.key));
    Ok(CatalogStream {
        tap_stream_id: source.stream.name.clone(),
        stream: source.stream.name.clone(),
        schema: format.schema(),
        metadata,
        rest,
    })
}

fn names(list: &[String]) -> Json {
    Json::Array(list.iter().map(|name| name.as_str().into()).collect())
}
