//! Attempts of `sync` steps: hold the data stream, run the pump, record what it came to.

use std::{ffi::OsString, path::Path, sync::Arc};

use async_trait::async_trait;
use flexcore_domain::{FullRefresh, StepCounts, StepId, data_stream::SyncPlugins};
use flexcore_pipeline_file as file;
use flexcore_ports::attempt::{
    AttemptContext, AttemptEnd, AttemptObserver, AttemptOutcome, BookmarkRefused, PluginSettings,
    Progress, SyncSettings, Unmatched,
};

use super::{
    RunObserver,
    attempt::{AttemptTask, refused},
    bookmark::{BookmarkKeeper, Start},
};
use crate::{
    plugin::{RegisteredProgram, RegisteredPrograms},
    streams,
};

pub(super) async fn run(
    task: &AttemptTask,
    context: AttemptContext,
    settings: file::SyncSettings,
    programs: RegisteredPrograms,
) -> (AttemptEnd, StepCounts) {
    let order = &task.execution;
    let stream = streams::data_stream(
        &task.context.tenant,
        &order.environment,
        order.pipeline_id,
        &settings.state,
        None,
    );
    let plugins = SyncPlugins { tap: identity(&settings.tap), target: identity(&settings.target) };
    let log = Arc::clone(&context.log);
    let held = BookmarkKeeper::hold(task, stream, plugins, log).await;
    let (keeper, start) = match held {
        Ok(held) => held,
        Err(error) => {
            let end = AttemptEnd::nothing_ran(failed(error.to_string()));
            return (end, StepCounts::default());
        }
    };
    let keeper = Arc::new(keeper);
    let from = starting_state(task, &settings, &start);
    let programs = Programs { executable: &task.runner.options.executable, registered: programs };
    let mut settings = translate(settings, programs);
    settings.only_streams.clone_from(&order.streams);
    (settings.state, settings.committed_state) = (from, start.committed);
    let observer = Observer {
        keeper: Arc::clone(&keeper),
        step: task.step.clone(),
        run: Arc::clone(&task.observer),
    };
    let syncs = &task.runner.syncs;
    let cancel = task.cancel.clone();
    let mut end = syncs.run(context, settings, Arc::new(observer), cancel).await;
    let counts = keeper.counts();
    // Whatever came of the attempt, what the target confirmed is kept.
    let kept = match &end.outcome {
        AttemptOutcome::Completed { .. } => keeper.finish(counts).await,
        _ => keeper.flush().await,
    };
    end.outcome = match (end.outcome, kept) {
        (AttemptOutcome::Completed { .. }, Err(error)) => failed(error.to_string()),
        (AttemptOutcome::Completed { output }, Ok(())) => {
            AttemptOutcome::Completed { output: keeper.add_bookmarks(output).await }
        }
        (outcome, _) => outcome,
    };
    (end, counts)
}

fn failed(message: String) -> AttemptOutcome {
    AttemptOutcome::Failed(refused(message))
}

/// What a bookmark belongs to: the connector, or the program that a plugin runs.
fn identity(plugin: &file::PluginSettings) -> String {
    match &plugin.program {
        file::PluginProgram::Native(name) => name.clone(),
        file::PluginProgram::Command(argv) => {
            format!("{} ({})", plugin.name, argv.first().map_or("", String::as_str))
        }
        // Another version of it goes on where this one ended.
        file::PluginProgram::Registered(name) => format!("{} (registered:{name})", plugin.name),
    }
}

/// The state that the tap starts from. A full refresh starts from nothing, but only until this
/// execution has committed a bookmark of its own: a resumed one goes on from there.
fn starting_state(
    task: &AttemptTask,
    settings: &file::SyncSettings,
    start: &Start,
) -> Option<String> {
    let mut state = start.state.clone()?;
    if start.committed.is_none() {
        let refreshed = match &task.execution.full_refresh {
            FullRefresh::All => file::FullRefresh::All,
            FullRefresh::Steps(parts) => named(parts, &task.step),
            FullRefresh::AsDefined => file::FullRefresh::No,
        };
        for refresh in [&refreshed, &settings.full_refresh] {
            match refresh {
                file::FullRefresh::No => {}
                file::FullRefresh::All => return None,
                file::FullRefresh::Streams(streams) => {
                    for stream in streams {
                        state.reset_stream(stream);
                    }
                }
            }
        }
    }
    (!state.is_empty()).then(|| state.to_string())
}

fn named(parts: &[(StepId, Option<String>)], step: &StepId) -> file::FullRefresh {
    let mut mine = parts.iter().filter(|(id, _)| id == step).map(|(_, stream)| stream).peekable();
    if mine.peek().is_none() {
        return file::FullRefresh::No;
    }
    match mine.cloned().collect::<Option<Vec<String>>>() {
        Some(streams) => file::FullRefresh::Streams(streams),
        None => file::FullRefresh::All,
    }
}

/// How a native connector is run: as this very program.
fn native_argv(executable: &Path, name: &str) -> Vec<OsString> {
    let words = ["plugin", "run", name, "--"];
    std::iter::once(executable.into()).chain(words.map(OsString::from)).collect()
}

/// Where the programs of a sync come from.
struct Programs<'a> {
    executable: &'a Path,
    registered: RegisteredPrograms,
}

fn translate(settings: file::SyncSettings, programs: Programs<'_>) -> SyncSettings {
    let Programs { executable, registered } = programs;
    let plugin = |plugin: file::PluginSettings, registered: Option<RegisteredProgram>| {
        let is_native = matches!(plugin.program, file::PluginProgram::Native(_));
        let folder = registered.as_ref().and_then(|program| program.folder.clone());
        let argv = match plugin.program {
            file::PluginProgram::Native(name) => native_argv(executable, &name),
            file::PluginProgram::Command(argv) => argv.into_iter().map(OsString::from).collect(),
            file::PluginProgram::Registered(_) => {
                registered.map(|program| program.argv).unwrap_or_default()
            }
        };
        let environment = plugin.environment.into_iter();
        PluginSettings {
            name: plugin.name,
            argv,
            config: plugin.config,
            environment: environment.map(|(name, value)| (name.into(), value.into())).collect(),
            native: is_native,
            folder,
        }
    };
    SyncSettings {
        tap: plugin(settings.tap, registered.tap),
        target: plugin(settings.target, registered.target),
        select: settings.select,
        metadata: settings.metadata,
        schema: settings.schema,
        only_streams: vec![],
        unmatched: match settings.unmatched {
            file::Unmatched::Fail => Unmatched::Fail,
            file::Unmatched::Warn => Unmatched::Warn,
        },
        max_line: settings.max_line,
        state: None,
        committed_state: None,
    }
}

/// The settings of a tap that is only asked for its catalog.
pub(crate) fn discovery_settings(
    settings: file::SyncSettings,
    executable: &Path,
    registered: RegisteredPrograms,
) -> SyncSettings {
    translate(settings, Programs { executable, registered })
}

/// Hands what the pump reports to the keeper of the bookmark and to whoever watches the run.
struct Observer {
    keeper: Arc<BookmarkKeeper>,
    step: StepId,
    run: Arc<dyn RunObserver>,
}

#[async_trait]
impl AttemptObserver for Observer {
    fn progress(&self, progress: &Progress) {
        self.keeper.count(progress);
        self.run.progress(&self.step, progress);
    }

    async fn state_confirmed(&self, line: &[u8]) -> Result<(), BookmarkRefused> {
        self.keeper.state_confirmed(line).await
    }

    async fn schema_observed(&self, stream: &str, schema: &[u8]) -> Result<(), BookmarkRefused> {
        self.keeper.schema_observed(stream, schema).await
    }
}
