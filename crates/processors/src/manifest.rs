//! Manifests, made for the executable that serves the plugins.

use std::path::Path;

use flexcore_plugin_sdk::PluginType;
use serde_json::json;

use crate::registry::{VERSION, description, info};

/// What a plugin of ours asks for. Only the PostgreSQL processor has a use for it: which server it
/// talks to is a matter of its settings, and so nothing that its author can know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asks {
    /// The servers, such as `tcp://db.example.com:5432`.
    pub network: Vec<String>,
    /// The names of secrets.
    pub secrets: Vec<String>,
}

/// The text of a plugin's `plugin.toml`, as `executable` serves it with the arguments
/// `plugin-serve NAME`; `None` if there is no plugin of that name.
pub fn manifest_text(name: &str, executable: &Path) -> Option<String> {
    manifest_text_with(name, executable, &Asks::default())
}

/// The same, with what it asks for.
pub fn manifest_text_with(name: &str, executable: &Path, asks: &Asks) -> Option<String> {
    let (info, description) = (info(name)?, description(name)?);
    let plugin_type = match info.plugin_type {
        PluginType::Extractor => "extractor",
        PluginType::Loader => "loader",
        PluginType::Transformer => "transformer",
        PluginType::Processor => "processor",
    };
    let entrypoint = json!([executable.to_string_lossy(), "plugin-serve", name]);
    let stateless = info.stateless;
    // A JSON string or list of strings is one of TOML too.
    let (network, secrets) = (json!(asks.network), json!(asks.secrets));
    Some(format!(
        "manifest = 1\n\n\
         [plugin]\n\
         name = \"{name}\"\n\
         version = \"{VERSION}\"\n\
         description = {}\n\
         kind = \"process\"\n\
         type = \"{plugin_type}\"\n\
         entrypoint = {entrypoint}\n\
         api = \"flexcore.plugin.v1\"\n\n\
         [capabilities]\n\
         network = {network}\n\
         secrets = {secrets}\n\n\
         [pool]\n\
         reuse_across_tenants = {stateless}\n",
        json!(description)
    ))
}
