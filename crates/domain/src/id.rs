//! Typed ids and names: a pipeline's id can never stand where an execution's is meant.

use std::{fmt, str::FromStr};

use thiserror::Error;
use uuid::Uuid;

/// Why a text is not an id or a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not {expected}")]
pub struct InvalidName {
    /// What was given.
    pub text: String,
    /// What it should have been.
    pub expected: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// What its text begins with.
            pub const PREFIX: &'static str = $prefix;
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                text.strip_prefix($prefix)
                    .filter(|digits| digits.len() == 32)
                    .and_then(|digits| Uuid::try_parse(digits).ok())
                    .map(Self)
                    .filter(|id| id.to_string() == text)
                    .ok_or_else(|| InvalidName {
                        text: text.to_owned(),
                        expected: concat!("an id of the form ", $prefix, "<32 lower-case hex digits>"),
                    })
            }
        }
    };
}

id!(
    /// The id of a pipeline.
    PipelineId, "pl_"
);
id!(
    /// The id of an execution.
    ExecutionId, "ex_"
);

id!(
    /// The id of a call of a plugin by hand.
    PluginCallId, "pc_"
);
id!(
    /// The id of an API key.
    ApiKeyId, "ak_"
);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $hyphen:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Its text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let legal = |c: char| {
                    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || ($hyphen && c == '-')
                };
                let fits = text.len() <= 63
                    && text.starts_with(|c: char| c.is_ascii_lowercase())
                    && text.chars().all(legal);
                if fits {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidName { text: text.to_owned(), expected: $expected })
                }
            }
        }
    };
}

name!(
    /// The id of a step, unique in its pipeline: `[a-z][a-z0-9_]{0,62}`.
    StepId,
    false,
    "a step id: a lower-case letter, then up to 62 lower-case letters, digits or `_`"
);
name!(
    /// The name of a pipeline, unique in its tenant: `[a-z][a-z0-9_-]{0,62}`.
    PipelineName,
    true,
    "a pipeline name: a lower-case letter, then up to 62 lower-case letters, digits, `_` or `-`"
);
name!(
    /// The name of a plugin, unique in its tenant: `[a-z][a-z0-9_-]{0,62}`.
    PluginName,
    true,
    "a plugin name: a lower-case letter, then up to 62 lower-case letters, digits, `_` or `-`"
);
name!(
    /// The name of an environment: `[a-z][a-z0-9_-]{0,62}`.
    EnvironmentName,
    true,
    "an environment name: a lower-case letter, then up to 62 lower-case letters, digits, `_` or `-`"
);

name!(
    /// The name of a role, unique in its tenant: `[a-z][a-z0-9_-]{0,62}`.
    RoleName,
    true,
    "a role's name: a lower-case letter, then up to 62 lower-case letters, digits, `_` or `-`"
);
name!(
    /// The name of a tenant: `[a-z][a-z0-9_-]{0,62}`.
    TenantName,
    true,
    "a tenant's name: a lower-case letter, then up to 62 lower-case letters, digits, `_` or `-`"
);

impl Default for TenantName {
    /// The tenant of those who set up none; it is the operator's.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl Default for EnvironmentName {
    /// The environment of those who set up none.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_parsed_strictly() {
        let id = ExecutionId(Uuid::from_u128(0x0190_abcd));
        assert_eq!(id.to_string(), "ex_0000000000000000000000000190abcd");
        assert_eq!(id.to_string().parse::<ExecutionId>().unwrap(), id);
        for wrong in ["", "ex_", "pl_0000000000000000000000000190abcd", "ex_0190ABCD"] {
            assert!(wrong.parse::<ExecutionId>().is_err(), "{wrong}");
        }
        let upper = "ex_0000000000000000000000000190ABCD";
        assert!(upper.parse::<ExecutionId>().is_err());
    }

    #[test]
    fn only_names_of_pipelines_and_environments_have_hyphens() {
        assert!("a-b".parse::<PipelineName>().is_ok());
        assert!("a-b".parse::<EnvironmentName>().is_ok());
        assert!("a-b".parse::<StepId>().is_err());
        for wrong in ["", "1a", "A", "a b", "ä", &"a".repeat(64)] {
            assert!(wrong.parse::<PipelineName>().is_err(), "{wrong}");
        }
    }
}
