//! Which project, which store, which environment, which pipeline.

use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use flexcore_domain::EnvironmentName;
use flexcore_pipeline_file::{
    Diagnostics, LoadedPipeline, PROJECT_FILE, Project, ResolvedPipeline, find_pipeline,
    load_pipeline, load_project, project_root, resolve,
};

use crate::{
    DatabaseUrl, Place, StoreAddress,
    failure::{Code, Failure},
    session::Session,
};

/// The folder of the embedded store in a project.
pub(crate) const STATE_FOLDER: &str = ".flexcore";

/// The URL of the database, so that it need not stand in arguments and files.
const DATABASE_URL: &str = "FLEXCORE_DATABASE_URL";

/// Settings that this program cannot do without, as variables that would turn them off.
const INDISPENSABLE: [(&str, &str); 2] = [
    ("FLEXCORE_EVENT_STORE_ENABLED", "every execution is a stream of events in the store"),
    ("FLEXCORE_CQRS_ENABLED", "every command and query goes over its bus"),
];

/// A project with its store and the environment that was chosen.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) place: Place,
    pub(crate) environment: EnvironmentName,
}

/// A pipeline file with its project.
#[derive(Debug)]
pub(crate) struct LocatedPipeline {
    pub(crate) located: Located,
    pub(crate) file: PathBuf,
    pub(crate) pipeline: LoadedPipeline,
}

impl LocatedPipeline {
    /// The pipeline with the settings of the environment that was chosen.
    pub(crate) fn resolve(&self) -> Result<ResolvedPipeline, Failure> {
        let document = &self.pipeline.definition.document;
        resolve(document, &self.located.environment)
            .map_err(|error| Failure::new(Code::Setting, error.to_string()))
    }
}

impl Session<'_> {
    /// The project of the working directory. A store that is named and lies in a project, where it
    /// is called `.flexcore`, brings its project along: steps run where they ran before.
    pub(crate) fn here(&self) -> Result<Located, Failure> {
        let folder = self.host.current_folder();
        let store = self.options.store.as_ref().map(|store| folder.join(store.as_str()));
        let in_project = store.filter(|store| store.ends_with(STATE_FOLDER));
        let folder = in_project.as_deref().and_then(Path::parent).unwrap_or(folder);
        self.around(&folder.join(PROJECT_FILE))
    }

    /// A pipeline by the path of its file, or by its name in the project of the working directory.
    /// Its warnings are shown.
    pub(crate) fn pipeline(&self, file_or_name: &str) -> Result<LocatedPipeline, Failure> {
        let path = self.host.current_folder().join(file_or_name);
        let (located, file) = if is_path(file_or_name) || path.is_file() {
            (self.around(&path)?, path)
        } else {
            let located = self.here()?;
            let file = find_pipeline(&located.place.project, file_or_name)?;
            (located, file)
        };
        let pipeline = self.load(&file, &located.place.project)?;
        for warning in &pipeline.warnings {
            self.output.note(&warning.to_string());
        }
        Ok(LocatedPipeline { located, file, pipeline })
    }

    /// Whether a text names a file from the working directory on.
    pub(crate) fn current_folder_has(&self, text: &str) -> bool {
        self.host.current_folder().join(text).is_file()
    }

    /// A pipeline file, checked in full.
    pub(crate) fn load(
        &self,
        file: &Path,
        project: &Project,
    ) -> Result<LoadedPipeline, Diagnostics> {
        let connectors: Vec<&str> =
            self.host.connectors().iter().map(|connector| connector.name).collect();
        load_pipeline(file, project, &connectors)
    }

    /// The project that a file belongs to.
    pub(crate) fn around(&self, file: &Path) -> Result<Located, Failure> {
        let project = load_project(&project_root(file))?;
        self.refuse_indispensable(&project)?;
        let chosen = self.variable(&project, "FLEXCORE_ENVIRONMENT");
        let environment =
            project.environment(self.options.environment.as_deref(), chosen.as_deref())?;
        let store = self.store(&project, &environment)?;
        let place = Place { project, state_folder: store.folder, store: store.address };
        Ok(Located { place, environment })
    }

    /// The project of the working directory with another store than its own, which is named by a
    /// path or a URL.
    pub(crate) fn elsewhere(&self, store: &str) -> Result<Place, Failure> {
        let project = load_project(&project_root(&self.host.current_folder().join(PROJECT_FILE)))?;
        let store = self.store_at(&project, store, self.host.current_folder())?;
        Ok(Place { project, state_folder: store.folder, store: store.address })
    }

    /// A variable of the process, else of the project's `.env`.
    fn variable(&self, project: &Project, name: &str) -> Option<String> {
        let of_file = || project.dotenv.iter().rev().find(|(key, _)| key == name).map(|(_, v)| v);
        let value = self.host.environment().get(name).or_else(of_file)?;
        (!value.is_empty()).then(|| value.clone())
    }

    fn refuse_indispensable(&self, project: &Project) -> Result<(), Failure> {
        for (name, reason) in INDISPENSABLE {
            let off = self.variable(project, name);
            if off.is_some_and(|value| ["false", "0", "off", "no"].contains(&value.as_str())) {
                let message =
                    format!("{name} turns off what there is no FlexCore without: {reason}");
                return Err(Failure::new(Code::Setting, message).hint(format!("unset {name}")));
            }
        }
        Ok(())
    }

    /// Flag over environment over the settings of a server over project file over default.
    fn store(&self, project: &Project, environment: &EnvironmentName) -> Result<Store, Failure> {
        let here = self.host.current_folder();
        if let Some(store) = &self.options.store {
            let store = self.store_at(project, store.as_str(), here)?;
            self.warn_of_password(&store);
            return Ok(store);
        }
        if let Some(store) = self.variable(project, "FLEXCORE_STORE") {
            return self.store_at(project, &store, here);
        }
        if let Some(url) = self.variable(project, DATABASE_URL) {
            return self.store_at(project, &url, here);
        }
        let host = |name: &str| self.variable(project, name);
        let store = match project.store(environment, &host)? {
            Some(store) => self.store_at(project, &store, &project.root)?,
            None => Store::embedded(project.root.join(STATE_FOLDER)),
        };
        // Where a server's operator says otherwise, other verbs look where the server writes.
        let settings = self.host.database_setting(&store.folder, self.settings_file.as_deref())?;
        Ok(match settings {
            Some(url) => Store { address: StoreAddress::Database(url), ..store },
            None => store,
        })
    }

    /// A store that is named by a path, a URL or a kind; relative paths start at `base`.
    fn store_at(&self, project: &Project, store: &str, base: &Path) -> Result<Store, Failure> {
        let default = project.root.join(STATE_FOLDER);
        let url = if ["postgres", "postgresql"].contains(&store) {
            let url = self.variable(project, DATABASE_URL).ok_or_else(|| {
                let message = format!("the store is `{store}`, and {DATABASE_URL} is not set");
                Failure::new(Code::Setting, message)
                    .hint(format!("{DATABASE_URL}=postgres://USER:PASSWORD@HOST/DATABASE"))
            })?;
            let database = DatabaseUrl::parse(&url).ok_or_else(|| {
                let message = format!("{DATABASE_URL} does not begin with `postgres://`");
                Failure::new(Code::Setting, message)
            })?;
            Some(database)
        } else {
            DatabaseUrl::parse(store)
        };
        match url {
            Some(url) => Ok(Store { folder: default, address: StoreAddress::Database(url) }),
            None => store_folder(store, base, &project.root).map(Store::embedded),
        }
    }

    /// Everybody on a machine may list the arguments of its processes.
    fn warn_of_password(&self, store: &Store) {
        if let StoreAddress::Database(url) = &store.address
            && url.has_password()
            && !self.warned_of_password.swap(true, Ordering::Relaxed)
        {
            self.output.warning(&format!(
                "the password in `--store {url}` can be seen by other users of this machine; \
                 {DATABASE_URL} keeps it to yourself"
            ));
        }
    }
}

/// A store and the folder for what belongs to this machine.
struct Store {
    folder: PathBuf,
    address: StoreAddress,
}

impl Store {
    fn embedded(folder: PathBuf) -> Self {
        Self { folder, address: StoreAddress::Folder }
    }
}

/// Whether a text is meant as a path rather than as a pipeline's name, which has neither slashes
/// nor dots.
pub(crate) fn is_path(text: &str) -> bool {
    text.contains(['/', '\\', '.'])
}

/// The folder of an embedded store that is named by a path or a URL; relative paths start at `base`.
fn store_folder(store: &str, base: &Path, root: &Path) -> Result<PathBuf, Failure> {
    let path = match store.split_once(':') {
        None if store == "sqlite" => return Ok(root.join(STATE_FOLDER)),
        Some(("sqlite", "")) => return Ok(root.join(STATE_FOLDER)),
        Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
        Some(("file", path)) if path.starts_with("//") => &path[2..],
        Some((scheme, rest)) if rest.starts_with("//") => {
            let message = format!("a store of kind `{scheme}` is not supported yet");
            return Err(Failure::new(Code::StoreKind, message).hint(
                "give postgres://USER@HOST/DATABASE, or the path of a folder for the embedded store",
            ));
        }
        _ => store,
    };
    Ok(base.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(store: &str) -> Result<PathBuf, Failure> {
        store_folder(store, Path::new("/base"), Path::new("/root"))
    }

    #[test]
    fn a_store_is_a_path_or_a_url() {
        assert_eq!(folder("sqlite").unwrap(), Path::new("/root/.flexcore"));
        assert_eq!(folder("state").unwrap(), Path::new("/base/state"));
        assert_eq!(folder("/state").unwrap(), Path::new("/state"));
        assert_eq!(folder("sqlite:state").unwrap(), Path::new("/base/state"));
        assert_eq!(folder("sqlite:///state").unwrap(), Path::new("/state"));
        assert_eq!(folder("file:///state").unwrap(), Path::new("/state"));
        assert_eq!(folder("odd:name").unwrap(), Path::new("/base/odd:name"));
    }

    #[test]
    fn stores_of_other_kinds_are_refused_by_name() {
        for store in ["mysql://db/flexcore", "redis://db", "s3://bucket/store"] {
            let Err(Failure::Error { exit, body }) = folder(store) else { panic!("{store}") };
            let scheme = store.split(':').next().unwrap();
            assert_eq!(exit, crate::Exit::Refused);
            assert!(body.message.contains(scheme) && body.message.contains("not supported yet"));
        }
    }

    #[test]
    fn names_of_pipelines_are_no_paths() {
        assert!(!is_path("flights") && !is_path("sales-to_warehouse"));
        assert!(is_path("flights.yaml") && is_path("pipelines/flights") && is_path("./flights"));
    }
}
