//! A catalog as a table: what is synced and what is not.

use super::{Align, Style, Table};
use crate::report::{CatalogReport, FieldReport, StreamReport};

/// The streams and fields of a catalog; `all`: also those that are not selected.
pub(crate) fn catalog_text(report: &CatalogReport, all: bool, style: Style) -> String {
    let mut table = Table::new([
        ("stream", Align::Left),
        ("field", Align::Left),
        ("type", Align::Left),
        ("selected", Align::Left),
        ("replication", Align::Left),
    ]);
    let (mut shown, mut hidden) = (0, 0);
    for stream in &report.streams {
        if !all && !stream.selected {
            hidden += 1 + stream.fields.len();
            continue;
        }
        shown += 1;
        table.row([
            stream.stream.clone(),
            String::new(),
            String::new(),
            yes_or_no(stream.selected),
            replication(stream),
        ]);
        for field in &stream.fields {
            if !all && !field.selected {
                hidden += 1;
                continue;
            }
            table.row([
                stream.stream.clone(),
                field.field.clone(),
                field.field_type.clone(),
                selection(field, stream),
                String::new(),
            ]);
        }
    }
    let table = if shown > 0 { table.text(style) } else { "no stream is selected\n".to_owned() };
    let rest = match hidden {
        0 => String::new(),
        hidden => style.dim(format!("{hidden} more are not selected; --all shows them\n")),
    };
    table + &rest
}

fn selection(field: &FieldReport, stream: &StreamReport) -> String {
    let is_key = stream.key.contains(&field.field);
    match field.inclusion.as_deref() {
        Some("unsupported") => "unsupported".to_owned(),
        Some("automatic") => format!("automatic{}", if is_key { ", key" } else { "" }),
        _ if is_key => format!("{}, key", yes_or_no(field.selected)),
        _ => yes_or_no(field.selected),
    }
}

fn replication(stream: &StreamReport) -> String {
    match (&stream.replication_method, &stream.replication_key) {
        (Some(method), Some(key)) => format!("{method} by {key}"),
        (Some(method), None) => method.clone(),
        (None, Some(key)) => format!("by {key}"),
        (None, None) => String::new(),
    }
}

fn yes_or_no(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, selected: bool, inclusion: Option<&str>) -> FieldReport {
        FieldReport {
            field: name.to_owned(),
            field_type: "string, null".to_owned(),
            selected,
            inclusion: inclusion.map(str::to_owned),
        }
    }

    fn report() -> CatalogReport {
        let stream = |name: &str, selected| StreamReport {
            stream: name.to_owned(),
            selected,
            replication_method: Some("INCREMENTAL".to_owned()),
            replication_key: Some("updated_at".to_owned()),
            key: vec!["id".to_owned()],
            fields: vec![
                field("id", true, Some("automatic")),
                field("name", selected, Some("available")),
                field("ssn", false, Some("available")),
                field("blob", false, Some("unsupported")),
            ],
        };
        CatalogReport {
            pipeline: "sales".to_owned(),
            step: "load".to_owned(),
            streams: vec![stream("orders", true), stream("audit", false)],
        }
    }

    #[test]
    fn selected_fields_are_shown_and_the_rest_is_counted() {
        insta::assert_snapshot!(catalog_text(&report(), false, Style::PLAIN));
    }

    #[test]
    fn all_fields_are_shown_on_demand() {
        insta::assert_snapshot!(catalog_text(&report(), true, Style::PLAIN));
    }

    #[test]
    fn a_catalog_without_a_selected_stream_says_so() {
        let report = CatalogReport { streams: vec![], ..report() };
        assert_eq!(catalog_text(&report, false, Style::PLAIN), "no stream is selected\n");
    }
}
