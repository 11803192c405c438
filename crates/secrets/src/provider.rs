//! The list of providers, which is what the core asks.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use flexcore_ports::{Mask, SecretError, Secrets};

use crate::SecretMask;

/// One place that secrets come from.
#[async_trait]
pub trait SecretProvider: Send + Sync + Debug {
    /// The value of a secret; `None` if this provider does not have it.
    ///
    /// # Errors
    /// [`SecretError::Unreadable`] if it cannot tell, or has something that is not a text.
    async fn find(&self, name: &str) -> Result<Option<String>, SecretError>;

    /// Where it looks for a secret, for a person: a variable, a file.
    fn place(&self, name: &str) -> String;
}

/// An ordered list of providers: the first that has a secret wins.
///
/// A provider that fails ends the search. To go on to the next one would hand out another value
/// than the operator meant, for as long as the failure lasts.
#[derive(Debug)]
pub struct ProvidedSecrets {
    providers: Vec<Box<dyn SecretProvider>>,
    mask: Arc<SecretMask>,
}

impl ProvidedSecrets {
    /// Secrets from `providers` in this order; their values become known to `mask`.
    pub fn new(providers: Vec<Box<dyn SecretProvider>>, mask: Arc<SecretMask>) -> Self {
        Self { providers, mask }
    }

    fn looked_for(&self, name: &str) -> String {
        if self.providers.is_empty() {
            return "no place: `secrets` in flexcore.yaml is an empty list".to_owned();
        }
        let places: Vec<_> = self.providers.iter().map(|provider| provider.place(name)).collect();
        places.join(", ")
    }
}

#[async_trait]
impl Secrets for ProvidedSecrets {
    async fn get(&self, name: &str) -> Result<String, SecretError> {
        for provider in &self.providers {
            if let Some(value) = provider.find(name).await? {
                self.mask.hide(&value);
                return Ok(value);
            }
        }
        Err(SecretError::NotFound { name: name.to_owned(), looked_for: self.looked_for(name) })
    }

    fn mask(&self) -> Arc<dyn Mask> {
        self.mask.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{EnvSecrets, FileSecrets, testing::ready};

    fn environment(variables: &[(&str, &str)]) -> Box<dyn SecretProvider> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Box::new(EnvSecrets::new("FLEXCORE_SECRET_", variables))
    }

    #[test]
    fn the_first_provider_that_has_a_secret_wins() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("BOTH"), "from the file\n").unwrap();
        fs::write(folder.path().join("FILE_ONLY"), "from the file\n").unwrap();
        let secrets = ProvidedSecrets::new(
            vec![
                environment(&[("FLEXCORE_SECRET_BOTH", "from the environment")]),
                Box::new(FileSecrets::new(folder.path())),
            ],
            Arc::default(),
        );
        assert_eq!(ready(secrets.get("BOTH")).unwrap(), "from the environment");
        assert_eq!(ready(secrets.get("FILE_ONLY")).unwrap(), "from the file");
    }

    #[test]
    fn a_missing_secret_names_every_place_in_order() {
        let secrets = ProvidedSecrets::new(
            vec![environment(&[]), Box::new(FileSecrets::new("/nowhere/at/all"))],
            Arc::default(),
        );
        assert_eq!(
            ready(secrets.get("DB")).unwrap_err().to_string(),
            "secret `DB` is not set; looked for environment variable FLEXCORE_SECRET_DB, \
             file /nowhere/at/all/DB"
        );
    }

    #[test]
    fn without_providers_the_error_says_where_to_add_one() {
        let secrets = ProvidedSecrets::new(Vec::new(), Arc::default());
        let message = ready(secrets.get("DB")).unwrap_err().to_string();
        assert!(message.contains("flexcore.yaml"), "{message}");
    }

    #[test]
    fn a_provider_that_fails_ends_the_search() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("DB"), [0xff]).unwrap();
        let secrets = ProvidedSecrets::new(
            vec![
                Box::new(FileSecrets::new(folder.path())),
                environment(&[("FLEXCORE_SECRET_DB", "another value")]),
            ],
            Arc::default(),
        );
        assert!(matches!(ready(secrets.get("DB")), Err(SecretError::Unreadable { .. })));
    }

    #[test]
    fn a_value_is_masked_from_the_moment_it_is_handed_out() {
        let secrets = ProvidedSecrets::new(
            vec![environment(&[("FLEXCORE_SECRET_DB", "hunter2!")])],
            Arc::default(),
        );
        let mask = secrets.mask();
        assert_eq!(mask.apply("password hunter2!"), "password hunter2!");
        ready(secrets.get("DB")).unwrap();
        assert_eq!(mask.apply("password hunter2!"), "password ***");
    }

    #[test]
    fn debug_output_shows_no_value() {
        let secrets = ProvidedSecrets::new(
            vec![environment(&[("FLEXCORE_SECRET_DB", "hunter2!")])],
            Arc::default(),
        );
        ready(secrets.get("DB")).unwrap();
        let shown = format!("{secrets:?} {:?}", secrets.mask());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("FLEXCORE_SECRET_"), "{shown}");
    }
}
