//! The users that programs become where the server is root: one for each jail, so that no two can
//! touch what is the other's.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

/// The first of the users that programs become: above the users of people and services, below the
/// ranges that containers map.
const FIRST_USER: u32 = 61_000;
/// How many there are.
const USERS: u32 = 1_000;
/// Gives out users. Clones share what is taken.
#[derive(Debug, Clone)]
pub(super) struct Users(Arc<Mutex<Taken>>);

/// The users that are taken, and where to look for the next: a user that was just given back is the
/// last to be taken again.
#[derive(Debug)]
struct Taken {
    users: HashSet<u32>,
    next: u32,
}

/// A user that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct User {
    pub(super) number: u32,
    users: Users,
}

impl Users {
    pub(super) fn new() -> Self {
        // Servers on one machine should not meet; they begin at different places.
        let next = rustix::process::getpid().as_raw_pid().cast_unsigned() % USERS;
        Self(Arc::new(Mutex::new(Taken { users: HashSet::new(), next })))
    }

    /// Takes a free user; `None` if there is none.
    pub(super) fn take(&self) -> Option<User> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = (0..USERS)
            .map(|step| FIRST_USER + (taken.next + step) % USERS)
            .find(|user| !taken.users.contains(user))?;
        taken.users.insert(free);
        taken.next = free - FIRST_USER + 1;
        Some(User { number: free, users: self.clone() })
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut taken = self.users.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.users.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_user_is_given_twice_and_each_is_given_again() {
        let users = Users::new();
        let taken: Vec<User> = std::iter::from_fn(|| users.take()).collect();
        let numbers: HashSet<u32> = taken.iter().map(|user| user.number).collect();
        assert_eq!(numbers.len(), 1_000);
        assert!(users.take().is_none());
        drop(taken);
        assert!(users.take().is_some());
    }
}
