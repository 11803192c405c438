//! Pipelines: lists, and one with its steps.

use flexcore_api::{PipelinePage, PipelineStatusChanged, PipelineVersionPage, PipelineView};

use super::{
    Align, Style, Table,
    builder::Text,
    execution::{more, time_text},
    printable,
};

/// The pipelines that the store knows.
pub(crate) fn pipeline_page_text(page: &PipelinePage, style: Style) -> String {
    if page.items.is_empty() {
        return "no pipelines\n".to_owned();
    }
    let mut table = Table::new([
        ("pipeline", Align::Left),
        ("version", Align::Right),
        ("status", Align::Left),
        ("steps", Align::Right),
        ("owner", Align::Left),
        ("tags", Align::Left),
        ("updated", Align::Left),
        ("description", Align::Left),
    ]);
    for item in &page.items {
        table.row([
            item.name.clone(),
            item.version.to_string(),
            item.status.clone(),
            item.steps.to_string(),
            item.owner.clone().unwrap_or_default(),
            item.tags.join(", "),
            time_text(&item.updated_at),
            item.description.clone().unwrap_or_default(),
        ]);
    }
    table.text(style) + &more(page.next.as_deref(), style)
}

/// One pipeline and its steps.
pub(crate) fn pipeline_text(view: &PipelineView, style: Style) -> String {
    let mut text = Text::default();
    text.line(format!(
        "{}  version {}  {}",
        style.bold(&view.name),
        view.version,
        style.status(&view.status)
    ));
    let facts = [
        ("description", view.description.clone().unwrap_or_default()),
        ("owner", view.owner.clone().unwrap_or_default()),
        ("tags", view.tags.join(", ")),
        ("id", view.id.clone()),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        text.fact(style, name, printable(value));
    }
    let mut table = Table::new([
        ("step", Align::Left),
        ("kind", Align::Left),
        ("needs", Align::Left),
        ("when", Align::Left),
    ]);
    for step in &view.steps {
        table.row([
            step.id.clone(),
            step.kind.clone(),
            step.needs.join(", "),
            step.when.clone().unwrap_or_default(),
        ]);
    }
    text.push("\n");
    text.push(table.text(style));
    text.finish()
}

/// The versions of a pipeline's definition.
pub(crate) fn pipeline_versions_text(page: &PipelineVersionPage, style: Style) -> String {
    let mut table = Table::new([
        ("version", Align::Right),
        ("registered", Align::Left),
        ("by", Align::Left),
        ("steps", Align::Right),
        ("description", Align::Left),
    ]);
    for item in &page.items {
        table.row([
            item.version.to_string(),
            time_text(&item.created_at),
            item.actor.clone(),
            item.steps.to_string(),
            item.description.clone().unwrap_or_default(),
        ]);
    }
    table.text(style) + &more(page.next.as_deref(), style)
}

/// What became of a pipeline.
pub(crate) fn pipeline_status_text(changed: &PipelineStatusChanged, style: Style) -> String {
    let already = if changed.position == 0 { "already " } else { "" };
    let PipelineStatusChanged { name, id, status, .. } = changed;
    format!("{} ({id}) is {already}{}\n", style.bold(name), style.status(status))
}

#[cfg(test)]
mod tests {
    use flexcore_api::{PipelineSummary, StepOutline};
    use serde_json::Value;

    use super::*;

    #[test]
    fn pipelines_are_listed_in_a_table() {
        let item = PipelineSummary {
            id: "pl_1".to_owned(),
            name: "flights".to_owned(),
            status: "draft".to_owned(),
            version: 2,
            description: Some("The tables\nof nycflights13".to_owned()),
            owner: None,
            tags: vec!["example".to_owned(), "csv".to_owned()],
            steps: 3,
            updated_at: "2026-01-01T00:00:00.000000Z".to_owned(),
        };
        let page = PipelinePage { items: vec![item], next: None };
        insta::assert_snapshot!(pipeline_page_text(&page, Style::PLAIN));
    }

    #[test]
    fn a_pipeline_is_shown_with_its_steps() {
        let step = |id: &str, needs: &[&str], when: Option<&str>| StepOutline {
            id: id.to_owned(),
            kind: "command".to_owned(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            when: when.map(str::to_owned),
        };
        let view = PipelineView {
            id: "pl_1".to_owned(),
            name: "flights".to_owned(),
            status: "draft".to_owned(),
            version: 2,
            aggregate_version: 3,
            description: None,
            owner: Some("data-team".to_owned()),
            tags: vec![],
            steps: vec![step("a", &[], None), step("b", &["a"], Some("params.full"))],
            document: Value::Null,
        };
        insta::assert_snapshot!(pipeline_text(&view, Style::PLAIN));
    }
}
