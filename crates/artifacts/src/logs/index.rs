//! Which attempts have logs, in the order in which they began.

use std::{
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use flexcore_domain::{ExecutionId, StepId};
use serde::{Deserialize, Serialize};

use super::{execution_folder, log_path, writer::open_for_lines};

#[derive(Serialize, Deserialize)]
struct Entry {
    step: String,
    attempt: u32,
}

/// No step has this name: step ids have no `.`.
fn index_path(logs: &Path, execution: ExecutionId) -> PathBuf {
    execution_folder(logs, execution).join("attempts.jsonl")
}

/// Notes that an attempt began. Where that cannot be written, the attempt is listed all the same,
/// behind the others, so it is only reported.
pub(super) fn add(logs: &Path, execution: ExecutionId, step: &StepId, attempt: u32) {
    let path = index_path(logs, execution);
    let entry = Entry { step: step.as_str().to_owned(), attempt };
    let mut line = serde_json::to_vec(&entry).expect("a string and a number become JSON");
    line.push(b'\n');
    // One write to a file in append mode: attempts that begin together do not mix.
    let added = open_for_lines(&path).and_then(|(mut file, _)| file.write_all(&line));
    if let Err(error) = added {
        let path = path.display();
        tracing::warn!(%path, %error, "the order of attempts cannot be written");
    }
}

/// The attempts that have logs: those of the index in its order, then what else is in the folder.
pub(super) fn list(logs: &Path, execution: ExecutionId) -> io::Result<Vec<(StepId, u32)>> {
    let mut attempts = Vec::new();
    let indexed = indexed(&index_path(logs, execution))?;
    for (step, attempt) in indexed.into_iter().chain(present(&execution_folder(logs, execution))?) {
        let known = attempts.contains(&(step.clone(), attempt));
        if !known && log_path(logs, execution, &step, attempt).exists() {
            attempts.push((step, attempt));
        }
    }
    Ok(attempts)
}

fn indexed(path: &Path) -> io::Result<Vec<(StepId, u32)>> {
    let bytes = absent_as_default(fs::read(path))?;
    let entries = bytes.split(|byte| *byte == b'\n').filter_map(|line| {
        let Entry { step, attempt } = serde_json::from_slice(line).ok()?;
        Some((step.parse().ok()?, attempt))
    });
    Ok(entries.collect())
}

/// What the folder holds, by step and attempt; names that are not ours are passed over.
fn present(folder: &Path) -> io::Result<Vec<(StepId, u32)>> {
    let mut found = Vec::new();
    for step in names(folder)? {
        let Ok(id) = step.parse::<StepId>() else { continue };
        let attempts = names(&folder.join(&step))?;
        let numbers = attempts.iter().filter_map(|name| name.strip_suffix(".jsonl")?.parse().ok());
        found.extend(numbers.map(|number: u32| (id.clone(), number)));
    }
    found.sort_unstable();
    Ok(found)
}

/// The executions that have a folder; names that are not ours are passed over.
pub(super) fn executions(logs: &Path) -> io::Result<Vec<ExecutionId>> {
    Ok(names(logs)?.iter().filter_map(|name| name.parse().ok()).collect())
}

/// How many bytes the files in a folder have, those in its folders included.
pub(super) fn bytes(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in absent_as_default(entries)? {
            // A link counts as itself: nothing behind one is ours.
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                sum += metadata.len();
            }
        }
    }
    Ok(sum)
}

/// Removes the folder of an execution.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    absent_as_default(fs::remove_dir_all(folder))
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(folder).and_then(|entries| {
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect::<io::Result<Vec<_>>>()
    });
    absent_as_default(names)
}

/// What is not there, or is a file where a folder would be, holds nothing.
fn absent_as_default<T: Default>(result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(T::default())
        }
        result => result,
    }
}
