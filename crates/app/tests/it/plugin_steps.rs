//! Steps that call plugins, as the inventory counts them.

use flexcore_api::{ExecutePipeline, ListActivePlugins};
use flexcore_domain::ExecutionStatus;

use crate::stage::Stage;

/// The page in which an execution is created and its step starts knows the plugin's row as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_called_at_once_keeps_what_was_counted_before() {
    let stage = Stage::new("pipeline: calls\nsteps:\n  - { id: go, plugin: { name: nobody } }\n");
    let life = stage.life(i64::MAX);
    stage.order(&life).await;
    let row = || async {
        let all = life.queries.ask(&stage.context, ListActivePlugins::default()).await.unwrap();
        all.items.into_iter().find(|plugin| plugin.name == "nobody").unwrap()
    };
    assert_eq!((row().await.pipelines, row().await.attempts), (1, 0));
    let again = ExecutePipeline {
        pipeline: "calls".into(),
        run_key: Some("again".into()),
        ..ExecutePipeline::default()
    };
    let accepted = life.commands.execute(&stage.context, again).await.unwrap();
    let execution = accepted.execution.parse().unwrap();
    assert_eq!(stage.run(&life, execution).await.unwrap(), ExecutionStatus::Failed);
    assert_eq!((row().await.pipelines, row().await.attempts), (1, 1));
}
