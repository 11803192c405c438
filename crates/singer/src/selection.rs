//! Which streams and properties of a catalog are selected, by the resolution order of the SDK.

use crate::{
    catalog::{Catalog, CatalogStream},
    json::Json,
};

impl Catalog {
    /// The selected streams, in order.
    pub fn selected_streams(&self) -> impl Iterator<Item = &CatalogStream> {
        self.streams.iter().filter(|stream| stream.is_selected())
    }
}

impl CatalogStream {
    /// Whether the stream is selected: yes without metadata; else by the stream's own metadata or
    /// legacy flags; if those say nothing, yes.
    pub fn is_selected(&self) -> bool {
        self.own_choice(&[])
            .or_else(|| self.rest.get("selected").and_then(flag))
            .or_else(|| self.schema.get("selected").and_then(flag))
            .unwrap_or(true)
    }

    /// Whether the property at a breadcrumb is selected.
    ///
    /// In order: no metadata at all: yes. A parent that is not selected: no. `inclusion`
    /// `unsupported`: no. `automatic`: yes, even if `selected` says no. Then `selected`, then
    /// `selected-by-default`, then as the parent.
    pub fn is_property_selected(&self, breadcrumb: &[String]) -> bool {
        if breadcrumb.is_empty() {
            return self.is_selected();
        }
        if self.metadata.is_empty() {
            return true;
        }
        let parent = &breadcrumb[..breadcrumb.len().saturating_sub(2)];
        self.is_property_selected(parent) && self.own_choice(breadcrumb).unwrap_or(true)
    }

    /// Names of the selected top-level properties, in the order of the schema.
    pub fn selected_properties(&self) -> Vec<&str> {
        let Some(properties) = self.schema.get("properties").and_then(Json::as_object) else {
            return Vec::new();
        };
        properties
            .keys()
            .filter(|name| {
                self.is_property_selected(&["properties".to_owned(), (*name).to_owned()])
            })
            .collect()
    }

    /// What the metadata at one breadcrumb says by itself.
    fn own_choice(&self, breadcrumb: &[String]) -> Option<bool> {
        let metadata = self.metadata_at(breadcrumb)?;
        match metadata.get("inclusion").and_then(Json::as_str) {
            Some("unsupported") => Some(false),
            Some("automatic") => Some(true),
            _ => {
                let choice = |key| metadata.get(key).and_then(flag);
                choice("selected").or_else(|| choice("selected-by-default"))
            }
        }
    }
}

/// Legacy taps and hand-written catalogs also say `"true"`.
fn flag(json: &Json) -> Option<bool> {
    match json {
        Json::Bool(flag) => Some(*flag),
        Json::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Json::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(metadata: &str) -> CatalogStream {
        let text = format!(
            r#"{{"streams":[{{"stream":"a","schema":{{"properties":{{"x":{{"properties":{{"y":{{}}}}}},"z":{{}}}}}},"metadata":[{metadata}]}}]}}"#
        );
        Catalog::parse(&text).unwrap().streams.remove(0)
    }

    fn nested(stream: &CatalogStream) -> bool {
        stream.is_property_selected(&["properties", "x", "properties", "y"].map(str::to_owned))
    }

    #[test]
    fn everything_is_selected_without_metadata() {
        let stream = stream("");
        assert!(stream.is_selected() && nested(&stream));
        assert_eq!(stream.selected_properties(), ["x", "z"]);
    }

    #[test]
    fn a_parent_that_is_not_selected_takes_its_children_along() {
        let stream = stream(
            r#"{"breadcrumb":["properties","x"],"metadata":{"selected":false}},
               {"breadcrumb":["properties","x","properties","y"],"metadata":{"selected":true}}"#,
        );
        assert!(!nested(&stream));
        assert_eq!(stream.selected_properties(), ["z"]);
    }

    #[test]
    fn inclusion_beats_selected_and_selected_beats_the_default() {
        let stream = stream(
            r#"{"breadcrumb":["properties","x"],"metadata":{"inclusion":"automatic","selected":false}},
               {"breadcrumb":["properties","z"],"metadata":{"inclusion":"unsupported","selected":true}}"#,
        );
        assert_eq!(stream.selected_properties(), ["x"]);
        let stream = super::tests::stream(
            r#"{"breadcrumb":["properties","x"],"metadata":{"selected-by-default":false}},
               {"breadcrumb":["properties","z"],"metadata":{"selected-by-default":false,"selected":"true"}}"#,
        );
        assert_eq!(stream.selected_properties(), ["z"]);
    }

    #[test]
    fn a_stream_that_is_not_selected_selects_no_property() {
        let stream = stream(
            r#"{"breadcrumb":[],"metadata":{"selected":false}},
               {"breadcrumb":["properties","z"],"metadata":{"selected":true}}"#,
        );
        assert!(!stream.is_selected());
        assert_eq!(stream.selected_properties(), Vec::<&str>::new());
    }

    #[test]
    fn legacy_flags_count_where_there_is_no_metadata() {
        let catalog =
            Catalog::parse(r#"{"streams":[{"stream":"a","selected":"false"},{"stream":"b","schema":{"selected":true}}]}"#)
                .unwrap();
        let names: Vec<_> = catalog.selected_streams().map(|s| s.stream.as_str()).collect();
        assert_eq!(names, ["b"]);
    }
}
