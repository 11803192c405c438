//! The pipeline that is killed: three parallel syncs, in which every native connector has a part, and
//! a command behind them.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, types::ValueRef};

use super::Marker;
use crate::{
    postgres::Database,
    project::{Event, Project, Running, markers_alive},
};

const PIPELINE: &str = "\
pipeline: orders
steps:
  - id: to_jsonl
    sync: { tap: tap-orders, target: { plugin: target-jsonl, config: { path: out/jsonl } } }
  - id: to_sqlite
    sync: { tap: tap-orders, target: { plugin: target-sqlite, config: { path: out/orders.db } } }
  - id: to_csv
    sync: { tap: tap-events, target: { plugin: target-csv, config: { path: out/csv } } }
  - id: check
    needs: [to_jsonl, to_sqlite, to_csv]
    command:
      argv: [sh, check.sh]
      env: { RECORDS: \"{{ steps.to_jsonl.output.records }}\" }
";

const PROJECT: &str = "\
writable: ['.']
plugins:
  tap-orders:
    inherit: tap-csv
    config:
      files:
        - { path: data/customers.csv, key: [id] }
        - { path: data/orders.csv, key: [id] }
        - { path: data/lines.csv }
        - { path: data/visits.csv }
  tap-events:
    inherit: tap-jsonl
    config: { files: [{ path: data/early.jsonl }, { path: data/late.jsonl }] }
";

/// Leaves a trace of its own, outside of everything that FlexCore knows.
const CHECK: &str = "\
echo \"start $FLEXCORE_ATTEMPT\" >> trace
wc -l out/jsonl/*.jsonl > /dev/null
echo \"{\\\"records\\\": $RECORDS}\" > \"$FLEXCORE_OUTPUT\"
echo \"end $FLEXCORE_ATTEMPT\" >> trace
";

/// The streams, in the order of the project file.
const STREAMS: [&str; 4] = ["customers", "orders", "lines", "visits"];

/// The streams of JSON Lines.
const EVENTS: [&str; 2] = ["early", "late"];

/// Rows of each stream.
const ROWS: usize = 2_000;

pub(crate) struct Example {
    pub(super) project: Project,
    /// How many executions there are once the one that is killed has come to its end.
    pub(super) expected_executions: usize,
}

impl Example {
    /// Nothing has run yet.
    pub(crate) fn fresh() -> Self {
        let project = Project::with(PIPELINE);
        project.write("flexcore.yaml", PROJECT);
        project.write("check.sh", CHECK);
        for stream in STREAMS {
            project.write(&format!("data/{stream}.csv"), format!("{HEADER}\n{}", rows(0, ROWS)));
        }
        for stream in EVENTS {
            project.write(&format!("data/{stream}.jsonl"), events(0, ROWS));
        }
        Self { project, expected_executions: 1 }
    }

    /// A first run has moved some rows; there are new ones now.
    pub(super) fn after_a_first_run() -> Self {
        Self::fresh().and_a_first_run()
    }

    /// The same, recorded in a database.
    pub(crate) fn after_a_first_run_on(database: &Arc<Database>) -> Self {
        Self::fresh().on(database).and_a_first_run()
    }

    /// Records what it does in a database.
    pub(crate) fn on(self, database: &Arc<Database>) -> Self {
        Self { project: database.of(self.project), ..self }
    }

    fn and_a_first_run(mut self) -> Self {
        let example = &mut self;
        for stream in STREAMS {
            let few = format!("{HEADER}\n{}", rows(0, ROWS / 10));
            example.project.write(&format!("data/{stream}.csv"), few);
        }
        for stream in EVENTS {
            example.project.write(&format!("data/{stream}.jsonl"), events(0, ROWS / 10));
        }
        example.run_to_the_end();
        for stream in STREAMS {
            let rest = rows(ROWS / 10, ROWS);
            example.project.append(&format!("data/{stream}.csv"), &rest);
        }
        for stream in EVENTS {
            let rest = events(ROWS / 10, ROWS);
            example.project.append(&format!("data/{stream}.jsonl"), &rest);
        }
        example.expected_executions = 2;
        self
    }

    /// Runs undisturbed; how long that takes.
    pub(super) fn run_to_the_end(&self) -> Duration {
        let start = Instant::now();
        self.project.flexcore(&["run", "pipeline.yaml"]).completes();
        start.elapsed()
    }

    /// How many executions the log knows.
    pub(super) fn executions(&self) -> usize {
        let list = self.project.json(&["execution", "list"]).completes().value();
        list["items"].as_array().expect("a list").len()
    }

    pub(super) fn resume(&self) -> Running {
        self.project.start(&["run", "--resume", "pipeline.yaml"])
    }

    /// Everything that the targets hold.
    pub(super) fn results(&self) -> Vec<(String, String)> {
        let json_lines = STREAMS.map(|stream| format!("out/jsonl/{stream}.jsonl"));
        let csv = EVENTS.map(|stream| format!("out/csv/{stream}.csv"));
        let files = json_lines.into_iter().chain(csv).map(|path| {
            let content = self.project.read(&path);
            (path, content)
        });
        let tables = STREAMS.map(|stream| (stream.to_owned(), self.table(stream)));
        files.chain(tables).collect()
    }

    /// The rows of a table, a line each, in their order.
    fn table(&self, stream: &str) -> String {
        let path = self.project.path("out/orders.db");
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .expect("the database of the target");
        let mut query = database.prepare(&format!("SELECT * FROM \"{stream}\" ORDER BY id, code"));
        let query = query.as_mut().expect("a table of the stream");
        let columns = query.column_count();
        let mut rows = query.query([]).expect("rows");
        let mut text = String::new();
        while let Some(row) = rows.next().expect("a row") {
            for column in 0..columns {
                match row.get_ref(column).expect("a value") {
                    ValueRef::Null => text.push_str("null"),
                    ValueRef::Integer(number) => write!(text, "{number}").expect("room"),
                    ValueRef::Real(number) => write!(text, "{number}").expect("room"),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                        text.push_str(&String::from_utf8_lossy(bytes).replace('\n', "\\n"));
                    }
                }
                text.push('|');
            }
            text.push('\n');
        }
        text
    }

    /// Every row of the sources is in the results once, whatever a line is there.
    pub(super) fn assert_complete(&self) {
        for (place, content) in self.results() {
            let lines: BTreeSet<_> = content.lines().collect();
            let header = usize::from(place.starts_with("out/csv/"));
            assert_eq!(lines.len(), ROWS + header, "{place}");
            assert_eq!(content.lines().count(), ROWS + header, "{place}");
        }
    }

    /// Living processes of this project's attempts.
    pub(super) fn markers_alive(&self) -> Vec<Marker> {
        let Some(id) = self.execution_in_the_making() else { return vec![] };
        let parse = |text: &String| {
            let mut parts = text.split('/').skip(1);
            let step = parts.next()?.to_owned();
            Some(Marker { step, attempt: parts.next()?.parse().ok()? })
        };
        markers_alive(&format!("{id}/")).iter().filter_map(parse).collect()
    }

    /// The newest execution as the folder of its logs names it, without asking the store.
    fn execution_in_the_making(&self) -> Option<String> {
        let folders = std::fs::read_dir(self.project.path(".flexcore/logs")).ok()?;
        folders.flatten().filter_map(|folder| folder.file_name().into_string().ok()).max()
    }

    /// The trace of the command agrees with the log: its last attempt is the one that completed.
    pub(super) fn assert_command_ran_once_completed(&self, events: &[Event], context: &str) {
        let completed = events
            .iter()
            .rev()
            .find(|event| event.kind == "StepCompleted" && event.step() == Some("check"));
        let attempt = completed.expect("the command completed").payload["attempt"].clone();
        let trace = self.project.read("trace");
        let last = trace.lines().next_back().expect("the command left a trace");
        assert!(
            last.starts_with("end ") && last.ends_with(&format!("/check/{attempt}")),
            "{context}: {trace}"
        );
    }

    pub(super) fn events_of_last_execution(&self) -> Vec<Event> {
        let events = self.project.events();
        let created = |event: &&Event| event.kind == "PipelineExecutionCreated";
        let last = events.iter().rev().find(created).expect("an execution").position;
        events.into_iter().filter(|event| event.position >= last).collect()
    }

    /// Whether it was interrupted after a sync had recorded a bookmark.
    pub(super) fn advanced_before_second_claim(&self) -> bool {
        let events = self.events_of_last_execution();
        let mut claims = events.iter().filter(|event| event.kind == "PipelineExecutionClaimed");
        let second = claims.nth(1).map(|claim| claim.position);
        let advanced = events.iter().find(|event| event.kind == "BookmarkAdvanced");
        advanced.zip(second).is_some_and(|(advanced, second)| advanced.position < second)
    }
}

const HEADER: &str = "id,code,name,amount,active,note";

/// Rows that show a mangled field: quotes, line ends, exact decimals, empty fields.
fn rows(from: usize, to: usize) -> String {
    let mut text = String::new();
    for id in from..to {
        let amount = format!("{}.{:02}", id * 7 % 1_000, id % 100);
        let note =
            if id % 5 == 0 { String::new() } else { format!("\"says \"\"{id}\"\",\nthen\"") };
        writeln!(text, "{id},c{:07},Name {id},{amount},{},{note}", id * 31, id % 2 == 0)
            .expect("room in a text");
    }
    text
}

/// JSON Lines of another shape, with values that are easily changed on the way.
fn events(from: usize, to: usize) -> String {
    let mut text = String::new();
    for id in from..to {
        writeln!(text, "{{\"id\": {id}, \"exact\": {id}.10, \"text\": \"\\u00e9, \\\"{id}\\\"\"}}")
            .expect("room in a text");
    }
    text
}
