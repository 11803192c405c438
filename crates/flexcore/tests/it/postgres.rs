//! The store on PostgreSQL: the same promises as in a folder, shared by folders and machines.
//!
//! Servers are real and of these tests alone. A project is told of its database by
//! `FLEXCORE_DATABASE_URL`, and everything else about it is as ever.

mod kill;
mod refusals;
mod sharing;
mod stopped;
mod verbs;

use std::sync::Arc;

use flexcore_testkit::postgres::{RoleUrls, Server, SharedServer};
use tokio::runtime::Runtime;

use crate::project::Project;

/// A database that nobody else uses, on a server that nobody may hurt.
pub(crate) struct Database {
    runtime: Runtime,
    server: SharedServer,
    url: String,
}

impl Database {
    pub(crate) fn new() -> Arc<Self> {
        let runtime = runtime();
        let server = runtime.block_on(Server::shared()).expect("PostgreSQL; run `make setup`");
        let url = runtime.block_on(server.database()).expect("a database");
        Arc::new(Self { runtime, server, url })
    }

    /// A database whose owner and user are different roles.
    pub(crate) fn with_roles() -> (Arc<Self>, RoleUrls) {
        let runtime = runtime();
        let server = runtime.block_on(Server::shared()).expect("PostgreSQL; run `make setup`");
        let roles = runtime.block_on(server.database_with_roles()).expect("a database");
        let url = roles.owner.clone();
        (Arc::new(Self { runtime, server, url }), roles)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements as the superuser; the rows of queries, columns separated by `|`.
    pub(crate) fn sql(&self, statements: &str) -> String {
        self.runtime.block_on(self.server.sql(&self.url, statements)).expect("statements that work")
    }

    /// Has a project use it.
    pub(crate) fn of(self: &Arc<Self>, mut project: Project) -> Project {
        project.set("FLEXCORE_DATABASE_URL", &self.url);
        project.keep(self.clone());
        project
    }
}

/// What drives the calls to a server, which are async.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A step that waits for a file and says so by another, before one that follows.
const WAITS: &str = "\
pipeline: waits
steps:
  - { id: first, command: { run: \"echo first >> trace\" } }
  - id: second
    needs: [first]
    command: { run: \"echo \\\"$FLEXCORE_ATTEMPT\\\" >> trace; touch waiting; while [ ! -e go ]; do sleep 0.01; done\" }
  - { id: third, needs: [second], command: { run: \"echo third >> trace\" } }
";
