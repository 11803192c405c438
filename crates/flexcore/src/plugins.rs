//! Wiring of plugins: who calls which kind, where their files are, what comes with FlexCore.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use flexcore_app::{BuiltInPlugin, PluginBounds, PluginPorts, RequestContext, Services};
use flexcore_cli::Place;
use flexcore_plugin_http::{HttpHost, HttpOptions};
use flexcore_plugin_process::{ProcessHost, ProcessOptions};
use flexcore_plugin_protocol::{ContentDigest, Manifest, PluginKind};
use flexcore_plugin_wasm::{WasmHost, WasmOptions};
use flexcore_ports::{PluginHost, PluginStore, Secrets};
use flexcore_sandbox::{Jailer, SandboxPolicy};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{grants::GrantsFile, paths::StatePaths, plugin_files, run_folder::RunFolder, sandbox};

/// A file with authorities that services may be vouched for by, besides those of the system.
const HTTP_AUTHORITIES: &str = "FLEXCORE_HTTP_AUTHORITIES";

/// The digests of plugins that may run as WebAssembly in this very process, if they ask for it.
const WASM_IN_PROCESS: &str = "FLEXCORE_WASM_IN_PROCESS";

/// The hidden verb by which this program serves one of its own plugins.
pub(crate) const SERVE: &str = "plugin-serve";

/// What plugins are called with, and what has to be let go of at the end.
pub(crate) struct Plugins {
    pub(crate) ports: PluginPorts,
    processes: Arc<ProcessHost>,
    modules: Arc<WasmHost>,
    run_folder: RunFolder,
    watch: Option<JoinHandle<()>>,
}

/// What decides how plugins are called.
pub(crate) struct PluginSetting<'a> {
    pub(crate) paths: &'a StatePaths,
    pub(crate) place: &'a Place,
    pub(crate) executable: &'a Path,
    pub(crate) environment: &'a BTreeMap<String, String>,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) jailer: Arc<Jailer>,
    pub(crate) policy: SandboxPolicy,
}

impl Plugins {
    pub(crate) fn new(setting: PluginSetting<'_>) -> io::Result<Self> {
        let run_folder = RunFolder::make(setting.environment)?;
        let mut options = ProcessOptions::new(run_folder.path().join("plugins"));
        options.policy = setting.policy.clone();
        options.hidden = sandbox::hidden_folders(setting.place);
        options.environment = variables(setting.environment);
        let files = (setting.paths, setting.place);
        let holding = (Arc::clone(&setting.jailer), setting.policy.clone());
        let tools = plugin_files::python_tools(files, setting.environment, holding, None);
        let packages = plugin_files::store(setting.paths, setting.environment).with_python(tools);
        let packages: Arc<dyn PluginStore> = Arc::new(packages);
        let modules = wasm_options(&setting, &run_folder);
        let modules = Arc::new(WasmHost::new(Arc::clone(&setting.jailer), modules));
        let processes = Arc::new(ProcessHost::new(setting.jailer, options));
        let mut http = HttpOptions::new(setting.secrets);
        http.authorities = setting.environment.get(HTTP_AUTHORITIES).map(PathBuf::from);
        let services = HttpHost::new(http);
        let hosts: [(PluginKind, Arc<dyn PluginHost>); 4] = [
            (PluginKind::Process, Arc::clone(&processes) as Arc<dyn PluginHost>),
            (PluginKind::WasmComponent, Arc::clone(&modules) as Arc<dyn PluginHost>),
            (PluginKind::WasmExtism, Arc::clone(&modules) as Arc<dyn PluginHost>),
            (PluginKind::Http, Arc::new(services)),
        ];
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let ports = PluginPorts {
            store: packages,
            hosts: hosts.into(),
            built_in: built_in(setting.executable),
            grants: Arc::new(GrantsFile::of(setting.environment, setting.paths.folder())),
            project_root: setting.place.project.root.clone(),
            bounds: PluginBounds::of_processors(processors),
        };
        Ok(Self { ports, processes, modules, run_folder, watch: None })
    }

    /// Who calls plugins that are processes.
    pub(crate) fn processes(&self) -> Arc<ProcessHost> {
        Arc::clone(&self.processes)
    }

    /// Looks after what is started, until the end.
    pub(crate) fn watch(&mut self, services: Arc<Services>) {
        self.watch = Some(tokio::spawn(async move {
            let context = RequestContext::local("flexcore");
            services.watch_plugins(&context, &CancellationToken::new()).await;
        }));
    }

    /// Ends every process. No call is running any more.
    pub(crate) async fn close(self) {
        let Self { ports, processes, modules, run_folder, watch } = self;
        drop(ports);
        if let Some(watch) = watch {
            watch.abort();
            // It was aborted or has ended; either way it asks nobody any more.
            let _ = watch.await;
        }
        processes.close().await;
        modules.close().await;
        drop(run_folder);
    }
}

/// For a process that looks at plugins and calls none.
pub(crate) fn for_reading(
    paths: &StatePaths,
    place: &Place,
    executable: &Path,
    environment: &BTreeMap<String, String>,
) -> PluginPorts {
    PluginPorts {
        store: Arc::new(plugin_files::store(paths, environment)),
        hosts: BTreeMap::new(),
        built_in: built_in(executable),
        grants: Arc::new(GrantsFile::of(environment, paths.folder())),
        project_root: place.project.root.clone(),
        bounds: PluginBounds::of_processors(1),
    }
}

/// The plugins that this program serves itself.
pub(crate) fn built_in(executable: &Path) -> Vec<BuiltInPlugin> {
    let one = |name: &&str| {
        let manifest_text = flexcore_processors::manifest_text(name, executable)?;
        let manifest = match Manifest::parse(name, &manifest_text) {
            Ok(manifest) => Arc::new(manifest),
            Err(problems) => {
                // A path that no manifest can hold: the program has to lie elsewhere.
                tracing::warn!(plugin = name, %problems, "a plugin of FlexCore's own is not there");
                return None;
            }
        };
        let config_schema = flexcore_processors::config_schema(name);
        let folder = executable.parent().map(Path::to_owned);
        Some(BuiltInPlugin { manifest, manifest_text, config_schema, folder })
    };
    flexcore_processors::names().iter().filter_map(one).collect()
}

/// How WebAssembly is run: in workers, but for plugins that the operator trusts by their digest.
fn wasm_options(setting: &PluginSetting<'_>, run_folder: &RunFolder) -> WasmOptions {
    let mut options = WasmOptions::new(setting.paths.folder(), setting.executable);
    options.run_folder = run_folder.path().join("wasm");
    options.policy = setting.policy.clone();
    options.hidden = sandbox::hidden_folders(setting.place);
    options.environment = variables(setting.environment);
    let trusted = setting.environment.get(WASM_IN_PROCESS).map(String::as_str);
    let digests = trusted.unwrap_or_default().split([',', ' ']);
    options.in_process = digests.filter_map(ContentDigest::parse).collect();
    options
}

/// What a plugin may be granted of the environment.
fn variables(
    environment: &BTreeMap<String, String>,
) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    environment.iter().map(|(name, value)| (name.into(), value.into())).collect()
}
