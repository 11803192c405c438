//! The SDK as a plugin's process shows it to a host.

mod calls;
mod hostile;
mod process;

use flexcore_plugin_sdk::testing::TestPlugin;
use serde_json::json;

/// The plugin of these tests.
const AUTHOR: &str = env!("CARGO_BIN_EXE_flexcore-plugin-sdk-author");

async fn started() -> TestPlugin {
    TestPlugin::start(&[AUTHOR]).await.expect("the author's plugin starts")
}

async fn initialized() -> TestPlugin {
    let plugin = started().await;
    let config = json!({"greeting": "Hello"});
    plugin.initialize(&config, &[("token", "12345")]).await.expect("these settings are right");
    plugin
}
