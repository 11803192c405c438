//! What operators see of a server: metrics, traces and the log.

mod deployed;
mod logs;
mod metrics;
mod prometheus;
mod traces;

use crate::{project::Project, serve::Served};

/// Two steps, of which the first says where in the trace it is.
const PIPELINE: &str = "\
pipeline: watched
steps:
  - { id: one, command: { run: \"echo '{\\\"parent\\\": \\\"'$TRACEPARENT'\\\"}' > $FLEXCORE_OUTPUT\" } }
  - { id: two, needs: [one], command: { run: \"true\" } }
";

/// Creates the pipeline and runs it to its end; the execution's id.
fn run_once(project: &Project, server: &Served) -> String {
    let created = server.post("pipelines", &crate::serve::document(project));
    assert!([201, 409].contains(&created.status), "{}", created.body);
    let accepted = server.send(&server.head("POST", "pipelines/watched/executions"), "");
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let id = accepted.json()["execution"].as_str().expect("an id").to_owned();
    server.live_until(&format!("executions/{id}/live?after=0"), "PipelineExecutionCompleted");
    id
}
