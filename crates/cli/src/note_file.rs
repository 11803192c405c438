//! Files that signed checkpoints are added to.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
};

/// Adds a signed note to a file, and makes it if there is none; durable when it returns. Notes are
/// set apart by an empty line. After one that was cut off, the next begins on a line of its own.
///
/// # Errors
/// What the system says.
pub fn append_note(path: &Path, note: &str) -> io::Result<()> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let mut text = String::with_capacity(note.len() + 2);
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            text.push('\n');
        }
    }
    text.push_str(note);
    text.push('\n');
    // One write, so that two processes never mix their notes.
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    if is_new && let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_set_apart_also_from_one_that_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.notes");
        append_note(&path, "one\n").unwrap();
        append_note(&path, "two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n\ntwo\n\n");
        std::fs::write(&path, "tor").unwrap();
        append_note(&path, "next\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "tor\nnext\n\n");
    }
}
