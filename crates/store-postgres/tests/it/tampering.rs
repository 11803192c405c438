//! Somebody with the owner's rights changes the log: the verifier names the first bad batch.

use flexcore_eventsourcing::{Append, Epoch, EventData};
use flexcore_ports::{
    EventStore, LogHead, LogTransfer, LogVerifier, ReadFilter, StoreError, VerifyFault,
};
use flexcore_store_postgres::{PostgresOptions, PostgresStore, Role};
use flexcore_testkit::{
    event, payload,
    postgres::{Server, SharedServer},
    stream,
};

/// The tables that a log consists of.
const TABLES: [&str; 5] = ["event_type", "context", "stream", "event", "batch"];

/// A log, and a copy of its tables to begin again from.
struct Stage {
    server: SharedServer,
    url: String,
    store: PostgresStore,
}

impl Stage {
    /// Batches of 1, 2, 3, 4, 5, 1, … events over seven streams, with fences: batch 20 holds
    /// positions 56 to 60.
    async fn new(batches: u64) -> Self {
        let server = Server::shared().await.unwrap();
        let url = server.database().await.unwrap();
        let options = PostgresOptions::new(&url, Role::Writer);
        let store = PostgresStore::open(options).await.unwrap();
        let stage = Self { server, url, store };
        stage.fill(0, batches).await;
        stage.keep().await;
        stage
    }

    async fn fill(&self, from: u64, to: u64) {
        for batch in from..to {
            let key = batch % 7;
            let before: u64 = (0..batch / 7).map(|round| 1 + (round * 7 + key) % 5).sum();
            let events = (0..=batch % 5)
                .map(|offset| {
                    let number = batch * 10 + offset;
                    let length = usize::try_from(1 + number % 400).unwrap();
                    EventData { payload: payload(number, length), ..event(number) }
                })
                .collect();
            let append = Append::to(stream(&key.to_string()), before, events);
            self.store.events().append(append.fenced(Epoch(1 + batch / 10))).await.unwrap();
        }
    }

    async fn sql(&self, sql: &str) {
        // Triggers are for those who have no such rights.
        let sql = format!("BEGIN; SET LOCAL session_replication_role = replica; {sql}; COMMIT;");
        self.server.sql(&self.url, &sql).await.unwrap();
    }

    /// Remembers the log as it is now.
    async fn keep(&self) {
        let copies = TABLES.map(|table| {
            format!("DROP TABLE IF EXISTS public.{table}; CREATE TABLE public.{table} AS TABLE flexcore.{table};")
        });
        self.sql(&copies.concat()).await;
    }

    /// Brings it back as it was.
    async fn restore(&self) {
        let copies = TABLES.map(|table| {
            format!(
                "DELETE FROM flexcore.{table}; INSERT INTO flexcore.{table} \
                 OVERRIDING SYSTEM VALUE SELECT * FROM public.{table};"
            )
        });
        self.sql(&copies.concat()).await;
    }

    async fn fault(&self, witnessed: &[LogHead]) -> Option<VerifyFault> {
        self.store.verifier().verify(witnessed).await.unwrap().fault
    }

    /// What the verifier says to a change, which is undone afterwards.
    async fn tampered(&self, sql: &str) -> VerifyFault {
        self.sql(sql).await;
        let fault = self.fault(&[]).await;
        self.restore().await;
        fault.unwrap_or_else(|| panic!("not found: {sql}"))
    }

    #[track_caller]
    fn assert_names(fault: &VerifyFault, batch: u64, last_good_position: u64, change: &str) {
        let found = (fault.batch, fault.last_good_position);
        assert_eq!(found, (Some(batch), last_good_position), "{change}: {fault:?}");
    }
}

#[tokio::test]
async fn a_changed_event_names_its_batch() {
    let stage = Stage::new(40).await;
    assert_eq!(stage.fault(&[]).await, None);
    let changes = [
        "stream_id = stream_id + 1, version = version + 1000",
        "stream_id = stream_id + 1000000",
        "version = version + 1000",
        "type_id = type_id + 1",
        "context_id = context_id + 1",
        "occurred_at = occurred_at + 1",
        "committed_at = committed_at + 1",
        "committed_at = committed_at - 1",
        "id = '00000000-0000-0000-0000-000000000000'",
        "id = '10000000-0000-0000-0000-000000000000'",
        "correlation = '00000000-0000-0000-0000-000000000000'",
        "causation = '00000000-0000-0000-0000-000000000000'",
        "sealing_key = '00000000-0000-0000-0000-000000000000'",
        "leaf = decode(repeat('00', 32), 'hex')",
        "leaf = '\\x00'",
        "payload = payload || '\\x00'",
        "payload = ''",
        "position = position + 1000",
    ];
    for change in changes {
        let sql = format!("UPDATE flexcore.event SET {change} WHERE position = 58");
        Stage::assert_names(&stage.tampered(&sql).await, 20, 55, change);
    }
    assert_eq!(stage.fault(&[]).await, None, "all of it was undone");
}

/// Single bits, at places from a fixed seed.
#[tokio::test]
async fn a_flipped_bit_names_its_batch() {
    let stage = Stage::new(40).await;
    let mut seed = 0x5eed_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    let flip = |column: &str, bit: u64| {
        let bit = format!("{bit} % (length({column}) * 8)");
        format!("{column} = set_bit({column}, {bit}, 1 - get_bit({column}, {bit}))")
    };
    for _ in 0..24 {
        let (batch, bit) = (1 + random(40), random(100_000));
        let good: u64 = (1..batch).map(|batch| 1 + (batch - 1) % 5).sum();
        let position = good + 1 + random(1 + (batch - 1) % 5);
        let (table, column, place) = match random(5) {
            0 => ("event", "leaf", format!("position = {position}")),
            1 | 2 => ("event", "payload", format!("position = {position}")),
            3 => ("batch", "hash", format!("number = {batch}")),
            _ => ("batch", "root", format!("number = {batch}")),
        };
        let change = flip(column, bit);
        let sql = format!("UPDATE flexcore.{table} SET {change} WHERE {place}");
        Stage::assert_names(&stage.tampered(&sql).await, batch, good, &sql);
    }
}

#[tokio::test]
async fn a_missing_or_added_event_names_its_batch() {
    let stage = Stage::new(40).await;
    let delete = |place: &str| format!("DELETE FROM flexcore.event WHERE position = {place}");
    for (place, batch, good) in [("58", 20, 55), ("60", 20, 55), ("1", 1, 0), ("120", 40, 115)] {
        Stage::assert_names(&stage.tampered(&delete(place)).await, batch, good, place);
    }
    let added = "INSERT INTO flexcore.event SELECT 121, stream_id, version + 1, occurred_at, \
                 committed_at, type_id, context_id, id, correlation, causation, sealing_key, leaf, \
                 payload FROM flexcore.event WHERE position = 120";
    Stage::assert_names(&stage.tampered(added).await, 41, 120, added);
}

#[tokio::test]
async fn events_in_another_order_name_the_first_batch() {
    let stage = Stage::new(40).await;
    for (one, other, batch, good) in [(57, 58, 20, 55), (60, 61, 20, 55), (61, 100, 21, 60)] {
        let sql = format!(
            "UPDATE flexcore.event SET position = 1000 WHERE position = {one}; \
             UPDATE flexcore.event SET position = {one} WHERE position = {other}; \
             UPDATE flexcore.event SET position = {other} WHERE position = 1000"
        );
        Stage::assert_names(&stage.tampered(&sql).await, batch, good, &sql);
    }
}

#[tokio::test]
async fn a_changed_batch_is_named() {
    let stage = Stage::new(40).await;
    let changes = [
        "number = 99",
        "first_position = 57",
        "last_position = 59",
        "committed_at = committed_at + 1",
        "committed_at = committed_at - 1",
        "committed_at = 0",
        // Its fence, the last byte.
        "writes = set_byte(writes, length(writes) - 1, 9)",
        "writes = '\\x0101'",
        "writes = ''",
        "root = decode(repeat('00', 32), 'hex')",
        "hash = decode(repeat('00', 32), 'hex')",
        "hash = '\\x00'",
    ];
    for change in changes {
        let sql = format!("UPDATE flexcore.batch SET {change} WHERE number = 20");
        Stage::assert_names(&stage.tampered(&sql).await, 20, 55, change);
    }
    for (number, good) in [(1, 0), (20, 55), (40, 115)] {
        let sql = format!("DELETE FROM flexcore.batch WHERE number = {number}");
        Stage::assert_names(&stage.tampered(&sql).await, number, good, &sql);
    }
}

/// A stream's end is a fault of the batch that wrote the stream last: stream `3` is written by
/// batches 4, 11, 18, 25, 32 and 39.
#[tokio::test]
async fn a_changed_stream_head_names_the_batch_that_wrote_it() {
    let stage = Stage::new(40).await;
    let name = stream("3");
    for change in [
        "version = version + 1",
        "head = decode(repeat('00', 32), 'hex')",
        "head = '\\x00'",
        "owner_epoch = owner_epoch + 1",
        "owner_epoch = owner_epoch - 1",
    ] {
        let sql = format!("UPDATE flexcore.stream SET {change} WHERE name = '{name}'");
        Stage::assert_names(&stage.tampered(&sql).await, 39, 111, change);
    }
    for change in ["name = name || 'x'", "id = id + 1000000"] {
        let sql = format!("UPDATE flexcore.stream SET {change} WHERE name = '{name}'");
        Stage::assert_names(&stage.tampered(&sql).await, 4, 6, change);
    }
    let sql = format!("DELETE FROM flexcore.stream WHERE name = '{name}'");
    Stage::assert_names(&stage.tampered(&sql).await, 4, 6, &sql);
}

/// Also if this process has read the texts before, and remembers them.
#[tokio::test]
async fn changed_names_are_found() {
    let stage = Stage::new(40).await;
    let all = stage.store.events().read_all(0, 1_000, &ReadFilter::default()).await.unwrap();
    assert_eq!(all.len(), 120);
    for change in [
        "UPDATE flexcore.event_type SET name = 'Withdrawn'",
        "UPDATE flexcore.event_type SET schema_version = 2",
        "UPDATE flexcore.context SET actor = 'nobody'",
        "UPDATE flexcore.context SET tenant = 'nobody'",
        "UPDATE flexcore.context SET content_type = 'nothing'",
        "DELETE FROM flexcore.context",
        "DELETE FROM flexcore.event_type",
    ] {
        Stage::assert_names(&stage.tampered(change).await, 1, 0, change);
    }
    let added = "INSERT INTO flexcore.stream (id, version, owner_epoch, head, name) \
                 VALUES (-1, 0, 0, decode(repeat('00', 32), 'hex'), 'a/b/c')";
    stage.tampered(added).await;
}

/// A log whose end is gone without a trace is whole; only what was witnessed of it says that there
/// was more.
#[tokio::test]
async fn a_tail_that_was_cut_off_is_known_to_whoever_saw_it() {
    let stage = Stage::new(38).await;
    stage.fill(38, 40).await;
    let head = stage.store.events().head().await.unwrap();
    assert_eq!(stage.fault(&[head]).await, None);
    stage.restore().await;
    assert_eq!(stage.fault(&[]).await, None, "it is a whole log");
    let fault = stage.fault(&[head]).await.unwrap();
    Stage::assert_names(&fault, 39, 111, "cut");
    assert!(fault.reason.contains("cut off"), "{}", fault.reason);
    // Written anew, it is longer than what was witnessed, and another one.
    stage.store.events().head().await.unwrap();
    let other = PostgresStore::open(PostgresOptions::new(&stage.url, Role::Writer)).await.unwrap();
    for number in 0..5 {
        let append = Append::to(stream(&format!("new{number}")), 0, vec![event(9_000 + number)]);
        other.events().append(append).await.unwrap();
    }
    assert_eq!(other.verifier().verify(&[]).await.unwrap().fault, None);
    let fault = other.verifier().verify(&[head]).await.unwrap().fault.unwrap();
    Stage::assert_names(&fault, 40, 112, "written anew");
    assert!(fault.reason.contains("rewritten"), "{}", fault.reason);
}

/// What does not hold is not handed out either.
#[tokio::test]
async fn readers_stop_at_what_was_changed() {
    let stage = Stage::new(40).await;
    let read =
        async |after| stage.store.events().read_all(after, 1_000, &ReadFilter::default()).await;
    let corrupt = |result: Result<Vec<_>, StoreError>| match result {
        Err(StoreError::Corrupt { place, reason }) => (place, reason),
        other => panic!(
            "{:?}",
            other.map(|events: Vec<flexcore_eventsourcing::RecordedEvent>| events.len())
        ),
    };
    stage.sql("UPDATE flexcore.event SET payload = 'x' WHERE position = 58").await;
    let (place, _) = corrupt(read(50).await);
    assert_eq!(place, "position 58");
    assert_eq!(read(58).await.unwrap().len(), 62);
    let batches = stage.store.transfer().read_batches(18, 5).await;
    assert!(matches!(batches, Err(StoreError::Corrupt { .. })));
    stage.restore().await;
    // A hole: what follows must not be taken for the next event.
    stage.sql("DELETE FROM flexcore.event WHERE position = 58").await;
    let (place, reason) = corrupt(read(50).await);
    assert!(place.contains("59") && reason.contains("hole"), "{place}: {reason}");
    corrupt(read(57).await);
    let key = stream("5");
    let stream = stage.store.events().read_stream(&key, 1, 100).await;
    assert!(matches!(stream, Err(StoreError::Corrupt { .. })), "{stream:?}");
    stage.restore().await;
    assert_eq!(read(0).await.unwrap().len(), 120);
}
