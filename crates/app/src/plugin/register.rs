//! RegisterPlugin.

use async_trait::async_trait;
use flexcore_api::{PluginRegistered, PluginSourceView, RegisterPlugin};
use flexcore_domain::{Plugin, PluginName, plugin::PluginCommand};
use flexcore_plugin_protocol::{ContentDigest, Effective, Subject, grant_lines};
use flexcore_ports::{PluginSource, StoredPlugin};

use super::find::{Asker, FoundPlugin};
use crate::{HandleCommand, RequestContext, Services, UseCaseError, streams};

#[async_trait]
impl HandleCommand<RegisterPlugin> for Services {
    /// Keeps the files first: what the log names is there.
    async fn handle(
        &self,
        context: &RequestContext,
        command: RegisterPlugin,
    ) -> Result<PluginRegistered, UseCaseError> {
        let stored = self.take_in(command.source).await?;
        let name: PluginName =
            stored.manifest.name.parse().map_err(|error: flexcore_domain::InvalidName| {
                UseCaseError::invalid(error.to_string())
            })?;
        let built_in = &self.plugins()?.ports.built_in;
        if built_in.iter().any(|plugin| plugin.manifest.name == name.as_str()) {
            return Err(UseCaseError::Refused {
                message: format!("`{name}` is the name of a plugin that comes with FlexCore"),
                hint: Some("give the plugin another `name` in its plugin.toml".to_owned()),
            });
        }
        let former = self.load_plugin(context, &name).await?;
        let found = FoundPlugin::stored(stored, former);
        let effective = self.rights_of(&found, Asker::default())?;
        let register = PluginCommand::Register(found.registration(&effective));
        let stream = streams::plugin(&context.tenant, &name);
        let position = self.change::<Plugin>(context, &stream, &register).await?;
        self.release_former(&found).await?;
        Ok(registered(&found, &effective, position))
    }
}

impl Services {
    async fn take_in(&self, source: PluginSourceView) -> Result<StoredPlugin, UseCaseError> {
        let store = &self.plugins()?.ports.store;
        let source = match source {
            PluginSourceView::Folder(path) => PluginSource::Folder(path.into()),
            PluginSourceView::Archive(path) => PluginSource::Archive(path.into()),
            PluginSourceView::Pypi { name, version } => PluginSource::Pypi { name, version },
            PluginSourceView::Digest(text) => {
                let digest = ContentDigest::parse(&text).ok_or_else(|| {
                    UseCaseError::invalid(format!("`{text}` is no digest: 64 hexadecimal digits"))
                })?;
                let found = store.find(&digest).await?;
                return found.ok_or_else(|| UseCaseError::NotFound {
                    what: "plugin with the digest",
                    name: text,
                    hint: Some("take it in from its folder or archive".to_owned()),
                });
            }
        };
        Ok(store.install(&source).await?)
    }

    /// Processes of the version before are not used any more.
    async fn release_former(&self, found: &FoundPlugin) -> Result<(), UseCaseError> {
        let Some(former) = &found.aggregate else { return Ok(()) };
        let digest = ContentDigest::from_bytes(former.registration.digest.0);
        if digest != found.digest {
            self.plugins()?.release(&digest).await;
        }
        Ok(())
    }
}

fn registered(found: &FoundPlugin, effective: &Effective, position: u64) -> PluginRegistered {
    let manifest = &found.manifest;
    let subject = Subject { plugin: Some(manifest.name.clone()), ..Subject::default() };
    PluginRegistered {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        kind: manifest.kind.as_str().to_owned(),
        sha256: found.digest.to_string(),
        signed_by: found.signed_by.clone(),
        granted: effective.capabilities.iter().map(ToString::to_string).collect(),
        missing: effective.not_granted().map(ToString::to_string).collect(),
        grant_lines: grant_lines(&subject, effective.not_granted()),
        changed: position > 0,
        position,
    }
}
