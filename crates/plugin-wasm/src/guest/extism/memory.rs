//! The memory that the host keeps for a module: blocks by offset.
//!
//! Offset 0 is no block. Offsets are not reused within a call, so that a stale one is noticed.

use std::collections::BTreeMap;

/// Blocks by offset.
#[derive(Debug)]
pub(super) struct Memory {
    blocks: BTreeMap<u64, Vec<u8>>,
    next: u64,
    bytes: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self { blocks: BTreeMap::new(), next: 8, bytes: 0 }
    }
}

impl Memory {
    /// A new block of zeroes.
    pub(super) fn alloc(&mut self, length: u64) -> u64 {
        let Ok(size) = usize::try_from(length) else { return 0 };
        let offset = self.next;
        // Something lies between two blocks, so that the end of one is not the start of another.
        self.next = self.next.saturating_add(length).saturating_add(16) & !7;
        self.bytes += length;
        self.blocks.insert(offset, vec![0; size]);
        offset
    }

    /// Forgets a block; how long it was.
    pub(super) fn free(&mut self, offset: u64) -> Option<usize> {
        let block = self.blocks.remove(&offset)?;
        self.bytes -= block.len() as u64;
        Some(block.len())
    }

    /// All bytes of all blocks.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The block that begins at an offset.
    pub(super) fn block(&self, offset: u64) -> Option<&[u8]> {
        self.blocks.get(&offset).map(Vec::as_slice)
    }

    /// Bytes anywhere within one block.
    pub(super) fn read(&self, offset: u64, length: u64) -> Option<&[u8]> {
        if length == 0 {
            return Some(&[]);
        }
        let (start, block) = self.blocks.range(..=offset).next_back()?;
        let from = usize::try_from(offset - start).ok()?;
        let to = from.checked_add(usize::try_from(length).ok()?)?;
        block.get(from..to)
    }

    /// Replaces bytes anywhere within one block; whether there is such a place.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let Some((start, block)) = self.blocks.range_mut(..=offset).next_back() else {
            return false;
        };
        let Ok(from) = usize::try_from(offset - start) else { return false };
        let place = from.checked_add(bytes.len()).and_then(|to| block.get_mut(from..to));
        place.map(|place| place.copy_from_slice(bytes)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_of_a_block_is_reached() {
        let mut memory = Memory::default();
        let (one, two) = (memory.alloc(4), memory.alloc(8));
        assert!(memory.write(one, b"abcd") && memory.write(two + 4, b"wxyz"));
        assert_eq!(memory.read(one + 1, 2), Some(&b"bc"[..]));
        assert_eq!(memory.read(two, 8), Some(&b"\0\0\0\0wxyz"[..]));
        for (offset, length) in [(0, 1), (one, 5), (one + 4, 1), (two + 8, 1), (u64::MAX, 1)] {
            assert_eq!(memory.read(offset, length), None, "{offset}");
        }
        assert_eq!(memory.read(one, u64::MAX), None);
        assert!(!memory.write(one + 3, b"de") && !memory.write(u64::MAX, b"x"));
        assert_eq!(memory.bytes(), 12);
        assert_eq!(memory.free(one), Some(4));
        assert_eq!(memory.read(one, 1), None);
        assert_eq!(memory.free(one), None);
        assert_ne!(memory.alloc(4), one, "a stale offset is noticed");
    }
}
