//! Texts without what differs between two runs, for snapshots.

use super::{Project, search_path};

/// Replaces the project's folder, ids of executions, process ids and times.
pub(crate) fn redact(project: &Project, text: &str) -> String {
    let root = project.root().display().to_string();
    let scratch = project.scratch().display().to_string();
    let text = text.replace(&root, "[project]").replace(&scratch, "[scratch]");
    let text = text.replace(&search_path(), "[PATH]");
    let text = replace_after(
        &text,
        "max_line` allows: ",
        |c| c.is_ascii_digit(),
        "max_line` allows: [size]",
    );
    let text = replace_after(&text, "ex_", |c| c.is_ascii_hexdigit(), "[execution]");
    let text = replace_after(&text, "process ", |c| c.is_ascii_digit(), "process [pid]");
    durations(&text)
}

/// Replaces `prefix` and the run of characters behind it, if there is one.
fn replace_after(text: &str, prefix: &str, belongs: fn(char) -> bool, by: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(prefix) {
        result.push_str(before);
        rest = after.trim_start_matches(belongs);
        result.push_str(if rest.len() == after.len() { prefix } else { by });
    }
    result + rest
}

/// Replaces words like `12ms`, `1.4s` and `0:01`.
fn durations(text: &str) -> String {
    let is_duration = |word: &str| {
        let number = word.trim_end_matches("ms").trim_end_matches('s');
        number.len() < word.len() && !number.is_empty() && number.parse::<f64>().is_ok()
    };
    let shown = |word: &str| if is_duration(word) { "[time]".to_owned() } else { word.to_owned() };
    let line = |line: &str| line.split(' ').map(shown).collect::<Vec<_>>().join(" ");
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}
