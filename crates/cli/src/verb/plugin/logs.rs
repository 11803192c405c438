//! `flexcore plugin calls|logs`

use clap::Args;
use flexcore_api::{ListPluginCalls, PluginCallView};
use flexcore_app::log_of_call;
use flexcore_domain::PluginCallId;

use crate::{
    Exit,
    failure::{Code, Failure},
    report::{PluginLogLine, PluginLogReport},
    session::Session,
    text::{plugin_calls_text, plugin_log_text},
};

/// How many calls are looked through for one.
const CALLS: usize = 10_000;

pub(super) async fn calls(session: &Session<'_>, query: ListPluginCalls) -> Result<Exit, Failure> {
    let reader = session.source(&session.here()?.place).await?;
    let calls = session.ask(&reader, query).await?;
    session.output.result(&calls, plugin_calls_text)?;
    Ok(Exit::Completed)
}

/// Arguments of `plugin logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    /// The plugin
    name: String,
    /// The call, or the beginning of its id; the last one unless given
    #[arg(long, value_name = "CALL")]
    call: Option<String>,
}

impl LogsArguments {
    /// What a plugin writes in a step is in the log of that step's attempt.
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        session.only_here("plugin logs", "what a call wrote lies on the machine that made it")?;
        let reader = session.host.read(&session.here()?.place).await?;
        let query = ListPluginCalls { name: self.name.clone(), limit: CALLS };
        let calls = reader.queries.ask(&session.context, query).await?.items;
        let call = self.pick(calls)?;
        let id: PluginCallId = call.call.parse().map_err(|_| {
            Failure::new(Code::Reply, format!("`{}` is no id of a call", call.call))
        })?;
        let (execution, step, attempt) = log_of_call(id);
        let logs = &*reader.services.ports().logs;
        let unreadable = |error| Failure::new(Code::File, format!("{error}"));
        let (mut lines, mut offset) = (Vec::new(), 0);
        loop {
            let (more, next) =
                logs.read(execution, &step, attempt, offset).await.map_err(unreadable)?;
            if more.is_empty() {
                break;
            }
            lines.extend(more);
            offset = next;
        }
        let lines = lines.into_iter().map(|line| PluginLogLine {
            time: flexcore_app::format_time(line.time),
            source: line.source,
            line: line.line,
        });
        let report = PluginLogReport { call, lines: lines.collect() };
        session.output.result(&report, plugin_log_text)?;
        Ok(Exit::Completed)
    }

    fn pick(&self, calls: Vec<PluginCallView>) -> Result<PluginCallView, Failure> {
        let prefix = self.call.as_deref().unwrap_or_default();
        let fits = |call: &PluginCallView| {
            call.call.starts_with(prefix)
                || call.call[PluginCallId::PREFIX.len()..].starts_with(prefix)
        };
        calls.into_iter().find(fits).ok_or_else(|| {
            let message = match &self.call {
                None => format!("plugin `{}` was not called by hand", self.name),
                Some(call) => format!("plugin `{}` has no call `{call}`", self.name),
            };
            Failure::new(Code::Step, message).hint(
                "`flexcore plugin calls` lists them; what a plugin writes in a step is in \
                 `flexcore logs`",
            )
        })
    }
}
