//! Why a store cannot be opened.

use flexcore_ports::StoreError;
use thiserror::Error;
use tokio_postgres::error::SqlState;

use crate::options::chain;

/// Why a store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The URL cannot be understood.
    #[error("the database URL is malformed: {reason}; it reads postgres://USER@HOST:PORT/DATABASE")]
    BadUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there, or not in time, or not with the encryption that was asked for.
    #[error("cannot reach {server}: {reason}; check host, port and sslmode, and whether it runs")]
    Unreachable {
        /// Host, port and database.
        server: String,
        /// What the system says.
        reason: String,
    },
    /// The server does not let this role in.
    #[error("{server} refuses the login: {reason}; check user, password and database")]
    Login {
        /// Host, port and database.
        server: String,
        /// What the server says.
        reason: String,
    },
    /// The role may not use the store.
    #[error(
        "role {role} lacks rights on {server}: {reason}; run `flexcore store migrate --app-role \
         {role}` as the owner"
    )]
    Rights {
        /// Host, port and database.
        server: String,
        /// The role.
        role: String,
        /// What the server says.
        reason: String,
    },
    /// The database holds no store yet, or an older schema, and this role may not change it.
    #[error(
        "{server} has schema {found}, this program needs {needed}, and role {role} may not change \
         it; run `flexcore store migrate` as the owner"
    )]
    NotMigrated {
        /// Host, port and database.
        server: String,
        /// The role.
        role: String,
        /// The newest migration that was applied; 0: none.
        found: u32,
        /// The newest that this program knows.
        needed: u32,
    },
    /// The schema was written by a newer release.
    #[error(
        "{server} has schema {found}, this program knows up to {supported}; use a release that is \
         at least as new as the one that migrated it"
    )]
    Newer {
        /// Host, port and database.
        server: String,
        /// The newest migration that was applied.
        found: u32,
        /// The newest that this program knows.
        supported: u32,
    },
    /// A migration that was applied is not the one that this program knows by its number.
    #[error(
        "{server} was migrated by another program: migration {number} ({name}) is not the one \
         that this release has; use the release that migrated it"
    )]
    Changed {
        /// Host, port and database.
        server: String,
        /// The migration's number.
        number: u32,
        /// Its name.
        name: String,
    },
    /// The server cannot hold a store: it is too old, or the database is not UTF-8, or it is a
    /// standby that was opened for writing.
    #[error("{server} cannot be used: {reason}")]
    Unfit {
        /// Host, port and database.
        server: String,
        /// Why.
        reason: String,
    },
    /// The server failed.
    #[error("{server} failed: {reason}")]
    Failed {
        /// Host, port and database.
        server: String,
        /// What it says.
        reason: String,
    },
}

impl OpenError {
    /// A failed connection.
    pub(crate) fn connect(server: &str, error: &tokio_postgres::Error) -> Self {
        let server = server.to_owned();
        match error.code() {
            Some(code) if is_login(code) => Self::Login { server, reason: reason(error) },
            _ => Self::Unreachable { server, reason: reason(error) },
        }
    }

    /// A failed statement.
    pub(crate) fn statement(server: &str, role: &str, error: &tokio_postgres::Error) -> Self {
        let server = server.to_owned();
        if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            return Self::Rights { server, role: role.to_owned(), reason: reason(error) };
        }
        if error.is_closed() {
            return Self::Unreachable { server, reason: reason(error) };
        }
        Self::Failed { server, reason: reason(error) }
    }
}

fn is_login(code: &SqlState) -> bool {
    [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INVALID_CATALOG_NAME,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ]
    .contains(code)
}

/// What the server or the system says, on one line and without the words of the library.
pub(crate) fn reason(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        None => chain(error),
        Some(error) => match error.hint() {
            None => error.message().to_owned(),
            Some(hint) => format!("{} ({hint})", error.message()),
        },
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
