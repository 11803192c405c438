//! What holds the programs of steps: the operator's wish, and the jailer that carries it out.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use flexcore_api::{ProbedControl, SandboxReportView};
use flexcore_app::ProjectRights;
use flexcore_cli::{HostError, HostErrorKind, Place};
use flexcore_pipeline_file::{SandboxWish, SecretProvider};
use flexcore_sandbox::{
    Control, JailSpec, Jailer, JailerOptions, Launcher, ProjectJailer, ProjectJailerOptions,
    SandboxMode, SandboxPolicy, SandboxReport, probe,
};

use crate::{
    grants::GrantsFile,
    host::{BinaryHost, failed},
    writer::chain,
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

/// The operator's wish, or what the project asks for where that is more.
///
/// # Errors
/// [`HostError`] if the operator's variable holds none of its words.
pub(crate) fn policy_of(
    place: &Place,
    environment: &BTreeMap<String, String>,
) -> Result<SandboxPolicy, HostError> {
    stricter_of(place.project.sandbox, environment)
}

fn stricter_of(
    wish: Option<SandboxWish>,
    environment: &BTreeMap<String, String>,
) -> Result<SandboxPolicy, HostError> {
    let policy = policy(environment)?;
    let wish = match wish {
        None => return Ok(policy),
        Some(SandboxWish::Strict) => SandboxMode::Strict,
        Some(SandboxWish::BestEffort) => SandboxMode::BestEffort,
    };
    Ok(SandboxPolicy { mode: stricter(policy.mode, wish), ..policy })
}

fn stricter(one: SandboxMode, other: SandboxMode) -> SandboxMode {
    let rank = |mode: SandboxMode| match mode {
        SandboxMode::Off => 0,
        SandboxMode::BestEffort => 1,
        SandboxMode::Strict => 2,
    };
    if rank(one) >= rank(other) { one } else { other }
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

/// What of the project no program sees: what FlexCore keeps there, and files of secrets.
pub(crate) fn hidden_folders(place: &Place) -> Vec<PathBuf> {
    let root = &place.project.root;
    let secrets = place.project.secrets.iter().filter_map(|provider| match provider {
        SecretProvider::File { folder } => Some(root.join(folder)),
        SecretProvider::Vault(vault) => vault.token_file.as_ref().map(|file| root.join(file)),
        SecretProvider::Environment { .. } => None,
    });
    let mut folders = vec![root.join(STATE_FOLDER), place.state_folder.clone()];
    folders.extend(secrets);
    folders.retain(|folder| folder.exists());
    folders.sort();
    folders.dedup();
    folders
}

/// What decides the rights of a project's steps.
///
/// # Errors
/// [`HostError`] if the operator's settings are wrong.
pub(crate) fn rights(
    place: &Place,
    environment: &BTreeMap<String, String>,
) -> Result<ProjectRights, HostError> {
    let grants = GrantsFile::of(environment, &place.state_folder);
    let root = place.project.root.clone();
    Ok(ProjectRights {
        grants_file: grants.path().to_owned(),
        grants: Arc::new(grants),
        writable: place.project.writable.iter().map(|folder| in_project(&root, folder)).collect(),
        hidden: hidden_folders(place),
        private_home: policy_of(place, environment)?.mode != SandboxMode::Off,
        root,
    })
}

/// A folder of the project without `.` and doubled slashes.
fn in_project(root: &Path, folder: &str) -> PathBuf {
    root.join(folder).components().collect()
}

/// What a jail enforces on this machine.
pub(crate) async fn report(
    wish: Option<SandboxWish>,
    environment: &BTreeMap<String, String>,
) -> Result<SandboxReportView, HostError> {
    let policy = stricter_of(wish, environment)?;
    let program = BinaryHost::launcher_program();
    let report = probe(&program, JailerOptions::default()).await;
    let report = report.map_err(|error| failed(chain(&error)))?;
    let mut required = JailSpec::default().required;
    required.extend(&policy.require);
    let SandboxReport { tier, kernel, controls, .. } = report;
    let report = SandboxReport::conclude(tier, controls, &required);
    Ok(SandboxReportView {
        policy: policy.mode.as_str().to_owned(),
        tier: tier.as_str().to_owned(),
        kernel,
        strict_ok: report.strict_ok,
        controls: report.controls.iter().map(probed).collect(),
    })
}

fn probed(control: &Control) -> ProbedControl {
    let said = [control.via.clone(), control.detail.clone()];
    let detail = said.into_iter().flatten().collect::<Vec<_>>().join(", ");
    ProbedControl {
        name: control.name.to_string(),
        state: control.state.as_str().to_owned(),
        required: control.required,
        detail: Some(detail).filter(|detail| !detail.is_empty()),
        remedy: control.remedy().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_may_only_ask_for_more() {
        use SandboxMode::{BestEffort, Off, Strict};
        for (operator, project, result) in [
            (Strict, BestEffort, Strict),
            (BestEffort, Strict, Strict),
            (Off, BestEffort, BestEffort),
            (BestEffort, BestEffort, BestEffort),
        ] {
            assert_eq!(stricter(operator, project), result);
        }
    }
}
