//! What every coordinator does. Run it with [`coordinator_contract!`](crate::coordinator_contract!),
//! and with [`rival_contract!`](crate::rival_contract!) where several processes share one authority.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use flexcore_ports::{Coordinator, Lease, LeaseAnswer, LeaseHolder};

/// Longer than any test runs.
const LONG: Duration = Duration::from_mins(10);
/// Short enough to be waited for.
const SHORT: Duration = Duration::from_millis(400);
/// How long is waited for a lease to run out.
const PATIENCE: Duration = Duration::from_mins(1);

/// Processes that ask one authority, and what must live as long as they do.
pub struct Rivals {
    /// The coordinator of each process, at least four.
    pub processes: Vec<Arc<dyn Coordinator>>,
    /// For example the server.
    pub keep: Box<dyn std::any::Any + Send + Sync>,
}

impl std::fmt::Debug for Rivals {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Rivals").finish_non_exhaustive()
    }
}

async fn ask(process: &dyn Coordinator, name: &str, ttl: Duration) -> LeaseAnswer {
    process.acquire(name, ttl).await.expect("the authority answers")
}

async fn granted(process: &dyn Coordinator, name: &str, ttl: Duration) -> Lease {
    match ask(process, name, ttl).await {
        LeaseAnswer::Granted(lease) => lease,
        LeaseAnswer::Held(holder) => unreachable!("it is held: {holder:?}"),
    }
}

async fn held(process: &dyn Coordinator, name: &str) -> LeaseHolder {
    match ask(process, name, LONG).await {
        LeaseAnswer::Held(holder) => holder,
        LeaseAnswer::Granted(lease) => unreachable!("it was granted: {lease:?}"),
    }
}

/// Asks until the lease is free.
async fn granted_at_last(process: &dyn Coordinator, name: &str) -> Lease {
    let begin = Instant::now();
    loop {
        match ask(process, name, LONG).await {
            LeaseAnswer::Granted(lease) => return lease,
            LeaseAnswer::Held(holder) => assert!(begin.elapsed() < PATIENCE, "{holder:?}"),
        }
        tokio::task::yield_now().await;
    }
}

async fn release(process: &dyn Coordinator, lease: &Lease) {
    process.release(lease).await.expect("the authority answers");
}

async fn holder(process: &dyn Coordinator, name: &str) -> Option<LeaseHolder> {
    process.holder(name).await.expect("the authority answers")
}

/// Who asks again keeps what it has.
pub async fn a_renewal_keeps_the_token(one: &dyn Coordinator) {
    let first = granted(one, "a", LONG).await;
    for _ in 0..5 {
        let again = granted(one, "a", LONG).await;
        assert_eq!((again.name.as_str(), again.token), ("a", first.token));
        assert!(again.deadline >= first.deadline);
    }
}

/// A lease is for one name.
pub async fn names_are_apart(one: &dyn Coordinator) {
    let a = granted(one, "execution/a", LONG).await;
    assert_eq!(holder(one, "execution/b").await, None);
    assert_eq!(holder(one, "execution").await, None);
    granted(one, "execution/A", LONG).await;
    release(one, &a).await;
    assert!(holder(one, "execution/A").await.is_some());
}

/// What was given back is nobody's, and comes with a greater token the next time.
pub async fn a_lease_that_was_given_back_is_free(one: &dyn Coordinator) {
    let mut last = 0;
    for _ in 0..5 {
        let lease = granted(one, "a", LONG).await;
        assert!(lease.token > last);
        last = lease.token;
        assert!(holder(one, "a").await.is_some());
        release(one, &lease).await;
        assert_eq!(holder(one, "a").await, None);
    }
}

/// A release that comes twice, or too late, takes nothing away.
pub async fn a_late_release_changes_nothing(one: &dyn Coordinator) {
    let first = granted(one, "a", LONG).await;
    release(one, &first).await;
    release(one, &first).await;
    let second = granted(one, "a", LONG).await;
    release(one, &first).await;
    assert!(holder(one, "a").await.is_some());
    assert_eq!(granted(one, "a", LONG).await.token, second.token);
    let never = Lease { name: "never".to_owned(), ..second };
    release(one, &never).await;
}

/// Its holder has to stop before it ends, and knows when.
pub async fn a_deadline_lies_ahead(one: &dyn Coordinator) {
    let lease = granted(one, "a", LONG).await;
    assert!(lease.deadline > Instant::now() + LONG / 2);
    let found = holder(one, "a").await.expect("it is held");
    assert!(!found.node.is_empty() && found.expires_in > LONG / 2, "{found:?}");
}

/// Whoever is refused learns who has it and for how long.
pub async fn a_lease_has_one_holder(rivals: &Rivals) {
    let [one, two, ..] = &rivals.processes[..] else { unreachable!("there are four") };
    let lease = granted(&**one, "a", LONG).await;
    let found = held(&**two, "a").await;
    assert!(found.expires_in <= LONG && found.expires_in > LONG / 2, "{found:?}");
    let looked = holder(&**two, "a").await.expect("it is held");
    assert_eq!(looked.node, found.node);
    assert_eq!(granted(&**one, "a", LONG).await.token, lease.token);
}

/// The token of the next owner is greater than any before, for ever.
pub async fn a_change_of_owner_raises_the_token(rivals: &Rivals) {
    let mut last = 0;
    for process in rivals.processes.iter().cycle().take(12) {
        let lease = granted(&**process, "a", LONG).await;
        assert!(lease.token > last);
        last = lease.token;
        release(&**process, &lease).await;
    }
}

/// Nobody has to give back what runs out; its holder stops before anybody else begins.
pub async fn a_lease_that_ran_out_is_taken_over(rivals: &Rivals) {
    let [one, two, ..] = &rivals.processes[..] else { unreachable!("there are four") };
    let begin = Instant::now();
    let first = granted(&**one, "a", SHORT).await;
    let second = granted_at_last(&**two, "a").await;
    assert!(begin.elapsed() >= SHORT, "not before its time");
    assert!(first.deadline < Instant::now(), "its holder had to stop before");
    assert!(second.token > first.token);
    held(&**one, "a").await;
    // What the former owner does now is too late.
    release(&**one, &first).await;
    held(&**one, "a").await;
}

/// A lease that is renewed in time is never lost.
pub async fn a_lease_that_is_renewed_is_kept(rivals: &Rivals) {
    let [one, two, ..] = &rivals.processes[..] else { unreachable!("there are four") };
    let begin = Instant::now();
    let first = granted(&**one, "a", SHORT * 4).await;
    while begin.elapsed() < SHORT * 6 {
        assert_eq!(granted(&**one, "a", SHORT * 4).await.token, first.token);
        held(&**two, "a").await;
        tokio::task::yield_now().await;
    }
}

/// However many ask at the same moment.
pub async fn of_many_that_ask_at_once_one_is_granted(rivals: &Rivals) {
    let mut tokens = BTreeSet::new();
    for round in 0..15 {
        let mut tasks = tokio::task::JoinSet::new();
        for process in &rivals.processes {
            let process = Arc::clone(process);
            tasks.spawn(async move {
                let answer = ask(&*process, "a", LONG).await;
                (process, answer)
            });
        }
        let mut winners = Vec::new();
        for (process, answer) in tasks.join_all().await {
            if let LeaseAnswer::Granted(lease) = answer {
                winners.push((process, lease));
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        for (process, lease) in winners {
            assert!(tokens.insert(lease.token), "a token was handed out twice");
            assert_eq!(tokens.last(), Some(&lease.token));
            release(&*process, &lease).await;
        }
    }
}

/// Leases that run out while many want them: at no moment two believe that they have it.
pub async fn of_leases_that_run_out_no_two_overlap(rivals: &Rivals) {
    let mut tasks = tokio::task::JoinSet::new();
    for process in &rivals.processes {
        let process = Arc::clone(process);
        tasks.spawn(async move {
            let (begin, mut leases) = (Instant::now(), Vec::new());
            while leases.len() < 3 && begin.elapsed() < PATIENCE {
                let asked = Instant::now();
                if let LeaseAnswer::Granted(lease) = ask(&*process, "a", SHORT / 2).await {
                    // It believes so from now on, and dies without a word.
                    let got = Instant::now();
                    if leases.last().is_none_or(|(_, last): &(_, Lease)| last.token != lease.token)
                    {
                        leases.push((got, lease));
                    }
                    while Instant::now() < asked + SHORT / 2 {
                        tokio::task::yield_now().await;
                    }
                }
                tokio::task::yield_now().await;
            }
            leases
        });
    }
    let mut all: Vec<(Instant, Lease)> = tasks.join_all().await.into_iter().flatten().collect();
    all.sort_by_key(|(_, lease)| lease.token);
    assert_eq!(all.len(), rivals.processes.len() * 3);
    for pair in all.windows(2) {
        let ((_, before), (got, after)) = (&pair[0], &pair[1]);
        assert!(before.token < after.token, "{} was handed out twice", before.token);
        assert!(before.deadline <= *got, "token {} overlaps the next", before.token);
    }
}

/// Makes a test of each case that needs one process. `$one` is the path of an
/// `async fn() -> impl Coordinator`.
#[macro_export]
macro_rules! coordinator_contract {
    ($one:path) => {
        $crate::coordinator_contract! { @cases $one:
            a_renewal_keeps_the_token,
            names_are_apart,
            a_lease_that_was_given_back_is_free,
            a_late_release_changes_nothing,
            a_deadline_lies_ahead,
        }
    };
    (@cases $one:path: $($case:ident,)+) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::coordinator_contract::$case(&$one().await).await;
            }
        )+
    };
}

/// Makes a test of each case that needs several. `$rivals` is the path of an
/// `async fn() -> Rivals`.
#[macro_export]
macro_rules! rival_contract {
    ($rivals:path) => {
        $crate::rival_contract! { @cases $rivals:
            a_lease_has_one_holder,
            a_change_of_owner_raises_the_token,
            a_lease_that_ran_out_is_taken_over,
            a_lease_that_is_renewed_is_kept,
            of_many_that_ask_at_once_one_is_granted,
            of_leases_that_run_out_no_two_overlap,
        }
    };
    (@cases $rivals:path: $($case:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::coordinator_contract::$case(&$rivals().await).await;
            }
        )+
    };
}
