//! From a plugin's files to a process that can be called: jail, handshake, socket, questions.

mod folder;
mod handshake;
mod services;
mod socket;

use std::{ffi::OsString, path::Path, sync::Arc, time::Duration};

use flexcore_domain::Isolation;
use flexcore_plugin_protocol::{GrpcDetails, KindDetails, LimitName, PluginEnvironment};
use flexcore_ports::{CallablePlugin, LogSource};
use flexcore_sandbox::{Access, Containment, Jailed, Jailer, SpawnRequest, Stdin};
use tokio::task::JoinSet;

pub(crate) use folder::RunFolder;
pub(crate) use services::health;

use crate::{
    ProcessOptions,
    error::Fault,
    grpc::Connection,
    output::{self, Output},
    process::PluginProcess,
    supervisor::Supervisor,
};

/// Why there is no process, and what was learned on the way.
#[derive(Debug)]
pub(crate) struct StartFailure {
    pub(crate) fault: Fault,
    pub(crate) stderr_tail: Vec<String>,
    pub(crate) isolation: Option<Isolation>,
}

impl From<Fault> for StartFailure {
    fn from(fault: Fault) -> Self {
        Self { fault, stderr_tail: Vec::new(), isolation: None }
    }
}

/// Starts a process of a plugin and returns once it can be called. `attempt` is the mark of its
/// processes.
pub(crate) async fn start(
    jailer: &Jailer,
    options: &ProcessOptions,
    plugin: &CallablePlugin,
    attempt: String,
) -> Result<PluginProcess, StartFailure> {
    let KindDetails::Process(details) = &plugin.manifest.details else {
        let what = "its manifest is not that of a process".to_owned();
        return Err(Fault::Refused { what }.into());
    };
    let patience = plugin.effective.limits.duration(LimitName::Start).unwrap_or(options.start);
    let folder = RunFolder::make(&options.run_folder)
        .map_err(|source| Fault::Machine { what: "its private folder", source })?;
    let request = request(plugin, options, details, &folder, attempt)?;
    let containment = containment(plugin, options, &folder, &request)?;
    let marker = request.attempt.clone();
    let program = containment.spawn(jailer, request, &[]).await.map_err(Fault::from)?;
    let isolation = containment.isolation(&program);
    let starting = Starting { details, patience, marker, containment, folder };
    starting.finish(program, plugin, options, isolation).await
}

/// A program that runs and did not say anything yet.
struct Starting<'a> {
    details: &'a GrpcDetails,
    patience: Duration,
    marker: String,
    containment: Containment,
    folder: RunFolder,
}

impl Starting<'_> {
    async fn finish(
        self,
        mut jailed: Jailed,
        plugin: &CallablePlugin,
        options: &ProcessOptions,
        isolation: Isolation,
    ) -> Result<PluginProcess, StartFailure> {
        let output = Arc::new(Output::default());
        let mut readers = JoinSet::new();
        if let Some(stderr) = jailed.stderr.take() {
            readers.spawn(output::read(
                (Vec::new(), stderr),
                LogSource::Stderr,
                Arc::clone(&output),
            ));
        }
        let connected =
            tokio::time::timeout(self.patience, self.connect(&mut jailed, &output, &mut readers));
        let connected = connected.await.unwrap_or(Err(Fault::Silent { after: self.patience }));
        let Self { containment, folder, patience, .. } = self;
        let scratch = folder.scratch();
        let supervisor = Supervisor::start(jailed, folder, readers);
        let started = async {
            let connection = connected?;
            services::greet(&connection, plugin, options, (&output, patience))
                .await
                .map(|services| (connection, services))
        };
        match started.await {
            Ok((connection, services)) => Ok(PluginProcess {
                connection,
                services,
                supervisor,
                output,
                containment,
                isolation,
                scratch,
            }),
            Err(fault) => {
                let fault = explain(fault, &supervisor, &containment).await;
                supervisor.kill().await;
                let (stderr_tail, isolation) = (output.tail(), Some(isolation));
                Err(StartFailure { fault, stderr_tail, isolation })
            }
        }
    }

    /// Reads the handshake and connects to where it says.
    async fn connect(
        &self,
        jailed: &mut Jailed,
        output: &Arc<Output>,
        readers: &mut JoinSet<()>,
    ) -> Result<Connection, Fault> {
        let machine = |source| Fault::Machine { what: "its output", source };
        let Some(stdout) = jailed.stdout.take() else {
            return Err(machine(std::io::Error::other("it has none")));
        };
        let socket_folder = self.folder.path().to_string_lossy();
        let offer = (self.details.app_versions.as_slice(), &*socket_folder);
        let (handshake, stdout, rest) = handshake::read(stdout, offer).await?;
        let output = Arc::clone(output);
        readers.spawn(output::read((rest, stdout), LogSource::Stdout, output));
        let owner = (jailed.process.pid(), self.marker.as_str());
        let stream = socket::connect(&self.folder, &handshake.socket_name, owner).await?;
        Ok(Connection::open(stream).await?)
    }
}

/// What became of a process says more than what became of its pipe or its connection.
pub(crate) async fn explain(
    fault: Fault,
    supervisor: &Supervisor,
    containment: &Containment,
) -> Fault {
    /// How long the kernel may take to tell of an end.
    const NEWS: Duration = Duration::from_millis(500);
    let ends_with_process = match &fault {
        Fault::EndedEarly { .. } => true,
        Fault::Grpc(error) => error.is_of_the_connection(),
        _ => false,
    };
    if !ends_with_process {
        return fault;
    }
    let Some(exit) = supervisor.exit_within(NEWS).await else { return fault };
    if exit.out_of_memory {
        return Fault::OutOfMemory { limit: containment.limits().memory_bytes };
    }
    match fault {
        Fault::EndedEarly { .. } => Fault::EndedEarly { status: Some(exit.status) },
        _ => Fault::Ended { status: exit.status },
    }
}

fn containment(
    plugin: &CallablePlugin,
    options: &ProcessOptions,
    folder: &RunFolder,
    request: &SpawnRequest,
) -> Result<Containment, Fault> {
    let limits = options.limits.clone();
    let mut containment = Containment::new(&plugin.effective, &options.policy, limits)?
        .demanding(&plugin.manifest.sandbox)?
        .show(folder.path(), Access::ReadWrite);
    if let Some(files) = &plugin.folder {
        containment = containment.show(files, Access::ReadOnly);
    }
    let program = plugin.manifest.entrypoint.first().map(Path::new);
    let program = program.filter(|program| program.is_absolute());
    let is_installed = |program: &Path| {
        program.parent().is_some_and(|folder| folder.file_name() == Some("bin".as_ref()))
    };
    containment = match program {
        // One that lies just anywhere brings nothing along.
        Some(program) if !is_installed(program) => containment.show(program, Access::ReadOnly),
        _ => {
            let files = plugin.folder.as_deref().unwrap_or(folder.path());
            containment.show_program(request, files, options.home.as_deref())
        }
    };
    Ok(options.hidden.iter().fold(containment, Containment::hide))
}

fn request(
    plugin: &CallablePlugin,
    options: &ProcessOptions,
    details: &GrpcDetails,
    folder: &RunFolder,
    attempt: String,
) -> Result<SpawnRequest, Fault> {
    let mut argv: Vec<OsString> = plugin.manifest.entrypoint.iter().map(OsString::from).collect();
    let Some(program) = argv.first_mut() else {
        return Err(Fault::Refused { what: "its manifest names no program".to_owned() });
    };
    if let Some(files) = &plugin.folder {
        // An absolute program stays what it is.
        *program = files.join(&*program).into();
    }
    let socket_folder = folder.path().to_string_lossy();
    let variables = PluginEnvironment {
        cookie: (&details.cookie_key, &details.cookie_value),
        app_versions: &details.app_versions,
        socket_folder: &socket_folder,
        multiplex: false,
        capabilities: &plugin.effective.capabilities,
    };
    let host = |name: &str| {
        let found = options.environment.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.to_str().map(str::to_owned))
    };
    let variables = variables.variables(host);
    let always = [
        ("PATH", host("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".to_owned())),
        ("LANG", "C.UTF-8".to_owned()),
        ("HOME", folder.scratch().to_string_lossy().into_owned()),
    ];
    let always = always.into_iter().filter(|(name, _)| !variables.contains_key(*name));
    let environment = always
        .map(|(name, value)| (name.into(), value.into()))
        .chain(variables.iter().map(|(name, value)| (name.into(), value.into())))
        .collect();
    let cwd = plugin.folder.clone().unwrap_or_else(|| folder.path().to_owned());
    Ok(SpawnRequest { argv, cwd, environment, stdin: Stdin::Null, attempt })
}
