//! PruneStore: what nobody looks at any more goes. Events never do.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use flexcore_api::{LogsPruned, PipelinePruned, PruneStore, StorePruned};
use flexcore_domain::{Execution, ExecutionId, Pipeline, PipelineId, PipelineName};
use flexcore_eventsourcing::Timestamp;
use flexcore_pipeline_file::{parse_duration, retention_of};
use flexcore_ports::{Expiring, PipelineFilter, PipelineRow, RowKey, StorageError, ViewRow};

use crate::{
    HandleCommand, RequestContext, Services, UseCaseError, format_time, parse_time,
    projection::View, streams,
};

/// How many pipelines are looked at in one go.
const PAGE: usize = 500;

#[async_trait]
impl HandleCommand<PruneStore> for Services {
    async fn handle(
        &self,
        _context: &RequestContext,
        command: PruneStore,
    ) -> Result<StorePruned, UseCaseError> {
        let now = self.ports.clock.now();
        let before = command.before.as_deref().map(|text| time_of(text, now)).transpose()?;
        // What ended since must not look as if it ran.
        for view in [View::Pipelines, View::Executions] {
            self.up_to_date(view).await?;
        }
        let rules = Rules { before, of_pipelines: self.retention_rules(now).await? };
        // Logs go first: as long as an execution is in the views, they tell whether it has ended.
        let mut logs = None;
        if command.logs {
            logs = Some(self.prune_logs(&rules, command.dry_run).await?);
        }
        let mut pipelines = Vec::new();
        for rule in &rules.of_pipelines {
            pipelines.extend(self.prune_pipeline(rule, command.dry_run).await?);
        }
        let mut executions = pipelines.iter().map(|pruned| pruned.executions).sum();
        if let Some(before) = before {
            let own = rules.of_pipelines.iter().filter(|rule| rule.executions.is_some());
            let others = Expiring::AllBut(own.map(|rule| rule.id).collect());
            executions += self.prune_executions(before, &others, command.dry_run).await?;
        }
        let (before, dry_run) = (before.map(format_time), command.dry_run);
        Ok(StorePruned { before, dry_run, executions, pipelines, logs })
    }
}

/// What counts as old.
struct Rules {
    /// What was created before this, where no pipeline says otherwise; `None`: nothing.
    before: Option<Timestamp>,
    of_pipelines: Vec<Rule>,
}

/// What counts as old of a pipeline that says so.
struct Rule {
    tenant: Arc<str>,
    name: PipelineName,
    id: PipelineId,
    executions: Option<Timestamp>,
    logs: Option<Timestamp>,
}

impl Rules {
    /// The time before which the logs of a pipeline's executions are old; `None`: none are.
    fn logs_before(&self, pipeline: PipelineId) -> Option<Timestamp> {
        let own = self.of_pipelines.iter().find(|rule| rule.id == pipeline);
        own.and_then(|rule| rule.logs).or(self.before)
    }
}

impl Services {
    /// What pipelines say themselves: the newest version of each, of all tenants.
    async fn retention_rules(&self, now: Timestamp) -> Result<Vec<Rule>, UseCaseError> {
        let mut rules = Vec::new();
        for tenant in self.ports.views.tenants().await? {
            let (filter, mut after) = (PipelineFilter::of(&*tenant), None::<String>);
            loop {
                let views = &self.ports.views;
                let page = views.list_pipelines(&filter, PAGE, after.as_deref()).await?;
                for row in page.items {
                    rules.extend(self.rule_of(row, now).await?);
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(rules)
    }

    async fn rule_of(
        &self,
        row: PipelineRow,
        now: Timestamp,
    ) -> Result<Option<Rule>, UseCaseError> {
        let stream = streams::pipeline(&row.tenant, row.id);
        let Some(pipeline) = self.load::<Pipeline>(&stream).await?.state else { return Ok(None) };
        let periods = retention_of(&pipeline.definition.document);
        let ago = |period: Option<Duration>| period.map(|period| before(now, period));
        let (executions, logs) = (ago(periods.executions), ago(periods.logs));
        let PipelineRow { id, tenant, name, .. } = row;
        let says_something = executions.is_some() || logs.is_some();
        Ok(says_something.then_some(Rule { tenant, name, id, executions, logs }))
    }

    async fn prune_pipeline(
        &self,
        rule: &Rule,
        dry_run: bool,
    ) -> Result<Option<PipelinePruned>, UseCaseError> {
        let Some(before) = rule.executions else { return Ok(None) };
        let (tenant, name) = (Arc::clone(&rule.tenant), rule.name.clone());
        let of = Expiring::OfPipeline { tenant, name, id: rule.id };
        let executions = self.prune_executions(before, &of, dry_run).await?;
        Ok((executions > 0).then(|| PipelinePruned {
            pipeline: rule.name.to_string(),
            tenant: rule.tenant.to_string(),
            before: format_time(before),
            executions,
        }))
    }

    async fn prune_executions(
        &self,
        before: Timestamp,
        of: &Expiring,
        dry_run: bool,
    ) -> Result<u64, UseCaseError> {
        let views = &self.ports.views;
        Ok(if dry_run {
            views.count_executions_before(before, of).await?
        } else {
            views.remove_executions_before(before, of).await?
        })
    }

    async fn prune_logs(&self, rules: &Rules, dry_run: bool) -> Result<LogsPruned, UseCaseError> {
        let mut pruned = LogsPruned { executions: 0, bytes: 0 };
        let logs = &self.ports.logs;
        for execution in logs.executions().await.map_err(|error| refused(&error))? {
            if !self.is_over(execution, rules).await? {
                continue;
            }
            let bytes =
                if dry_run { logs.size(execution).await } else { logs.remove(execution).await };
            pruned.executions += 1;
            pruned.bytes += bytes.map_err(|error| refused(&error))?;
        }
        Ok(pruned)
    }

    /// Whether an execution has ended and is old. One that the views do not show any more has ended;
    /// its events still tell whose it is. What has no events at all, such as a call of a plugin by
    /// hand, goes by the time that its id tells.
    async fn is_over(&self, execution: ExecutionId, rules: &Rules) -> Result<bool, UseCaseError> {
        let keys = vec![RowKey::Execution(execution)];
        let row = self.ports.views.load(View::Executions.name(), keys).await?.pop();
        if let Some(ViewRow::Execution(row)) = row {
            let before = rules.logs_before(row.pipeline_id);
            return Ok(row.ended_at.is_some() && before.is_some_and(|time| row.created_at < time));
        }
        for tenant in self.ports.views.tenants().await? {
            let stream = streams::execution(&tenant, execution);
            if let Some(found) = self.load::<Execution>(&stream).await?.state {
                let before = rules.logs_before(found.order.pipeline_id);
                let is_old = before.is_some_and(|time| found.order.created_at < time);
                return Ok(is_old && found.status.has_ended());
            }
        }
        let made = made_at(execution);
        Ok(made.zip(rules.before).is_some_and(|(made, before)| made < before))
    }
}

/// The time that is so long ago.
fn before(now: Timestamp, period: Duration) -> Timestamp {
    let period = i64::try_from(period.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(period))
}

fn refused(error: &StorageError) -> UseCaseError {
    UseCaseError::Refused {
        message: error.to_string(),
        hint: Some("nothing went from the views yet; when it is mended, prune again".to_owned()),
    }
}

/// When an id was made, to the millisecond; `None` if it does not say.
fn made_at(execution: ExecutionId) -> Option<Timestamp> {
    let (seconds, nanos) = execution.0.get_timestamp()?.to_unix();
    let micros = seconds.checked_mul(1_000_000)?.checked_add(u64::from(nanos / 1_000))?;
    Some(Timestamp::from_micros(i64::try_from(micros).ok()?))
}

/// The time that an age or a time means.
fn time_of(text: &str, now: Timestamp) -> Result<Timestamp, UseCaseError> {
    let time = match parse_duration(text) {
        Some(age) => before(now, age),
        None => parse_time(text).ok_or_else(|| UseCaseError::Invalid {
            message: format!("`{text}` is neither an age nor a time"),
            hint: Some("say 90d, 12h, or 2026-01-31T00:00:00Z".to_owned()),
        })?,
    };
    if time > now {
        return Err(UseCaseError::Invalid {
            message: format!("{text} is in the future"),
            hint: Some("name a time that has passed, or an age such as 90d".to_owned()),
        });
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_and_a_time_are_understood_and_the_future_is_not() {
        let now = parse_time("2026-04-01T00:00:00Z").unwrap();
        let of = |text| time_of(text, now).map(format_time);
        assert_eq!(of("90d").unwrap(), "2026-01-01T00:00:00.000000Z");
        assert_eq!(of("2026-02-01T01:00:00+01:00").unwrap(), "2026-02-01T00:00:00.000000Z");
        let refused = |text| of(text).unwrap_err().to_string();
        assert_eq!(refused("soon"), "`soon` is neither an age nor a time");
        assert_eq!(refused("2026-04-02T00:00:00Z"), "2026-04-02T00:00:00Z is in the future");
    }
}
