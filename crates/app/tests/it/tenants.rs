//! Two tenants with the same names in one store.

use flexcore_api::{
    BookmarkAddress, CancelExecution, Command, CreatePipeline, DeactivatePipeline, ExecutePipeline,
    GetAggregate, GetBookmark, GetDataStream, GetExecution, GetExecutionLogs, GetExecutionTimeline,
    GetPipeline, GetPipelineStatus, GetPlugin, ListActivePlugins, ListDataStreams, ListExecutions,
    ListPipelineExecutions, ListPipelineSteps, ListPipelineVersions, ListPipelines, Query,
    ReadEvents, ResetBookmark, RetryExecution, SetBookmark,
};
use flexcore_app::{
    HandleCommand, HandleQuery, Permissions, RequestContext, Services, UseCaseError,
};
use flexcore_domain::ExecutionStatus;
use serde_json::value::RawValue;

use crate::stage::{Life, Stage};

const SYNC: &str = r"
pipeline: orders
steps:
  - id: load
    sync:
      tap: { plugin: tap-csv, config: { files: [{ path: orders.csv, key: [id] }] } }
      target: { plugin: target-jsonl, config: { path: out } }
";

async fn code_of<Q: Query>(life: &Life, context: &RequestContext, query: Q) -> &'static str
where
    Services: HandleQuery<Q>,
{
    life.queries.ask(context, query).await.map_or_else(|error| error.code(), |_| "answered")
}

async fn code_of_command<C: Command>(
    life: &Life,
    context: &RequestContext,
    command: C,
) -> &'static str
where
    Services: HandleCommand<C>,
{
    life.commands.execute(context, command).await.map_or_else(|error| error.code(), |_| "done")
}

fn other() -> RequestContext {
    RequestContext { tenant: "acme".into(), ..RequestContext::local("somebody else") }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_tenant_has_is_not_there() {
    let stage = Stage::new(SYNC);
    let life = stage.life(i64::MAX);
    let execution = stage.order(&life).await;
    assert_eq!(stage.run(&life, execution).await.unwrap(), ExecutionStatus::Completed);
    let (acme, execution) = (other(), execution.to_string());
    let (life, name) = (&life, || "orders".to_owned());
    let shown = stage.show_pipeline(life).await;
    let not_found = "FC0201";

    for name in [name(), shown.id.clone()] {
        let get = GetPipeline { name: name.clone(), version: None };
        assert_eq!(code_of(life, &acme, get).await, not_found);
        let versions = ListPipelineVersions { name: name.clone(), limit: 9, after: None };
        assert_eq!(code_of(life, &acme, versions).await, not_found);
        let steps = ListPipelineSteps { name: name.clone(), version: None };
        assert_eq!(code_of(life, &acme, steps).await, not_found);
        let deactivate = DeactivatePipeline { name, expected_version: None };
        assert_eq!(code_of_command(life, &acme, deactivate).await, not_found);
    }
    let status = GetPipelineStatus { name: name() };
    assert_eq!(code_of(life, &acme, status).await, not_found);
    let of_pipeline =
        ListPipelineExecutions { pipeline: name(), statuses: vec![], limit: 9, after: None };
    assert_eq!(code_of(life, &acme, of_pipeline).await, not_found);

    for text in [execution.clone(), execution[..9].to_owned(), "last".to_owned()] {
        let get = GetExecution { execution: text.clone() };
        assert_eq!(code_of(life, &acme, get).await, not_found);
        let timeline = GetExecutionTimeline { execution: text.clone(), after: 0, limit: 9 };
        assert_eq!(code_of(life, &acme, timeline).await, not_found);
        let logs = GetExecutionLogs {
            execution: text.clone(),
            step: None,
            attempt: None,
            limit: 9,
            after: None,
        };
        assert_eq!(code_of(life, &acme, logs).await, not_found);
        let retry = RetryExecution { execution: text.clone() };
        assert_eq!(code_of_command(life, &acme, retry).await, not_found);
        let cancel = CancelExecution { execution: text, reason: None };
        assert_eq!(code_of_command(life, &acme, cancel).await, not_found);
    }

    let bookmark = || BookmarkAddress {
        pipeline: name(),
        state: "load".to_owned(),
        environment: "default".to_owned(),
        item: None,
    };
    assert_eq!(code_of(life, &acme, GetBookmark { bookmark: bookmark() }).await, not_found);
    let reset = ResetBookmark { bookmark: bookmark(), stream: None };
    assert_eq!(code_of_command(life, &acme, reset).await, not_found);
    let empty = RawValue::from_string("{}".to_owned()).unwrap();
    let set = SetBookmark { bookmark: bookmark(), state: empty };
    assert_eq!(code_of_command(life, &acme, set).await, not_found);
    let data_stream = GetDataStream {
        pipeline: name(),
        state: "load".to_owned(),
        environment: "default".to_owned(),
        item: None,
    };
    assert_eq!(code_of(life, &acme, data_stream).await, not_found);
    let tap = GetPlugin { name: "tap-csv".to_owned(), role: None };
    assert_eq!(code_of(life, &acme, tap).await, not_found);
    for stream in [format!("default/execution/{execution}"), "default/pipeline-name/orders".into()]
    {
        let get = GetAggregate { stream, at_version: None, at_time: None };
        assert_eq!(code_of(life, &stage.context, get.clone()).await, "answered");
        assert_eq!(code_of(life, &acme, get).await, not_found);
    }
    assert_eq!(stage.show(life, execution.parse().unwrap()).await.status, "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_each_tenant_its_own() {
    let stage = Stage::new(SYNC);
    let life = stage.life(i64::MAX);
    let execution = stage.order(&life).await;
    stage.run(&life, execution).await.unwrap();
    let acme = other();
    let ask = async |context: &RequestContext| {
        let queries = &life.queries;
        let pipelines = queries.ask(context, ListPipelines::default()).await.unwrap().items;
        let executions = queries.ask(context, ListExecutions::default()).await.unwrap().items;
        let plugins = queries.ask(context, ListActivePlugins::default()).await.unwrap().items;
        let streams = queries.ask(context, ListDataStreams::default()).await.unwrap().items;
        [pipelines.len(), executions.len(), plugins.len(), streams.len()]
    };
    assert_eq!(ask(&stage.context).await, [1, 1, 2, 1]);
    assert_eq!(ask(&acme).await, [0, 0, 0, 0]);

    // The same definition, under the same name.
    let document = stage.show_pipeline(&life).await.document;
    let create = CreatePipeline { document, idempotency_key: None };
    life.commands.execute(&acme, create).await.unwrap();
    let execute = ExecutePipeline {
        pipeline: "orders".to_owned(),
        run_key: Some("once".to_owned()),
        ..ExecutePipeline::default()
    };
    let accepted = life.commands.execute(&acme, execute).await.unwrap();
    assert!(!accepted.repeated, "another tenant's key is another key");
    assert_ne!(accepted.execution, execution.to_string());
    assert_eq!(ask(&acme).await, [1, 1, 2, 0]);
    assert_eq!(ask(&stage.context).await, [1, 1, 2, 1]);
    let status = GetPipelineStatus { name: "orders".to_owned() };
    let status = life.queries.ask(&acme, status).await.unwrap();
    assert_eq!(status.executions.get("queued"), Some(&1));
    assert_eq!(status.executions.get("completed"), None);
    assert_eq!(status.last_execution.unwrap().id, accepted.execution);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operator_reads_the_events_of_all_tenants() {
    let stage = Stage::new(SYNC);
    let life = stage.life(i64::MAX);
    stage.order(&life).await;
    let document = stage.show_pipeline(&life).await.document;
    let create = CreatePipeline { document, idempotency_key: None };
    life.commands.execute(&other(), create).await.unwrap();
    let tenants = async |context: &RequestContext, query: ReadEvents| {
        let page = life.queries.ask(context, query).await?;
        let mut tenants: Vec<String> = page
            .items
            .iter()
            .map(|event| event.stream.split('/').next().unwrap_or_default().to_owned())
            .collect();
        tenants.dedup();
        Ok::<_, UseCaseError>(tenants)
    };
    let all = || ReadEvents { all_tenants: true, ..ReadEvents::default() };
    assert_eq!(tenants(&other(), ReadEvents::default()).await.unwrap(), ["acme"]);
    assert_eq!(tenants(&stage.context, ReadEvents::default()).await.unwrap(), ["default"]);
    assert_eq!(tenants(&stage.context, all()).await.unwrap(), ["default", "acme"]);
    assert_eq!(tenants(&other(), all()).await.unwrap_err().code(), "FC0205");
    let names = ["event.read".to_owned()].into_iter().collect();
    let reader = RequestContext {
        permissions: Permissions::Only(std::sync::Arc::new(names)),
        ..stage.context.clone()
    };
    assert_eq!(tenants(&reader, all()).await.unwrap_err().code(), "FC0205");
    let stream = Some("acme/pipeline-name/orders".to_owned());
    let one = ReadEvents { stream, ..ReadEvents::default() };
    assert_eq!(tenants(&reader, one.clone()).await.unwrap(), [""; 0]);
    assert_eq!(tenants(&other(), one).await.unwrap(), ["acme"]);
    // Where others wrote most of the log, pages are short and still lead to its end.
    let (mut after, mut found) = (0, 0);
    loop {
        let query = ReadEvents { after, limit: 1, ..ReadEvents::default() };
        let page = life.queries.ask(&other(), query).await.unwrap();
        assert!(page.items.iter().all(|event| event.stream.starts_with("acme/")));
        found += page.items.len();
        let Some(next) = page.next else { break };
        after = next;
    }
    assert_eq!(found, 3, "the name, the pipeline, and that it was made");
}
