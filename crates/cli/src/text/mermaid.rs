//! A DAG as a Mermaid flowchart (<https://mermaid.js.org/syntax/flowchart.html>).

use super::builder::Text;
use crate::report::StepPlan;

/// The flowchart: a box per step, an arrow per need. A condition stands on its step, what it runs
/// on beside `completed` on its arrows.
pub(crate) fn mermaid(steps: &[StepPlan]) -> String {
    let node = |id: &str| steps.iter().position(|step| step.id == id);
    let mut text = Text::default();
    text.line("flowchart TD");
    for (index, step) in steps.iter().enumerate() {
        let condition = step.when.as_deref().map(|condition| format!("when {condition}"));
        let parts = [Some(step.id.clone()), Some(step.kind.clone()), condition];
        let label: Vec<String> = parts.iter().flatten().map(|part| escape(part)).collect();
        text.line(format!("    s{index}[\"{}\"]", label.join("<br/>")));
    }
    for (index, step) in steps.iter().enumerate() {
        for need in step.needs.iter().filter_map(|need| node(need)) {
            match step.run_on {
                "completed" => text.line(format!("    s{need} --> s{index}")),
                run_on => text.line(format!("    s{need} -. {run_on} .-> s{index}")),
            }
        }
    }
    text.finish()
}

/// Text inside of a quoted label: what could end the quotes, open a tag or an entity, or break the
/// line becomes an entity of Mermaid's kind (`#35;`).
fn escape(text: &str) -> String {
    let mut escaped = Text::default();
    for c in text.chars() {
        if c.is_control() {
            escaped.push(" ");
        } else if "\"#&<>`\\{}[]()|;".contains(c) {
            escaped.push(format!("#{};", u32::from(c)));
        } else {
            escaped.push(c.encode_utf8(&mut [0; 4]));
        }
    }
    escaped.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::plan::tests::report;

    #[test]
    fn labels_cannot_leave_their_quotes() {
        assert_eq!(escape("a == \"x\" && b < 1\n#1"), "a == #34;x#34; #38;#38; b #60; 1 #35;1");
    }

    #[test]
    fn steps_are_boxes_and_needs_are_arrows() {
        insta::assert_snapshot!(mermaid(&report().steps));
    }
}
