//! What a program that failed in its jail may have lacked, judged by its last words.

use flexcore_domain::{Isolation, IsolationPlace, StepId};
use flexcore_plugin_protocol::{CapabilityKind, Effective};
use flexcore_ports::attempt::AttemptError;

/// What programs say when there is no network, in small letters.
const NO_NETWORK: [&str; 12] = [
    "network is unreachable",
    "network unreachable",
    "enetunreach",
    "eai_again",
    "temporary failure in name resolution",
    "name or service not known",
    "could not resolve",
    "failed to resolve",
    "could not translate host name",
    "no such host",
    "connection refused",
    "econnrefused",
];
/// What they say when they may not write.
const NOT_WRITABLE: [&str; 2] = ["read-only file system", "erofs"];

/// Adds to an error what to do about it, if the jail may be its cause.
pub(super) fn add(
    step: &StepId,
    error: &mut AttemptError,
    effective: &Effective,
    isolation: &[Isolation],
) {
    let jailed = |one: &Isolation| matches!(one.place, IsolationPlace::Jail { .. });
    if !isolation.iter().any(jailed) {
        return;
    }
    let said = |words: &[&str]| {
        let mut lines = error.stderr_tail.iter().chain([&error.message]);
        lines.any(|line| {
            let line = line.to_lowercase();
            words.iter().any(|word| line.contains(word))
        })
    };
    let mut hints = Vec::new();
    if said(&NO_NETWORK) {
        hints.push(no_network(step, effective));
    }
    if said(&NOT_WRITABLE) {
        hints.push(format!(
            "step `{step}` may write to the project's `writable` folders, to FLEXCORE_WORK and to \
             TMPDIR; to let it write elsewhere, add the folder to `writable` in flexcore.yaml, or ask \
             for it with `capabilities: {{ fs_write: [PATH] }}`"
        ));
    }
    for hint in hints {
        error.message.push_str("\nhint: ");
        error.message.push_str(&hint);
    }
}

fn no_network(step: &StepId, effective: &Effective) -> String {
    let network = effective.capabilities.iter();
    let granted: Vec<String> = network
        .filter(|one| one.kind() == CapabilityKind::Network)
        .filter_map(flexcore_plugin_protocol::Capability::target)
        .collect();
    let ask = "`capabilities: { network: [\"tcp://HOST:PORT\"] }`";
    if granted.is_empty() {
        format!("step `{step}` runs without network; to let it connect, add {ask} to it")
    } else {
        format!(
            "step `{step}` may connect to {} and to nothing else; to let it connect elsewhere, name \
             that in {ask}",
            granted.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use flexcore_domain::ErrorClass;
    use flexcore_plugin_protocol::{Capabilities, Capability};

    use super::*;

    fn hinted(line: &str, network: &[&str], place: IsolationPlace) -> String {
        let mut error = AttemptError {
            class: ErrorClass::ExitCode,
            message: "it failed".into(),
            exit_code: Some(1),
            stderr_tail: vec![line.to_owned()],
        };
        let parse =
            |target: &&str| Capability::from_parts(CapabilityKind::Network, Some(target)).unwrap();
        let capabilities: Capabilities = network.iter().map(parse).collect();
        let effective = Effective { capabilities, ..Effective::default() };
        let isolation = [Isolation { part: String::new(), place, controls: vec![] }];
        add(&"load".parse().unwrap(), &mut error, &effective, &isolation);
        error.message
    }

    fn jail() -> IsolationPlace {
        IsolationPlace::Jail { tier: "root".into() }
    }

    #[test]
    fn a_program_without_network_is_told_how_to_ask_for_it() {
        let said = hinted("curl: (6) Could not resolve host: example.com", &[], jail());
        assert!(said.contains("step `load` runs without network"), "{said}");
        let said = hinted("connect: Network is unreachable", &["tcp://db:5432"], jail());
        assert!(said.contains("may connect to tcp://db:5432 and to nothing else"), "{said}");
    }

    #[test]
    fn a_program_that_may_not_write_is_told_where_it_may() {
        let said = hinted("touch: cannot touch 'x': Read-only file system", &[], jail());
        assert!(said.contains("add the folder to `writable`"), "{said}");
    }

    #[test]
    fn other_words_and_other_places_are_left_alone() {
        assert_eq!(hinted("no such file", &[], jail()), "it failed");
        let out = hinted("Network is unreachable", &[], IsolationPlace::Unconfined);
        assert_eq!(out, "it failed");
    }
}
