//! Why a plugin is not called at all.

use flexcore_domain::{ErrorClass, PluginStatus};
use flexcore_ports::PluginError;

/// Nobody registered it, and it does not come with FlexCore.
pub(crate) const NOT_REGISTERED: &str = "FC0620";
/// An operator disabled it.
pub(crate) const DISABLED: &str = "FC0621";
/// It is in quarantine.
pub(crate) const QUARANTINED: &str = "FC0622";
/// Its circuit is open.
pub(crate) const CIRCUIT_OPEN: &str = "FC0623";
/// Plugins of its kind are not called like this.
pub(crate) const NOT_CALLABLE: &str = "FC0624";
/// Its settings are not what its schema says.
pub(crate) const WRONG_CONFIG: &str = "FC0625";
/// This node does not have its files.
pub(crate) const NO_FILES: &str = "FC0626";
/// What it wants to keep is too large.
pub(crate) const STATE_TOO_LARGE: &str = "FC0627";
/// This process calls no plugins.
pub(crate) const NO_PLUGINS_HERE: &str = "FC0628";
/// A secret that it was granted has no value.
pub(crate) const NO_SECRET: &str = "FC0629";
/// What it wants to keep holds the value of a secret.
pub(crate) const SECRET_IN_STATE: &str = "FC0683";
/// It is no Singer plugin, or not one for this end of a sync.
pub(crate) const NO_SINGER: &str = "FC0684";

/// A call that was refused before it began; nothing is the plugin's fault.
pub(crate) fn refused(code: &'static str, message: impl Into<String>) -> PluginError {
    PluginError {
        class: ErrorClass::Refused,
        code,
        message: message.into(),
        is_fault: false,
        cancelled: false,
        stderr_tail: vec![],
    }
}

/// There is no plugin of that name.
pub(crate) fn not_registered(name: &str) -> PluginError {
    let message = format!(
        "there is no plugin `{name}`; `flexcore plugin list` shows those that there are, and \
         `flexcore plugin register PATH` adds one"
    );
    refused(NOT_REGISTERED, message)
}

/// A call that was cancelled before it began.
pub(crate) fn cancelled() -> PluginError {
    PluginError { cancelled: true, ..refused(NOT_CALLABLE, "the call was cancelled") }
}

/// What keeps a plugin from being called where it stands, if anything does.
pub(crate) fn stopped(name: &str, status: &PluginStatus) -> Option<PluginError> {
    let because = status.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
    let enable = format!("`flexcore plugin enable {name}` lets it be called again");
    match status {
        PluginStatus::Disabled { .. } => {
            Some(refused(DISABLED, format!("plugin `{name}` is disabled{because}; {enable}")))
        }
        PluginStatus::Quarantined { .. } => Some(refused(
            QUARANTINED,
            format!("plugin `{name}` is in quarantine{because}; {enable}"),
        )),
        _ => None,
    }
}
