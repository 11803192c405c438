//! Leases: one holder at a time, tokens that only grow, and the clock of the server.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use flexcore_ports::{Coordinator as _, Lease, LeaseAnswer, LeaseHolder};
use flexcore_store_postgres::{
    LeaseOwner, PostgresCoordinator, PostgresOptions, PostgresStore, Role,
};
use flexcore_testkit::postgres::{Server, SharedServer};
use uuid::Uuid;

const TTL: Duration = Duration::from_mins(1);
/// When its holder must have stopped, counted from the request: a margin earlier.
const LOCAL: Duration = Duration::from_secs(59);
const SHORT: Duration = Duration::from_millis(300);

/// An id that nobody else in this test has.
fn fresh() -> Uuid {
    static LAST: AtomicU64 = AtomicU64::new(0);
    Uuid::from_u128(u128::from(LAST.fetch_add(1, Ordering::Relaxed)))
}

struct Stage {
    _server: SharedServer,
    store: PostgresStore,
}

impl Stage {
    async fn new() -> Self {
        let server = Server::shared().await.unwrap();
        let url = server.database().await.unwrap();
        let options = PostgresOptions::new(url, Role::Writer);
        Self { _server: server, store: PostgresStore::open(options).await.unwrap() }
    }

    /// Another process, in a state folder of its own.
    fn process(&self, label: &str) -> PostgresCoordinator {
        self.process_of(label, fresh())
    }

    fn process_of(&self, label: &str, node: Uuid) -> PostgresCoordinator {
        let label = label.to_owned();
        self.store.coordinator(LeaseOwner { process: fresh(), node, label })
    }
}

async fn granted(process: &PostgresCoordinator, ttl: Duration) -> Lease {
    match process.acquire("execution/a", ttl).await.unwrap() {
        LeaseAnswer::Granted(lease) => lease,
        LeaseAnswer::Held(holder) => panic!("held by {holder:?}"),
    }
}

async fn held(process: &PostgresCoordinator, ttl: Duration) -> LeaseHolder {
    match process.acquire("execution/a", ttl).await.unwrap() {
        LeaseAnswer::Granted(lease) => panic!("granted {lease:?}"),
        LeaseAnswer::Held(holder) => holder,
    }
}

/// Asks until it is granted, which must be after `begin` + `ttl`.
async fn granted_at_last(process: &PostgresCoordinator) -> Lease {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match process.acquire("execution/a", TTL).await.unwrap() {
            LeaseAnswer::Granted(lease) => return lease,
            LeaseAnswer::Held(holder) => {
                assert!(Instant::now() < deadline, "never free: {holder:?}");
                tokio::task::yield_now().await;
            }
        }
    }
}

#[tokio::test]
async fn a_lease_has_one_holder_and_whoever_is_refused_learns_who() {
    let stage = Stage::new().await;
    let (one, two) = (stage.process("one"), stage.process("two"));
    let before = Instant::now();
    let lease = granted(&one, TTL).await;
    assert!(lease.deadline >= before + LOCAL);
    assert!(lease.deadline <= Instant::now() + LOCAL);
    let holder = held(&two, TTL).await;
    assert_eq!(holder.node, "one");
    assert!(holder.expires_in <= TTL && holder.expires_in > TTL / 2, "{holder:?}");
    assert_eq!(two.holder("execution/a").await.unwrap().unwrap().node, "one");
    assert_eq!(one.holder("execution/a").await.unwrap().unwrap().node, "one");
    assert_eq!(two.holder("execution/b").await.unwrap(), None);
}

#[tokio::test]
async fn a_renewal_keeps_the_token_and_a_change_of_owner_raises_it() {
    let stage = Stage::new().await;
    let (one, two) = (stage.process("one"), stage.process("two"));
    let first = granted(&one, TTL).await;
    assert_eq!(granted(&one, TTL).await.token, first.token);
    one.release(&first).await.unwrap();
    assert_eq!(two.holder("execution/a").await.unwrap(), None);
    let second = granted(&two, TTL).await;
    assert!(second.token > first.token);
    // What comes late changes nothing.
    one.release(&first).await.unwrap();
    assert_eq!(held(&one, TTL).await.node, "two");
    two.release(&second).await.unwrap();
    assert!(granted(&one, TTL).await.token > second.token);
}

#[tokio::test]
async fn a_lease_that_ran_out_is_taken_over_with_a_greater_token() {
    let stage = Stage::new().await;
    let (one, two) = (stage.process("one"), stage.process("two"));
    let begin = Instant::now();
    let first = granted(&one, SHORT).await;
    let second = granted_at_last(&two).await;
    assert!(begin.elapsed() >= SHORT, "not before its time");
    assert!(first.deadline < Instant::now(), "its holder stopped before");
    assert!(second.token > first.token);
    assert_eq!(held(&one, TTL).await.node, "two");
}

#[tokio::test]
async fn a_process_of_the_same_node_takes_over_at_once() {
    let stage = Stage::new().await;
    let node = fresh();
    let (dead, next) = (stage.process_of("dead", node), stage.process_of("next", node));
    let first = granted(&dead, TTL).await;
    assert_eq!(next.holder("execution/a").await.unwrap(), None, "its owner cannot be alive");
    assert!(granted(&next, TTL).await.token > first.token);
    assert_eq!(stage.process("other").holder("execution/a").await.unwrap().unwrap().node, "next");
}

#[tokio::test]
async fn of_many_that_ask_at_once_one_is_granted_and_no_token_is_given_twice() {
    let stage = Stage::new().await;
    let processes: Vec<_> = (0..8).map(|n| Arc::new(stage.process(&n.to_string()))).collect();
    let mut tokens = BTreeSet::new();
    for _ in 0..20 {
        let asked = processes.iter().map(|process| {
            let process = Arc::clone(process);
            tokio::spawn(async move {
                let answer = process.acquire("execution/a", TTL).await.unwrap();
                (process, answer)
            })
        });
        let mut winner = None;
        for asked in asked.collect::<Vec<_>>() {
            if let (process, LeaseAnswer::Granted(lease)) = asked.await.unwrap() {
                assert!(winner.replace((process, lease)).is_none(), "two at once");
            }
        }
        let (process, lease) = winner.unwrap();
        assert!(tokens.last().is_none_or(|last| *last < lease.token));
        tokens.insert(lease.token);
        process.release(&lease).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_was_ended_is_replaced() {
    let server = Server::start().await.unwrap();
    let url = server.database().await.unwrap();
    let store = PostgresStore::open(PostgresOptions::new(url, Role::Writer)).await.unwrap();
    let owner = LeaseOwner { process: fresh(), node: fresh(), label: "restarted".to_owned() };
    let process = store.coordinator(owner);
    let lease = granted(&process, TTL).await;
    server.restart(flexcore_testkit::postgres::Shutdown::Immediate).await.unwrap();
    assert_eq!(granted(&process, TTL).await.token, lease.token, "the table survives a crash");
}
