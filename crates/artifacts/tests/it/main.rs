//! Artifacts and logs on real file systems: other processes, kills and full disks.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod full_disk;
mod logs;
mod support;
mod visibility;
