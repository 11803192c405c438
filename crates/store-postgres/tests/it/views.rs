//! Views on PostgreSQL: the contract, swaps under load, rights, partitions, plans.

use flexcore_eventsourcing::{Append, Epoch, Timestamp};
use flexcore_ports::{
    ApplyError, Checkpoint, EventStore, ExecutionFilter, ExecutionViews, Expiring, Fold,
    PipelineFilter, ProjectedRows, RebuildViews, Snapshot, Snapshots, Stopped, ViewRow, ViewStore,
};
use flexcore_store_postgres::{PostgresOptions, PostgresStore, Role, migrate};
use flexcore_testkit::{
    event,
    postgres::{Server, SharedServer},
    snapshots_contract, stream, view_store_contract,
    view_store_contract::{checkpoint, execution_row, fold_at, pipeline_row},
};

struct Stage {
    server: SharedServer,
    url: String,
    store: PostgresStore,
}

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(PostgresOptions::new(url, Role::Writer)).await.unwrap()
}

async fn stage() -> Stage {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    let store = open(&url).await;
    Stage { server, url, store }
}

macro_rules! view_store_contract {
    ($($case:ident,)+) => {
        $(
            #[tokio::test]
            async fn $case() {
                let stage = stage().await;
                view_store_contract::$case(&*stage.store.views()).await;
            }
        )+
    };
}

flexcore_testkit::for_each_view_case!(view_store_contract);

macro_rules! snapshots_contract {
    ($($case:ident,)+) => {
        $(
            #[tokio::test]
            async fn $case() {
                let Stage { store, .. } = stage().await;
                snapshots_contract::$case(&*store.events(), &store.snapshots()).await;
            }
        )+
    };
}

flexcore_testkit::for_each_snapshot_case!(snapshots_contract);

async fn names(views: &dyn ViewStore) -> Vec<String> {
    let page = views.list_pipelines(&PipelineFilter::of("default"), 10, None).await.unwrap();
    page.items.iter().map(|row| row.name.to_string()).collect()
}

async fn fill(views: &dyn ViewStore, position: u64, name: &str) {
    let row = ViewRow::Pipeline(pipeline_row(1, name));
    fold_at(views, checkpoint(position), vec![row]).await.unwrap();
}

#[tokio::test]
async fn a_snapshot_of_another_history_or_with_a_flipped_bit_is_not_used() {
    let Stage { server, url, store } = stage().await;
    let key = stream("a");
    store.events().append(Append::to(key.clone(), 0, vec![event(1), event(2)])).await.unwrap();
    let snapshot = |payload: u8| Snapshot {
        stream: key.clone(),
        version: 2,
        schema_version: 1,
        payload: vec![payload],
    };
    for (change, payload) in
        ["payload = '\\x010203ff'", "batch_hash = batch_hash || '\\x00'", "version = 1"]
            .into_iter()
            .zip(1..)
    {
        store.snapshots().save(snapshot(payload)).await.unwrap();
        assert_eq!(store.snapshots().load(&key).await.unwrap(), Some(snapshot(payload)));
        server.sql(&url, &format!("UPDATE flexcore.snapshot SET {change}")).await.unwrap();
        assert_eq!(store.snapshots().load(&key).await.unwrap(), None, "{change}");
    }
}

#[tokio::test]
async fn a_rebuild_takes_the_place_of_the_views_in_use() {
    let Stage { server, url, store } = stage().await;
    let (views, beside) = (store.views(), open(&url).await.views());
    fill(&*views, 5, "flights").await;
    let rebuild = store.rebuild_views().begin().await.unwrap();
    fill(&*rebuild.views(), 3, "weather").await;
    assert_eq!(names(&*views).await, ["flights"], "the former ones stay in use meanwhile");
    assert_eq!(names(&*beside).await, ["flights"]);
    rebuild.publish().await.unwrap();
    assert_eq!(names(&*views).await, ["weather"], "every handle sees the new ones");
    assert_eq!(names(&*beside).await, ["weather"], "those of other processes too");
    assert_eq!(beside.checkpoint("status").await.unwrap(), Some(checkpoint(3)));
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'view\\_1\\_%'";
    assert_eq!(server.sql(&url, tables).await.unwrap().trim(), "0", "the former ones are gone");
    fill(&*beside, 4, "winds").await;
    assert_eq!(names(&*views).await, ["winds"]);
}

#[tokio::test]
async fn a_fold_that_began_before_a_swap_is_refused() {
    let Stage { url, store, .. } = stage().await;
    let (views, beside) = (store.views(), open(&url).await.views());
    fill(&*views, 5, "flights").await;
    fill(&*beside, 6, "flights").await;
    let rebuild = store.rebuild_views().begin().await.unwrap();
    fill(&*rebuild.views(), 6, "weather").await;
    rebuild.publish().await.unwrap();
    let fold = Fold {
        projection: "status".to_owned(),
        after: Some(checkpoint(6)),
        epoch: Epoch(0),
        checkpoint: checkpoint(7),
        rows: vec![ViewRow::Pipeline(pipeline_row(1, "late"))],
    };
    // It has not heard of the swap yet; what it read was in the former views.
    let refused = beside.apply(fold.clone()).await;
    assert!(matches!(refused, Err(ApplyError::Moved { .. })), "{refused:?}");
    let unheard = open(&url).await.views();
    assert_eq!(unheard.checkpoint("status").await.unwrap(), Some(checkpoint(6)));
    let rebuild = store.rebuild_views().begin().await.unwrap();
    fill(&*rebuild.views(), 6, "weather").await;
    rebuild.publish().await.unwrap();
    let stopped = Stopped { position: 7, reason: "no".to_owned() };
    let refused = unheard.stop("status", Some(checkpoint(6)), Epoch(0), stopped).await;
    assert!(matches!(refused, Err(ApplyError::Moved { .. })), "{refused:?}");
    assert_eq!(names(&*beside).await, ["weather"]);
    beside.apply(fold).await.unwrap();
    assert_eq!(names(&*views).await, ["late"]);
}

#[tokio::test]
async fn rows_are_written_and_read_while_views_are_swapped() {
    let Stage { url, store, .. } = stage().await;
    let views = open(&url).await.views();
    fill(&*views, 1, "p0").await;
    let swaps = async {
        for _ in 0..5 {
            let rebuild = store.rebuild_views().begin().await.unwrap();
            fill(&*rebuild.views(), 1, "p0").await;
            rebuild.publish().await.unwrap();
        }
    };
    let reads = async {
        for _ in 0..200 {
            assert_eq!(names(&*views).await.len(), 1, "never between two generations");
        }
    };
    let writes = async {
        for position in 2..100 {
            let row = ViewRow::Pipeline(pipeline_row(1, &format!("p{position}")));
            // Refused when a swap came between: then the next one counts on.
            let _ = fold_at(&*views, checkpoint(position), vec![row]).await;
        }
    };
    tokio::join!(swaps, reads, writes);
    fill(&*views, 500, "end").await;
    assert_eq!(names(&*store.views()).await, ["end"]);
}

#[tokio::test]
async fn a_rebuild_that_is_given_up_goes_when_the_next_one_begins() {
    let Stage { server, url, store } = stage().await;
    let held = store.rebuild_views().begin().await.unwrap();
    let given_up = store.rebuild_views().begin().await.unwrap();
    drop(given_up);
    let generations = "SELECT string_agg(number::text, ',' ORDER BY number) \
                       FROM flexcore.view_generation";
    // The server learns of the end of a connection in its own time.
    let free = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7021437 \
                AND objid = 4";
    while server.sql(&url, free).await.unwrap().trim() != "0" {
        tokio::task::yield_now().await;
    }
    let next = store.rebuild_views().begin().await.unwrap();
    assert_eq!(server.sql(&url, generations).await.unwrap().trim(), "2,3,4");
    fill(&*held.views(), 1, "held").await;
    fill(&*next.views(), 1, "next").await;
    held.publish().await.unwrap();
    assert_eq!(names(&*store.views()).await, ["held"]);
}

#[tokio::test]
async fn the_role_of_the_application_works_with_views_and_changes_no_table() {
    let server = Server::shared().await.unwrap();
    let urls = server.database_with_roles().await.unwrap();
    migrate(&urls.owner, Some(&urls.app_role)).await.unwrap();
    let store = open(&urls.app).await;
    let views = store.views();
    fill(&*views, 1, "flights").await;
    let execution = ViewRow::Execution(execution_row(1, "flights", 1_700_000_000_000_000));
    fold_at(&*views, checkpoint(2), vec![execution]).await.unwrap();
    let rebuild = store.rebuild_views().begin().await.unwrap();
    fill(&*rebuild.views(), 1, "weather").await;
    rebuild.publish().await.unwrap();
    assert_eq!(names(&*views).await, ["weather"]);
    assert_eq!(
        views
            .remove_executions_before(Timestamp::from_micros(i64::MAX), &Expiring::AllBut(vec![]))
            .await
            .unwrap(),
        0
    );
    for statement in [
        "DROP TABLE flexcore.view_3_pipeline",
        "UPDATE flexcore.view_current SET generation = 1",
        "CREATE TABLE flexcore.mine (a int)",
        "DELETE FROM flexcore.batch",
    ] {
        let as_app = format!("SET ROLE {}; {statement}", urls.app_role);
        let refused = server.sql(&urls.app, &as_app).await.unwrap_err().to_string();
        let is_refused =
            ["must be owner", "permission denied"].iter().any(|no| refused.contains(no));
        assert!(is_refused, "{statement}: {refused}");
    }
    // A role that is let in later may work with them too.
    migrate(&urls.owner, Some(&urls.app_role)).await.unwrap();
    fill(&*views, 9, "winds").await;
}

const MONTH: i64 = 31 * 86_400_000_000;

#[tokio::test]
async fn executions_lie_in_partitions_by_month_that_go_as_tables() {
    let Stage { server, url, store } = stage().await;
    let views = store.views();
    let begin = 1_700_000_000_000_000;
    let row = |number: u128, time: i64| {
        let mut row = execution_row(number, "flights", time);
        row.status = "completed".to_owned();
        ViewRow::Execution(row)
    };
    let mut rows: Vec<_> =
        (0..5).map(|n| row(n, begin + i64::try_from(n).unwrap() * MONTH)).collect();
    // Before the calendar of partitions, and after it.
    rows.extend([row(100, -5), row(101, i64::MAX - 9)]);
    fold_at(&*views, checkpoint(1), rows).await.unwrap();
    let partitions = "SELECT string_agg(right(inhrelid::regclass::text, 6), ' ' ORDER BY 1) \
                      FROM pg_inherits WHERE inhparent = 'flexcore.view_2_execution'::regclass";
    let listed = server.sql(&url, partitions).await.unwrap();
    let expected = "_other 202311 202312 202401 202402 202403 202404 202405";
    let mut listed: Vec<_> = listed.split_whitespace().collect();
    listed.sort_unstable();
    let mut expected: Vec<_> = expected.split_whitespace().collect();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let all = ExecutionFilter::of("default");
    let ids = async || {
        let page = views.list_executions(&all, 100, None).await.unwrap();
        page.items.iter().map(|row| row.id.0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(ids().await, [101, 4, 3, 2, 1, 0, 100]);
    let cut = Timestamp::from_micros(begin + 2 * MONTH);
    assert_eq!(views.remove_executions_before(cut, &Expiring::AllBut(vec![])).await.unwrap(), 3);
    assert_eq!(ids().await, [101, 4, 3, 2]);
    let gone = server.sql(&url, "SELECT to_regclass('flexcore.view_2_execution_202311')").await;
    assert_eq!(gone.unwrap().trim(), "");
    fold_at(&*views, checkpoint(2), vec![row(7, begin)]).await.unwrap();
    assert_eq!(ids().await, [101, 4, 3, 2, 7], "a month that went may come again");
    let other = open(&url).await.views();
    assert_eq!(other.remove_executions_before(cut, &Expiring::AllBut(vec![])).await.unwrap(), 1);
    // This handle believes that the partition is there; the row lands among all others.
    fold_at(&*views, checkpoint(3), vec![row(8, begin)]).await.unwrap();
    assert_eq!(ids().await, [101, 4, 3, 2, 8]);
    // Another one makes the partition, and moves the row into it.
    fold_at(&*other, checkpoint(4), vec![row(9, begin + 1)]).await.unwrap();
    assert_eq!(ids().await, [101, 4, 3, 2, 9, 8]);
}

#[tokio::test]
async fn lists_walk_an_index_and_never_sort_or_scan() {
    let Stage { server, url, store } = stage().await;
    let begin = 1_700_000_000_000_000_i64;
    let insert = format!(
        "SELECT flexcore.views_ensure_months(2, ARRAY(SELECT {begin} + n * {MONTH} \
         FROM generate_series(0, 5) n)); \
         INSERT INTO flexcore.view_2_execution SELECT gen_random_uuid(), gen_random_uuid(), \
         {begin} + n::bigint * 500000000, NULL, NULL, 1, 'default', 'p' || n % 7, \
         CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'completed' END, 'default', \
         CASE WHEN n % 50 = 0 THEN 'k' || n END, NULL FROM generate_series(1, 30000) n; \
         ANALYZE flexcore.view_2_execution"
    );
    server.sql(&url, &insert).await.unwrap();
    let page =
        store.views().list_executions(&ExecutionFilter::of("default"), 50, None).await.unwrap();
    assert_eq!(page.items.len(), 50);
    let columns = "SELECT id FROM flexcore.view_2_execution WHERE";
    let order = "ORDER BY created_at DESC, id DESC LIMIT 51";
    for (query, types) in [
        (format!("{columns} tenant = $1 {order}"), "(text)"),
        (
            format!(
                "{columns} tenant = $1 AND (created_at, id) < ($2, $3) AND created_at <= $2 {order}"
            ),
            "(text, bigint, uuid)",
        ),
        (format!("{columns} tenant = $1 AND pipeline = $2 {order}"), "(text, text)"),
        (format!("{columns} tenant = $1 AND status = $2 {order}"), "(text, text)"),
        (
            format!("{columns} tenant = $1 AND pipeline = $2 AND status = $3 {order}"),
            "(text, text, text)",
        ),
        (
            format!("{columns} tenant = $1 AND run_key = $2 AND pipeline || '' = $3 {order}"),
            "(text, text, text)",
        ),
        (
            format!("{columns} status IN ('queued', 'running') ORDER BY created_at, id LIMIT 1000"),
            "",
        ),
        (format!("{columns} id BETWEEN $1 AND $2 ORDER BY id DESC LIMIT 51"), "(uuid, uuid)"),
        (format!("{columns} id = ANY($1)"), "(uuid[])"),
    ] {
        let nulls = vec!["NULL"; types.matches(',').count() + 1].join(", ");
        let arguments = if types.is_empty() { String::new() } else { format!("({nulls})") };
        let plan = format!(
            "SET plan_cache_mode = force_generic_plan; PREPARE q {types} AS {query}; \
             EXPLAIN EXECUTE q {arguments}"
        );
        let plan = server.sql(&url, &plan).await.unwrap();
        // The last ones have a few pages at most, which are looked through at once.
        let small = ["_202405 ", "_202406 ", "_other "];
        let is_small = |line: &str| small.iter().any(|name| line.contains(name));
        let scans = |line: &str| line.contains("Seq Scan") && !is_small(line);
        assert!(!plan.lines().any(scans), "{query}\n{plan}");
        // A key of runs has few executions, and few are not at their end.
        let few = ["run_key", "'queued'"].iter().any(|few| query.contains(few));
        let sorts = plan.contains("Sort  ") && !few;
        assert!(!sorts, "{query}\n{plan}");
        server.sql(&url, "DEALLOCATE ALL").await.unwrap();
    }
}

#[tokio::test]
async fn texts_that_postgres_cannot_hold_are_kept_as_far_as_possible() {
    let Stage { store, .. } = stage().await;
    let mut row = execution_row(1, "flights", 5);
    row.error = Some("a\0b".to_owned());
    let views = store.views();
    fold_at(&*views, checkpoint(1), vec![ViewRow::Execution(row.clone())]).await.unwrap();
    let found = views.find_execution("default", row.id).await.unwrap().unwrap();
    assert_eq!(found.error.as_deref(), Some("a\u{fffd}b"));
}

#[tokio::test]
async fn a_checkpoint_is_given_to_whoever_verifies() {
    let Stage { server, url, store } = stage().await;
    fill(&*store.views(), 5, "flights").await;
    let found = server.sql(&url, "SELECT name, position FROM flexcore.views_checkpoints()").await;
    assert!(found.unwrap().contains('5'));
    let Checkpoint { position, .. } = store.views().checkpoint("status").await.unwrap().unwrap();
    assert_eq!(position, 5);
}
