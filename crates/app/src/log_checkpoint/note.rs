//! Signed notes: <https://c2sp.org/signed-note>. A text, an empty line, and a line for each
//! signature: `— <name of the key> <base64 of the key's id and the signature>`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use thiserror::Error;

use super::{CheckpointKey, CheckpointPublicKey, CheckpointTextError, LogCheckpoint, ORIGIN};

/// What a line with a signature begins with.
const SIGNATURE: &str = "\u{2014} ";

/// Why a note proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoteError {
    /// It ends before its signatures: whoever wrote it was interrupted.
    #[error("the note has no signature: it was not written to its end")]
    Unfinished,
    /// None of its signatures is of the key.
    #[error("the note is not signed with the key `{key}`")]
    OtherKey {
        /// The name of the key that was given.
        key: String,
    },
    /// The signature is not one of this text.
    #[error("the signature is wrong: the note was changed after it was signed, or forged")]
    Forged,
    /// A line where only signatures belong.
    #[error("line {line} of the note is neither its text nor a signature")]
    Malformed {
        /// Which of its lines, from 1.
        line: usize,
    },
    /// It is signed, but no checkpoint.
    #[error(transparent)]
    NoCheckpoint(#[from] CheckpointTextError),
}

/// A note in a file, good or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundNote {
    /// The line of the file that it begins on, from 1.
    pub line: usize,
    /// What it says.
    pub checkpoint: Result<LogCheckpoint, NoteError>,
}

impl LogCheckpoint {
    /// The checkpoint as a signed note.
    pub fn sign(&self, key: &CheckpointKey) -> String {
        let text = self.text();
        let public = key.public();
        let signature = [&public.id()[..], &key.sign(&text)].concat();
        format!("{text}\n{SIGNATURE}{} {}\n", public.name(), STANDARD.encode(signature))
    }

    /// Reads a signed note.
    ///
    /// # Errors
    /// [`NoteError`] unless `key` signed exactly this text.
    pub fn open(note: &str, key: &CheckpointPublicKey) -> Result<Self, NoteError> {
        // The text's own last line feed belongs to it.
        let (text, signatures) = match note.split_once("\n\n") {
            Some((text, signatures)) => (&note[..=text.len()], signatures),
            None => return Err(NoteError::Unfinished),
        };
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Unfinished)?;
        let before = text.lines().count() + 1;
        let mut of_key = 0;
        for (index, line) in signatures.split('\n').enumerate() {
            let malformed = NoteError::Malformed { line: before + index + 1 };
            let (name, id, signature) = signature_in(line).ok_or(malformed)?;
            if name != key.name() || id != key.id() {
                continue;
            }
            if !signature.try_into().is_ok_and(|signature| key.signed(text, &signature)) {
                return Err(NoteError::Forged);
            }
            of_key += 1;
        }
        match of_key {
            0 => Err(NoteError::OtherKey { key: key.name().to_owned() }),
            _ => Ok(Self::parse(text)?),
        }
    }
}

/// Every note of a file, in its order. A note begins with the line that names its log, so that
/// what is wrong with one says nothing about the next.
pub fn read_notes(file: &str, key: &CheckpointPublicKey) -> Vec<FoundNote> {
    let mut notes: Vec<(usize, String)> = Vec::new();
    for (index, line) in file.split_inclusive('\n').enumerate() {
        match notes.last_mut() {
            Some((_, note)) if !line.starts_with(ORIGIN) => note.push_str(line),
            None if line.trim().is_empty() => {}
            _ => notes.push((index + 1, line.to_owned())),
        }
    }
    let found = |(line, note): (usize, String)| {
        // Empty lines may stand between notes. A file may lack the last line feed.
        let finished = note.trim_end_matches('\n');
        let checkpoint = LogCheckpoint::open(&format!("{finished}\n"), key);
        FoundNote { line, checkpoint }
    };
    notes.into_iter().map(found).collect()
}

/// The key's name and id, and the signature, of a line.
fn signature_in(line: &str) -> Option<(&str, [u8; 4], Vec<u8>)> {
    let (name, signature) = line.strip_prefix(SIGNATURE)?.split_once(' ')?;
    let bytes = STANDARD.decode(signature).ok()?;
    let (id, signature) = bytes.split_first_chunk()?;
    Some((name, *id, signature.to_vec()))
}
