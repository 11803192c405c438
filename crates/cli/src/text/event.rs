//! The event log: events, counts, the proof.

use flexcore_api::{EventPage, EventView, LogStatistics, VerifyReply};

use super::{
    Align, Style, Table, builder::Text, checkpoint::comparison_text, count_text,
    execution::time_text, printable, shortened,
};

/// How much of a payload stands in a line; JSON has all of it.
const PAYLOAD: usize = 160;

/// Events, a line each.
pub(crate) fn event_page_text(page: &EventPage, style: Style) -> String {
    let mut text: String = page.items.iter().map(|event| event_text(event, style)).collect();
    if let Some(next) = page.next {
        text.push_str(&style.dim(format!("more: --after {next}\n")));
    }
    text
}

/// One event in a line: where, when, what.
pub(crate) fn event_text(event: &EventView, style: Style) -> String {
    let payload = match &event.payload {
        serde_json::Value::Object(fields) if fields.is_empty() => String::new(),
        payload => format!("  {}", shortened(&payload.to_string(), PAYLOAD)),
    };
    format!(
        "{:>6}  {}  {}  {}{payload}\n",
        event.position,
        style.dim(time_text(&event.committed_at)),
        style.bold(&event.type_name),
        style.cyan(format!("{}@{}", event.stream, event.version)),
    )
}

/// What is in the log.
pub(crate) fn statistics_text(statistics: &LogStatistics, style: Style) -> String {
    let mut text = Text::default();
    text.fact(style, "events", count_text(statistics.position));
    text.fact(style, "streams", count_text(statistics.streams));
    text.fact(style, "batches", count_text(statistics.batches));
    if let (Some(first), Some(last)) =
        (&statistics.first_committed_at, &statistics.last_committed_at)
    {
        text.fact(style, "from", time_text(first));
        text.fact(style, "to", time_text(last));
    }
    text.fact(style, "head", &statistics.head);
    let mut table = Table::new([("events", Align::Right), ("type", Align::Left)]);
    for count in &statistics.types {
        table.row([count_text(count.events), count.type_name.clone()]);
    }
    if !statistics.types.is_empty() {
        text.push("\n");
        text.push(table.text(style));
    }
    text.finish()
}

/// What proving the log came to.
pub(crate) fn verify_text(reply: &VerifyReply, style: Style) -> String {
    let checked = format!(
        "{} events in {} batches and {} streams",
        count_text(reply.events),
        count_text(reply.batches),
        count_text(reply.streams)
    );
    let compared = reply.checkpoints.as_ref();
    let compared = compared.map(|compared| comparison_text(compared, style)).unwrap_or_default();
    let Some(fault) = &reply.fault else {
        let intact = style.green("the log is intact");
        return format!("{intact}: {checked}\nhead {}\n{compared}", reply.head);
    };
    let place = match (fault.batch, fault.page) {
        (Some(batch), _) => format!(" in batch {batch}"),
        (None, Some(page)) => format!(" on page {page}"),
        (None, None) => String::new(),
    };
    format!(
        "{}{place}: {}\nproven good: everything up to position {}\nchecked: {checked}\n{compared}",
        style.red("the log is damaged"),
        printable(&fault.reason),
        fault.last_good_position
    )
}

#[cfg(test)]
mod tests {
    use flexcore_api::{LogFault, TypeCount};
    use serde_json::json;

    use super::*;

    fn event(position: u64, payload: serde_json::Value) -> EventView {
        EventView {
            position,
            stream: "default/execution/ex_1".to_owned(),
            version: 2,
            id: "id".to_owned(),
            type_name: "StepStarted".to_owned(),
            schema_version: 1,
            occurred_at: "2026-01-01T00:00:00.000000Z".to_owned(),
            committed_at: "2026-01-01T00:00:00.000001Z".to_owned(),
            actor: "user:me".to_owned(),
            leaf: "00".to_owned(),
            payload,
        }
    }

    #[test]
    fn events_are_a_line_each() {
        let items = vec![event(7, json!({ "step": "load" })), event(8, json!({}))];
        let page = EventPage { items, next: Some(8) };
        insta::assert_snapshot!(event_page_text(&page, Style::PLAIN), @r#"
             7  2026-01-01 00:00:00.000Z  StepStarted  default/execution/ex_1@2  {"step":"load"}
             8  2026-01-01 00:00:00.000Z  StepStarted  default/execution/ex_1@2
        more: --after 8
        "#);
    }

    #[test]
    fn a_damaged_log_names_the_first_fault_and_what_is_still_proven() {
        let reply = |batch, page| VerifyReply {
            intact: false,
            batches: 3,
            events: 1_200,
            streams: 4,
            head: "ab".to_owned(),
            fault: Some(LogFault {
                batch,
                page,
                last_good_position: 42,
                reason: "a leaf hash differs".to_owned(),
            }),
            checkpoints: None,
        };
        insta::assert_snapshot!(verify_text(&reply(Some(3), None), Style::PLAIN), @r"
        the log is damaged in batch 3: a leaf hash differs
        proven good: everything up to position 42
        checked: 1,200 events in 3 batches and 4 streams
        ");
        assert!(verify_text(&reply(None, Some(9)), Style::PLAIN).contains("on page 9"));
        let intact = VerifyReply { intact: true, fault: None, ..reply(None, None) };
        insta::assert_snapshot!(verify_text(&intact, Style::PLAIN), @r"
        the log is intact: 1,200 events in 3 batches and 4 streams
        head ab
        ");
    }

    #[test]
    fn counts_come_with_the_types_below() {
        let statistics = LogStatistics {
            position: 1_234,
            batches: 10,
            head: "ab".to_owned(),
            streams: 5,
            types: vec![TypeCount { type_name: "StepStarted".to_owned(), events: 1_000 }],
            first_committed_at: None,
            last_committed_at: None,
        };
        insta::assert_snapshot!(statistics_text(&statistics, Style::PLAIN));
    }
}
