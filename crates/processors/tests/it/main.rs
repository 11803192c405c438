//! The first-party plugins as processes.

mod json_transform;
mod manifests;
mod postgres;
mod validator;

use flexcore_plugin_sdk::testing::TestPlugin;
use serde_json::Value;

/// Serves the plugins as the product's executable does.
const SERVE: &str = env!("CARGO_BIN_EXE_flexcore-processors-serve");

async fn started(name: &str) -> TestPlugin {
    TestPlugin::start(&[SERVE, "plugin-serve", name]).await.expect("the plugin starts")
}

async fn initialized(name: &str, config: &Value) -> TestPlugin {
    let plugin = started(name).await;
    plugin.initialize(config, &[]).await.expect("these settings are right");
    plugin
}
