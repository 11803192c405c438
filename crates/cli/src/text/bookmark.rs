//! Bookmarks: all of a pipeline, one, and what changed.

use flexcore_api::{BookmarkList, BookmarkView};
use flexcore_singer::{Change, Json, State, StateDifference};

use super::{Align, Style, Table, builder::Text, execution::time_text, printable};

/// The bookmarks of a pipeline's syncs.
pub(crate) fn bookmark_list_text(list: &BookmarkList, style: Style) -> String {
    if list.items.is_empty() {
        return "no syncs\n".to_owned();
    }
    let mut table = Table::new([
        ("bookmark", Align::Left),
        ("streams", Align::Right),
        ("changed", Align::Left),
        ("execution", Align::Left),
        ("tap", Align::Left),
        ("target", Align::Left),
        ("held by", Align::Left),
    ]);
    for view in &list.items {
        let streams = view.state.as_ref().and_then(|state| State::parse(state.get()).ok());
        table.row([
            view.bookmark.state.clone(),
            streams.map_or("none".to_owned(), |state| state.streams().count().to_string()),
            view.changed_at.as_deref().map(time_text).unwrap_or_default(),
            view.execution.clone().unwrap_or_default(),
            view.tap.clone().unwrap_or_default(),
            view.target.clone().unwrap_or_default(),
            view.holder.clone().unwrap_or_default(),
        ]);
    }
    table.text(style)
}

/// One bookmark, its state laid out.
pub(crate) fn bookmark_text(view: &BookmarkView, style: Style) -> String {
    let address = &view.bookmark;
    let item = address.item.as_deref().map(|item| format!("@{item}")).unwrap_or_default();
    let mut text = Text::default();
    let place = format!("{}/{}{item}", address.pipeline, address.state);
    text.line(format!("{}  environment {}", style.bold(printable(&place)), address.environment));
    let facts = [
        ("changed", view.changed_at.as_deref().map(time_text)),
        ("execution", view.execution.clone()),
        ("tap", view.tap.clone()),
        ("target", view.target.clone()),
        ("held by", view.holder.clone()),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            text.fact(style, name, printable(&value));
        }
    }
    let state = match &view.state {
        None => "no bookmark: the next sync starts from the beginning".to_owned(),
        Some(state) => match Json::parse(state.get()) {
            Ok(json) => laid_out(&json, 0),
            Err(_) => printable(state.get()),
        },
    };
    text.line(format!("\n{state}"));
    text.finish()
}

/// What changed between two states.
pub(crate) fn difference_text(differences: &[StateDifference], style: Style) -> String {
    if differences.is_empty() {
        return "no change\n".to_owned();
    }
    let line = |difference: &StateDifference| {
        let text = printable(&difference.to_string());
        let text = match difference.change {
            Change::Added(_) => style.green(text),
            Change::Removed(_) => style.red(text),
            Change::Replaced { .. } => style.yellow(text),
        };
        text + "\n"
    };
    differences.iter().map(line).collect()
}

/// JSON with a member per line, its numbers and its order as they are.
pub(super) fn laid_out(json: &Json, depth: usize) -> String {
    let indent = "  ".repeat(depth + 1);
    let close = "  ".repeat(depth);
    match json {
        Json::Object(object) if !object.is_empty() => {
            let member = |(key, value): (&str, &Json)| {
                let key = Json::String(key.to_owned());
                format!("{indent}{key}: {}", laid_out(value, depth + 1))
            };
            let members: Vec<_> = object.iter().map(member).collect();
            format!("{{\n{}\n{close}}}", members.join(",\n"))
        }
        // Lists stay on their line: in a bookmark they are short.
        json => json.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use flexcore_api::BookmarkAddress;
    use serde_json::value::RawValue;

    use super::*;

    fn view(state: Option<&str>) -> BookmarkView {
        let address = BookmarkAddress {
            pipeline: "flights".to_owned(),
            state: "load".to_owned(),
            environment: "default".to_owned(),
            item: Some("a b".to_owned()),
        };
        BookmarkView {
            bookmark: address,
            state: state.map(|state| RawValue::from_string(state.to_owned()).unwrap()),
            previous: None,
            execution: Some("ex_1".to_owned()),
            changed_at: Some("2026-01-01T00:00:00.000000Z".to_owned()),
            tap: Some("tap-csv".to_owned()),
            target: None,
            holder: None,
        }
    }

    #[test]
    fn a_state_keeps_its_order_and_its_numbers() {
        let state =
            r#"{"bookmarks": {"z": {"id": 1.50, "text": "a, \"b\": {c}"}, "a": {}, "l": [1,2]}}"#;
        insta::assert_snapshot!(bookmark_text(&view(Some(state)), Style::PLAIN));
    }

    #[test]
    fn without_a_bookmark_the_next_sync_starts_over() {
        assert!(bookmark_text(&view(None), Style::PLAIN).contains("from the beginning"));
    }

    #[test]
    fn bookmarks_are_listed_with_how_many_streams_they_have() {
        let state = r#"{"bookmarks":{"a":{"id":1},"b":{"id":2}}}"#;
        let list = BookmarkList { items: vec![view(Some(state)), view(None)] };
        insta::assert_snapshot!(bookmark_list_text(&list, Style::PLAIN));
    }

    #[test]
    fn differences_are_a_line_each() {
        let old = State::parse(r#"{"bookmarks":{"a":{"id":1}}}"#).unwrap();
        let new = State::parse(r#"{"bookmarks":{"a":{"id":2},"b":{"id":1}}}"#).unwrap();
        assert_eq!(
            difference_text(&old.differences(&new), Style::PLAIN),
            "~ a: id: 1 -> 2\n+ b = {\"id\":1}\n"
        );
        assert_eq!(difference_text(&[], Style::PLAIN), "no change\n");
    }
}
