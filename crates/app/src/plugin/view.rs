//! Plugins as callers see them.

use flexcore_api::{PluginCallCounts, PluginView, RegisteredView};
use flexcore_domain::{InvalidName, Plugin, PluginName, plugin::PluginCalls};
use flexcore_ports::{PluginKey, PluginRole, PluginRow};

use super::{BuiltInPlugin, find::FoundPlugin};
use crate::{RequestContext, Services, UseCaseError, format_time, plugin::find::Asker};

/// The role that a caller names.
pub(super) fn role(text: &str) -> Result<PluginRole, UseCaseError> {
    text.parse().map_err(|error: InvalidName| UseCaseError::invalid(error.to_string()))
}

/// A row of the inventory.
pub(super) fn view(row: PluginRow) -> PluginView {
    PluginView {
        name: row.key.name,
        role: row.key.role.to_string(),
        pipelines: row.pipelines,
        attempts: row.attempts,
        failures: row.failures,
        last_used_at: row.last_used_at.map(format_time),
        last_failed_at: row.last_failed_at.map(format_time),
        last_error: row.last_error,
        registered: None,
    }
}

/// A plugin that the inventory does not have.
pub(super) fn never_used(key: PluginKey) -> PluginView {
    view(PluginRow {
        key,
        pipelines: 0,
        attempts: 0,
        failures: 0,
        last_used_at: None,
        last_failed_at: None,
        last_error: None,
    })
}

impl Services {
    /// The row with what its own events say, or what comes with FlexCore under that name.
    pub(super) async fn with_registration(
        &self,
        context: &RequestContext,
        row: PluginView,
    ) -> Result<PluginView, UseCaseError> {
        if row.role != PluginRole::Plugin.as_str() {
            return Ok(row);
        }
        let Ok(name) = row.name.parse::<PluginName>() else { return Ok(row) };
        let built_in = self.built_in(&row.name);
        let registered = match (self.load_plugin(context, &name).await?, built_in) {
            (Some(plugin), built_in) => Some(registered(&plugin, built_in.is_some())),
            (None, Some(built_in)) => {
                let found = FoundPlugin::built_in(built_in, None);
                let effective = self.rights_of(&found, Asker::default())?;
                let plugin = Plugin {
                    registration: found.registration(&effective),
                    status: flexcore_domain::PluginStatus::Registered,
                    version: 0,
                    running: [].into(),
                    calls: PluginCalls::default(),
                };
                Some(registered(&plugin, true))
            }
            (None, None) => None,
        };
        Ok(PluginView { registered, ..row })
    }

    pub(super) fn built_in(&self, name: &str) -> Option<&BuiltInPlugin> {
        let built_in = &self.plugins.as_ref()?.ports.built_in;
        built_in.iter().find(|plugin| plugin.manifest.name == name)
    }
}

fn registered(plugin: &Plugin, built_in: bool) -> RegisteredView {
    let Plugin { registration, status, version, calls, .. } = plugin;
    RegisteredView {
        status: status.as_str().to_owned(),
        reason: status.reason().map(str::to_owned),
        version: registration.version.clone(),
        kind: registration.kind.clone(),
        plugin_type: registration.plugin_type.clone(),
        sha256: registration.digest.to_string(),
        signed_by: registration.signed_by.clone(),
        built_in,
        requested: registration.rights.requested.clone(),
        effective: registration.rights.effective.clone(),
        rights_sha256: registration.rights.digest.to_string(),
        registrations: *version,
        calls: PluginCallCounts {
            started: calls.started,
            completed: calls.completed,
            failed: calls.failed,
            denied: calls.denied,
        },
    }
}
