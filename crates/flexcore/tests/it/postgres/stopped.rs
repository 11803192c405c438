//! Owners and servers that stop for a while.

use std::{fs, sync::Arc, time::Duration};

use flexcore_testkit::postgres::{Server, Shutdown};
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;

use super::{WAITS, runtime};
use crate::project::{Event, Project, attempts_alive, comes_about, wait_until};

/// A server of a test's own, with a database.
struct OwnServer {
    runtime: Runtime,
    server: Server,
    url: String,
}

impl OwnServer {
    fn start() -> Arc<Self> {
        let runtime = runtime();
        let server = runtime.block_on(Server::start()).expect("PostgreSQL; run `make setup`");
        let url = runtime.block_on(server.database()).expect("a database");
        Arc::new(Self { runtime, server, url })
    }

    fn project(self: &Arc<Self>, ttl: &str) -> Project {
        let mut project = Project::with(WAITS);
        project.set("FLEXCORE_DATABASE_URL", &self.url);
        project.set("FLEXCORE_LEASE_TTL", ttl);
        project.keep(self.clone());
        project
    }

    fn sql(&self, statements: &str) -> String {
        self.runtime.block_on(self.server.sql(&self.url, statements)).expect("statements that work")
    }

    /// The server's processes for connections that append, of one client process.
    fn appenders(&self) -> Vec<Pid> {
        let pids = self
            .sql("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'flexcore append%'");
        pids.lines().filter_map(|pid| Pid::from_raw(pid.trim().parse().ok()?)).collect()
    }

    /// Whether bytes lie unread in a connection to the server: something was sent that nobody has
    /// taken in yet (`/proc/net/tcp`, proc_pid_net(5)).
    fn has_unread_bytes(&self) -> bool {
        let table = fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
        let port = format!(":{:04X}", self.server.port());
        table.lines().skip(1).any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // Local address, remote address, state (01: established), queues as sent:received.
            let [_, local, _, state, queues, ..] = fields[..] else { return false };
            let received = queues.split_once(':').map_or("0", |(_, received)| received);
            state == "01" && local.ends_with(&port) && !received.trim_matches('0').is_empty()
        })
    }
}

fn signal(processes: &[Pid], signal: Signal) {
    for process in processes {
        kill_process(*process, signal).expect("a process of this test's server");
    }
}

/// The epochs under which an execution's events were written: claims raise it, and nothing of an
/// earlier owner follows a claim.
fn claims(events: &[Event]) -> usize {
    events.iter().filter(|event| event.kind == "PipelineExecutionClaimed").count()
}

/// The promise of fencing: an owner that slept through its lease, with an append on its way, has it
/// refused; nothing that it started lives; the new owner finishes.
#[test]
fn an_owner_that_sleeps_through_its_lease_has_its_append_refused() {
    let server = OwnServer::start();
    let one = server.project("2s");
    let sleeper = one.start(&["run", "pipeline.yaml"]);
    wait_until("the second step runs", || one.path("waiting").exists());
    let execution = one.last_execution()["id"].as_str().expect("an id").to_owned();
    assert!(!attempts_alive(&execution).is_empty());

    // The server's side of its appends stops first, so that the append is on its way and stays so.
    let appenders = server.appenders();
    assert!(!appenders.is_empty(), "connections that append");
    signal(&appenders, Signal::STOP);
    one.write("go", "");
    wait_until("an append is on its way", || server.has_unread_bytes());
    sleeper.signal(Signal::STOP);

    // Another machine goes on. It has to wait for the lease, and then needs nobody's help.
    let two = server.project("2s");
    two.write("go", "");
    let finished = two.flexcore(&["run", "--resume", "pipeline.yaml"]).completes();
    assert!(finished.stderr.contains("its lease ends in"), "{finished}");
    assert_eq!(attempts_alive(&execution), Vec::<String>::new(), "while its owner still sleeps");
    let events = two.events();
    assert_eq!(claims(&events), 2);

    signal(&appenders, Signal::CONT);
    sleeper.signal(Signal::CONT);
    let woken = sleeper.finish();
    assert_ne!(woken.status.code(), Some(0), "{woken}");
    let told = woken.stderr.contains("FC0511") || woken.stderr.contains("FC0513");
    assert!(told, "{woken}");
    let after = two.events();
    assert_eq!(after.len(), events.len(), "its append was refused: {:?}", after.last());
    assert_eq!(two.last_execution()["status"], "completed");
    assert_eq!(one.read("trace").lines().filter(|line| *line == "third").count(), 0);
    assert_eq!(two.read("trace").lines().filter(|line| *line == "third").count(), 1);
    two.assert_log_verifies();
}

/// Nobody else wants the execution: its processes end at the deadline all the same, and it can be
/// gone on with.
#[test]
fn the_processes_of_a_stopped_owner_end_with_its_lease() {
    let server = OwnServer::start();
    let project = server.project("1s");
    let sleeper = project.start(&["run", "pipeline.yaml"]);
    wait_until("the second step runs", || project.path("waiting").exists());
    let execution = project.last_execution()["id"].as_str().expect("an id").to_owned();
    sleeper.signal(Signal::STOP);
    wait_until("its processes end", || attempts_alive(&execution).is_empty());
    sleeper.signal(Signal::CONT);
    let woken = sleeper.finish().ends_with(5);
    assert!(woken.stderr.contains("FC0513"), "{woken}");
    project.write("go", "");
    project.flexcore(&["run", "--resume", "pipeline.yaml"]).completes();
    project.assert_log_verifies();
}

#[test]
fn a_run_goes_on_while_its_server_restarts() {
    let server = OwnServer::start();
    let project = server.project("20s");
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the second step runs", || project.path("waiting").exists());
    for how in [Shutdown::Immediate, Shutdown::Fast] {
        server.runtime.block_on(server.server.restart(how)).expect("a restart");
    }
    project.write("go", "");
    running.finish().completes();
    let events = project.events();
    assert_eq!(claims(&events), 1, "by one owner");
    project.assert_log_verifies();
}

#[test]
fn a_run_whose_server_stays_away_gives_up_in_time_and_is_resumed() {
    let server = OwnServer::start();
    let project = server.project("1s");
    let mut running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the second step runs", || project.path("waiting").exists());
    let execution = project.last_execution()["id"].as_str().expect("an id").to_owned();
    server.runtime.block_on(server.server.stop(Shutdown::Immediate)).expect("it stops");
    assert!(comes_about(Duration::from_secs(30), || attempts_alive(&execution).is_empty()));
    assert!(running.ends_within(crate::project::PATIENCE), "{}", running.stderr());
    let given_up = running.finish().ends_with(5);
    assert!(given_up.stderr.contains("FC0513"), "{given_up}");
    server.runtime.block_on(server.server.restart(Shutdown::Fast)).expect("it starts");
    project.write("go", "");
    project.flexcore(&["run", "--resume", "pipeline.yaml"]).completes();
    project.assert_log_verifies();
}
