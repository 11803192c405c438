//! Wiring of secrets: the places that a project names.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use flexcore_cli::{HostError, HostErrorKind, Place};
use flexcore_pipeline_file::{SecretProvider as Configured, VaultSource};
use flexcore_ports::Secrets;
use flexcore_secrets::{
    EnvSecrets, FileSecrets, ProvidedSecrets, SecretMask, SecretProvider, VaultSecrets,
    VaultSettings, VaultToken,
};

use crate::settings::secrets::VaultSettings as OperatorsVault;

/// The prefix of secrets in the environment where the project file names no provider.
const PREFIX: &str = "FLEXCORE_SECRET_";

/// The providers that the project file names, first hit wins; without any, the environment. The
/// operator's own Vault, if a server has one, comes last.
///
/// # Errors
/// [`HostError`] if one of them cannot be set up.
pub(crate) fn of(
    place: &Place,
    environment: &BTreeMap<String, String>,
    operators: Option<&OperatorsVault>,
) -> Result<Arc<dyn Secrets>, HostError> {
    let mask = Arc::new(SecretMask::default());
    let root = &place.project.root;
    let mut providers: Vec<Box<dyn SecretProvider>> = Vec::new();
    for configured in &place.project.secrets {
        providers.push(match configured {
            Configured::Environment { prefix } => variables(prefix, environment),
            Configured::File { folder } => Box::new(FileSecrets::new(root.join(folder))),
            Configured::Vault(source) => provided(vault(source, root, environment)?, &mask)?,
        });
    }
    if providers.is_empty() {
        providers.push(variables(PREFIX, environment));
    }
    if let Some(vault) = operators.filter(|vault| vault.address.is_some()) {
        providers.push(provided(vault_of_operator(vault, environment)?, &mask)?);
    }
    Ok(Arc::new(ProvidedSecrets::new(providers, mask)))
}

/// For a process that only reads: what it shows was masked when it was written.
pub(crate) fn none() -> Arc<dyn Secrets> {
    Arc::new(ProvidedSecrets::new(Vec::new(), Arc::default()))
}

/// Paths of settings are absolute already.
fn vault_of_operator(
    vault: &OperatorsVault,
    environment: &BTreeMap<String, String>,
) -> Result<VaultSettings, HostError> {
    let OperatorsVault { address, mount, prefix, token_file, namespace, ca } = vault.clone();
    let source = VaultSource { address, mount, prefix, token_file, token_env: None, namespace, ca };
    self::vault(&source, Path::new("/"), environment)
}

fn provided(
    settings: VaultSettings,
    mask: &Arc<SecretMask>,
) -> Result<Box<dyn SecretProvider>, HostError> {
    let vault = VaultSecrets::new(settings, Arc::clone(mask));
    Ok(Box::new(vault.map_err(|error| refused(error.to_string()))?))
}

fn variables(prefix: &str, environment: &BTreeMap<String, String>) -> Box<dyn SecretProvider> {
    let variables = environment.iter();
    let variables = variables.map(|(name, value)| (name.clone().into(), value.clone().into()));
    Box::new(EnvSecrets::new(prefix, variables))
}

/// What the project leaves open, the variables of Vault's own tools say.
fn vault(
    source: &VaultSource,
    root: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<VaultSettings, HostError> {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
    let address = source.address.clone().or_else(|| variable("VAULT_ADDR"));
    let address = address.ok_or_else(|| {
        refused("a Vault under `secrets` has no `address`, and VAULT_ADDR is not set".to_owned())
    })?;
    let token = match &source.token_file {
        Some(file) => VaultToken::File(root.join(file)),
        None => {
            let name = source.token_env.clone().unwrap_or_else(|| "VAULT_TOKEN".to_owned());
            VaultToken::Variable { value: variable(&name), name }
        }
    };
    let ca = source.ca.as_ref().map(|file| root.join(file));
    let usual = VaultSettings::new(address, token);
    Ok(VaultSettings {
        mount: source.mount.clone().unwrap_or_else(|| usual.mount.clone()),
        prefix: source.prefix.clone().unwrap_or_default(),
        namespace: source.namespace.clone().or_else(|| variable("VAULT_NAMESPACE")),
        ca: ca.or_else(|| variable("VAULT_CACERT").map(PathBuf::from)),
        ..usual
    })
}

fn refused(message: String) -> HostError {
    let hint = "correct `secrets` in flexcore.yaml or in the server's settings, or set what it reads \
                from the environment";
    HostError { kind: HostErrorKind::Refused, code: "FC0678", message, hint: Some(hint.to_owned()) }
}
