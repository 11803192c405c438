//! Lines of attempt logs.

use super::{Style, printable};
use crate::report::{LogLineReport, StepErrorReport};

/// A line with its step in front; `width` is that of the longest step id. The text itself stays as
/// the program wrote it, colours included.
pub(crate) fn log_line_text(line: &LogLineReport, width: usize, style: Style) -> String {
    let clock = line.time.split_once('T').map_or(line.time.as_str(), |(_, clock)| clock);
    let clock = clock.get(..12).unwrap_or(clock);
    let source = format!("{:<6}", line.source);
    let source = match line.source.as_str() {
        "stderr" => style.yellow(source),
        "runner" => style.cyan(source),
        _ => style.dim(source),
    };
    format!("{} {:<width$} {source} {}\n", style.dim(clock), line.step, line.line)
}

/// The heading in front of the lines of an attempt.
pub(crate) fn log_heading(step: &str, attempt: u32, style: Style) -> String {
    format!("{}\n", style.bold(format!("── {step}, attempt {attempt}")))
}

/// An error in front of the logs.
pub(crate) fn error_report_text(report: &StepErrorReport, style: Style) -> String {
    let head = style.red(format!("step `{}` failed ({})", report.step, report.error.reason));
    let message: Vec<_> = report.error.message.lines().map(printable).collect();
    format!("{head}: {}\n", message.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stands_behind_its_time_step_and_source() {
        let line = LogLineReport {
            time: "2026-01-01T12:34:56.789012Z".to_owned(),
            step: "load".to_owned(),
            attempt: 1,
            source: "tap".to_owned(),
            line: "INFO reading  orders.csv".to_owned(),
        };
        assert_eq!(
            log_line_text(&line, 6, Style::PLAIN),
            "12:34:56.789 load   tap    INFO reading  orders.csv\n"
        );
    }
}
