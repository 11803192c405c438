//! The one clear question: whether steps may have what they ask for.

use flexcore_app::MissingGrants;

use crate::{Place, failure::Failure, session::Session};

/// Shows what is missing and writes it into the operator's grants: at once if that was asked for,
/// on a terminal after a question. Whether it did.
pub(super) fn offer(
    session: &Session<'_>,
    place: &Place,
    missing: &MissingGrants,
    is_wanted: bool,
) -> Result<bool, Failure> {
    if !is_wanted && !session.output.is_interactive() {
        return Ok(false);
    }
    let file = missing.file.display();
    session.output.message(&format!("{missing}\n\nto {file}:\n{}\n", missing.lines.trim_end()));
    if !is_wanted && !said_yes(session) {
        return Ok(false);
    }
    session.host.grant(place, &missing.lines)?;
    session.output.note(&format!("granted, in {file}"));
    Ok(true)
}

fn said_yes(session: &Session<'_>) -> bool {
    session.output.message("grant these? [y/N] ");
    // Who cannot be asked did not say yes.
    let answer = session.output.read_line().unwrap_or_default();
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
