//! PruneStore: what nobody looks at any more goes. Events never do.

use async_trait::async_trait;
use flexcore_api::{LogsPruned, PruneStore, StorePruned};
use flexcore_domain::ExecutionId;
use flexcore_eventsourcing::Timestamp;
use flexcore_pipeline_file::parse_duration;
use flexcore_ports::StorageError;

use crate::{
    HandleCommand, RequestContext, Services, UseCaseError, format_time, parse_time,
    projection::View,
};

#[async_trait]
impl HandleCommand<PruneStore> for Services {
    async fn handle(
        &self,
        _context: &RequestContext,
        command: PruneStore,
    ) -> Result<StorePruned, UseCaseError> {
        let now = self.ports.clock.now();
        let before = time_of(&command.before, now)?;
        // What ended since must not look as if it ran.
        self.up_to_date(View::Executions).await?;
        // Logs go first: as long as an execution is in the views, they tell whether it has ended.
        let mut logs = None;
        if command.logs {
            logs = Some(self.prune_logs(before, command.dry_run).await?);
        }
        let views = &self.ports.views;
        let executions = if command.dry_run {
            views.count_executions_before(before).await?
        } else {
            views.remove_executions_before(before).await?
        };
        let (before, dry_run) = (format_time(before), command.dry_run);
        Ok(StorePruned { before, dry_run, executions, logs })
    }
}

impl Services {
    async fn prune_logs(
        &self,
        before: Timestamp,
        dry_run: bool,
    ) -> Result<LogsPruned, UseCaseError> {
        let mut pruned = LogsPruned { executions: 0, bytes: 0 };
        let logs = &self.ports.logs;
        for execution in logs.executions().await.map_err(|error| refused(&error))? {
            if !self.is_over(execution, before).await? {
                continue;
            }
            let bytes =
                if dry_run { logs.size(execution).await } else { logs.remove(execution).await };
            pruned.executions += 1;
            pruned.bytes += bytes.map_err(|error| refused(&error))?;
        }
        Ok(pruned)
    }

    /// Whether an execution was created before a time and has ended. One that the views do not show
    /// any more has; then its id tells when it was made.
    async fn is_over(
        &self,
        execution: ExecutionId,
        before: Timestamp,
    ) -> Result<bool, UseCaseError> {
        let made = made_at(execution);
        if made.is_some_and(|made| made >= before) {
            return Ok(false);
        }
        Ok(match self.ports.views.find_execution(execution).await? {
            Some(row) => row.ended_at.is_some() && row.created_at < before,
            None => made.is_some(),
        })
    }
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
        Some(age) => {
            let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
            Timestamp::from_micros(now.as_micros().saturating_sub(age))
        }
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
