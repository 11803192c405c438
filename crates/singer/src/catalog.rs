//! Catalogs: what a tap's discovery offers, and the form in which a choice is handed back to it.

use crate::{
    json::{Json, Object},
    scan::JsonError,
};

/// A catalog. Members that this crate does not know are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// The streams, in the tap's order.
    pub streams: Vec<CatalogStream>,
    rest: Object,
}

/// One stream of a catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogStream {
    /// Unique name within the tap, which rules match on.
    pub tap_stream_id: String,
    /// Name in messages; the same as `tap_stream_id` for most taps.
    pub stream: String,
    /// JSON Schema of the records.
    pub schema: Json,
    /// Metadata per breadcrumb; empty if the tap has none.
    pub metadata: Vec<MetadataEntry>,
    /// Other members: `key_properties`, `replication_key`, legacy flags, unknown ones.
    pub rest: Object,
}

/// Metadata of a stream (empty breadcrumb) or of one property.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataEntry {
    /// `[]`, `["properties", "a"]`, `["properties", "a", "properties", "b"]` …
    pub breadcrumb: Vec<String>,
    /// The metadata.
    pub metadata: Object,
}

/// Why a text is not a catalog.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// Not JSON at all.
    #[error("a catalog must be a JSON object")]
    Json(#[from] JsonError),
    /// The member "streams" is missing or no array.
    #[error("a catalog must have an array \"streams\"")]
    NoStreams,
    /// A stream is malformed.
    #[error("stream {index} of the catalog: {problem}")]
    Stream {
        /// Counted from 1.
        index: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// Two streams have the same name.
    #[error("the catalog names stream '{0}' twice")]
    DuplicateStream(String),
}

impl Catalog {
    /// A catalog of these streams.
    pub fn new(streams: Vec<CatalogStream>) -> Self {
        Self { streams, rest: Object::new() }
    }

    /// Reads what `--discover` printed, or a catalog file.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let mut rest = Json::parse_object(text)?;
        let Some(Json::Array(list)) = rest.remove("streams") else {
            return Err(CatalogError::NoStreams);
        };
        let mut streams: Vec<CatalogStream> = Vec::with_capacity(list.len());
        for (index, stream) in list.into_iter().enumerate() {
            let stream = CatalogStream::from_json(stream)
                .map_err(|problem| CatalogError::Stream { index: index + 1, problem })?;
            if streams.iter().any(|other| other.tap_stream_id == stream.tap_stream_id) {
                return Err(CatalogError::DuplicateStream(stream.tap_stream_id));
            }
            streams.push(stream);
        }
        Ok(Self { streams, rest })
    }

    /// The tree of the whole catalog; its text is what `--catalog` takes.
    pub fn to_json(&self) -> Json {
        let streams = self.streams.iter().map(CatalogStream::to_json).collect();
        let mut catalog: Object = [("streams", Json::Array(streams))].into_iter().collect();
        for (key, value) in self.rest.iter() {
            catalog.insert(key, value.clone());
        }
        catalog.into()
    }

    /// The stream with this `tap_stream_id`.
    pub fn stream(&self, tap_stream_id: &str) -> Option<&CatalogStream> {
        self.streams.iter().find(|stream| stream.tap_stream_id == tap_stream_id)
    }
}

impl CatalogStream {
    fn from_json(json: Json) -> Result<Self, &'static str> {
        let Json::Object(mut rest) = json else { return Err("it must be an object") };
        let stream = rest.remove("stream").and_then(into_text);
        let id = rest.remove("tap_stream_id").and_then(into_text);
        // Legacy catalogs have only one of the two.
        let tap_stream_id = id.or_else(|| stream.clone()).ok_or("it has no \"tap_stream_id\"")?;
        let metadata = match rest.remove("metadata") {
            None | Some(Json::Null) => Vec::new(),
            Some(Json::Array(entries)) => {
                entries.into_iter().map(MetadataEntry::from_json).collect::<Result<_, _>>()?
            }
            Some(_) => return Err("its \"metadata\" must be an array"),
        };
        Ok(Self {
            stream: stream.unwrap_or_else(|| tap_stream_id.clone()),
            tap_stream_id,
            schema: rest.remove("schema").unwrap_or(Json::Object(Object::new())),
            metadata,
            rest,
        })
    }

    fn to_json(&self) -> Json {
        let mut json: Object = [
            ("tap_stream_id", self.tap_stream_id.as_str().into()),
            ("stream", self.stream.as_str().into()),
            ("schema", self.schema.clone()),
        ]
        .into_iter()
        .collect();
        for (key, value) in self.rest.iter() {
            json.insert(key, value.clone());
        }
        if !self.metadata.is_empty() {
            let entries = self.metadata.iter().map(MetadataEntry::to_json).collect();
            json.insert("metadata", Json::Array(entries));
        }
        json.into()
    }

    /// Metadata at a breadcrumb.
    pub fn metadata_at(&self, breadcrumb: &[String]) -> Option<&Object> {
        self.metadata
            .iter()
            .find(|entry| entry.breadcrumb == breadcrumb)
            .map(|entry| &entry.metadata)
    }

    /// Metadata of the stream itself.
    pub fn root_metadata(&self, key: &str) -> Option<&Json> {
        self.metadata_at(&[])?.get(key)
    }

    /// Metadata at a breadcrumb to change, made empty if there is none.
    pub(crate) fn metadata_entry(&mut self, breadcrumb: &[String]) -> &mut Object {
        let found = self.metadata.iter().position(|entry| entry.breadcrumb == breadcrumb);
        let index = found.unwrap_or_else(|| {
            let breadcrumb = breadcrumb.to_vec();
            self.metadata.push(MetadataEntry { breadcrumb, metadata: Object::new() });
            self.metadata.len() - 1
        });
        &mut self.metadata[index].metadata
    }

    /// Names of the properties that identify a record: the chosen ones of a view, else the table's,
    /// else the catalog's own.
    pub fn key_properties(&self) -> Vec<String> {
        let names = |json: &Json| -> Option<Vec<String>> {
            json.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
        };
        ["view-key-properties", "table-key-properties"]
            .into_iter()
            .filter_map(|key| self.root_metadata(key))
            .chain(self.rest.get("key_properties"))
            .find_map(names)
            .unwrap_or_default()
    }

    /// Breadcrumbs of all properties, each before its children, nested objects included.
    pub fn property_breadcrumbs(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        collect_breadcrumbs(&self.schema, &mut Vec::new(), &mut found);
        found
    }

    /// The schema of the property at a breadcrumb, to change.
    pub(crate) fn property_mut(&mut self, breadcrumb: &[String]) -> Option<&mut Object> {
        breadcrumb
            .iter()
            .try_fold(&mut self.schema, |json, part| json.as_object_mut()?.get_mut(part))?
            .as_object_mut()
    }
}

fn collect_breadcrumbs(schema: &Json, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let Some(properties) = schema.get("properties").and_then(Json::as_object) else { return };
    for (name, property) in properties.iter() {
        path.extend(["properties".to_owned(), name.to_owned()]);
        found.push(path.clone());
        collect_breadcrumbs(property, path, found);
        path.truncate(path.len() - 2);
    }
}

impl MetadataEntry {
    fn from_json(json: Json) -> Result<Self, &'static str> {
        let Json::Object(mut entry) = json else { return Err("its metadata must be objects") };
        let breadcrumb = match entry.remove("breadcrumb") {
            None | Some(Json::Null) => Some(Vec::new()),
            Some(Json::Array(parts)) => parts.into_iter().map(into_text).collect(),
            Some(_) => None,
        };
        let metadata = match entry.remove("metadata") {
            Some(Json::Object(metadata)) => metadata,
            _ => Object::new(),
        };
        Ok(Self {
            breadcrumb: breadcrumb.ok_or("a breadcrumb must be an array of strings")?,
            metadata,
        })
    }

    fn to_json(&self) -> Json {
        let breadcrumb = self.breadcrumb.iter().map(|part| part.as_str().into()).collect();
        let entry: Object =
            [("breadcrumb", Json::Array(breadcrumb)), ("metadata", self.metadata.clone().into())]
                .into_iter()
                .collect();
        entry.into()
    }
}

fn into_text(json: Json) -> Option<String> {
    if let Json::String(text) = json { Some(text) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_members_and_number_text_survive() {
        let text = r#"{"streams":[{"tap_stream_id":"a","stream":"a","schema":{"properties":{"x":{"multipleOf":1e-38}}},"key_properties":["x"],"mine":1,"metadata":[{"breadcrumb":[],"metadata":{"k":1.0}}]}],"version":1}"#;
        assert_eq!(Catalog::parse(text).unwrap().to_json().to_string(), text);
    }

    #[test]
    fn legacy_catalogs_name_a_stream_once() {
        let catalog = Catalog::parse(r#"{"streams":[{"stream":"a"}]}"#).unwrap();
        assert_eq!(catalog.streams[0].tap_stream_id, "a");
        assert_eq!(catalog.streams[0].key_properties(), Vec::<String>::new());
    }

    #[test]
    fn errors_name_the_stream() {
        for (text, expected) in [
            ("[]", "a catalog must be a JSON object"),
            ("{}", "a catalog must have an array \"streams\""),
            (r#"{"streams":[{"stream":"a"},7]}"#, "stream 2 of the catalog: it must be an object"),
            (r#"{"streams":[{}]}"#, "stream 1 of the catalog: it has no \"tap_stream_id\""),
            (
                r#"{"streams":[{"stream":"a","metadata":[{"breadcrumb":[1]}]}]}"#,
                "stream 1 of the catalog: a breadcrumb must be an array of strings",
            ),
            (
                r#"{"streams":[{"stream":"a"},{"stream":"a"}]}"#,
                "the catalog names stream 'a' twice",
            ),
        ] {
            assert_eq!(Catalog::parse(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn nested_properties_have_breadcrumbs_parents_first() {
        let catalog = Catalog::parse(
            r#"{"streams":[{"stream":"a","schema":{"properties":{"x":{"properties":{"y":{}}},"z":{}}}}]}"#,
        )
        .unwrap();
        let joined: Vec<_> =
            catalog.streams[0].property_breadcrumbs().iter().map(|b| b.join(".")).collect();
        assert_eq!(joined, ["properties.x", "properties.x.properties.y", "properties.z"]);
    }
}
