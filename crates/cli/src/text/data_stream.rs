//! Data streams: what syncs remember, and what they came to.

use flexcore_api::{DataStreamPage, DataStreamView, SyncOutline};

use super::{
    Align, Style, Table,
    builder::Text,
    bytes_text, count_text,
    execution::{more, time_text},
};

/// A page of data streams.
pub(crate) fn data_stream_page_text(page: &DataStreamPage, style: Style) -> String {
    if page.items.is_empty() {
        return "no data streams\n".to_owned();
    }
    let mut table = Table::new([
        ("data stream", Align::Left),
        ("environment", Align::Left),
        ("tap", Align::Left),
        ("target", Align::Left),
        ("syncs", Align::Right),
        ("records", Align::Right),
        ("last sync", Align::Left),
        ("began", Align::Left),
    ]);
    for item in &page.items {
        let (outcome, began) = item.last_sync.as_ref().map_or_else(Default::default, |sync| {
            (sync.outcome.clone(), time_text(&sync.started_at))
        });
        table.row([
            name(item),
            item.environment.clone(),
            item.tap.clone().unwrap_or_default(),
            item.target.clone().unwrap_or_default(),
            count_text(item.syncs),
            count_text(item.records),
            outcome,
            began,
        ]);
    }
    table.text(style) + &more(page.next.as_deref(), style)
}

/// One data stream.
pub(crate) fn data_stream_text(view: &DataStreamView, style: Style) -> String {
    let mut text = Text::default();
    text.line(format!("{}  {}", style.bold(name(view)), style.dim(&view.environment)));
    let ends = [("tap", &view.tap), ("target", &view.target), ("held by", &view.holder)];
    for (name, value) in ends {
        if let Some(value) = value {
            text.fact(style, name, value);
        }
    }
    let (records, bytes) = (count_text(view.records), bytes_text(view.bytes));
    let syncs = count_text(view.syncs);
    text.fact(style, "completed", format!("{syncs} syncs, {records} records, {bytes}"));
    if let Some(sync) = &view.last_sync {
        text.fact(style, "last sync", sync_text(sync, style));
    }
    match &view.bookmark {
        Some(bookmark) => {
            let (streams, time) = (bookmark.streams.join(", "), time_text(&bookmark.updated_at));
            text.fact(style, "bookmark", format!("{streams}, since {time}"));
        }
        None => text.fact(style, "bookmark", "none: the next sync begins at the beginning"),
    }
    if !view.schemas.is_empty() {
        let mut table = Table::new([
            ("stream", Align::Left),
            ("schemas", Align::Right),
            ("newest since", Align::Left),
        ]);
        for schema in &view.schemas {
            let seen = time_text(&schema.seen_at);
            table.row([schema.stream.clone(), count_text(schema.versions), seen]);
        }
        text.push("\n");
        text.push(table.text(style));
    }
    text.finish()
}

fn sync_text(sync: &SyncOutline, style: Style) -> String {
    let outcome = style.status(&sync.outcome);
    format!("{outcome}, began {}  {}", time_text(&sync.started_at), style.dim(&sync.execution))
}

/// The pipeline, the state and the item, as `bookmark` takes them.
fn name(view: &DataStreamView) -> String {
    let item = view.item.as_ref().map(|item| format!("[{item}]")).unwrap_or_default();
    format!("{}/{}{item}", view.pipeline, view.state)
}

#[cfg(test)]
mod tests {
    use flexcore_api::{BookmarkOutline, SchemaOutline};

    use super::*;

    fn data_stream() -> DataStreamView {
        DataStreamView {
            stream: "default/data-stream/default/pl_1/load/".to_owned(),
            pipeline: "flights".to_owned(),
            environment: "default".to_owned(),
            state: "load".to_owned(),
            item: None,
            tap: Some("tap-csv".to_owned()),
            target: Some("target-jsonl".to_owned()),
            holder: None,
            bookmark: Some(BookmarkOutline {
                streams: vec!["airlines".to_owned(), "weather".to_owned()],
                positions: 2,
                updated_at: "2026-01-02T03:04:05.000000Z".to_owned(),
                execution: Some("ex_1".to_owned()),
            }),
            syncs: 2,
            records: 30_911,
            bytes: 1 << 20,
            schemas: vec![SchemaOutline {
                stream: "airlines".to_owned(),
                versions: 1,
                seen_at: "2026-01-02T03:04:05.000000Z".to_owned(),
            }],
            last_sync: Some(SyncOutline {
                execution: "ex_1".to_owned(),
                outcome: "completed".to_owned(),
                started_at: "2026-01-02T03:04:05.000000Z".to_owned(),
                ended_at: None,
                records: 0,
                bytes: 0,
            }),
        }
    }

    #[test]
    fn data_streams_are_listed_and_shown() {
        let page = DataStreamPage { items: vec![data_stream()], next: Some("x".to_owned()) };
        let list = data_stream_page_text(&page, Style::PLAIN);
        let one = data_stream_text(&data_stream(), Style::PLAIN);
        insta::assert_snapshot!(format!("{list}\n{one}"));
    }

    #[test]
    fn one_that_never_ran_has_no_bookmark() {
        let view = DataStreamView {
            tap: None,
            target: None,
            bookmark: None,
            last_sync: None,
            schemas: vec![],
            item: Some("de".to_owned()),
            ..data_stream()
        };
        let text = data_stream_text(&view, Style::PLAIN);
        assert!(text.starts_with("flights/load[de]  default\n"), "{text}");
        assert!(text.contains("begins at the beginning"), "{text}");
    }
}
