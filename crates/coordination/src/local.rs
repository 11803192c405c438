//! One process, one authority.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use flexcore_ports::{Coordinator, CoordinatorError, Lease, LeaseAnswer, LeaseHolder};

/// Longer than any process lives, and short enough to be added to any instant.
const NEVER: Duration = Duration::from_hours(24 * 365 * 30);

/// Leases of a process that has its store to itself: always granted, never lost.
///
/// Its caller must hold what keeps other processes away, for as long as it lives.
#[derive(Debug)]
pub struct LocalCoordinator {
    node: String,
    leases: Mutex<Leases>,
}

#[derive(Debug, Default)]
struct Leases {
    /// The tokens of leases that are held; one that was given back leaves nothing behind.
    held: HashMap<String, u64>,
    /// The last token of any lease: it grows for each name, whatever became of the others.
    last_token: u64,
}

impl LocalCoordinator {
    /// For the process that calls itself `node`.
    pub fn new(node: impl Into<String>) -> Self {
        Self { node: node.into(), leases: Mutex::default() }
    }

    /// Nothing is done under this lock that could panic half-way.
    fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Coordinator for LocalCoordinator {
    async fn acquire(&self, name: &str, _: Duration) -> Result<LeaseAnswer, CoordinatorError> {
        let leases = &mut *self.leases();
        let token = *leases.held.entry(name.to_owned()).or_insert_with(|| {
            leases.last_token += 1;
            leases.last_token
        });
        Ok(LeaseAnswer::Granted(Lease {
            name: name.to_owned(),
            token,
            deadline: Instant::now() + NEVER,
        }))
    }

    async fn release(&self, lease: &Lease) -> Result<(), CoordinatorError> {
        let mut leases = self.leases();
        if leases.held.get(&lease.name) == Some(&lease.token) {
            leases.held.remove(&lease.name);
        }
        Ok(())
    }

    async fn holder(&self, name: &str) -> Result<Option<LeaseHolder>, CoordinatorError> {
        let held = self.leases().held.contains_key(name);
        Ok(held.then(|| LeaseHolder { node: self.node.clone(), expires_in: NEVER }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn granted(coordinator: &LocalCoordinator, name: &str) -> Lease {
        let ttl = Duration::from_millis(1);
        match coordinator.acquire(name, ttl).await.unwrap() {
            LeaseAnswer::Granted(lease) => lease,
            LeaseAnswer::Held(holder) => panic!("held by {holder:?}"),
        }
    }

    #[tokio::test]
    async fn a_lease_keeps_its_token_until_it_is_given_back() {
        let coordinator = LocalCoordinator::new("here");
        let first = granted(&coordinator, "execution/a").await;
        assert_eq!(granted(&coordinator, "execution/a").await.token, first.token);
        coordinator.release(&first).await.unwrap();
        let second = granted(&coordinator, "execution/a").await;
        assert!(second.token > first.token);
        // A release that comes late takes nothing away.
        coordinator.release(&first).await.unwrap();
        assert!(coordinator.holder("execution/a").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn only_what_is_held_has_a_holder_and_it_never_runs_out() {
        let coordinator = LocalCoordinator::new("here");
        assert_eq!(coordinator.holder("execution/a").await.unwrap(), None);
        let lease = granted(&coordinator, "execution/a").await;
        assert!(lease.deadline > Instant::now() + Duration::from_hours(24));
        let holder = coordinator.holder("execution/a").await.unwrap().unwrap();
        assert_eq!(holder.node, "here");
        coordinator.release(&lease).await.unwrap();
        assert_eq!(coordinator.holder("execution/a").await.unwrap(), None);
    }
}
