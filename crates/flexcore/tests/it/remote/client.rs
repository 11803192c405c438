//! The client crate against a server.

use std::time::Duration;

use flexcore_api::{
    CreatePipeline, ExecutePipeline, GetExecution, GetPipeline, ListExecutions, ListPipelines,
};
use flexcore_client::{ApiKey, Client, ClientError, ClientOptions, Watch};
use tokio::runtime::Runtime;

use super::{Served, empty};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn options(server: &Served) -> ClientOptions {
    let mut options = ClientOptions::new(&*server.url);
    options.key = ApiKey::parse(&server.token);
    options
}

#[test]
fn requests_are_typed_and_an_execution_is_watched_to_its_end() {
    let here = empty();
    here.write("hello.yaml", "pipeline: hello\nsteps: [{ id: say, command: { run: 'true' } }]\n");
    let checked = here.json(&["validate", "hello.yaml"]).completes().value();
    let document = checked["files"][0]["document"].clone();
    let server = Served::start(&here);
    let client = Client::new(options(&server)).expect("a client");
    runtime().block_on(async {
        assert_eq!(client.health().await.expect("health").status, "healthy");
        let saved = client
            .command(&CreatePipeline { document, idempotency_key: None })
            .await
            .expect("a pipeline");
        assert_eq!(saved.version, 1);
        let request = ExecutePipeline {
            pipeline: "hello".to_owned(),
            run_key: Some("once".to_owned()),
            ..ExecutePipeline::default()
        };
        let accepted = client.command(&request).await.expect("an execution");
        let again = client.command(&request).await.expect("the same");
        assert_eq!((&accepted.execution, again.repeated), (&again.execution, true));

        let mut events = client.watch(Watch::execution(&accepted.execution).after(0));
        let mut seen = vec![];
        while let Some(event) = events.next().await.expect("the stream goes on") {
            seen.push(event.type_name.clone());
            if event.type_name == "PipelineExecutionCompleted" {
                break;
            }
        }
        assert_eq!(seen.first().map(String::as_str), Some("PipelineExecutionCreated"));
        let query = GetExecution { execution: accepted.execution.clone() };
        assert_eq!(client.query(&query).await.expect("it is there").status, "completed");
        let listed = client.query(&ListExecutions::default()).await.expect("a list");
        assert_eq!(listed.items.len(), 1);
    });
    server.end();
}

#[test]
fn refusals_are_errors_with_their_code_and_status() {
    let here = empty();
    let server = Served::start(&here);
    runtime().block_on(async {
        let client = Client::new(options(&server)).expect("a client");
        let query = GetPipeline { name: "nobody".to_owned(), version: None };
        let Err(ClientError::Problem(problem)) = client.query(&query).await else {
            panic!("there is no such pipeline");
        };
        assert_eq!((problem.status, &*problem.body.code), (404, "FC0201"));

        let mut unknown = options(&server);
        unknown.key = None;
        let error = Client::new(unknown).expect("a client").query(&ListPipelines::default()).await;
        assert_eq!(error.expect_err("nobody is known").status(), Some(401));
    });
    let url = server.url.clone();
    server.end();
    runtime().block_on(async {
        let mut gone = ClientOptions::new(url);
        gone.retries = 1;
        gone.connect_timeout = Duration::from_secs(1);
        let error = Client::new(gone).expect("a client").query(&ListPipelines::default()).await;
        let error = error.expect_err("nobody answers");
        assert_eq!(error.body().code, "FC0780");
    });
}
