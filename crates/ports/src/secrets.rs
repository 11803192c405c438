//! Secrets: values by reference, and the mask that keeps them out of what people read.

use async_trait::async_trait;
use thiserror::Error;

/// Why a secret has no value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretError {
    /// No provider knows it.
    #[error("secret `{name}` is not set; looked for {looked_for}")]
    NotFound {
        /// Its name.
        name: String,
        /// The places that were looked at, for a person.
        looked_for: String,
    },
    /// A provider failed.
    #[error("secret `{name}` cannot be read from {place}: {reason}")]
    Unreadable {
        /// Its name.
        name: String,
        /// Where it should have been.
        place: String,
        /// What went wrong.
        reason: String,
    },
}

/// Where secret values come from.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The value of a secret. From then on the [`Mask`] hides it.
    ///
    /// # Errors
    /// [`SecretError`] if no provider has it, or one failed.
    async fn get(&self, name: &str) -> Result<String, SecretError>;

    /// The mask that knows every value that was handed out.
    fn mask(&self) -> std::sync::Arc<dyn Mask>;
}

/// Hides known secret values.
pub trait Mask: Send + Sync + std::fmt::Debug {
    /// `text` with every known secret value replaced by `***`.
    fn apply<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str>;

    /// Whether `text` holds a known secret value, in any form, that is too long to be there by
    /// chance. For texts that cannot be masked without becoming other texts.
    fn finds(&self, text: &str) -> bool;
}
