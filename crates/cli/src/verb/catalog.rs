//! A tap's catalog, read for `select` and `plan`.

use std::collections::BTreeMap;

use flexcore_app::Discovery;
use flexcore_domain::StepKind;
use flexcore_pipeline_file::{ResolvedPipeline, ResolvedStep};
use flexcore_singer::{Catalog, CatalogStream, Json};

use crate::{
    Place,
    failure::{Code, Failure},
    report::{FieldReport, StreamReport},
    session::Session,
};

/// Asks the tap of a sync step for its catalog, with the step's rules applied.
pub(super) async fn discover(
    session: &Session<'_>,
    place: &Place,
    resolved: &ResolvedPipeline,
    step: &ResolvedStep,
    params: &BTreeMap<String, String>,
) -> Result<Vec<StreamReport>, Failure> {
    let discovery = Discovery {
        pipeline: resolved.name.clone(),
        resolved: resolved.clone(),
        step: step.id.clone(),
        params: params.clone(),
    };
    let catalog = session.host.discover(place, discovery).await?;
    let catalog = Catalog::parse(&catalog.to_string()).map_err(|error| {
        Failure::new(
            Code::Reply,
            format!("the tap of step `{}` answered wrongly: {error}", step.id),
        )
    })?;
    Ok(catalog.streams.iter().map(stream_report).collect())
}

/// The sync step of a name.
pub(super) fn sync_step<'a>(
    resolved: &'a ResolvedPipeline,
    name: &str,
) -> Result<&'a ResolvedStep, Failure> {
    let syncs = || resolved.steps.iter().filter(|step| step.kind == StepKind::Sync);
    syncs().find(|step| step.id.as_str() == name).ok_or_else(|| {
        let what = if resolved.steps.iter().any(|step| step.id.as_str() == name) {
            format!("step `{name}` of `{}` is not a sync", resolved.name)
        } else {
            format!("`{}` has no step `{name}`", resolved.name)
        };
        let names: Vec<_> = syncs().map(|step| format!("`{}`", step.id)).collect();
        let hint = match names.as_slice() {
            [] => "it has no sync".to_owned(),
            names => format!("its syncs: {}", names.join(", ")),
        };
        Failure::new(Code::Step, what).hint(hint)
    })
}

fn stream_report(stream: &CatalogStream) -> StreamReport {
    let metadata = |keys: &[&str]| {
        let found = keys.iter().find_map(|key| stream.root_metadata(key));
        found.or_else(|| stream.rest.get(keys.last()?)).and_then(Json::as_str).map(str::to_owned)
    };
    StreamReport {
        stream: stream.tap_stream_id.clone(),
        selected: stream.is_selected(),
        replication_method: metadata(&[
            "replication-method",
            "forced-replication-method",
            "replication_method",
        ]),
        replication_key: metadata(&["replication-key", "replication_key"]),
        key: stream.key_properties(),
        fields: stream.property_breadcrumbs().iter().map(|crumb| field(stream, crumb)).collect(),
    }
}

fn field(stream: &CatalogStream, breadcrumb: &[String]) -> FieldReport {
    // A breadcrumb is `properties`, a name, `properties`, a name, …
    let names: Vec<&str> = breadcrumb.iter().skip(1).step_by(2).map(String::as_str).collect();
    let inclusion = stream.metadata_at(breadcrumb).and_then(|metadata| metadata.get("inclusion"));
    FieldReport {
        field: names.join("."),
        field_type: type_of(stream, breadcrumb),
        selected: stream.is_selected() && stream.is_property_selected(breadcrumb),
        inclusion: inclusion.and_then(Json::as_str).map(str::to_owned),
    }
}

/// The `type` of a property's schema, with its format; empty if it says none.
fn type_of(stream: &CatalogStream, breadcrumb: &[String]) -> String {
    let schema = breadcrumb.iter().try_fold(&stream.schema, |schema, part| schema.get(part));
    let Some(schema) = schema else { return String::new() };
    let types: Vec<&str> = match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        _ => vec![],
    };
    match schema.get("format").and_then(Json::as_str) {
        Some(format) => format!("{} ({format})", types.join(", ")),
        None => types.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_is_read_down_to_nested_fields() {
        let catalog = Catalog::parse(
            r#"{"streams":[{"tap_stream_id":"orders","stream":"orders","key_properties":["id"],
               "schema":{"type":"object","properties":{
                 "id":{"type":"integer"},
                 "at":{"type":["null","string"],"format":"date-time"},
                 "who":{"type":"object","properties":{"name":{"type":"string"}}},
                 "any":{}}},
               "metadata":[
                 {"breadcrumb":[],"metadata":{"selected":true,"replication-method":"INCREMENTAL","replication-key":"at"}},
                 {"breadcrumb":["properties","id"],"metadata":{"inclusion":"automatic"}},
                 {"breadcrumb":["properties","who"],"metadata":{"selected":false}}]}]}"#,
        )
        .unwrap();
        let report = stream_report(&catalog.streams[0]);
        assert!(report.selected);
        assert_eq!(report.replication_method.as_deref(), Some("INCREMENTAL"));
        assert_eq!(report.replication_key.as_deref(), Some("at"));
        assert_eq!(report.key, ["id"]);
        let fields: Vec<_> = report
            .fields
            .iter()
            .map(|field| (field.field.as_str(), field.field_type.as_str(), field.selected))
            .collect();
        assert_eq!(
            fields,
            [
                ("id", "integer", true),
                ("at", "null, string (date-time)", true),
                ("who", "object", false),
                ("who.name", "string", false),
                ("any", "", true)
            ]
        );
        assert_eq!(report.fields[0].inclusion.as_deref(), Some("automatic"));
    }
}
