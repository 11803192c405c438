//! What `apply` did, or would do.

use super::{Align, Style, Table};
use crate::report::ApplyReport;

/// A line for each pipeline.
pub(crate) fn apply_text(report: &ApplyReport, style: Style) -> String {
    if report.pipelines.is_empty() {
        return "no pipelines\n".to_owned();
    }
    let mut table = Table::new([
        ("pipeline", Align::Left),
        ("definition", Align::Left),
        ("version", Align::Right),
        ("status", Align::Left),
        ("file", Align::Left),
    ]);
    for one in &report.pipelines {
        let status = match (one.definition, one.activated) {
            ("archived", _) => "archived",
            (_, true) => "activated",
            (_, false) => "active",
        };
        table.row([
            one.pipeline.clone(),
            one.definition.to_owned(),
            one.version.map(|version| version.to_string()).unwrap_or_default(),
            status.to_owned(),
            one.file.clone().unwrap_or_default(),
        ]);
    }
    let note =
        if report.dry_run { "nothing was changed: this is what would be done\n" } else { "" };
    table.text(style) + note
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::AppliedPipeline;

    #[test]
    fn each_pipeline_has_a_line() {
        let one = |pipeline: &str, definition, activated, version| AppliedPipeline {
            pipeline: pipeline.to_owned(),
            file: (definition != "archived").then(|| format!("pipelines/{pipeline}.yaml")),
            definition,
            activated,
            version,
        };
        let pipelines = vec![
            one("flights", "created", true, None),
            one("orders", "unchanged", false, Some(3)),
            one("weather", "archived", false, Some(2)),
        ];
        let report = ApplyReport { dry_run: true, pipelines };
        insta::assert_snapshot!(apply_text(&report, Style::PLAIN));
    }
}
