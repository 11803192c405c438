//! The words of permissions.

use std::{fmt, str::FromStr};

use crate::InvalidName;

/// The longest text of a permission, in bytes.
const MAX_LENGTH: usize = 63;

/// What may be done: `pipeline.execute`, `pipeline.*` for everything of one subject, `*` for
/// everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(String);

impl Permission {
    /// Everything.
    pub fn everything() -> Self {
        Self("*".to_owned())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is about, such as `pipeline`; `*` for everything.
    pub fn subject(&self) -> &str {
        self.0.split_once('.').map_or("*", |(subject, _)| subject)
    }

    /// Whether whoever has this one may do what `other` says.
    pub fn covers(&self, other: &str) -> bool {
        let of_subject = || {
            let subject = self.0.strip_suffix(".*")?;
            other.strip_prefix(subject)?.strip_prefix('.')
        };
        self.0 == "*" || self.0 == other || of_subject().is_some()
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Permission {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let is_word = |word: &str| {
            !word.is_empty() && word.chars().all(|c| matches!(c, 'a'..='z' | '_' | '-'))
        };
        let fits = text.len() <= MAX_LENGTH
            && (text == "*"
                || text.split_once('.').is_some_and(|(subject, action)| {
                    is_word(subject) && (action == "*" || is_word(action))
                }));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            let expected = "a permission: `subject.action`, `subject.*` or `*`";
            Err(InvalidName { text: text.to_owned(), expected })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(text: &str) -> Permission {
        text.parse().unwrap()
    }

    #[test]
    fn a_permission_covers_itself_and_what_is_narrower() {
        let pipelines = permission("pipeline.*");
        for covered in ["pipeline.read", "pipeline.execute", "pipeline.*"] {
            assert!(pipelines.covers(covered), "{covered}");
        }
        for other in ["*", "pipelines.read", "pipeline", "execution.read", ""] {
            assert!(!pipelines.covers(other), "{other}");
        }
        assert!(permission("pipeline.read").covers("pipeline.read"));
        assert!(!permission("pipeline.read").covers("pipeline.*"));
        assert!(Permission::everything().covers("*"));
        assert!(Permission::everything().covers("system.read"));
    }

    #[test]
    fn only_words_are_permissions() {
        for right in ["*", "a.b", "data_stream.read", "plugin.*", "system.plugin-files"] {
            assert_eq!(permission(right).as_str(), right);
        }
        assert_eq!(permission("plugin.*").subject(), "plugin");
        assert_eq!(permission("*").subject(), "*");
        let long = format!("{}.read", "a".repeat(60));
        for wrong in ["", ".", "a", "a.", ".a", "*.read", "a.b.c", "A.b", "a.**", "a b.c", &long] {
            assert!(wrong.parse::<Permission>().is_err(), "{wrong}");
        }
    }
}
