//! The programs of registered Singer plugins, which syncs run as their tap or target.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use flexcore_pipeline_file::{PluginProgram, PluginSettings, StepRequest, SyncSettings};
use flexcore_plugin_protocol::{Manifest, PluginKind, PluginType};

use super::{
    call::accepts_config,
    error::{self, refused},
    find::FoundPlugin,
};
use crate::{RequestContext, Services, UseCaseError};

/// What stands in an entry point for a file that a sync names with the flags of Singer.
const NAMED_BY_FLAGS: [&str; 3] = ["{config}", "{catalog}", "{state}"];

/// A registered Singer plugin whose files were verified just now.
#[derive(Clone)]
pub(crate) struct RegisteredProgram {
    /// Its program and first arguments; the Singer flags follow.
    pub(crate) argv: Vec<OsString>,
    /// Its files, which its program may read.
    pub(crate) folder: Option<PathBuf>,
    manifest: Arc<Manifest>,
}

/// The programs of a sync that are those of registered plugins.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegisteredPrograms {
    pub(crate) tap: Option<RegisteredProgram>,
    pub(crate) target: Option<RegisteredProgram>,
}

impl RegisteredPrograms {
    /// What a step asks for, with what their manifests ask for where the step is silent. A limit is
    /// the smallest that anybody says.
    pub(crate) fn add_to(&self, request: &StepRequest) -> StepRequest {
        let mut request = request.clone();
        for program in self.tap.iter().chain(&self.target) {
            let Manifest { capabilities, limits, .. } = &*program.manifest;
            let stated = &request.capabilities.stated;
            let unspoken = capabilities.iter().filter(|one| !stated.contains(&one.kind()));
            let unspoken = unspoken.cloned().collect();
            request.capabilities.asked = request.capabilities.asked.union(&unspoken);
            request.limits = request.limits.intersection(limits);
        }
        request
    }
}

impl Services {
    /// The programs of a sync that are those of registered plugins, verified, and the settings
    /// held against their schemas. Programs that were installed from packages are verified too.
    ///
    /// # Errors
    /// [`UseCaseError`] if one cannot be used, or its files are not what they were.
    pub(crate) async fn registered_programs(
        &self,
        context: &RequestContext,
        settings: &SyncSettings,
        project_root: &Path,
    ) -> Result<RegisteredPrograms, UseCaseError> {
        Ok(RegisteredPrograms {
            tap: self.program(context, &settings.tap, PluginType::Extractor, project_root).await?,
            target: self
                .program(context, &settings.target, PluginType::Loader, project_root)
                .await?,
        })
    }

    /// What the manifests of a sync's registered plugins say, before its settings are known. One
    /// that cannot be used is left to the step.
    pub(crate) async fn manifests_of(
        &self,
        context: &RequestContext,
        names: [Option<String>; 2],
    ) -> RegisteredPrograms {
        let mut found = Vec::new();
        for (name, wanted) in names.into_iter().zip([PluginType::Extractor, PluginType::Loader]) {
            found.push(match name {
                Some(name) => self.singer(context, &name, wanted).await.ok().map(|one| one.1),
                None => None,
            });
        }
        let target = found.pop().flatten();
        RegisteredPrograms { tap: found.pop().flatten(), target }
    }

    async fn program(
        &self,
        context: &RequestContext,
        settings: &PluginSettings,
        wanted: PluginType,
        project_root: &Path,
    ) -> Result<Option<RegisteredProgram>, UseCaseError> {
        match &settings.program {
            PluginProgram::Native(_) => Ok(None),
            PluginProgram::Command(argv) => {
                self.verify_installed(argv, project_root).await?;
                Ok(None)
            }
            PluginProgram::Registered(name) => {
                let (found, program) = self.singer(context, name, wanted).await?;
                accepts_config(&found, &settings.config)?;
                Ok(Some(program))
            }
        }
    }

    /// A program of a package that was installed is still what was installed.
    async fn verify_installed(
        &self,
        argv: &[String],
        project_root: &Path,
    ) -> Result<(), UseCaseError> {
        let Some(program) = argv.first().filter(|program| program.contains('/')) else {
            return Ok(());
        };
        let Some(lifecycle) = &self.plugins else { return Ok(()) };
        lifecycle.ports.store.find_program(&project_root.join(program)).await?;
        Ok(())
    }

    async fn singer(
        &self,
        context: &RequestContext,
        name: &str,
        wanted: PluginType,
    ) -> Result<(FoundPlugin, RegisteredProgram), UseCaseError> {
        let found = self.find_callable(context, name).await?;
        let Manifest { kind, plugin_type, .. } = &*found.manifest;
        if *kind != PluginKind::Singer || *plugin_type != wanted {
            let message = format!(
                "plugin `{name}` is a `{}` of kind `{}`, and this end of a sync takes a `{}` of \
                 kind `singer`",
                plugin_type.as_str(),
                kind.as_str(),
                wanted.as_str()
            );
            return Err(refused(error::NO_SINGER, message).into());
        }
        let argv = argv(&found.manifest.entrypoint, found.folder.as_deref());
        let (folder, manifest) = (found.folder.clone(), Arc::clone(&found.manifest));
        Ok((found, RegisteredProgram { argv, folder, manifest }))
    }
}

/// The program and its arguments. Files that Singer has flags for are named by whoever runs it, so
/// what stands for them goes, with the flag in front of it.
fn argv(entrypoint: &[String], folder: Option<&Path>) -> Vec<OsString> {
    let in_folder = |text: &str| match folder {
        Some(folder) => folder.join(text),
        None => PathBuf::from(text),
    };
    let mut argv: Vec<OsString> = Vec::new();
    for (index, argument) in entrypoint.iter().enumerate() {
        if index == 0 {
            // `join` leaves what begins with `/` as it is.
            argv.push(in_folder(argument).into());
        } else if NAMED_BY_FLAGS.iter().any(|name| argument.contains(name)) {
            let before = argv.last().filter(|_| argv.len() > 1);
            if before.is_some_and(|flag| flag.as_encoded_bytes().starts_with(b"-"))
                && NAMED_BY_FLAGS.contains(&argument.as_str())
            {
                argv.pop();
            }
        } else {
            let folder = in_folder("").to_string_lossy().trim_end_matches('/').to_owned();
            argv.push(argument.replace("{folder}", &folder).into());
        }
    }
    argv
}

impl fmt::Debug for RegisteredProgram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RegisteredProgram")
            .field("plugin", &self.manifest.name)
            .field("argv", &self.argv)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_the_flags_of_singer_name_are_left_to_them() {
        let entrypoint = ["bin/tap", "-v", "--config", "{config}", "--state={state}", "{folder}/x"];
        let entrypoint = entrypoint.map(str::to_owned);
        let argv = argv(&entrypoint, Some(Path::new("/srv/plugin")));
        assert_eq!(argv, ["/srv/plugin/bin/tap", "-v", "/srv/plugin/x"]);
    }

    #[test]
    fn a_program_of_the_machine_stays_where_it_is() {
        let entrypoint = ["/usr/bin/python3".to_owned(), "{folder}/tap.py".to_owned()];
        let argv = argv(&entrypoint, Some(Path::new("/srv/plugin")));
        assert_eq!(argv, ["/usr/bin/python3", "/srv/plugin/tap.py"]);
    }
}
