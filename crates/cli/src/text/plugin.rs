//! Plugins: those that can be called, those that were used, and what their calls came to.

mod call;

use flexcore_api::{PluginPage, PluginRegistered, PluginView, RegisteredView};

use super::{
    Align, Style, Table,
    builder::Text,
    count_text,
    execution::{more, time_text},
    printable,
};
use crate::report::PluginReport;

pub(crate) use call::{
    plugin_calls_text, plugin_executed_text, plugin_initialized_text, plugin_log_text,
    plugin_schema_text, plugin_validated_text,
};

/// What can be called and run.
pub(crate) fn plugin_list_text(plugins: &[PluginReport], style: Style) -> String {
    let mut table = Table::new([
        ("plugin", Align::Left),
        ("what it does", Align::Left),
        ("kind", Align::Left),
        ("version", Align::Left),
        ("status", Align::Left),
    ]);
    for plugin in plugins {
        table.row([
            plugin.name.clone(),
            plugin.description.clone().unwrap_or_default(),
            plugin.kind.clone(),
            plugin.version.clone().unwrap_or_default(),
            plugin.status.clone().unwrap_or_default(),
        ]);
    }
    table.text(style)
}

/// What registering a plugin came to.
pub(crate) fn plugin_registered_text(registered: &PluginRegistered, style: Style) -> String {
    let mut text = Text::default();
    let what = if registered.changed { "is registered" } else { "was registered before" };
    let PluginRegistered { name, version, .. } = registered;
    text.line(format!("{} {version} {what}", style.bold(name)));
    text.fact(style, "kind", &registered.kind);
    text.fact(style, "sha256", &registered.sha256);
    if let Some(key) = &registered.signed_by {
        text.fact(style, "signed by", key);
    }
    for granted in &registered.granted {
        text.fact(style, "may", granted);
    }
    for missing in &registered.missing {
        text.fact(style, "may not", style.yellow(missing));
    }
    if !registered.grant_lines.is_empty() {
        text.line(
            "It is not called before it has what it asks for. To grant it, add to grants.toml:",
        );
        text.line("");
        text.push(&registered.grant_lines);
    }
    text.finish()
}

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
    if let Some(registered) = &view.registered {
        registered_text(&mut text, registered, style);
    }
    text.finish()
}

fn registered_text(text: &mut Text, registered: &RegisteredView, style: Style) {
    let status = match (registered.status.as_str(), &registered.reason) {
        (status, None) => status.to_owned(),
        (status, Some(reason)) => style.yellow(format!("{status}: {}", printable(reason))),
    };
    text.fact(style, "status", status);
    let built_in = if registered.built_in { ", comes with FlexCore" } else { "" };
    text.fact(style, "version", format!("{}{built_in}", registered.version));
    text.fact(style, "kind", format!("{}, {}", registered.kind, registered.plugin_type));
    text.fact(style, "sha256", &registered.sha256);
    if let Some(key) = &registered.signed_by {
        text.fact(style, "signed by", key);
    }
    for capability in &registered.effective {
        text.fact(style, "may", capability);
    }
    for capability in &registered.requested {
        if !registered.effective.contains(capability) {
            text.fact(style, "may not", style.yellow(capability));
        }
    }
    let calls = registered.calls;
    if calls.started > 0 {
        let denied = match calls.denied {
            0 => String::new(),
            denied => format!(", {} uses of capabilities refused", count_text(denied)),
        };
        let (started, failed) = (count_text(calls.started), count_text(calls.failed));
        text.fact(style, "by hand", format!("{started} calls, {failed} failed{denied}"));
    }
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

    #[test]
    fn what_is_missing_is_shown_with_the_lines_that_grant_it() {
        let registered = PluginRegistered {
            name: "greeter".to_owned(),
            version: "1.4.2".to_owned(),
            kind: "process".to_owned(),
            sha256: "ab".repeat(32),
            signed_by: None,
            granted: vec!["clock".to_owned()],
            missing: vec!["network tcp://db:5432".to_owned()],
            grant_lines: "[[grant]]\nplugin = \"greeter\"\n".to_owned(),
            changed: true,
            position: 7,
        };
        let text = plugin_registered_text(&registered, Style::PLAIN);
        assert!(text.starts_with("greeter 1.4.2 is registered\n"), "{text}");
        assert!(text.contains("may not      network tcp://db:5432\n"), "{text}");
        assert!(
            text.ends_with("add to grants.toml:\n\n[[grant]]\nplugin = \"greeter\"\n"),
            "{text}"
        );
    }

    #[test]
    fn a_plugin_that_stands_still_says_why() {
        let registered = RegisteredView {
            status: "quarantined".to_owned(),
            reason: Some("it failed 15 times in a row".to_owned()),
            version: "1.4.2".to_owned(),
            kind: "process".to_owned(),
            plugin_type: "transformer".to_owned(),
            sha256: "ab".repeat(32),
            signed_by: None,
            built_in: false,
            requested: vec!["clock".to_owned(), "gpu".to_owned()],
            effective: vec!["clock".to_owned()],
            rights_sha256: "cd".repeat(32),
            registrations: 2,
            calls: flexcore_api::PluginCallCounts {
                started: 3,
                completed: 2,
                failed: 1,
                denied: 4,
            },
        };
        let view = PluginView { registered: Some(registered), ..plugin() };
        let text = plugin_text(&view, Style::PLAIN);
        for line in [
            "status       quarantined: it failed 15 times in a row",
            "may          clock",
            "may not      gpu",
            "by hand      3 calls, 1 failed, 4 uses of capabilities refused",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
