//! The whole environment of a go-plugin process.

use std::collections::BTreeMap;

use crate::capability::{Capabilities, Capability};

/// What goes into the environment of a plugin. Nothing of the host's own environment does, but
/// for the variables that were granted.
#[derive(Debug, Clone, Copy)]
pub struct PluginEnvironment<'a> {
    /// The variable by which the program knows that it is run as a plugin, and its value.
    pub cookie: (&'a str, &'a str),
    /// The versions of the plugin's protocol that the host speaks.
    pub app_versions: &'a [u32],
    /// The folder for sockets, as the plugin sees it.
    pub socket_folder: &'a str,
    /// Whether all connections are to go over one socket.
    pub multiplex: bool,
    /// What the plugin was granted; of this, the environment variables.
    pub capabilities: &'a Capabilities,
}

impl PluginEnvironment<'_> {
    /// The variables. `host` gives the host's value of a granted one.
    pub fn variables(
        &self,
        mut host: impl FnMut(&str) -> Option<String>,
    ) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for capability in self.capabilities.iter() {
            if let Capability::Env(name) = capability
                && let Some(value) = host(name.as_str())
            {
                variables.insert(name.to_string(), value);
            }
        }
        // After the granted ones, so that none of those can change how the plugin is reached.
        let versions: Vec<String> = self.app_versions.iter().map(u32::to_string).collect();
        let fixed = [
            (self.cookie.0, self.cookie.1.to_owned()),
            ("PLUGIN_PROTOCOL_VERSIONS", versions.join(",")),
            // Asked for by plugins that could listen on TCP; the jail has nothing to listen on.
            ("PLUGIN_MIN_PORT", "10000".to_owned()),
            ("PLUGIN_MAX_PORT", "25000".to_owned()),
            ("PLUGIN_UNIX_SOCKET_DIR", self.socket_folder.to_owned()),
            // Plugins made with go-plugin before 1.5 know only this.
            ("TMPDIR", self.socket_folder.to_owned()),
        ];
        variables.extend(fixed.map(|(name, value)| (name.to_owned(), value)));
        for name in ["PLUGIN_CLIENT_CERT", "PLUGIN_MULTIPLEX_GRPC", "PLUGIN_UNIX_SOCKET_GROUP"] {
            variables.remove(name);
        }
        if self.multiplex {
            variables.insert("PLUGIN_MULTIPLEX_GRPC".to_owned(), "true".to_owned());
        }
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::VariableName;

    #[test]
    fn only_what_was_granted_comes_from_the_host() {
        let names = ["TZ", "TMPDIR", "PLUGIN_CLIENT_CERT", "MISSING"];
        let capabilities =
            names.map(|name| Capability::Env(VariableName::parse(name).unwrap())).into_iter();
        let environment = PluginEnvironment {
            cookie: ("COOKIE", "value"),
            app_versions: &[1, 2],
            socket_folder: "/run/plugin",
            multiplex: true,
            capabilities: &capabilities.collect(),
        };
        let mut asked = Vec::new();
        let variables = environment.variables(|name| {
            asked.push(name.to_owned());
            (name != "MISSING").then(|| "host".to_owned())
        });
        let shown: Vec<String> =
            variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            shown,
            [
                "COOKIE=value",
                "PLUGIN_MAX_PORT=25000",
                "PLUGIN_MIN_PORT=10000",
                "PLUGIN_MULTIPLEX_GRPC=true",
                "PLUGIN_PROTOCOL_VERSIONS=1,2",
                "PLUGIN_UNIX_SOCKET_DIR=/run/plugin",
                "TMPDIR=/run/plugin",
                "TZ=host",
            ]
        );
        assert_eq!(asked, ["MISSING", "PLUGIN_CLIENT_CERT", "TMPDIR", "TZ"]);
    }
}
