//! What holds the programs of steps: the operator's wish, and the jailer that carries it out.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use flexcore_cli::{HostError, HostErrorKind, Place};
use flexcore_pipeline_file::SecretProvider;
use flexcore_sandbox::{
    Jailer, JailerOptions, Launcher, ProjectJailer, ProjectJailerOptions, SandboxMode,
    SandboxPolicy,
};

/// How much must be enforced for programs to run.
const POLICY_VARIABLE: &str = "FLEXCORE_SANDBOX";
/// Where an embedded store and everything of this machine lies unless another folder was chosen.
const STATE_FOLDER: &str = ".flexcore";

/// The operator's wish.
///
/// # Errors
/// [`HostError`] if the variable holds none of its words.
pub(crate) fn policy(environment: &BTreeMap<String, String>) -> Result<SandboxPolicy, HostError> {
    let word = environment.get(POLICY_VARIABLE).map(String::as_str).unwrap_or_default();
    if word.is_empty() {
        return Ok(SandboxPolicy::default());
    }
    match SandboxMode::from_word(word) {
        Some(mode) => Ok(SandboxPolicy { mode, ..SandboxPolicy::default() }),
        None => Err(HostError {
            kind: HostErrorKind::Refused,
            code: "FC0630",
            message: format!("{POLICY_VARIABLE} is `{word}`, which says nothing about jails"),
            hint: Some(
                "set it to strict (refuse what the machine cannot enforce), best_effort (the \
                 default: enforce what it can, and report the rest) or off (no jail)"
                    .to_owned(),
            ),
        }),
    }
}

/// The one jailer of this process.
pub(crate) fn jailer(launcher: &Launcher) -> Arc<Jailer> {
    Arc::new(Jailer::new(launcher.clone(), JailerOptions::default()))
}

/// The jailer of a project's programs.
pub(crate) fn project_jailer(
    jailer: Arc<Jailer>,
    policy: SandboxPolicy,
    environment: &BTreeMap<String, String>,
) -> ProjectJailer {
    let home = environment.get("HOME").filter(|home| home.starts_with('/'));
    let variables = environment.iter();
    let options = ProjectJailerOptions {
        policy,
        home: home.map(PathBuf::from),
        environment: variables.map(|(name, value)| (name.into(), value.into())).collect(),
    };
    ProjectJailer::new(jailer, options)
}

/// What of the project no program sees: what FlexCore keeps there, and folders of secrets.
pub(crate) fn hidden_folders(place: &Place) -> Vec<PathBuf> {
    let root = &place.project.root;
    let secrets = place.project.secrets.iter().filter_map(|provider| match provider {
        SecretProvider::File { folder } => Some(root.join(folder)),
        SecretProvider::Environment { .. } => None,
    });
    let mut folders = vec![root.join(STATE_FOLDER), place.state_folder.clone()];
    folders.extend(secrets);
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    folders.dedup();
    folders
}
