//! `flexcore log-level LEVEL`

use flexcore_api::SetLogLevel;

use crate::{
    Exit,
    failure::{Code, Failure},
    session::Session,
};

/// Changes how much the log of the process says that holds the store.
pub(super) async fn set(session: &Session<'_>, command: SetLogLevel) -> Result<Exit, Failure> {
    let place = session.here()?.place;
    // A process of its own for this would change a log that nobody reads.
    let Some(reply) = session.send(&place, &command).await? else {
        let message = "no process holds this store, so there is no log to change";
        return Err(Failure::new(Code::NoServer, message)
            .hint("start `flexcore serve`; --verbose says more of any other verb"));
    };
    session
        .output
        .result(&reply, |set, _| format!("the log says {} (was {})", set.level, set.former))?;
    Ok(Exit::Completed)
}
