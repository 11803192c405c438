//! Plugins that pipelines name or syncs have used.

use flexcore_api::{PluginPage, PluginView};

use super::{
    Align, Style, Table,
    builder::Text,
    count_text,
    execution::{more, time_text},
    printable,
};

/// A page of plugins.
pub(crate) fn plugin_page_text(page: &PluginPage, style: Style) -> String {
    if page.items.is_empty() {
        return "no plugins\n".to_owned();
    }
    let mut table = Table::new([
        ("plugin", Align::Left),
        ("role", Align::Left),
        ("pipelines", Align::Right),
        ("attempts", Align::Right),
        ("failures", Align::Right),
        ("last used", Align::Left),
        ("last error", Align::Left),
    ]);
    for item in &page.items {
        table.row([
            item.name.clone(),
            item.role.clone(),
            count_text(item.pipelines),
            count_text(item.attempts),
            count_text(item.failures),
            item.last_used_at.as_deref().map(time_text).unwrap_or_default(),
            item.last_error.clone().unwrap_or_default(),
        ]);
    }
    table.text(style) + &more(page.next.as_deref(), style)
}

/// One plugin.
pub(crate) fn plugin_text(view: &PluginView, style: Style) -> String {
    let mut text = Text::default();
    text.line(format!("{}  {}", style.bold(&view.name), view.role));
    text.fact(style, "pipelines", count_text(view.pipelines));
    text.fact(style, "attempts", count_text(view.attempts));
    text.fact(style, "failures", count_text(view.failures));
    let times = [("last used", &view.last_used_at), ("last failed", &view.last_failed_at)];
    for (name, time) in times {
        if let Some(time) = time {
            text.fact(style, name, time_text(time));
        }
    }
    if let Some(error) = &view.last_error {
        text.fact(style, "last error", style.red(printable(error)));
    }
    text.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin() -> PluginView {
        PluginView {
            name: "tap-csv".to_owned(),
            role: "tap".to_owned(),
            pipelines: 2,
            attempts: 1_234,
            failures: 1,
            last_used_at: Some("2026-01-02T03:04:05.000000Z".to_owned()),
            last_failed_at: Some("2026-01-01T00:00:00.000000Z".to_owned()),
            last_error: Some("no such file".to_owned()),
            registered: None,
        }
    }

    #[test]
    fn plugins_are_listed_and_shown() {
        let page = PluginPage { items: vec![plugin()], next: None };
        let list = plugin_page_text(&page, Style::PLAIN);
        let one = plugin_text(&plugin(), Style::PLAIN);
        insta::assert_snapshot!(format!("{list}\n{one}"));
        let none = PluginPage { items: vec![], next: None };
        assert_eq!(plugin_page_text(&none, Style::PLAIN), "no plugins\n");
    }
}
