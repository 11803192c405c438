//! Events that were folded or copied again.

use flexcore_api::{AggregateView, LogCopied, ViewsRebuilt};
use flexcore_singer::Json;

use super::{
    Align, Style, Table, bookmark::laid_out, builder::Text, count_text, execution::time_text,
    printable,
};

/// An aggregate, its state laid out.
pub(crate) fn aggregate_text(view: &AggregateView, style: Style) -> String {
    let mut text = Text::default();
    text.line(style.bold(printable(&view.stream)));
    text.fact(style, "version", count_text(view.version));
    text.fact(style, "position", count_text(view.position));
    text.fact(style, "committed", time_text(&view.committed_at));
    let state = match Json::parse(view.state.get()) {
        Ok(json) => laid_out(&json, 0),
        Err(_) => printable(view.state.get()),
    };
    text.line(format!("\n{state}"));
    text.finish()
}

/// The views that are in use now.
pub(crate) fn views_rebuilt_text(rebuilt: &ViewsRebuilt, style: Style) -> String {
    let mut table =
        Table::new([("view", Align::Left), ("position", Align::Right), ("stopped", Align::Left)]);
    for view in &rebuilt.views {
        let stopped = match (view.stopped_at, &view.reason) {
            (Some(position), Some(reason)) => format!("at {}: {reason}", count_text(position)),
            _ => String::new(),
        };
        table.row([view.name.clone(), count_text(view.position), stopped]);
    }
    table.text(style)
}

/// What was copied.
pub(crate) fn log_copied_text(copied: &LogCopied, style: Style) -> String {
    format!(
        "{}: {} events in {} batches\nfrom {}\nto   {}\nhead {}\n",
        style.green("copied and proven"),
        count_text(copied.position),
        count_text(copied.batches),
        printable(&copied.from),
        printable(&copied.to),
        copied.head
    )
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn an_aggregate_is_shown_with_where_it_ends_and_its_numbers_as_they_are() {
        let state = RawValue::from_string(r#"{"holder":"ex_1","rate":1.50}"#.to_owned()).unwrap();
        let view = AggregateView {
            stream: "default/data-stream/x".to_owned(),
            category: "data-stream".to_owned(),
            version: 1_200,
            position: 4_000,
            committed_at: "2026-01-01T00:00:00.000001Z".to_owned(),
            state,
        };
        insta::assert_snapshot!(aggregate_text(&view, Style::PLAIN), @r#"
        default/data-stream/x
          version      1,200
          position     4,000
          committed    2026-01-01 00:00:00.000Z

        {
          "holder": "ex_1",
          "rate": 1.50
        }
        "#);
    }
}
