//! Signed checkpoints: what the log's end was at a time, kept where whoever can rewrite the log
//! cannot reach it.
//!
//! The hash chain alone does not hold up somebody who rewrites all of it, or cuts its end off. A
//! checkpoint that was signed before and lies elsewhere does: see
//! [`LogVerifier::verify`](flexcore_ports::LogVerifier::verify).
//!
//! A checkpoint is a [C2SP signed note](https://c2sp.org/signed-note) with an Ed25519 signature,
//! so that other programs can check it. Its text, line by line, is:
//!
//! ```text
//! flexcore log <the leaf of the log's first event: 64 hex digits>
//! <the last position>
//! <the number of the last batch>
//! <the hash of the last batch, base64>
//! <when it was signed, RFC 3339 in UTC with microseconds>
//! ```

mod export;
mod key;
mod note;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flexcore_eventsourcing::{Hash, Timestamp};
use flexcore_ports::LogHead;
use thiserror::Error;

use crate::{format_time, parse_time};

pub use export::{CheckpointError, CheckpointExporter, sign_head};
pub use key::{CheckpointKey, CheckpointPublicKey, KeyError};
pub use note::{FoundNote, NoteError, read_notes};

/// What the first line begins with.
const ORIGIN: &str = "flexcore log ";

/// The end that a log had at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCheckpoint {
    /// Which log: the leaf of its first event, which no other log has and which stays the same
    /// when the log is copied to another store.
    pub log: Hash,
    /// Its end; never that of an empty log.
    pub head: LogHead,
    /// When it was signed.
    pub signed_at: Timestamp,
}

/// A text that is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line} of the checkpoint is not {expected}")]
pub struct CheckpointTextError {
    /// Which of its lines, from 1.
    pub line: usize,
    /// What should be there.
    pub expected: &'static str,
}

impl LogCheckpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        let LogHead { position, batch, hash } = self.head;
        let (hash, time) = (STANDARD.encode(hash.0), format_time(self.signed_at));
        format!("{ORIGIN}{}\n{position}\n{batch}\n{hash}\n{time}\n", self.log)
    }

    /// Reads the text back, strictly: every checkpoint has exactly one text.
    ///
    /// # Errors
    /// [`CheckpointTextError`] with the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, CheckpointTextError> {
        let mut lines = text.split('\n');
        let mut number = 0;
        let mut next = |expected| {
            number += 1;
            let error = CheckpointTextError { line: number, expected };
            (lines.next().unwrap_or_default(), error)
        };
        let (line, error) = next("the name of a log, `flexcore log <64 hex digits>`");
        let log = line.strip_prefix(ORIGIN).and_then(hash_of_hex).ok_or(error)?;
        let (line, error) = next("a position");
        let position = number_of(line).ok_or(error)?;
        let (line, error) = next("the number of a batch");
        let batch = number_of(line).ok_or(error)?;
        let (line, error) = next("a hash in base64");
        let hash = STANDARD.decode(line).ok().and_then(|hash| Hash::from_slice(&hash));
        let hash = hash.ok_or(error)?;
        let (line, error) = next("a time in RFC 3339 in UTC with microseconds");
        let signed_at = parse_time(line).filter(|time| format_time(*time) == line).ok_or(error)?;
        let (line, error) = next("the end");
        if !line.is_empty() || lines.next().is_some() {
            return Err(error);
        }
        Ok(Self { log, head: LogHead { position, batch, hash }, signed_at })
    }
}

/// A number above 0 in its one form: no sign, no leading zero.
fn number_of(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| canonical)
}

fn hash_of_hex(text: &str) -> Option<Hash> {
    let mut hash = Hash::ZERO;
    hex::decode_to_slice(text, &mut hash.0).ok()?;
    (hash.to_string() == text).then_some(hash)
}

#[cfg(test)]
mod tests;
