//! SetLogLevel.

use async_trait::async_trait;
use flexcore_api::{LogLevelSet, SetLogLevel};
use flexcore_ports::{LogLevel, UnknownLogLevel};

use crate::{HandleCommand, RequestContext, Services, UseCaseError};

#[async_trait]
impl HandleCommand<SetLogLevel> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: SetLogLevel,
    ) -> Result<LogLevelSet, UseCaseError> {
        let level: LogLevel = command
            .level
            .parse()
            .map_err(|error: UnknownLogLevel| UseCaseError::invalid(error.to_string()))?;
        let Some(log) = &self.log_control else {
            return Err(UseCaseError::refused("the log of this process cannot be changed"));
        };
        let former = log.level();
        log.set_level(level);
        tracing::warn!(%former, %level, actor = &*context.actor, "the log has another level");
        Ok(LogLevelSet { level: level.to_string(), former: former.to_string() })
    }
}
