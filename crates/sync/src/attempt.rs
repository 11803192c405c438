//! One attempt of a sync, from its files to its outcome.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use flexcore_ports::{
    LogSource,
    attempt::{AttemptContext, AttemptEnd, AttemptObserver, AttemptOutcome, SyncSettings},
};
use flexcore_sandbox::{HousingError, ProjectJailer, SpawnRequest, Stdin};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::{needs_catalog, ruled_catalog},
    confirmation::Observations,
    course::{Course, Ending, Fault},
    diagnosis::{self, Diagnosis},
    discovery::{DiscoveryError, Inquiry, discover},
    failure::{Evidence, PrepareError, Witness},
    plugin::{Invocation, PluginName, Role, flags},
    program::{Exit, Program, Trail},
    pump::thread::{self, PumpOrder, PumpView},
    workplace::{Workplace, surroundings},
};

/// SCHEMA lines that may wait for their observer before the pump does.
const WAITING_SCHEMAS: usize = 16;

/// The environment variable that tells a native target what was committed.
const COMMITTED_STATE: &str = "FLEXCORE_COMMITTED_STATE";

/// An attempt that is about to begin.
pub(crate) struct Attempt<'a> {
    pub(crate) jailer: &'a ProjectJailer,
    pub(crate) context: AttemptContext,
    pub(crate) settings: SyncSettings,
    pub(crate) workplace: Workplace,
    pub(crate) observer: Arc<dyn AttemptObserver>,
    pub(crate) cancel: CancellationToken,
}

/// The files that the programs are given.
struct Files {
    tap_config: PathBuf,
    target_config: PathBuf,
    state: Option<PathBuf>,
    catalog: Option<PathBuf>,
}

/// Both programs and the pump between them.
struct Programs {
    tap: Program,
    target: Program,
}

impl Attempt<'_> {
    pub(crate) async fn run(self) -> AttemptEnd {
        let mut trail = Trail::default();
        let outcome = self.outcome_of_run(&mut trail).await;
        let Trail { isolation, uses } = trail;
        AttemptEnd { outcome, isolation, uses }
    }

    async fn outcome_of_run(&self, trail: &mut Trail) -> AttemptOutcome {
        let files = match self.files(trail).await {
            Ok(files) => files,
            Err(DiscoveryError::Cancelled) => return AttemptOutcome::Cancelled,
            Err(DiscoveryError::Failed(error)) => return AttemptOutcome::Failed(error),
        };
        let outcome = match self.spawn(&files, trail).await {
            Ok(programs) => self.follow(programs, trail).await,
            Err(error) => Err(error),
        };
        self.note_changed_config(&files.tap_config);
        outcome.unwrap_or_else(|error| AttemptOutcome::Failed(error.into()))
    }

    async fn files(&self, trail: &mut Trail) -> Result<Files, DiscoveryError> {
        let Self { workplace, settings, .. } = self;
        let tap_config = workplace.write_config(Role::Tap, &settings.tap.config)?;
        let target_config = workplace.write_config(Role::Target, &settings.target.config)?;
        let state = settings.state.as_ref();
        let state = state.map(|state| workplace.write(Role::Tap, "state.json", state.as_bytes()));
        let state = state.transpose()?;
        let catalog = if needs_catalog(settings) { Some(self.catalog(trail).await?) } else { None };
        Ok(Files { tap_config, target_config, state, catalog })
    }

    async fn catalog(&self, trail: &mut Trail) -> Result<PathBuf, DiscoveryError> {
        let Self { jailer, context, settings, workplace, cancel, .. } = self;
        let inquiry = Inquiry { jailer, context, workplace, tap: &settings.tap, cancel };
        let discovered = discover(inquiry, trail).await?;
        let plugin = PluginName::new(Role::Tap, &settings.tap);
        let (catalog, warnings) = ruled_catalog(&discovered, settings)
            .map_err(|source| PrepareError::Rules { plugin, source })?;
        workplace.warn(&warnings);
        let mut text = Vec::new();
        catalog.to_json().write(&mut text);
        Ok(workplace.write(Role::Tap, "catalog.json", &text)?)
    }

    /// Starts the target first: a tap may take from its source what nobody could receive.
    async fn spawn(&self, files: &Files, trail: &mut Trail) -> Result<Programs, PrepareError> {
        let Self { context, settings, .. } = self;
        let target = Invocation {
            context,
            settings: &settings.target,
            process: "target",
            arguments: flags([("--config", Some(files.target_config.as_os_str()))]),
            stdin: Stdin::Pipe,
        };
        let committed = settings.committed_state.as_deref().filter(|_| settings.target.native);
        let request = target.request(committed.map(|committed| (COMMITTED_STATE, committed)));
        let target = self.start(Role::Target, request, trail).await?;
        let tap = Invocation {
            context,
            settings: &settings.tap,
            process: "tap",
            arguments: flags([
                ("--config", Some(files.tap_config.as_os_str())),
                ("--state", files.state.as_deref().map(Path::as_os_str)),
                ("--catalog", files.catalog.as_deref().map(Path::as_os_str)),
            ]),
            stdin: Stdin::Null,
        };
        match self.start(Role::Tap, tap.request(None), trail).await {
            Ok(tap) => Ok(Programs { tap, target }),
            Err(error) => {
                target.held.kill(trail).await;
                Err(error)
            }
        }
    }

    async fn start(
        &self,
        role: Role,
        request: SpawnRequest,
        trail: &mut Trail,
    ) -> Result<Program, PrepareError> {
        let private = self.workplace.private_folder(role)?;
        let files = match role {
            Role::Tap => self.settings.tap.folder.as_deref(),
            Role::Target => self.settings.target.folder.as_deref(),
        };
        let around = surroundings(&self.context, &private, files, role.as_str());
        match self.jailer.spawn(&around, request).await {
            Ok(housed) => Ok(Program::new(housed, trail)),
            Err(source) => Err(self.not_started(role, source)),
        }
    }

    fn not_started(&self, role: Role, source: HousingError) -> PrepareError {
        PrepareError::Spawn { plugin: self.plugin(role), source }
    }

    fn plugin(&self, role: Role) -> PluginName {
        match role {
            Role::Tap => PluginName::new(role, &self.settings.tap),
            Role::Target => PluginName::new(role, &self.settings.target),
        }
    }

    async fn follow(
        &self,
        programs: Programs,
        trail: &mut Trail,
    ) -> Result<AttemptOutcome, PrepareError> {
        let Programs { tap, target } = programs;
        let (tap_name, target_name) = (self.plugin(Role::Tap), self.plugin(Role::Target));
        let (schema_sender, schemas) = mpsc::channel(WAITING_SCHEMAS);
        let (refusal_sender, mut refusals) = mpsc::channel(2);
        let observations = Observations {
            observer: Arc::clone(&self.observer),
            log: Arc::clone(&self.context.log),
            refusals: refusal_sender,
        };
        let order = PumpOrder {
            source: tap.stdout,
            sink: target.stdin.expect("the target was started with a pipe"),
            max_line: self.settings.max_line,
            tap: self.settings.tap.name.clone(),
            log: Arc::clone(&self.context.log),
            schemas: schema_sender,
        };
        let (view, pump) = thread::start(order).map_err(PrepareError::Exhausted)?;
        let course = Course {
            tap: &tap.process,
            target: &target.process,
            view: &view,
            observer: &*self.observer,
            grace: self.context.grace,
        };
        let max_line = usize::try_from(self.settings.max_line).unwrap_or(usize::MAX);
        let log = &*self.context.log;
        let (mut ending, (), (), tap_said, target_said) = tokio::join!(
            course.run(pump, &mut refusals, &self.cancel),
            observations.confirm(target.stdout, &target_name, max_line),
            observations.schemas(schemas),
            diagnosis::follow(tap.stderr, Role::Tap, log),
            diagnosis::follow(target.stderr, Role::Target, log),
        );
        let (tap_exit, target_exit) =
            (tap.held.finish(trail).await, target.held.finish(trail).await);
        // What the target confirmed last may have been refused after both had ended.
        ending.faults.extend(refusals.try_recv().map(Fault::Refused));
        let evidence = Evidence {
            tap: witness(tap_name, tap_said, &tap_exit),
            target: witness(target_name, target_said, &target_exit),
        };
        Ok(self.outcome(&ending, &evidence, &view))
    }

    fn outcome(&self, ending: &Ending, evidence: &Evidence, view: &PumpView) -> AttemptOutcome {
        let counts = view.counts();
        let (progress, output) = (counts.progress(), counts.to_output());
        let rejected = counts.rejected();
        drop(counts);
        self.observer.progress(&progress);
        if rejected > 0 {
            let tap = &evidence.tap.plugin;
            let text = format!("{tap} printed {rejected} lines that are no Singer messages");
            self.context.log.line(LogSource::Runner, &text);
        }
        if ending.cancelled {
            return AttemptOutcome::Cancelled;
        }
        match evidence.error(&ending.faults) {
            Some(error) => AttemptOutcome::Failed(error),
            None => AttemptOutcome::Completed { output },
        }
    }

    /// A tap may renew a token in its config; the change goes with the copy, so somebody should know.
    fn note_changed_config(&self, file: &Path) {
        let given = self.settings.tap.config.to_string();
        if fs::read(file).is_ok_and(|now| now == given.as_bytes()) {
            return;
        }
        let tap = self.plugin(Role::Tap);
        let text = format!(
            "{tap} changed its config file (a renewed token?); the change is not kept: where the \
            next run needs it, update the secret or setting that the config is made from"
        );
        self.context.log.line(LogSource::Runner, &text);
    }
}

fn witness(plugin: PluginName, said: Diagnosis, exit: &Exit) -> Witness {
    Witness { plugin, said, memory_ran_out: exit.memory_ran_out }
}
