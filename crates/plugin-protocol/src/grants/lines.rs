//! The lines for `grants.toml` that grant what was refused.

use super::{Grants, Subject};
use crate::capability::{Capability, CapabilityKind};
use crate::diagnostic::Diagnostics;

/// The head of a file that is not there yet.
const HEAD: &str = "grants = 1\n";

/// The `[[grant]]` that grants some capabilities to somebody; empty if there are none.
///
/// ```
/// # use flexcore_plugin_protocol::{Capability, Endpoint, Subject, grant_lines};
/// let subject = Subject { plugin: Some("tap-postgres".into()), ..Subject::default() };
/// let missing = [Capability::Network(Endpoint::parse("tcp://db:5432")?)];
/// assert_eq!(
///     grant_lines(&subject, missing.iter()),
///     "[[grant]]\nplugin = \"tap-postgres\"\nnetwork = [\"tcp://db:5432\"]\n"
/// );
/// # Ok::<(), flexcore_plugin_protocol::InvalidEndpoint>(())
/// ```
pub fn grant_lines<'a>(
    subject: &Subject,
    capabilities: impl Iterator<Item = &'a Capability>,
) -> String {
    let capabilities: Vec<&Capability> = capabilities.collect();
    if capabilities.is_empty() {
        return String::new();
    }
    let mut lines = vec!["[[grant]]".to_owned()];
    lines.extend(subject.parts().map(|(key, part)| format!("{key} = {}", quoted(part))));
    for kind in CapabilityKind::ALL {
        let of_kind: Vec<&&Capability> =
            capabilities.iter().filter(|one| one.kind() == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let targets: Vec<String> =
            of_kind.iter().filter_map(|one| one.target()).map(|target| quoted(&target)).collect();
        let value = if targets.is_empty() {
            "true".to_owned()
        } else {
            format!("[{}]", targets.join(", "))
        };
        lines.push(format!("{} = {value}", kind.key()));
    }
    lines.join("\n") + "\n"
}

/// The text of a grants file with more lines at its end; a file that is empty gets its head too.
///
/// # Errors
///
/// What is wrong with the file as it is, or with what it would become, so that nothing is written
/// that could not be read again.
pub fn append_grant(name: &str, file: &str, lines: &str) -> Result<String, Diagnostics> {
    let start = if file.trim().is_empty() { HEAD } else { file };
    Grants::parse(name, start)?;
    let gap = if start.ends_with('\n') { "\n" } else { "\n\n" };
    let text = format!("{start}{gap}{lines}");
    Grants::parse(name, &text)?;
    Ok(text)
}

/// A text as TOML writes it between quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                let code = format!("\\U{:08X}", u32::from(control));
                quoted.push_str(&code);
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
