//! How much memory a guest may have, and whether it wanted more.

use wasmtime::{ResourceLimiter, Result};

use crate::engine::TABLE_ELEMENTS;

/// The bound of one call.
#[derive(Debug)]
pub(crate) struct Bound {
    most: usize,
    used: usize,
    /// Whether it wanted more than it may have.
    pub(crate) was_hit: bool,
}

impl Bound {
    pub(crate) fn new(most: u64) -> Self {
        Self { most: usize::try_from(most).unwrap_or(usize::MAX), used: 0, was_hit: false }
    }

    /// Whether so much more is allowed; it counts if it is.
    pub(crate) fn take(&mut self, more: usize) -> bool {
        let used = self.used.checked_add(more).filter(|used| *used <= self.most);
        match used {
            Some(used) => self.used = used,
            None => self.was_hit = true,
        }
        used.is_some()
    }

    /// So much is no longer used.
    pub(crate) fn give_back(&mut self, less: usize) {
        self.used = self.used.saturating_sub(less);
    }
}

impl ResourceLimiter for Bound {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        // Memories of one guest count together.
        Ok(self.take(desired.saturating_sub(current)))
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}
