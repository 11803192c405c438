//! Signed checkpoints: keys, one that was made, and those that a log was compared with.

use flexcore_api::{CheckpointComparison, CheckpointKeyPair, SignedCheckpoint};

use super::{Style, builder::Text, count_text, printable};

/// A new pair of keys.
pub(crate) fn key_pair_text(keys: &CheckpointKeyPair, style: Style) -> String {
    let mut text = Text::default();
    text.fact(style, "private key", printable(&keys.private_key_file));
    text.fact(style, "public key", printable(&keys.public_key_file));
    text.line("keep the private key where the log is written, and the public key elsewhere");
    text.finish()
}

/// A signed checkpoint: the note itself, or where it was added.
pub(crate) fn signed_checkpoint_text(signed: &SignedCheckpoint, style: Style) -> String {
    match &signed.file {
        None => signed.note.clone(),
        Some(file) => format!(
            "{} position {} in batch {}: added to {}\n",
            style.green("signed"),
            count_text(signed.position),
            count_text(signed.batch),
            printable(file)
        ),
    }
}

/// What a log was compared with.
pub(super) fn comparison_text(comparison: &CheckpointComparison, style: Style) -> String {
    let mut text = Text::default();
    for refused in &comparison.refused {
        let (line, reason) = (refused.line, printable(&refused.reason));
        text.line(format!("{} on line {line}: {reason}", style.red("a checkpoint is refused")));
    }
    for line in &comparison.unfinished {
        text.line(format!("{} on line {line}", style.yellow("a checkpoint has no end")));
    }
    match comparison.compared {
        0 => text.line(style.red("compared with no checkpoint: the file has none that is good")),
        1 => text.line("compared with 1 signed checkpoint"),
        compared => text.line(format!("compared with {} signed checkpoints", count_text(compared))),
    }
    text.finish()
}

#[cfg(test)]
mod tests {
    use flexcore_api::RefusedCheckpoint;

    use super::*;

    #[test]
    fn what_is_wrong_with_checkpoints_is_named_by_its_line() {
        let comparison = CheckpointComparison {
            compared: 1_200,
            refused: vec![RefusedCheckpoint { line: 8, reason: "it is forged".to_owned() }],
            unfinished: vec![15],
        };
        insta::assert_snapshot!(comparison_text(&comparison, Style::PLAIN), @r"
        a checkpoint is refused on line 8: it is forged
        a checkpoint has no end on line 15
        compared with 1,200 signed checkpoints
        ");
        let none = CheckpointComparison { compared: 0, refused: vec![], unfinished: vec![] };
        assert!(comparison_text(&none, Style::PLAIN).contains("no checkpoint"));
    }
}
