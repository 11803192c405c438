//! Secrets in environment variables.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::OsStrExt,
};

use async_trait::async_trait;
use flexcore_ports::SecretError;

use crate::SecretProvider;

/// Secrets from environment variables with a prefix: with `FLEXCORE_SECRET_`, the secret `DB` is
/// the value of `FLEXCORE_SECRET_DB`, taken as it is.
///
/// Names are matched exactly, letter case included. A variable that is set and empty is a secret
/// with an empty value. Variables without the prefix are not kept.
pub struct EnvSecrets {
    prefix: String,
    /// By secret name, so without the prefix.
    values: BTreeMap<OsString, OsString>,
}

impl EnvSecrets {
    /// The secrets among the variables of `environment`, which comes from whoever may read the
    /// process environment.
    pub fn new(
        prefix: impl Into<String>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let prefix = prefix.into();
        let values = environment
            .into_iter()
            .filter_map(|(name, value)| {
                let name = name.as_bytes().strip_prefix(prefix.as_bytes())?;
                Some((OsStr::from_bytes(name).to_owned(), value))
            })
            .collect();
        Self { prefix, values }
    }
}

#[async_trait]
impl SecretProvider for EnvSecrets {
    async fn find(&self, name: &str) -> Result<Option<String>, SecretError> {
        let Some(value) = self.values.get(OsStr::new(name)) else {
            return Ok(None);
        };
        match value.to_str() {
            Some(value) => Ok(Some(value.to_owned())),
            None => Err(SecretError::Unreadable {
                name: name.to_owned(),
                place: self.place(name),
                reason: "its value is not UTF-8".to_owned(),
            }),
        }
    }

    fn place(&self, name: &str) -> String {
        format!("environment variable {}{name}", self.prefix)
    }
}

impl fmt::Debug for EnvSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EnvSecrets")
            .field("prefix", &self.prefix)
            .field("names", &self.values.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;
    use crate::testing::ready;

    fn find(secrets: &EnvSecrets, name: &str) -> Result<Option<String>, SecretError> {
        ready(secrets.find(name))
    }

    fn secrets(variables: &[(&str, &[u8])]) -> EnvSecrets {
        let variables = variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from_vec(value.to_vec())));
        EnvSecrets::new("S_", variables)
    }

    #[test]
    fn only_variables_with_the_prefix_are_secrets() {
        let secrets = secrets(&[("S_DB", b"one"), ("DB", b"two"), ("PATH", b"three")]);
        assert_eq!(find(&secrets, "DB").unwrap().as_deref(), Some("one"));
        for other in ["S_DB", "PATH", "db", "", "X"] {
            assert_eq!(find(&secrets, other).unwrap(), None, "{other}");
        }
        let shown = format!("{secrets:?}");
        assert!(!shown.contains("PATH"), "{shown}");
    }

    #[test]
    fn values_are_taken_as_they_are() {
        let secrets = secrets(&[("S_LINE", b" a\n"), ("S_EMPTY", b"")]);
        assert_eq!(find(&secrets, "LINE").unwrap().as_deref(), Some(" a\n"));
        assert_eq!(find(&secrets, "EMPTY").unwrap().as_deref(), Some(""));
    }

    #[test]
    fn a_value_that_is_not_text_is_an_error_that_does_not_show_it() {
        let secrets = secrets(&[("S_RAW", b"half\xff")]);
        let message = find(&secrets, "RAW").unwrap_err().to_string();
        assert_eq!(
            message,
            "secret `RAW` cannot be read from environment variable S_RAW: its value is not UTF-8"
        );
    }
}
