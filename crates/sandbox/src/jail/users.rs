//! The users that programs become where the server is root: one for each jail, so that no two can
//! touch what is the other's.
//!
//! Servers on one machine share them out in blocks: whoever holds the abstract socket of a block's
//! name has the block, and the kernel gives the name back when the server ends, however it ends.

use std::{
    collections::HashSet,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    sync::{Arc, Mutex, PoisonError},
};

/// The first of the users that programs become. The range up to 61183 is nobody's: people and
/// services are below it, users that systemd makes are above (systemd.io/UIDS-GIDS), and containers
/// that know few users know these.
const FIRST_USER: u32 = 60_580;
const BLOCK: u32 = 50;
const BLOCKS: u32 = 12;

/// Gives out users. Clones share what is taken.
#[derive(Debug, Clone)]
pub(super) struct Users(Arc<Mutex<Taken>>);

/// The users that are taken, and where to look for the next: a user that was just given back is the
/// last to be taken again.
#[derive(Debug)]
struct Taken {
    /// This server's blocks. Where every one was another server's, all are used without asking.
    blocks: Vec<Block>,
    users: HashSet<u32>,
    next: u32,
}

/// A block of users that no other server has.
#[derive(Debug)]
struct Block {
    number: u32,
    _name: Option<UnixDatagram>,
}

/// A user that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct User {
    pub(super) number: u32,
    users: Users,
}

impl Users {
    /// Takes the first block, so that starting a program need not.
    pub(super) fn new() -> Self {
        let mut taken = Taken { blocks: Vec::new(), users: HashSet::new(), next: 0 };
        if rustix::process::geteuid().is_root() {
            taken.take_block();
        }
        Self(Arc::new(Mutex::new(taken)))
    }

    /// Takes a free user; `None` if there is none.
    pub(super) fn take(&self) -> Option<User> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = taken.free().or_else(|| {
            taken.take_block();
            taken.free()
        })?;
        taken.users.insert(free);
        Some(User { number: free, users: self.clone() })
    }
}

impl Taken {
    fn free(&mut self) -> Option<u32> {
        let count = u32::try_from(self.blocks.len()).unwrap_or(BLOCKS) * BLOCK;
        let user = |place: u32| {
            let block = usize::try_from(place / BLOCK).ok().and_then(|at| self.blocks.get(at))?;
            Some(FIRST_USER + block.number * BLOCK + place % BLOCK)
        };
        let place = (0..count)
            .map(|step| (self.next + step) % count)
            .find(|place| user(*place).is_some_and(|user| !self.users.contains(&user)))?;
        let found = user(place);
        self.next = place + 1;
        found
    }

    /// Takes another block; where others have all of them, shares them: programs with one number
    /// still have nothing in common but the number.
    fn take_block(&mut self) {
        let own: Vec<u32> = self.blocks.iter().map(|block| block.number).collect();
        let mut others = (0..BLOCKS).filter(|number| !own.contains(number));
        if let Some(block) = others.clone().find_map(Block::take) {
            self.blocks.push(block);
        } else if let Some(number) = others.next() {
            self.blocks.push(Block { number, _name: None });
        }
    }
}

impl Block {
    /// `None` if another server has it.
    fn take(number: u32) -> Option<Self> {
        let name = format!("flexcore-users-{}", FIRST_USER + number * BLOCK);
        let name = SocketAddr::from_abstract_name(name).ok()?;
        let bound = UnixDatagram::bind_addr(&name).ok()?;
        Some(Self { number, _name: Some(bound) })
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

    fn none() -> Users {
        Users(Arc::new(Mutex::new(Taken { blocks: Vec::new(), users: HashSet::new(), next: 0 })))
    }

    #[test]
    fn no_user_is_given_twice_and_each_is_given_again() {
        let users = none();
        let taken: Vec<User> = std::iter::from_fn(|| users.take()).collect();
        let numbers: HashSet<u32> = taken.iter().map(|user| user.number).collect();
        assert_eq!(numbers.len(), 600);
        assert!(numbers.iter().all(|number| (60_578..61_184).contains(number)));
        assert!(users.take().is_none());
        drop(taken);
        assert!(users.take().is_some());
    }

    #[test]
    fn a_user_that_was_given_back_is_the_last_of_its_block_to_be_taken_again() {
        let users = none();
        let first = users.take().unwrap().number;
        let next: Vec<u32> = (1..BLOCK).map(|_| users.take().unwrap().number).collect();
        assert!(!next.contains(&first));
        assert_eq!(users.take().unwrap().number, first);
    }

    #[test]
    fn a_block_that_a_server_has_is_no_other_servers() {
        // Some block is free, unless a dozen servers run here: then there is nothing to hold against.
        let Some(block) = (0..BLOCKS).find_map(Block::take) else { return };
        assert!(Block::take(block.number).is_none());
        let users = none();
        let user = users.take().unwrap().number;
        assert_ne!((user - FIRST_USER) / BLOCK, block.number);
        let number = block.number;
        drop(block);
        assert!(Block::take(number).is_some());
    }
}
