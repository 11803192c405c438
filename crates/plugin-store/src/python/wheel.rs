//! A wheel's files in their places (PEP 427).

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufReader, Read as _},
};

use flexcore_plugin_protocol::{ArchiveCheck, ArchiveEntry, ArchiveLimits, ContentPath, EntryKind};
use zip::ZipArchive;

use super::{Interpreter, fetch::Wheel, normalized, scripts};
use crate::{archive::UnpackError, error::StoreError, tree::Staging};

/// The largest text of a wheel that is read.
const MAX_TEXT: u64 = 1 << 20;

/// Puts the files of wheels into one environment.
pub(super) struct Placer<'a> {
    pub(super) python: &'a Interpreter,
    pub(super) limits: ArchiveLimits,
    pub(super) staging: &'a mut Staging,
    placed: BTreeSet<ContentPath>,
}

impl<'a> Placer<'a> {
    pub(super) fn new(
        python: &'a Interpreter,
        limits: ArchiveLimits,
        staging: &'a mut Staging,
    ) -> Self {
        Self { python, limits, staging, placed: BTreeSet::new() }
    }

    /// Places a wheel and gives back the programs that it brings.
    pub(super) fn place(&mut self, wheel: &Wheel) -> Result<Vec<String>, StoreError> {
        self.unpack(wheel).map_err(|error| error.in_store(&wheel.path))
    }

    fn unpack(&mut self, wheel: &Wheel) -> Result<Vec<String>, UnpackError> {
        let file = File::open(&wheel.path).map_err(UnpackError::damaged)?;
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(UnpackError::damaged)?;
        let mut check = ArchiveCheck::new(self.limits);
        let mut programs = Vec::new();
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(UnpackError::damaged)?;
            let name = entry.name_raw().to_vec();
            let kind = if entry.is_symlink() {
                EntryKind::Special
            } else if name.ends_with(b"/") {
                EntryKind::Folder
            } else {
                EntryKind::File
            };
            let bytes = entry.size();
            let Some(path) = check.admit(&ArchiveEntry { path: &name, kind, mode: 0, bytes })?
            else {
                continue;
            };
            if kind == EntryKind::Folder {
                continue;
            }
            if is_entry_points(path.as_str(), wheel) {
                let mut text = String::new();
                (&mut entry)
                    .take(MAX_TEXT)
                    .read_to_string(&mut text)
                    .map_err(UnpackError::damaged)?;
                programs.extend(self.programs(&text)?);
                self.write(&in_site(self.python, path.as_str())?, text.as_bytes(), false)?;
                continue;
            }
            match self.place_of(path.as_str())? {
                Place::Nowhere => {}
                Place::Program(name) => {
                    let mut script = Vec::new();
                    (&mut entry)
                        .take(bytes + 1)
                        .read_to_end(&mut script)
                        .map_err(UnpackError::damaged)?;
                    self.program(&name, &script)?;
                }
                Place::File(to) => {
                    if self.placed.insert(to.clone()) {
                        // Libraries need no right to be executed, programs in packages do.
                        let executable = entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
                        self.staging.file(&to, &mut entry, bytes, executable)?;
                    }
                }
            }
        }
        Ok(programs)
    }

    /// Writes the scripts of a wheel's programs.
    fn programs(&mut self, entry_points: &str) -> Result<Vec<String>, UnpackError> {
        let mut names = Vec::new();
        for (name, (module, function)) in scripts::console_scripts(entry_points) {
            let text = scripts::script(self.python, &module, &function);
            self.write(&inner(&format!("venv/bin/{name}"))?, text.as_bytes(), true)?;
            names.push(name);
        }
        Ok(names)
    }

    /// Where two wheels bring the same file, the first has it; pip leaves it to chance.
    fn write(
        &mut self,
        to: &ContentPath,
        bytes: &[u8],
        executable: bool,
    ) -> Result<(), UnpackError> {
        if self.placed.insert(to.clone()) {
            self.staging.bytes(to, bytes, executable)?;
        }
        Ok(())
    }

    fn place_of(&self, path: &str) -> Result<Place, UnpackError> {
        let data =
            path.split_once('/').filter(|(folder, _)| folder.strip_suffix(".data").is_some());
        let Some((_, rest)) = data else { return Ok(Place::File(in_site(self.python, path)?)) };
        let (scheme, rest) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(match scheme {
            "purelib" | "platlib" => Place::File(in_site(self.python, rest)?),
            "scripts" if scripts::is_program(rest) => Place::Program(rest.to_owned()),
            "data" => Place::File(inner(&format!("venv/{rest}"))?),
            _ => Place::Nowhere,
        })
    }

    /// A program that a wheel brings as a file. One that says only that it is Python's is started by
    /// a script that knows where its packages are.
    fn program(&mut self, name: &str, script: &[u8]) -> Result<(), UnpackError> {
        let to = inner(&format!("venv/bin/{name}"))?;
        if !script.starts_with(b"#!python") {
            return self.write(&to, script, true);
        }
        self.write(&inner(&format!("venv/scripts/{name}"))?, script, false)?;
        let text = scripts::script_of_file(self.python, name);
        self.write(&to, text.as_bytes(), true)
    }
}

enum Place {
    File(ContentPath),
    Program(String),
    Nowhere,
}

fn in_site(python: &Interpreter, path: &str) -> Result<ContentPath, UnpackError> {
    inner(&format!("{}/{path}", python.site()))
}

fn inner(path: &str) -> Result<ContentPath, UnpackError> {
    ContentPath::parse(path).map_err(|error| UnpackError::Damaged(format!("`{path}`: {error}")))
}

/// Whether this is the list of a wheel's own programs, not of a package that it carries along.
fn is_entry_points(path: &str, wheel: &Wheel) -> bool {
    let own = normalized(wheel.locked.file.split('-').next().unwrap_or_default());
    path.split_once('/').is_some_and(|(folder, file)| {
        let name = folder.strip_suffix(".dist-info").and_then(|name| name.split('-').next());
        file == "entry_points.txt" && name.is_some_and(|name| normalized(name) == own)
    })
}
