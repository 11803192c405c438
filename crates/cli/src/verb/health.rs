//! `flexcore health`

use flexcore_api::ServerHealth;
use flexcore_client::ClientError;

use crate::{Exit, failure::Failure, session::Session, text::health_text};

/// How a server is: the one that was named, else the one that has the store of this place.
pub(super) async fn health(session: &Session<'_>) -> Result<Exit, Failure> {
    let place;
    let client = match session.server()? {
        Some(server) => server.clone(),
        None => {
            place = session.here()?.place;
            session.server_of(&place)?.ok_or_else(|| ClientError::Unreachable {
                server: "a server of this machine".to_owned(),
                reason: format!("none has the store in {}", place.state_folder.display()),
            })?
        }
    };
    let health: ServerHealth = client.health().await?;
    session.output.result(&health, health_text)?;
    Ok(if health.status == "unready" { Exit::Failed } else { Exit::Completed })
}
