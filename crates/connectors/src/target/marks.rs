//! The sidecar of a file target: how long each file was at each confirmed STATE.
//!
//! One append-only file per execution and step, in the hidden folder `.flexcore-marks` beside the
//! output, one JSON object per line:
//!
//! ```json
//! {"mark":"start"}
//! {"mark":"open","file":"orders.jsonl","length":0}
//! {"mark":"state","sha256":"…","lengths":{"orders.jsonl":1048}}
//! ```
//!
//! `open` gives the length of a file before the execution wrote to it. A line is durable before
//! what it speaks of happens: an open before the first byte, a state before its echo. So a last
//! line without its line end was never relied on and is ignored.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    environment::Owner,
    target::{
        error::SinkError,
        history::{History, Lengths, open_line, state_line},
        template::{file_name, sync_folder},
    },
};

const FOLDER: &str = ".flexcore-marks";
/// Marks of this many other executions are kept, the newest, so that they can still be resumed.
const KEPT: usize = 16;

/// The sidecar of this execution, locked by this process.
#[derive(Debug)]
pub(crate) struct Marks {
    path: PathBuf,
    file: File,
}

impl Marks {
    /// Opens the sidecar of this owner and tells the lengths that files must be taken back to.
    ///
    /// With a committed STATE it must have its mark; without one the lengths are those from before
    /// the execution.
    pub(crate) fn open(
        root: &Path,
        owner: &Owner,
        committed: Option<&str>,
    ) -> Result<(Self, Lengths), SinkError> {
        let folder = root.join(FOLDER);
        fs::create_dir_all(&folder).map_err(SinkError::file("create", &folder))?;
        let name = format!("{}.{}.jsonl", file_name(&owner.execution), file_name(&owner.step));
        let path = folder.join(&name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(SinkError::file("read", &path)(error)),
        };
        // The lock is on the file that stands there now; it is held until the new one has its own.
        let before = if text.is_empty() { None } else { Some(lock(&path)?) };
        let history = parse(&path, &text)?;
        let (kept, lengths) = history
            .at(committed)
            .ok_or_else(|| SinkError::NoMark { place: path.clone(), state: short(committed) })?;
        check_others(&folder, &name, &lengths, root)?;
        let file = write_compacted(&path, &kept)?;
        drop(before);
        prune(&folder, &name);
        sync_folder(&folder).map_err(SinkError::file("sync", &folder))?;
        Ok((Self { path, file }, lengths))
    }

    /// Marks, before its first byte, that a file is going to be written.
    pub(crate) fn opened(&mut self, file: &str, length: u64) -> Result<(), SinkError> {
        self.append(&open_line(file, length))
    }

    /// Marks a STATE, before its echo; the files are durable already.
    pub(crate) fn state(&mut self, sha256: &str, lengths: &Lengths) -> Result<(), SinkError> {
        self.append(&state_line(sha256, lengths))
    }

    fn append(&mut self, line: &str) -> Result<(), SinkError> {
        self.file.write_all(line.as_bytes()).map_err(SinkError::file("write", &self.path))?;
        self.file.sync_data().map_err(SinkError::file("sync", &self.path))
    }
}

fn parse(path: &Path, text: &str) -> Result<History, SinkError> {
    History::parse(text).map_err(|line| SinkError::BadMarks { path: path.to_owned(), line })
}

fn short(hash: Option<&str>) -> String {
    hash.unwrap_or_default().chars().take(12).collect()
}

/// Locks a sidecar against a second process of the same step.
fn lock(path: &Path) -> Result<File, SinkError> {
    let file = File::open(path).map_err(SinkError::file("open", path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(SinkError::Locked(path.to_owned())),
        Err(error) => Err(SinkError::file("lock", path)(error.into())),
    }
}

/// Replaces the sidecar by one that holds only what is still of use.
fn write_compacted(path: &Path, history: &History) -> Result<File, SinkError> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(&fresh)
        .map_err(SinkError::file("create", &fresh))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(_) => return Err(SinkError::Locked(path.to_owned())),
    }
    let mut text = "{\"mark\":\"start\"}\n".to_owned();
    history.opened.iter().for_each(|(name, length)| text.push_str(&open_line(name, *length)));
    history.states.iter().for_each(|(hash, lengths)| text.push_str(&state_line(hash, lengths)));
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(SinkError::file("write", &fresh))?;
    fs::rename(&fresh, path).map_err(SinkError::file("rename", &fresh))?;
    Ok(file)
}

/// Refuses to cut away what another execution has appended behind our mark.
fn check_others(folder: &Path, own: &str, lengths: &Lengths, root: &Path) -> Result<(), SinkError> {
    if lengths.is_empty() {
        return Ok(());
    }
    for other in sidecars(folder, own) {
        let Ok(text) = fs::read_to_string(&other) else { continue };
        let Ok(history) = History::parse(&text) else { continue };
        for (file, length) in lengths {
            if history.greatest(file).is_some_and(|seen| seen > *length) {
                return Err(SinkError::Overwritten(root.join(file)));
            }
        }
    }
    Ok(())
}

fn sidecars(folder: &Path, own: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name() != own)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect()
}

/// Removes the oldest sidecars of others that no process holds. Failing to is no harm.
fn prune(folder: &Path, own: &str) {
    let modified = |path: &PathBuf| fs::metadata(path).and_then(|m| m.modified()).ok();
    let mut others = sidecars(folder, own);
    others.sort_by_key(modified);
    let surplus = others.len().saturating_sub(KEPT);
    for path in &others[..surplus] {
        if lock(path).is_ok() {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(execution: &str) -> Owner {
        Owner { execution: execution.to_owned(), step: "load".to_owned() }
    }

    fn lengths(pairs: &[(&str, u64)]) -> Lengths {
        pairs.iter().map(|(file, length)| ((*file).to_owned(), *length)).collect()
    }

    #[test]
    fn a_resumed_execution_goes_back_to_its_committed_mark_or_its_start() {
        let root = tempfile::tempdir().unwrap();
        let open = |committed| Marks::open(root.path(), &owner("ex_1"), committed);
        let (mut marks, back) = open(None).unwrap();
        assert_eq!(back, []);
        marks.opened("a", 5).unwrap();
        marks.state("one", &lengths(&[("a", 10)])).unwrap();
        marks.opened("b", 0).unwrap();
        marks.state("two", &lengths(&[("a", 20), ("b", 7)])).unwrap();
        drop(marks);

        let (marks, back) = open(Some("two")).unwrap();
        assert_eq!(back, lengths(&[("a", 20), ("b", 7)]));
        drop(marks);
        let (marks, back) = open(Some("one")).unwrap();
        assert_eq!(back, lengths(&[("a", 10), ("b", 0)]));
        drop(marks);
        assert!(matches!(open(Some("two")), Err(SinkError::NoMark { .. })), "it was cut away");
        let (_marks, back) = open(None).unwrap();
        assert_eq!(back, lengths(&[("a", 5), ("b", 0)]));
    }

    #[test]
    fn what_another_execution_appended_is_not_cut_away() {
        let root = tempfile::tempdir().unwrap();
        let (mut first, _) = Marks::open(root.path(), &owner("ex_1"), None).unwrap();
        first.opened("a", 0).unwrap();
        first.state("one", &lengths(&[("a", 10)])).unwrap();
        drop(first);
        let (mut second, _) = Marks::open(root.path(), &owner("ex_2"), None).unwrap();
        second.opened("a", 12).unwrap();
        drop(second);
        let error = Marks::open(root.path(), &owner("ex_1"), Some("one")).unwrap_err();
        assert!(matches!(error, SinkError::Overwritten(_)), "{error}");
    }

    #[test]
    fn two_processes_of_one_step_exclude_each_other() {
        let root = tempfile::tempdir().unwrap();
        let _first = Marks::open(root.path(), &owner("ex_1"), None).unwrap();
        let error = Marks::open(root.path(), &owner("ex_1"), None).unwrap_err();
        assert!(matches!(error, SinkError::Locked(_)), "{error}");
    }

    #[test]
    fn only_the_newest_sidecars_of_others_are_kept() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..KEPT + 5 {
            drop(Marks::open(root.path(), &owner(&format!("ex_{number}")), None).unwrap());
        }
        assert_eq!(sidecars(&root.path().join(FOLDER), "").len(), KEPT + 1);
    }
}
