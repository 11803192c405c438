//! Commands that come by name, from another process.

use flexcore_api::{Command, CommandEnvelope, ErrorBody};
use serde_json::Value;

use crate::{CommandBus, HandleCommand, RequestContext, Services};

/// Carries out a command that is known by its name only: the reply, or the error as callers see
/// it. Every command of the `api` crate's list can be sent.
///
/// # Errors
/// The error body: of the handler, or that the name or the body is not a command's.
pub async fn dispatch(
    bus: &CommandBus,
    context: &RequestContext,
    envelope: CommandEnvelope,
) -> Result<Value, ErrorBody> {
    macro_rules! dispatch_by_name {
        ($($command:ident),* $(,)?) => {
            match envelope.command.as_str() {
                $(flexcore_api::$command::NAME => {
                    run::<flexcore_api::$command>(bus, context, envelope.body).await
                })*
                unknown => Err(malformed(format!("there is no command `{unknown}`"))),
            }
        };
    }
    flexcore_api::for_each_command!(dispatch_by_name)
}

async fn run<C: Command>(
    bus: &CommandBus,
    context: &RequestContext,
    body: Value,
) -> Result<Value, ErrorBody>
where
    Services: HandleCommand<C>,
{
    let command: C = serde_json::from_value(body)
        .map_err(|error| malformed(format!("the body is not a {}: {error}", C::NAME)))?;
    let reply = bus.execute(context, command).await.map_err(|error| error.body())?;
    serde_json::to_value(reply).map_err(|error| malformed(error.to_string()))
}

fn malformed(message: String) -> ErrorBody {
    ErrorBody { code: "FC0202".to_owned(), message, hint: None }
}
