//! From the name of a plugin to what can be called, and its rights.

use std::{path::PathBuf, sync::Arc};

use flexcore_domain::{
    Plugin, PluginName, PluginStatus,
    plugin::{PluginRegistration, PluginRights},
};
use flexcore_eventsourcing::Hash;
use flexcore_plugin_protocol::{
    Capabilities, CapabilityRequest, ContentDigest, Effective, Grants, Limits, Manifest, Refusal,
    Requests, Subject, effective, grant_lines,
};
use flexcore_ports::{CallablePlugin, PluginError, StoredPlugin};
use serde_json::Value;

use super::{
    BuiltInPlugin,
    error::{self, not_registered, refused, stopped},
    lifecycle::PluginLifecycle,
};
use crate::{RequestContext, Services, UseCaseError, repository::Loaded, streams};

/// A plugin that is registered, or comes with FlexCore.
#[derive(Debug, Clone)]
pub(crate) struct FoundPlugin {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) manifest_text: String,
    pub(crate) digest: ContentDigest,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) config_schema: Option<Value>,
    pub(crate) signed_by: Option<String>,
    /// What its events say; `None` for one that comes with FlexCore and has none.
    pub(crate) aggregate: Option<Plugin>,
    pub(crate) is_built_in: bool,
}

/// Who asks for a plugin, and what they ask of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asker<'a> {
    /// The pipeline and the step of it.
    pub(crate) step: Option<(&'a str, &'a str)>,
    /// What the step says about rights.
    pub(crate) request: Option<(&'a CapabilityRequest, &'a Limits)>,
}

impl FoundPlugin {
    pub(super) fn stored(stored: StoredPlugin, aggregate: Option<Plugin>) -> Self {
        Self {
            manifest: Arc::new(stored.manifest),
            manifest_text: stored.manifest_text,
            digest: stored.digest,
            folder: Some(stored.folder),
            config_schema: stored.config_schema,
            signed_by: stored.signed_by,
            aggregate,
            is_built_in: false,
        }
    }

    pub(super) fn built_in(plugin: &BuiltInPlugin, aggregate: Option<Plugin>) -> Self {
        Self {
            manifest: Arc::clone(&plugin.manifest),
            manifest_text: plugin.manifest_text.clone(),
            digest: plugin.digest(),
            folder: plugin.folder.clone(),
            config_schema: plugin.config_schema.clone(),
            signed_by: None,
            aggregate,
            is_built_in: true,
        }
    }

    /// What its events say of its status; one that comes with FlexCore is there from the start.
    pub(super) fn status(&self) -> &PluginStatus {
        let known = self.aggregate.as_ref().map(|plugin| &plugin.status);
        match known {
            None | Some(PluginStatus::Unregistered) => &PluginStatus::Registered,
            Some(status) => status,
        }
    }

    /// What is written into the log when it is registered.
    pub(super) fn registration(&self, effective: &Effective) -> PluginRegistration {
        PluginRegistration {
            version: self.manifest.version.clone(),
            kind: self.manifest.kind.as_str().to_owned(),
            plugin_type: self.manifest.plugin_type.as_str().to_owned(),
            digest: hash_of(&self.digest),
            manifest: self.manifest_text.clone(),
            signed_by: self.signed_by.clone(),
            rights: rights(&self.manifest.capabilities, effective),
        }
    }

    /// As hosts call it.
    pub(super) fn callable(&self, effective: Effective, tenant: &str) -> CallablePlugin {
        CallablePlugin {
            manifest: Arc::clone(&self.manifest),
            digest: self.digest,
            folder: self.folder.clone(),
            effective,
            tenant: tenant.to_owned(),
        }
    }

    /// What it asks for. Which servers one of FlexCore's own talks to is a matter of its settings,
    /// so it asks for what it was granted, and for what the step wants for it.
    fn asked(&self, grants: &Grants, subject: &Subject, asker: Asker<'_>) -> Capabilities {
        let of_manifest = &self.manifest.capabilities;
        if !self.is_built_in {
            return of_manifest.clone();
        }
        let (granted, _) = grants.of(subject);
        let with_grants = of_manifest.union(&granted);
        asker.request.map_or(with_grants.clone(), |(step, _)| with_grants.union(&step.asked))
    }

    fn subject(&self, asker: Asker<'_>) -> Subject {
        Subject {
            plugin: Some(self.manifest.name.clone()),
            version: Some(self.manifest.version.clone()),
            sha256: Some(self.digest.to_string()),
            pipeline: asker.step.map(|(pipeline, _)| pipeline.to_owned()),
            step: asker.step.map(|(_, step)| step.to_owned()),
        }
    }
}

fn rights(requested: &Capabilities, effective: &Effective) -> PluginRights {
    let texts = |all: &Capabilities| all.iter().map(ToString::to_string).collect();
    PluginRights {
        requested: texts(requested),
        effective: texts(&effective.capabilities),
        digest: hash_of(&effective.digest()),
    }
}

/// A digest as the log has it.
pub(super) fn hash_of(digest: &ContentDigest) -> Hash {
    let mut hash = Hash::ZERO;
    hex::decode_to_slice(digest.to_string(), &mut hash.0)
        .expect("a digest prints 64 hexadecimal digits");
    hash
}

impl Services {
    /// What calls plugins.
    ///
    /// # Errors
    /// A process that only reads has none.
    pub(crate) fn plugins(&self) -> Result<&PluginLifecycle, PluginError> {
        self.plugins.as_deref().ok_or_else(|| {
            refused(error::NO_PLUGINS_HERE, "this process only reads and calls no plugins")
        })
    }

    /// The plugin of a name as its events have it.
    pub(crate) async fn load_plugin(
        &self,
        context: &RequestContext,
        name: &PluginName,
    ) -> Result<Option<Plugin>, UseCaseError> {
        let stream = streams::plugin(&context.tenant, name);
        let Loaded { state, .. } = self.load_shared::<Plugin>(&stream).await?;
        Ok(state.as_deref().cloned())
    }

    /// A plugin with its files, verified, whatever its status is.
    pub(crate) async fn find_plugin(
        &self,
        context: &RequestContext,
        name: &str,
    ) -> Result<FoundPlugin, UseCaseError> {
        let ports = &self.plugins()?.ports;
        let parsed: PluginName = name.parse().map_err(|_| not_registered(name))?;
        let aggregate = self.load_plugin(context, &parsed).await?;
        if let Some(plugin) = ports.built_in.iter().find(|plugin| plugin.manifest.name == name) {
            return Ok(FoundPlugin::built_in(plugin, aggregate));
        }
        let registered = aggregate.filter(|plugin| plugin.status != PluginStatus::Unregistered);
        let registered = registered.ok_or_else(|| not_registered(name))?;
        let digest = ContentDigest::from_bytes(registered.registration.digest.0);
        let stored = ports.store.find(&digest).await?.ok_or_else(|| {
            let message = format!(
                "the files of plugin `{name}` ({digest}) are not on this node; register it here \
                 from the folder or archive that it came from"
            );
            refused(error::NO_FILES, message)
        })?;
        Ok(FoundPlugin::stored(stored, Some(registered)))
    }

    /// A plugin with its files, if it may be called now.
    pub(crate) async fn find_callable(
        &self,
        context: &RequestContext,
        name: &str,
    ) -> Result<FoundPlugin, UseCaseError> {
        let found = self.find_plugin(context, name).await?;
        match stopped(name, found.status()) {
            Some(error) => Err(error.into()),
            None => Ok(found),
        }
    }

    /// What a plugin may do now for who asks.
    pub(crate) fn rights_of(
        &self,
        found: &FoundPlugin,
        asker: Asker<'_>,
    ) -> Result<Effective, UseCaseError> {
        let ports = &self.plugins()?.ports;
        let grants = ports.grants.grants().map_err(|error| refused(error.code, error.message))?;
        let subject = found.subject(asker);
        let wanted = found.asked(&grants, &subject, asker);
        let requests =
            Requests { manifest: Some((&wanted, &found.manifest.limits)), step: asker.request };
        let mut effective = effective(requests, &grants, &subject);
        let root = ports.project_root.to_string_lossy();
        effective.capabilities = effective.capabilities.in_project(&root).map_err(|error| {
            let name = &found.manifest.name;
            refused(Refusal::CODE, format!("a path that plugin `{name}` was granted: {error}"))
        })?;
        Ok(effective)
    }

    /// A plugin as it is called, if it was granted all that is asked for.
    pub(crate) fn callable(
        &self,
        context: &RequestContext,
        found: &FoundPlugin,
        asker: Asker<'_>,
    ) -> Result<CallablePlugin, UseCaseError> {
        let effective = self.rights_of(found, asker)?;
        if effective.lacks_something() {
            return Err(not_granted(found, &effective).into());
        }
        Ok(found.callable(effective, &context.tenant))
    }
}

/// What is missing, and the lines that would grant it.
fn not_granted(found: &FoundPlugin, effective: &Effective) -> PluginError {
    let name = &found.manifest.name;
    let all = effective.refused.iter().filter(|refusal| refusal.rule.as_str() != "step");
    let list: Vec<String> = all
        .map(|refusal| format!("`{}` (by {})", refusal.capability, refusal.rule.as_str()))
        .collect();
    let subject = Subject { plugin: Some(name.clone()), ..Subject::default() };
    let lines = grant_lines(&subject, effective.not_granted());
    let add = if lines.is_empty() {
        String::new()
    } else {
        format!("; to grant it, add to `grants.toml`:\n{lines}")
    };
    refused(Refusal::CODE, format!("plugin `{name}` is refused {}{add}", list.join(", ")))
}

#[cfg(test)]
mod tests {
    use flexcore_plugin_protocol::{Capability, CapabilityKind, Grants, Rule};

    use super::*;

    const MANIFEST: &str = "manifest = 1\n[plugin]\nname = \"sql\"\nversion = \"1\"\n\
         kind = \"process\"\ntype = \"processor\"\nentrypoint = [\"/bin/sql\"]\n";
    const GRANTS: &str = "grants = 1\n[[grant]]\nplugin = \"sql\"\n\
         network = [\"tcp://db:5432\", \"tcp://other:5432\"]\n";

    fn found(is_built_in: bool) -> FoundPlugin {
        let plugin = BuiltInPlugin {
            manifest: Arc::new(Manifest::parse("plugin.toml", MANIFEST).unwrap()),
            manifest_text: MANIFEST.to_owned(),
            config_schema: None,
            folder: None,
        };
        FoundPlugin { is_built_in, ..FoundPlugin::built_in(&plugin, None) }
    }

    fn network(address: &str) -> Capability {
        Capability::from_parts(CapabilityKind::Network, Some(address)).unwrap()
    }

    fn step(address: &str) -> CapabilityRequest {
        CapabilityRequest {
            stated: [CapabilityKind::Network].into(),
            asked: [network(address)].into_iter().collect(),
        }
    }

    fn rights(found: &FoundPlugin, request: Option<&CapabilityRequest>) -> Effective {
        let (grants, limits) = (Grants::parse("grants.toml", GRANTS).unwrap(), Limits::default());
        let request = request.map(|request| (request, &limits));
        let asker = Asker { step: Some(("p", "s")), request };
        let subject = found.subject(asker);
        let wanted = found.asked(&grants, &subject, asker);
        let manifest = Some((&wanted, &found.manifest.limits));
        effective(Requests { manifest, step: asker.request }, &grants, &subject)
    }

    #[test]
    fn one_of_ours_has_what_it_was_granted_and_a_step_narrows_it() {
        let all = rights(&found(true), None);
        assert!(all.capabilities.cover(&network("tcp://db:5432")));
        assert!(all.capabilities.cover(&network("tcp://other:5432")));
        let narrowed = rights(&found(true), Some(&step("tcp://db:5432")));
        assert!(narrowed.capabilities.cover(&network("tcp://db:5432")));
        assert!(!narrowed.capabilities.cover(&network("tcp://other:5432")));
        assert!(!narrowed.lacks_something());
    }

    #[test]
    fn what_a_step_wants_for_one_of_ours_has_to_be_granted() {
        let effective = rights(&found(true), Some(&step("tcp://elsewhere:5432")));
        let refused: Vec<_> = effective.refused.iter().map(|one| one.rule).collect();
        assert!(refused.contains(&Rule::Grants), "{refused:?}");
        let error = not_granted(&found(true), &effective);
        assert_eq!(error.code, Refusal::CODE);
        assert!(error.message.contains("network = [\"tcp://elsewhere:5432\"]"), "{error}");
    }

    #[test]
    fn any_other_plugin_has_no_more_than_its_manifest_asks_for() {
        assert!(!rights(&found(false), None).capabilities.cover(&network("tcp://db:5432")));
        let effective = rights(&found(false), Some(&step("tcp://db:5432")));
        assert!(effective.refused.iter().any(|one| one.rule == Rule::Manifest));
    }
}
