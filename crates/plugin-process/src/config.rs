//! Settings as a process is given them.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use bytes::Bytes;
use flexcore_plugin_protocol::SecretName;
use serde_json::Value;

/// What tells settings apart, without keeping a secret.
pub(crate) type SettingsMark = (u64, u64);

/// Settings of one call.
#[derive(Clone, Copy)]
pub(crate) struct Settings<'a> {
    pub(crate) config: &'a Value,
    pub(crate) secrets: &'a [(SecretName, String)],
}

impl Settings<'_> {
    /// The settings as they go to the plugin.
    pub(crate) fn config_json(&self) -> String {
        if self.config.is_null() { "{}".to_owned() } else { self.config.to_string() }
    }

    /// The values of secrets as they go to the plugin.
    pub(crate) fn secrets(&self) -> HashMap<String, Bytes> {
        let secret = |(name, value): &(SecretName, String)| {
            (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes()))
        };
        self.secrets.iter().map(secret).collect()
    }

    /// A mark of the settings: equal for equal ones. It lives only as long as its process, which
    /// knows the settings anyway.
    pub(crate) fn mark(&self) -> SettingsMark {
        let hash = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            self.config.hash(&mut hasher);
            for (name, value) in self.secrets {
                (name.as_str(), value).hash(&mut hasher);
            }
            hasher.finish()
        };
        (hash(0), hash(1))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_told_apart_by_values_and_by_secrets() {
        let secrets = |value: &str| vec![(SecretName::parse("token").unwrap(), value.to_owned())];
        let mark =
            |config: &Value, secrets: &[(SecretName, String)]| Settings { config, secrets }.mark();
        let (one, two) = (json!({"a": 1, "b": [null]}), json!({"b": [null], "a": 1}));
        assert_eq!(mark(&one, &secrets("x")), mark(&two, &secrets("x")));
        assert_ne!(mark(&one, &secrets("x")), mark(&one, &secrets("y")));
        assert_ne!(mark(&one, &[]), mark(&json!({"a": 2}), &[]));
        assert_eq!(Settings { config: &Value::Null, secrets: &[] }.config_json(), "{}");
    }
}
