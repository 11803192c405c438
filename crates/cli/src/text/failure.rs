//! Errors: what happened, where, what to do.

use flexcore_api::ErrorBody;
use flexcore_pipeline_file::Diagnostics;

use super::{Style, builder::Text};
use crate::failure::Failure;

/// The text of an error, as all of FlexCore's errors look.
pub(crate) fn failure_text(failure: &Failure, style: Style) -> String {
    match failure {
        Failure::Files(diagnostics) => diagnostics_text(diagnostics, style),
        Failure::Error { body, .. } => body_text(body, style),
    }
}

fn body_text(body: &ErrorBody, style: Style) -> String {
    let mut text = Text::default();
    text.push(format!("{}: {}", style.red(format!("error[{}]", body.code)), body.message));
    if let Some(hint) = &body.hint {
        let mut lines = hint.lines();
        let first = lines.next().unwrap_or_default();
        text.push(format!("\n  = {}: {first}", style.bold("help")));
        for line in lines {
            text.push(format!("\n          {line}"));
        }
    }
    text.finish()
}

/// Diagnostics have their text; only its first word takes a colour here.
fn diagnostics_text(diagnostics: &Diagnostics, style: Style) -> String {
    let one = |diagnostic: &flexcore_pipeline_file::Diagnostic| {
        let text = diagnostic.to_string();
        match text.split_once(": ") {
            Some((head, rest)) if head.starts_with("error") => {
                format!("{}: {rest}", style.red(head))
            }
            Some((head, rest)) => format!("{}: {rest}", style.yellow(head)),
            None => text,
        }
    };
    diagnostics.iter().map(one).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Code;

    #[test]
    fn a_hint_of_several_lines_stays_aligned() {
        let failure = Failure::new(Code::Interrupted, "execution ex_1 is unfinished")
            .hint("go on with it:\n  flexcore run x --resume");
        assert_eq!(
            failure_text(&failure, Style::PLAIN),
            "error[FC0504]: execution ex_1 is unfinished\n  = help: go on with it:\n            flexcore run x --resume"
        );
    }
}
