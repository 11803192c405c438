//! What went wrong, as a host understands it.

use std::error::Error as _;

use flexcore_plugin_sdk::{Failure, FailureClass};
use tokio_postgres::{Error, error::ErrorPosition};

/// An error of the server or of the connection; `what` says what was being done.
pub(super) fn failure(what: &str, error: &Error) -> Failure {
    Failure { class: class(error), message: format!("{what}: {}", text(error)) }
}

fn class(error: &Error) -> FailureClass {
    let Some(database) = error.as_db_error() else { return FailureClass::Network };
    match database.code().code().get(..2) {
        // Data exceptions and violated constraints.
        Some("22" | "23") => FailureClass::Data,
        // Connections, rolled back transactions, lack of resources, an operator or a timeout that
        // stepped in, trouble of the system.
        Some("08" | "40" | "53" | "55" | "57" | "58") => FailureClass::Network,
        _ => FailureClass::Configuration,
    }
}

fn text(error: &Error) -> String {
    let Some(database) = error.as_db_error() else {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        return text;
    };
    let mut text = format!("{} ({})", database.message(), database.code().code());
    if let Some(ErrorPosition::Original(position)) = database.position() {
        text = format!("{text}, at character {position} of the statement");
    }
    for more in [database.detail(), database.hint()].into_iter().flatten() {
        text = format!("{text}; {more}");
    }
    text
}
