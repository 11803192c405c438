//! Which file holds the views: `views.current` names it.
//!
//! A rebuild fills `views-<n+1>.db` beside the file in use and then replaces the pointer by
//! rename. A database file itself is never renamed: its write-ahead log is found by its name.

use std::{fs::File, io::Write, path::PathBuf};

use rusqlite::Connection;

use super::schema::VIEWS;
use crate::{connection::Access, folder::Folder, open_error::OpenError};

const POINTER: &str = "views.current";

/// The name of views file `number`.
pub(crate) fn name(number: u32) -> String {
    format!("views-{number}.db")
}

/// The number that the pointer names, if it names one and the file is there.
pub(crate) fn current(folder: &Folder) -> Option<u32> {
    let text = std::fs::read_to_string(folder.file(POINTER)).ok()?;
    number_of(text.trim_end()).filter(|number| folder.file(&name(*number)).is_file())
}

/// Opens the views in use, for writing; `None` if there are none that this program can read.
///
/// # Errors
/// [`OpenError`] for everything that building them again would not mend.
pub(crate) fn open_current(folder: &Folder) -> Result<Option<(u32, Connection)>, OpenError> {
    let Some(number) = current(folder) else { return Ok(None) };
    let path = folder.file(&name(number));
    match VIEWS.open(&path, Access::Write) {
        Ok(connection) => Ok(Some((number, connection))),
        Err(error) if is_replaceable(&error) => {
            tracing::warn!(%error, "the views are built again from the log");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether views that cannot be opened for this reason are simply built again.
pub(crate) fn is_replaceable(error: &OpenError) -> bool {
    matches!(
        error,
        OpenError::Corrupt { .. } | OpenError::Newer { .. } | OpenError::NotAStore { .. }
    )
}

/// Creates an empty views file with a number that no file has.
pub(crate) fn create(folder: &Folder) -> Result<(u32, Connection), OpenError> {
    let number = numbers(folder).into_iter().max().unwrap_or(0).saturating_add(1);
    let path = folder.create_private(&name(number))?;
    Ok((number, VIEWS.open(&path, Access::Write)?))
}

/// Makes `number` the file in use, and removes all others.
pub(crate) fn publish(folder: &Folder, number: u32) -> Result<(), OpenError> {
    let pointer = folder.file(POINTER);
    let failed = |error: std::io::Error| OpenError::io(&pointer, error);
    let fresh = folder.file("views.current.new");
    let mut file = File::create(&fresh).map_err(failed)?;
    writeln!(file, "{}", name(number)).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&fresh, &pointer).map_err(failed)?;
    folder.sync().map_err(failed)?;
    remove_others(folder, number);
    Ok(())
}

/// Removes every views file but `number`: those that it replaced, and those of rebuilds that never
/// came to their end.
pub(crate) fn remove_others(folder: &Folder, number: u32) {
    numbers(folder).into_iter().filter(|other| *other != number).for_each(|other| {
        remove(folder, other);
    });
}

/// Forgets which file is in use, so that the views are built again at the next start.
pub(crate) fn set_aside(folder: &Folder) {
    // Whatever keeps it from going will be met, and told, when the next start opens the file.
    let _ = std::fs::remove_file(folder.file(POINTER));
}

/// Removes a views file and its companions. One that cannot go now goes at the next start.
pub(crate) fn remove(folder: &Folder, number: u32) {
    for suffix in ["", "-wal", "-shm"] {
        let path: PathBuf = folder.file(&format!("{}{suffix}", name(number)));
        let _ = std::fs::remove_file(path);
    }
}

fn numbers(folder: &Folder) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(folder.path()) else { return Vec::new() };
    entries.flatten().filter_map(|entry| number_of(entry.file_name().to_str()?)).collect()
}

fn number_of(file_name: &str) -> Option<u32> {
    let number = file_name.strip_prefix("views-")?.strip_suffix(".db")?;
    number.parse().ok().filter(|parsed: &u32| parsed.to_string() == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_views_file_has_a_number() {
        assert_eq!(number_of("views-12.db"), Some(12));
        for other in ["views-.db", "views-01.db", "views-1.db-wal", "../views-1.db", "log.db"] {
            assert_eq!(number_of(other), None, "{other}");
        }
    }
}
