//! `flexcore plan`

mod rights;

use std::collections::BTreeMap;

use clap::Args;
use flexcore_api::{BookmarkAddress, BookmarkView, GetBookmark};
use flexcore_domain::{RunOn, StepDefinition, StepId, StepKind};
use flexcore_pipeline_file::{ResolvedPipeline, ResolvedStep, Settings, SettingsEntry};
use serde_json::Value;

use super::{catalog::discover, run::parameter};
use crate::{
    Exit,
    failure::Failure,
    place::LocatedPipeline,
    report::{PlanReport, StepPlan, SyncPlan},
    server::Source,
    session::Session,
    text::{mermaid, plan_text, shortened},
};

/// How much of a command stands in the table of steps.
const SUMMARY: usize = 60;

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// The pipeline's file, or its name in the project of the working directory
    #[arg(value_name = "FILE|NAME")]
    pipeline: String,
    /// Print only the DAG, as a Mermaid flowchart
    #[arg(long)]
    mermaid: bool,
    /// Do not ask taps for their catalogs
    #[arg(long)]
    offline: bool,
    /// A parameter, as for run, for taps whose settings read it; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    params: Vec<(String, String)>,
}

impl PlanArguments {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let pipeline = session.pipeline(&self.pipeline)?;
        let resolved = pipeline.resolve()?;
        let mut steps = steps(&pipeline.pipeline.definition.steps, &resolved);
        let mermaid = mermaid(&steps);
        if self.mermaid && !session.output.is_json() {
            session.output.text(|_| mermaid)?;
            return Ok(Exit::Completed);
        }
        rights::add(session, &pipeline, &resolved, &self.params, &mut steps)?;
        self.add_syncs(session, &pipeline, &resolved, &mut steps).await?;
        let report = PlanReport {
            pipeline: resolved.name.to_string(),
            environment: resolved.environment.to_string(),
            timeout: only_entry(resolved.timeout.as_ref()),
            params: resolved.parameters.list(),
            steps,
            mermaid,
        };
        session.output.result(&report, plan_text)?;
        Ok(Exit::Completed)
    }

    /// What taps and the store have to say. Neither has to be there for a plan.
    async fn add_syncs(
        self,
        session: &Session<'_>,
        pipeline: &LocatedPipeline,
        resolved: &ResolvedPipeline,
        steps: &mut [StepPlan],
    ) -> Result<(), Failure> {
        let place = &pipeline.located.place;
        let params: BTreeMap<_, _> = self.params.into_iter().collect();
        let reader = match session.source_if_there(place).await {
            Ok(reader) => reader,
            Err(Failure::Error { body, .. }) => {
                session.output.warning(&format!("bookmarks are not shown: {}", body.message));
                None
            }
            Err(failure) => return Err(failure),
        };
        for plan in steps {
            let step = resolved.steps.iter().find(|step| step.id.as_str() == plan.id);
            let Some(step) = step.filter(|step| step.kind == StepKind::Sync) else { continue };
            let discovered = if self.offline {
                Err("the tap was not asked (--offline)".to_owned())
            } else {
                let streams = discover(session, place, resolved, step, &params).await;
                streams.map_err(|failure| match failure {
                    Failure::Error { body, .. } => body.message,
                    Failure::Files(diagnostics) => diagnostics.to_string(),
                })
            };
            let (streams, undiscovered) = match discovered {
                Ok(streams) => (Some(streams), None),
                Err(reason) => (None, Some(reason)),
            };
            let bookmark = bookmark(session, reader.as_ref(), resolved, step).await?;
            let select = select_rules(&step.settings);
            plan.sync = Some(SyncPlan { select, streams, undiscovered, bookmark });
        }
        Ok(())
    }
}

/// The bookmark that a sync would start from; a pipeline that never ran has an empty one.
async fn bookmark(
    session: &Session<'_>,
    reader: Option<&Source>,
    resolved: &ResolvedPipeline,
    step: &ResolvedStep,
) -> Result<Option<BookmarkView>, Failure> {
    let address = BookmarkAddress {
        pipeline: resolved.name.to_string(),
        state: step.bookmark_name(),
        environment: resolved.environment.to_string(),
        item: None,
    };
    let none = BookmarkView {
        bookmark: address.clone(),
        state: None,
        previous: None,
        execution: None,
        changed_at: None,
        tap: None,
        target: None,
        holder: None,
    };
    let Some(reader) = reader else { return Ok(Some(none)) };
    match session.ask(reader, GetBookmark { bookmark: address }).await {
        Ok(view) => Ok(Some(view)),
        Err(failure) if failure.is_not_found() => Ok(Some(none)),
        Err(failure) => Err(failure),
    }
}

/// The steps in an order in which they can be decided, those of one stage in the order of the file.
fn steps(definitions: &[StepDefinition], resolved: &ResolvedPipeline) -> Vec<StepPlan> {
    let stages = stages(definitions);
    let plan = |definition: &StepDefinition| {
        let step = resolved.step(&definition.id)?;
        Some(StepPlan {
            id: definition.id.to_string(),
            kind: definition.kind.as_str().to_owned(),
            stage: stages.get(&definition.id).copied().unwrap_or(1),
            summary: summary(step),
            needs: definition.needs.iter().map(ToString::to_string).collect(),
            run_on: run_on_word(definition.run_on),
            when: definition.when.as_ref().map(|condition| condition.expression.clone()),
            attempts: definition.retry.attempts,
            allow_failure: definition.allow_failure,
            timeout: only_entry(step.timeout.as_ref()),
            settings: step.settings.entries(),
            variables: step.environment.entries(),
            capabilities: step.capabilities.as_ref().map(Settings::entries).unwrap_or_default(),
            limits: step.limits.as_ref().map(Settings::entries).unwrap_or_default(),
            rights: None,
            sync: None,
        })
    };
    let mut steps: Vec<StepPlan> = definitions.iter().filter_map(plan).collect();
    steps.sort_by_key(|step| step.stage);
    steps
}

/// The longest way to each step, counted in steps. The definition was checked: there is no cycle.
fn stages(definitions: &[StepDefinition]) -> BTreeMap<StepId, u32> {
    let mut stages: BTreeMap<StepId, u32> = BTreeMap::new();
    for _ in definitions {
        for step in definitions {
            let after = step.needs.iter().filter_map(|need| stages.get(need)).max();
            let stage = after.copied().unwrap_or(0) + 1;
            stages.insert(step.id.clone(), stage);
        }
    }
    stages
}

/// What a step does, in a few words.
fn summary(step: &ResolvedStep) -> String {
    let settings = step.settings.value();
    let text = |pointer: &str| settings.pointer(pointer).and_then(Value::as_str);
    let whole = match step.kind {
        StepKind::Sync => format!(
            "{} → {}",
            text("/tap/plugin").unwrap_or("tap"),
            text("/target/plugin").unwrap_or("target")
        ),
        StepKind::Plugin => match text("/operation") {
            Some(operation) => format!("{} {operation}", text("/name").unwrap_or("plugin")),
            None => text("/name").unwrap_or("plugin").to_owned(),
        },
        StepKind::Command => match settings.get("argv").and_then(Value::as_array) {
            Some(argv) => argv.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
            None => {
                text("/run").and_then(|script| script.lines().next()).unwrap_or_default().to_owned()
            }
        },
    };
    shortened(&whole, SUMMARY)
}

/// The select rules of a sync.
fn select_rules(settings: &Settings) -> Vec<String> {
    let value = settings.value();
    let rules = value.get("select").and_then(Value::as_array);
    rules.into_iter().flatten().filter_map(|rule| rule.as_str().map(str::to_owned)).collect()
}

/// The one entry of settings without keys.
fn only_entry(settings: Option<&Settings>) -> Option<SettingsEntry> {
    settings?.entries().into_iter().next()
}

const fn run_on_word(run_on: RunOn) -> &'static str {
    match run_on {
        RunOn::Completed => "completed",
        RunOn::Failed => "failed",
        RunOn::Ended => "ended",
        RunOn::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use flexcore_domain::RetryPolicy;

    use super::*;

    fn definition(id: &str, needs: &[&str]) -> StepDefinition {
        StepDefinition {
            id: id.parse().unwrap(),
            kind: StepKind::Command,
            needs: needs.iter().map(|need| need.parse().unwrap()).collect(),
            run_on: RunOn::Completed,
            when: None,
            retry: RetryPolicy::default(),
            allow_failure: false,
        }
    }

    #[test]
    fn a_step_stands_below_everything_that_it_needs() {
        let definitions = [
            definition("d", &["c", "a"]),
            definition("c", &["b"]),
            definition("b", &["a"]),
            definition("a", &[]),
        ];
        let stages = stages(&definitions);
        let of = |id: &str| stages[&id.parse::<StepId>().unwrap()];
        assert_eq!([of("a"), of("b"), of("c"), of("d")], [1, 2, 3, 4]);
    }

    #[test]
    fn steps_without_needs_share_the_first_stage() {
        let stages = stages(&[definition("a", &[]), definition("b", &[])]);
        assert!(stages.values().all(|stage| *stage == 1));
    }
}
