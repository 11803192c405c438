//! The life of a pipeline.

use flexcore_api::{
    ActivatePipeline, ArchivePipeline, CreatePipeline, DeactivatePipeline, ExecutePipeline,
    GetExecutionLogs, GetExecutionTimeline, GetPipeline, ListPipelineExecutions, ListPipelineSteps,
    ListPipelineVersions, UpdatePipeline,
};
use flexcore_domain::ExecutionStatus;
use serde_json::{Value, json};

use crate::stage::{Life, Stage};

const ONE: &str = "pipeline: orders\nsteps: [{ id: one, command: { argv: [complete, x] } }]\n";

fn name() -> String {
    "orders".to_owned()
}

fn execute() -> ExecutePipeline {
    ExecutePipeline { pipeline: name(), ..ExecutePipeline::default() }
}

/// A definition with another description.
fn changed(document: &Value, description: &str) -> Value {
    let mut document = document.clone();
    document["pipeline"]["content"]["description"] = json!(description);
    document
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_pipeline_begins_nothing_and_ends_what_it_began() {
    let stage = Stage::new(ONE);
    let life = stage.life(i64::MAX);
    let begun = stage.order(&life).await;
    let (commands, context) = (&life.commands, &stage.context);
    let deactivate = DeactivatePipeline { name: name(), expected_version: None };
    let reply = commands.execute(context, deactivate.clone()).await.unwrap();
    assert_eq!((reply.status.as_str(), reply.aggregate_version), ("inactive", 2));
    let again = commands.execute(context, deactivate).await.unwrap();
    assert_eq!((again.status.as_str(), again.position), ("inactive", 0));
    let refused = commands.execute(context, execute()).await.unwrap_err();
    assert_eq!(refused.code(), "FC0210");
    let keyed = ExecutePipeline { run_key: Some("once".into()), ..execute() };
    let repeated = commands.execute(context, keyed).await.unwrap();
    assert!(repeated.repeated, "what was begun under a key is still told");
    assert_eq!(stage.run(&life, begun).await.unwrap(), ExecutionStatus::Completed);
    let activate = ActivatePipeline { name: name(), expected_version: None };
    assert_eq!(commands.execute(context, activate).await.unwrap().status, "active");
    commands.execute(context, execute()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_pipeline_is_read_by_its_id_and_its_name_is_free() {
    let stage = Stage::new(ONE);
    let life = stage.life(i64::MAX);
    stage.order(&life).await;
    let former = stage.show_pipeline(&life).await;
    let (commands, context) = (&life.commands, &stage.context);
    let archive = ArchivePipeline { name: name(), expected_version: None };
    let archived = commands.execute(context, archive.clone()).await.unwrap();
    assert_eq!(archived.status, "archived");
    let gone = commands.execute(context, archive).await.unwrap_err();
    assert_eq!(gone.code(), "FC0201");
    let by_id = GetPipeline { name: former.id.clone(), version: None };
    let view = life.queries.ask(context, by_id).await.unwrap();
    assert_eq!((view.status.as_str(), &view.document), ("archived", &former.document));
    let update = UpdatePipeline {
        name: former.id.clone(),
        document: changed(&former.document, "late"),
        expected_version: None,
    };
    assert_eq!(commands.execute(context, update).await.unwrap_err().code(), "FC0203");
    let execute = ExecutePipeline { pipeline: former.id.clone(), ..execute() };
    assert_eq!(commands.execute(context, execute).await.unwrap_err().code(), "FC0203");
    let create = CreatePipeline { document: former.document, idempotency_key: None };
    let present = commands.execute(context, create).await.unwrap();
    assert_ne!(present.id, former.id);
    assert_eq!(stage.show_pipeline(&life).await.id, present.id);
    let executions = async |pipeline: String| {
        let query = ListPipelineExecutions { pipeline, statuses: vec![], limit: 9, after: None };
        life.queries.ask(context, query).await.unwrap().items.len()
    };
    assert_eq!((executions(former.id).await, executions(present.id).await), (1, 0));
    assert_eq!(stage.verified().await, stage.events().await.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_what_has_changed_meanwhile_is_refused() {
    let stage = Stage::new(ONE);
    let life = stage.life(i64::MAX);
    stage.order(&life).await;
    let (commands, context) = (&life.commands, &stage.context);
    let seen = stage.show_pipeline(&life).await;
    assert_eq!((seen.version, seen.aggregate_version), (1, 1));
    let update = |description: &str, expected| UpdatePipeline {
        name: name(),
        document: changed(&seen.document, description),
        expected_version: expected,
    };
    let saved = commands.execute(context, update("first", Some(1))).await.unwrap();
    assert_eq!((saved.version, saved.aggregate_version), (2, 2));
    let late = commands.execute(context, update("second", Some(1))).await.unwrap_err();
    assert_eq!(late.code(), "FC0208");
    assert_eq!(late.to_string(), "pipeline `orders` has changed: its version is 2, not 1");
    let same = commands.execute(context, update("first", Some(1))).await.unwrap_err();
    assert_eq!(same.code(), "FC0208", "even if there is nothing to change");
    let archive = ArchivePipeline { name: name(), expected_version: Some(1) };
    assert_eq!(commands.execute(context, archive).await.unwrap_err().code(), "FC0208");
    let both = tokio::join!(
        commands.execute(context, update("left", Some(2))),
        commands.execute(context, update("right", Some(2))),
    );
    assert!(both.0.is_ok() != both.1.is_ok(), "{both:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_one_pipeline_also_after_a_restart() {
    let stage = Stage::new(ONE);
    let first = stage.life(i64::MAX);
    stage.order(&first).await;
    let mut document = stage.show_pipeline(&first).await.document;
    document["pipeline"]["content"]["pipeline"] = json!("sales");
    let create = |document: &Value| CreatePipeline {
        document: document.clone(),
        idempotency_key: Some("k-1".to_owned()),
    };
    let made = first.commands.execute(&stage.context, create(&document)).await.unwrap();
    assert!(made.position > 0);
    let second = stage.life(i64::MAX);
    let again = second.commands.execute(&stage.context, create(&document)).await.unwrap();
    assert_eq!((&again.id, again.version, again.position), (&made.id, 1, 0));
    document["pipeline"]["content"]["pipeline"] = json!("returns");
    let other = second.commands.execute(&stage.context, create(&document)).await.unwrap_err();
    assert_eq!(other.code(), "FC0209");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_steps_are_read_by_themselves() {
    let stage = Stage::new(ONE);
    let life = stage.life(i64::MAX);
    stage.order(&life).await;
    let document = stage.show_pipeline(&life).await.document;
    for description in ["first", "second"] {
        let document = changed(&document, description);
        let update = UpdatePipeline { name: name(), document, expected_version: None };
        life.commands.execute(&stage.context, update).await.unwrap();
    }
    let page = async |limit, after| {
        let query = ListPipelineVersions { name: name(), limit, after };
        life.queries.ask(&stage.context, query).await.unwrap()
    };
    let first = page(2, None).await;
    let numbers: Vec<u32> = first.items.iter().map(|item| item.version).collect();
    assert_eq!(numbers, [3, 2]);
    assert_eq!(first.items[0].description.as_deref(), Some("second"));
    assert_eq!(first.items[0].actor, "tester");
    let last = page(2, first.next).await;
    assert_eq!((last.items[0].version, last.next), (1, None));
    let steps = ListPipelineSteps { name: name(), version: Some(1) };
    let steps = life.queries.ask(&stage.context, steps).await.unwrap();
    assert_eq!((steps.version, steps.items[0].id.as_str()), (1, "one"));
    let absent = ListPipelineSteps { name: name(), version: Some(9) };
    let absent = life.queries.ask(&stage.context, absent).await.unwrap_err();
    assert_eq!(absent.code(), "FC0201");
}

async fn logs(stage: &Stage, life: &Life, after: Option<String>) -> flexcore_api::ExecutionLogPage {
    let query = GetExecutionLogs {
        execution: "last".to_owned(),
        step: None,
        attempt: None,
        limit: 2,
        after,
    };
    life.queries.ask(&stage.context, query).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_comes_in_pages_and_logs_say_where_they_lie() {
    let stage = Stage::new(ONE);
    let life = stage.life(i64::MAX);
    let execution = stage.order(&life).await;
    stage.run(&life, execution).await.unwrap();
    let whole = stage.show(&life, execution).await.timeline;
    let (mut after, mut entries) = (0, Vec::new());
    loop {
        let query = GetExecutionTimeline { execution: execution.to_string(), after, limit: 2 };
        let page = life.queries.ask(&stage.context, query).await.unwrap();
        assert!(page.items.len() <= 2);
        entries.extend(page.items);
        let Some(next) = page.next else { break };
        after = next;
    }
    assert_eq!(entries, whole);

    let ports = life.services.ports();
    let step = "one".parse().unwrap();
    let here = ports.logs.attempts(execution).await.unwrap();
    if here.is_empty() {
        let page = logs(&stage, &life, None).await;
        let elsewhere = &page.elsewhere[0];
        assert_eq!((elsewhere.step.as_str(), elsewhere.node.as_str()), ("one", "stage"));
    }
    let log = ports.logs.open(execution, &step, 1).unwrap();
    for line in ["a", "b", "c"] {
        log.line(flexcore_ports::LogSource::Stdout, line);
    }
    let page = logs(&stage, &life, None).await;
    assert_eq!(page.elsewhere, []);
    let lines: Vec<_> = page.items.iter().map(|line| line.line.as_str()).collect();
    assert_eq!((lines, page.status.as_str()), (vec!["a", "b", "c"], "completed"));
    log.line(flexcore_ports::LogSource::Stderr, "d");
    let page = logs(&stage, &life, Some(page.next)).await;
    let lines: Vec<_> = page.items.iter().map(|line| (&*line.source, &*line.line)).collect();
    assert_eq!(lines, [("stderr", "d")]);
    assert!(logs(&stage, &life, Some(page.next)).await.items.is_empty());
}
