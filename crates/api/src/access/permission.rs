//! Every permission that there is.

use std::collections::BTreeSet;

use crate::{Command, Query};

/// The subject of what every caller may do, whoever it is.
pub const OWN_SUBJECT: &str = "self";

/// The subject of what concerns the system as a whole, and so every tenant: only callers of the
/// operator's tenant can have it.
const SYSTEM: &str = "system";

/// Permissions that no request stands for by itself: parts of requests ask for them.
const OTHERS: [&str; 3] = ["system.events", "system.plugin-files", "system.tenants"];

/// All of them, as requests ask for them.
pub fn permissions() -> BTreeSet<&'static str> {
    let mut all = BTreeSet::from(OTHERS);
    macro_rules! add_commands {
        ($($command:ident),* $(,)?) => { $(all.insert(<crate::$command as Command>::PERMISSION);)* };
    }
    macro_rules! add_queries {
        ($($query:ident),* $(,)?) => { $(all.insert(<crate::$query as Query>::PERMISSION);)* };
    }
    crate::for_each_command!(add_commands);
    crate::for_each_query!(add_queries);
    all
}

/// Whether a permission concerns the system as a whole.
pub fn is_of_the_system(permission: &str) -> bool {
    permission.split_once('.').is_some_and(|(subject, _)| subject == SYSTEM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_is_a_subject_and_an_action() {
        let is_word = |word: &str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '-')
        };
        for permission in permissions() {
            let parts = permission.split_once('.');
            assert!(
                parts.is_some_and(|(subject, action)| is_word(subject) && is_word(action)),
                "{permission}"
            );
        }
    }

    #[test]
    fn what_concerns_every_tenant_is_of_the_system() {
        assert!(is_of_the_system("system.prune"));
        assert!(is_of_the_system("system.*"));
        assert!(!is_of_the_system("pipeline.read"));
        assert!(!is_of_the_system("*"));
    }
}
