//! Metrics, and how far the views follow the log.

use flexcore_api::{MetricView, SystemMetrics, ViewList, ViewStatus};

use super::{
    Align, Style, Table, count_text,
    execution::{more, time_text},
};

/// A page of metrics.
pub(crate) fn metrics_text(page: &SystemMetrics, style: Style) -> String {
    if page.items.is_empty() {
        return "no metrics\n".to_owned();
    }
    let mut table = Table::new([
        ("metric", Align::Left),
        ("of", Align::Left),
        ("value", Align::Right),
        ("changed", Align::Left),
    ]);
    for metric in &page.items {
        let value = u64::try_from(metric.value);
        table.row([
            metric.name.clone(),
            labels(metric),
            value.map_or_else(|_| metric.value.to_string(), count_text),
            time_text(&metric.updated_at),
        ]);
    }
    table.text(style) + &more(page.next.as_deref(), style)
}

fn labels(metric: &MetricView) -> String {
    let label = |(name, value): (&String, &String)| format!("{name}={value}");
    metric.labels.iter().map(label).collect::<Vec<_>>().join(", ")
}

/// The views.
pub(crate) fn views_text(list: &ViewList, style: Style) -> String {
    let mut table = Table::new([
        ("view", Align::Left),
        ("position", Align::Right),
        ("behind", Align::Right),
        ("status", Align::Left),
    ]);
    for view in &list.items {
        let (position, lag) = (count_text(view.position), count_text(view.lag));
        table.row([view.name.clone(), position, lag, status(view)]);
    }
    format!("{}\nthe log ends at position {}\n", table.text(style), count_text(list.head))
}

fn status(view: &ViewStatus) -> String {
    match &view.stopped {
        Some(stopped) => format!("stopped at event {}: {}", stopped.position, stopped.reason),
        None if view.lag == 0 => "up to date".to_owned(),
        None => "catching up".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use flexcore_api::ViewStopped;

    use super::*;

    #[test]
    fn metrics_are_shown_with_their_labels() {
        let metric = |name: &str, labels: &[(&str, &str)], value| MetricView {
            name: name.to_owned(),
            labels: labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            value,
            updated_at: "2026-01-02T03:04:05.000000Z".to_owned(),
        };
        let items = vec![
            metric("attempts", &[("kind", "sync"), ("status", "failed")], 1_234),
            metric("records", &[], -1),
        ];
        let page = SystemMetrics { items, next: None };
        insta::assert_snapshot!(metrics_text(&page, Style::PLAIN));
    }

    #[test]
    fn a_view_that_stopped_says_where_and_why() {
        let view = |name: &str, position, stopped| ViewStatus {
            name: name.to_owned(),
            position,
            lag: 1_000 - position,
            stopped,
        };
        let stopped = ViewStopped { position: 8, reason: "no such step".to_owned() };
        let list = ViewList {
            head: 1_000,
            items: vec![
                view("pipeline-status", 1_000, None),
                view("data-streams", 7, Some(stopped)),
                view("system-metrics", 900, None),
            ],
        };
        insta::assert_snapshot!(views_text(&list, Style::PLAIN));
    }
}
