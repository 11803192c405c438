//! Verbs that ask a server, and the client crate, over real connections.

mod by_hand;
mod client;
mod flights;

use crate::project::{Project, Running, wait_until};
use rustix::process::Signal;

/// A server of one project.
pub(crate) struct Served {
    process: Running,
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Served {
    pub(crate) fn start(project: &Project) -> Self {
        Self::start_at(project, "0")
    }

    /// Starts it at a port, which may be that of one that ended.
    pub(crate) fn start_at(project: &Project, port: &str) -> Self {
        let process = project.start(&["serve", "--port", port]);
        wait_until("it listens", || process.stderr().contains("listening on http://"));
        let said = process.stderr();
        let address = said.split("http://").nth(1).and_then(|rest| rest.split(';').next());
        let url = format!("http://{}", address.expect("where it listens").trim());
        let token = project.read(".flexcore/token").trim().to_owned();
        Self { process, url, token }
    }

    pub(crate) fn port(&self) -> &str {
        self.url.rsplit(':').next().expect("a port")
    }

    pub(crate) fn end(self) {
        self.process.signal(Signal::TERM);
        self.process.finish().ends_with(0);
    }

    /// A project elsewhere whose verbs ask this server.
    pub(crate) fn asked_by(&self, pipeline: &str) -> Project {
        let mut project = Project::with(pipeline);
        project.set("FLEXCORE_SERVER", &self.url);
        project.set("FLEXCORE_API_KEY", &self.token);
        project
    }
}

/// A project whose steps write where it lies, and no pipeline.
pub(crate) fn empty() -> Project {
    let project = Project::new();
    project.write("flexcore.yaml", "writable: ['.']\n");
    project
}
