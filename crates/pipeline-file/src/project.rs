//! A project: the folder with `flexcore.yaml`, and what its file says to all pipelines.

use std::{collections::BTreeMap, path::PathBuf};

use flexcore_domain::EnvironmentName;

use crate::{
    check,
    diagnostic::{Code, Diagnostic, Diagnostics},
    expression::{engine, names::names_below},
    file::ParsedFile,
    language::{self, ProjectFile},
    nearest::did_you_mean,
    schema::PROJECT,
    source::{Position, SourceFile},
};

/// The name of the project file.
pub const PROJECT_FILE: &str = "flexcore.yaml";
/// What secrets in environment variables begin with unless the project says otherwise.
const DEFAULT_SECRET_PREFIX: &str = "FLEXCORE_SECRET_";
/// What steps may write unless the project says otherwise.
const DEFAULT_WRITABLE: &str = "out/";

/// A project, or a folder without a project file, which is a project with nothing set.
#[derive(Debug)]
pub struct Project {
    /// All relative paths and working directories start here.
    pub root: PathBuf,
    /// Its name.
    pub name: Option<String>,
    /// Globs of its pipeline files, relative to the root.
    pub pipelines: Vec<String>,
    /// Folders that steps may write, relative to the root.
    pub writable: Vec<String>,
    /// Names of the host's environment variables that templates may read.
    pub env_allow: Vec<String>,
    /// Where secrets come from, in order; the first that has one wins.
    pub secrets: Vec<SecretProvider>,
    /// How much of its jail must hold for a program of the project to run, where it says so. It may
    /// only ask for more than the operator.
    pub sandbox: Option<SandboxWish>,
    /// The variables of `.env`, which lie below those of the process: they never override.
    pub dotenv: Vec<(String, String)>,
    /// The environments that it declares, in the order of their names.
    pub environments: Vec<EnvironmentName>,
    default_environment: Option<EnvironmentName>,
    stores: BTreeMap<Option<String>, String>,
    pub(crate) file: Option<ParsedFile>,
}

/// How much of its jail must hold for a program of the project to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxWish {
    /// Everything that it requires.
    Strict,
    /// What the machine can enforce.
    BestEffort,
}

/// A place where secrets come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretProvider {
    /// Environment variables whose names are this prefix and the secret's name.
    Environment {
        /// What they begin with.
        prefix: String,
    },
    /// A folder with a file for each secret.
    File {
        /// The folder; a relative one starts at the project root.
        folder: PathBuf,
    },
    /// A HashiCorp Vault.
    Vault(VaultSource),
}

/// A Vault as a project names it. What is left open, the host's environment says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VaultSource {
    /// Its address; else `VAULT_ADDR`.
    pub address: Option<String>,
    /// Where its key-value engine is mounted; else `secret`.
    pub mount: Option<String>,
    /// What stands in front of every path.
    pub prefix: Option<String>,
    /// A file with the token; a relative one starts at the project root.
    pub token_file: Option<PathBuf>,
    /// The environment variable with the token, where no file has it; else `VAULT_TOKEN`.
    pub token_env: Option<String>,
    /// The namespace; else `VAULT_NAMESPACE`.
    pub namespace: Option<String>,
    /// A file with authorities to trust; a relative one starts at the project root. Else
    /// `VAULT_CACERT`.
    pub ca: Option<PathBuf>,
}

impl Project {
    /// A project without a file.
    pub fn empty(root: PathBuf) -> Self {
        Self {
            root,
            name: None,
            pipelines: Vec::new(),
            writable: vec![DEFAULT_WRITABLE.to_owned()],
            env_allow: Vec::new(),
            secrets: default_secrets(),
            sandbox: None,
            dotenv: Vec::new(),
            environments: Vec::new(),
            default_environment: None,
            stores: BTreeMap::new(),
            file: None,
        }
    }

    /// A project from the text of its file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(root: PathBuf, source: SourceFile) -> Result<Self, Diagnostics> {
        let file = ParsedFile::read(source, &PROJECT, "a project file")?;
        let found = Diagnostics::new(check::project::check(&file));
        if found.has_errors() {
            return Err(found);
        }
        let typed: ProjectFile = serde_json::from_value(file.shaped.value.clone())
            .map_err(|error| file.at(Code::WrongType, Position::START, error.to_string()))?;
        Ok(Self { file: Some(file), ..Self::from_typed(root, typed) })
    }

    fn from_typed(root: PathBuf, typed: ProjectFile) -> Self {
        let environments = typed.environments.unwrap_or_default();
        let stores = environments
            .iter()
            .filter_map(|(name, environment)| {
                Some((Some(name.clone()), environment.store.clone()?))
            })
            .chain(typed.store.map(|store| (None, store)));
        let name = |name: language::value::NameText| name.0;
        Self {
            name: typed.project.map(name),
            pipelines: typed.pipelines.unwrap_or_default(),
            writable: typed.writable.unwrap_or_else(|| vec![DEFAULT_WRITABLE.to_owned()]),
            env_allow: typed.env_allow.unwrap_or_default(),
            secrets: typed.secrets.map_or_else(default_secrets, |sources| {
                sources.into_iter().map(provider).collect()
            }),
            sandbox: typed.sandbox.map(|word| match word {
                language::SandboxWord::Strict => SandboxWish::Strict,
                language::SandboxWord::BestEffort => SandboxWish::BestEffort,
            }),
            stores: stores.collect(),
            environments: environments.keys().filter_map(|name| name.parse().ok()).collect(),
            default_environment: typed.default_environment.and_then(|name| name.0.parse().ok()),
            ..Self::empty(root)
        }
    }

    /// The environment of a run: the one of the flag, else of the variable
    /// (`FLEXCORE_ENVIRONMENT`), else `default_environment`, else `default`.
    ///
    /// # Errors
    /// A diagnostic if the project has no such environment.
    pub fn environment(
        &self,
        flag: Option<&str>,
        variable: Option<&str>,
    ) -> Result<EnvironmentName, Diagnostics> {
        let chosen = flag.or(variable.filter(|name| !name.is_empty()));
        let Some(chosen) = chosen else {
            return Ok(self.default_environment.clone().unwrap_or_default());
        };
        let parsed = chosen.parse::<EnvironmentName>().ok();
        let exists = |name: &EnvironmentName| {
            *name == EnvironmentName::default() || self.environments.contains(name)
        };
        parsed.filter(exists).ok_or_else(|| self.unknown_environment(chosen).into())
    }

    fn unknown_environment(&self, name: &str) -> Diagnostic {
        let known: Vec<&str> = self.environments.iter().map(EnvironmentName::as_str).collect();
        let message = format!("there is no environment `{name}`");
        let hint = did_you_mean(name, &known)
            .unwrap_or_else(|| format!("declare it under `environments` in {PROJECT_FILE}"));
        Diagnostic::about(Code::Environment, self.file_name(), message).hint(hint)
    }

    fn file_name(&self) -> String {
        self.file.as_ref().map_or(PROJECT_FILE, |file| &file.source.name).to_owned()
    }

    /// Where an environment keeps its events, templates rendered; `None` if the file does not say.
    /// `host` has the environment variables of the process, with those of `.env` below them.
    ///
    /// # Errors
    /// A diagnostic if a variable that it reads is not set.
    pub fn store(
        &self,
        environment: &EnvironmentName,
        host: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<String>, Diagnostics> {
        let own = self.stores.get(&Some(environment.as_str().to_owned()));
        let Some(text) = own.or_else(|| self.stores.get(&None)) else { return Ok(None) };
        let names = names_below(text, "env").unwrap_or_default();
        let variables = names.into_iter().filter_map(|name| host(&name).map(|value| (name, value)));
        let variables: BTreeMap<String, String> = variables.collect();
        let scope = minijinja::Value::from_pairs([(
            "env",
            minijinja::Value::from(minijinja::value::Serde(variables)),
        )]);
        match engine::render(text, &scope) {
            Ok(serde_json::Value::String(store)) => Ok(Some(store)),
            Ok(_) => Err(self.store_problem("it is no text").into()),
            Err(problem) => Err(self.store_problem(&problem.message).into()),
        }
    }

    fn store_problem(&self, reason: &str) -> Diagnostic {
        let message = format!("the address of the store has no value: {reason}");
        Diagnostic::about(Code::UnknownName, self.file_name(), message)
            .hint("set the environment variable that it reads, or give `--store`")
    }
}

fn default_secrets() -> Vec<SecretProvider> {
    vec![SecretProvider::Environment { prefix: DEFAULT_SECRET_PREFIX.to_owned() }]
}

fn provider(source: language::SecretSource) -> SecretProvider {
    match source {
        language::SecretSource::Env(environment) => SecretProvider::Environment {
            prefix: environment.prefix.unwrap_or_else(|| DEFAULT_SECRET_PREFIX.to_owned()),
        },
        language::SecretSource::File(folder) => SecretProvider::File { folder: folder.into() },
        language::SecretSource::Vault(vault) => SecretProvider::Vault(VaultSource {
            address: vault.address,
            mount: vault.mount,
            prefix: vault.prefix,
            token_file: vault.token_file.map(PathBuf::from),
            token_env: vault.token_env,
            namespace: vault.namespace,
            ca: vault.ca.map(PathBuf::from),
        }),
    }
}
