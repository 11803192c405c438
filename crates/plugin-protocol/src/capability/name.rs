//! Names of environment variables and of secrets.

use std::fmt;

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// No name of an environment variable.
    #[error("an environment variable is named with letters, digits and `_`, and no digit first")]
    Variable,
    /// No name of a secret.
    #[error("a secret is named with letters, digits, `_`, `-` and `.`, and a letter or `_` first")]
    Secret,
}

/// The name of an environment variable of the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableName(String);

impl VariableName {
    /// Reads a name: `[A-Za-z_][A-Za-z0-9_]*`, at most 128 characters.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        is_name(text, b"_").then(|| Self(text.to_owned())).ok_or(InvalidName::Variable)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The name of a secret; never its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

impl SecretName {
    /// Reads a name: `[A-Za-z_][A-Za-z0-9_.-]*`, at most 128 characters.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        is_name(text, b"_.-").then(|| Self(text.to_owned())).ok_or(InvalidName::Secret)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn is_name(text: &str, marks: &[u8]) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || marks.contains(&byte);
    starts && text.len() <= 128 && text.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        assert!(VariableName::parse("TZ").is_ok());
        assert!(SecretName::parse("pg_password.v-2").is_ok());
        for wrong in ["", "1A", "A=B", "A-B", "A B", "Ä", "A*"] {
            assert_eq!(VariableName::parse(wrong), Err(InvalidName::Variable), "{wrong}");
        }
        for wrong in ["", ".a", "-a", "a/b", "*"] {
            assert_eq!(SecretName::parse(wrong), Err(InvalidName::Secret), "{wrong}");
        }
        assert!(SecretName::parse(&"a".repeat(129)).is_err());
    }
}
