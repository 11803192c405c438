//! What the host says in the environment.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// The version of the plugin's protocol: `flexcore.plugin.v1`.
const APP_VERSION: &str = "1";

/// What the host said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    /// Where the socket is to be.
    pub(crate) socket_folder: PathBuf,
}

/// Why the plugin cannot go on with this environment.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum EnvironmentError {
    /// Somebody started it by hand.
    #[error(
        "this program is a plugin of FlexCore and does nothing by itself.\n\
         Try it with `flexcore plugin conformance FOLDER`, where FOLDER holds its plugin.toml; \
         register it with `flexcore plugin register FOLDER`.\n\
         (A host sets {key}; if one did start this, its `magic_cookie` differs.)"
    )]
    NoHost {
        /// The variable that a host sets.
        key: String,
    },
    #[error(
        "the host speaks the versions {offered} of the plugin protocol, and this plugin speaks \
         {APP_VERSION}; `[grpc] app_versions` in plugin.toml says what it speaks"
    )]
    Versions {
        /// What the host speaks.
        offered: String,
    },
    #[error("the host wants TLS between the two, which is not supported: turn AutoMTLS off")]
    Tls,
}

impl Environment {
    pub(crate) fn read(
        cookie: &(String, String),
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, EnvironmentError> {
        if variable(&cookie.0).is_none_or(|value| value != *cookie.1) {
            return Err(EnvironmentError::NoHost { key: cookie.0.clone() });
        }
        // Hosts that offer one version only may leave it out.
        if let Some(offered) = variable("PLUGIN_PROTOCOL_VERSIONS") {
            let offered = offered.to_string_lossy().into_owned();
            if !offered.split(',').any(|version| version.trim() == APP_VERSION) {
                return Err(EnvironmentError::Versions { offered });
            }
        }
        if variable("PLUGIN_CLIENT_CERT").is_some_and(|certificate| !certificate.is_empty()) {
            return Err(EnvironmentError::Tls);
        }
        let folder = ["PLUGIN_UNIX_SOCKET_DIR", "TMPDIR"]
            .into_iter()
            .find_map(|name| variable(name).filter(|folder| !folder.is_empty()));
        let socket_folder = folder.map_or_else(|| Path::new("/tmp").to_owned(), PathBuf::from);
        Ok(Self { socket_folder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Environment, EnvironmentError> {
        let cookie = ("COOKIE".to_owned(), "value".to_owned());
        Environment::read(&cookie, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_host_says_where_the_socket_is_to_be() {
        let host = [("COOKIE", "value"), ("PLUGIN_PROTOCOL_VERSIONS", "2,1"), ("TMPDIR", "/t")];
        assert_eq!(read(&host).unwrap().socket_folder, Path::new("/t"));
        let newer = [("COOKIE", "value"), ("TMPDIR", "/t"), ("PLUGIN_UNIX_SOCKET_DIR", "/run/p")];
        assert_eq!(read(&newer).unwrap().socket_folder, Path::new("/run/p"));
        assert_eq!(read(&[("COOKIE", "value")]).unwrap().socket_folder, Path::new("/tmp"));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        assert!(read(&[]).unwrap_err().to_string().contains("flexcore plugin conformance"));
        assert!(matches!(read(&[("COOKIE", "x")]), Err(EnvironmentError::NoHost { .. })));
        let newer = [("COOKIE", "value"), ("PLUGIN_PROTOCOL_VERSIONS", "2,11")];
        assert!(matches!(read(&newer), Err(EnvironmentError::Versions { .. })));
        let tls = [("COOKIE", "value"), ("PLUGIN_CLIENT_CERT", "-----BEGIN")];
        assert_eq!(read(&tls), Err(EnvironmentError::Tls));
    }
}
