//! Reading files: the only part of this crate that touches the file system, and only to read.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::{
    diagnostic::{Code, Diagnostic, Diagnostics},
    dotenv,
    nearest::did_you_mean,
    pipeline::{LoadedPipeline, parse_pipeline},
    project::{PROJECT_FILE, Project},
    source::SourceFile,
    tree,
};

/// The folder in which a project keeps its state.
const STATE_FOLDER: &str = ".flexcore";
/// Where pipelines are looked for when the project does not say.
const DEFAULT_GLOBS: [&str; 4] = ["*.yaml", "*.yml", "pipelines/**/*.yaml", "pipelines/**/*.yml"];
/// The folder of those globs that is searched whole.
const DEFAULT_FOLDER: &str = "pipelines";
/// How many folders deep pipelines are looked for.
const MAX_DEPTH: usize = 16;
/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// The project that a file belongs to: the nearest folder above it with `flexcore.yaml`, else the
/// nearest with `.flexcore/`, else its own folder. `file` may itself be a folder.
pub fn project_root(file: &Path) -> PathBuf {
    let own = if file.is_dir() { Some(file) } else { file.parent() };
    let own = own.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let absolute = fs::canonicalize(own).unwrap_or_else(|_| own.to_path_buf());
    let with_file = absolute.ancestors().find(|folder| folder.join(PROJECT_FILE).is_file());
    let with_state = || absolute.ancestors().find(|folder| folder.join(STATE_FOLDER).is_dir());
    with_file.or_else(with_state).unwrap_or(&absolute).to_path_buf()
}

/// Reads `flexcore.yaml` and `.env` of a project. Without `flexcore.yaml` the project has nothing
/// set.
///
/// # Errors
/// Everything that is wrong with the files.
pub fn load_project(root: &Path) -> Result<Project, Diagnostics> {
    let path = root.join(PROJECT_FILE);
    let mut project = match read(&path, PROJECT_FILE)? {
        Some(text) => Project::parse(root.to_path_buf(), SourceFile::new(PROJECT_FILE, text))?,
        None => Project::empty(root.to_path_buf()),
    };
    if let Some(text) = read(&root.join(".env"), ".env")? {
        project.dotenv = dotenv::parse(&SourceFile::new(".env", text))?;
    }
    Ok(project)
}

/// Reads and checks a pipeline file. `connectors` are the names of the native taps and targets.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_pipeline(
    file: &Path,
    project: &Project,
    connectors: &[&str],
) -> Result<LoadedPipeline, Diagnostics> {
    let name = shown_name(file, &project.root);
    let text = read(file, &name)?.ok_or_else(|| {
        Diagnostic::about(Code::Unreadable, &name, "there is no such file")
            .hint("name a pipeline file, or a pipeline of this project")
    })?;
    parse_pipeline(SourceFile::new(name, text), project, connectors)
}

/// The file of the pipeline of a name, by the project's globs.
///
/// # Errors
/// A diagnostic if no file, or more than one, has a pipeline of that name.
pub fn find_pipeline(project: &Project, name: &str) -> Result<PathBuf, Diagnostics> {
    let files = pipeline_files(project)?;
    let named: Vec<(Option<String>, PathBuf)> =
        files.into_iter().map(|path| (pipeline_name(&path), path)).collect();
    let matching: Vec<&PathBuf> = named
        .iter()
        .filter(|(known, _)| known.as_deref() == Some(name))
        .map(|(_, path)| path)
        .collect();
    let problem = |message: String, hint: String| {
        Diagnostic::about(Code::PipelineLookup, PROJECT_FILE, message).hint(hint)
    };
    match matching.as_slice() {
        [path] => Ok((*path).clone()),
        [] => {
            let message = format!("there is no pipeline `{name}` in this project");
            Err(problem(message, not_found_hint(project, name, &named)).into())
        }
        several => {
            let files: Vec<String> =
                several.iter().map(|path| shown_name(path, &project.root)).collect();
            let message = format!("{} files have a pipeline `{name}`", files.len());
            Err(problem(message, format!("run one of them by its file: {}", files.join(", ")))
                .into())
        }
    }
}

fn not_found_hint(project: &Project, name: &str, named: &[(Option<String>, PathBuf)]) -> String {
    let known: Vec<&str> = named.iter().filter_map(|(known, _)| known.as_deref()).collect();
    let mut hint = did_you_mean(name, &known)
        .unwrap_or_else(|| format!("`pipelines` in {PROJECT_FILE} says where they are looked for"));
    let unnamed = named.iter().filter(|(known, _)| known.is_none());
    let unnamed: Vec<String> =
        unnamed.map(|(_, path)| shown_name(path, &project.root)).take(3).collect();
    // A pipeline is looked for by the name in its file, which has to parse for that. With the
    // globs of the project every file should; with the standard ones others may lie there.
    if !unnamed.is_empty() && !project.pipelines.is_empty() {
        hint = format!("{hint}\nno pipeline could be read from {}", unnamed.join(", "));
    }
    hint
}

/// The pipelines of a project: their names and files, in the order of the files' paths. A file
/// that cannot be parsed is left out; loading it says what is wrong.
///
/// # Errors
/// A diagnostic if the project's folder cannot be read.
pub fn list_pipelines(project: &Project) -> Result<Vec<(String, PathBuf)>, Diagnostics> {
    let files = pipeline_files(project)?;
    Ok(files.into_iter().filter_map(|path| Some((pipeline_name(&path)?, path))).collect())
}

/// The files that the project's globs name, in order.
fn pipeline_files(project: &Project) -> Result<Vec<PathBuf>, Diagnostics> {
    let standard = project.pipelines.is_empty();
    let patterns: Vec<&str> = if standard {
        DEFAULT_GLOBS.to_vec()
    } else {
        project.pipelines.iter().map(String::as_str).collect()
    };
    let globs = compile(&patterns).map_err(|error| {
        Diagnostic::about(Code::IllegalValue, PROJECT_FILE, format!("no glob: {error}"))
    })?;
    let mut files = Vec::new();
    let mut visit = |path: &Path| {
        let relative = path.strip_prefix(&project.root).unwrap_or(path);
        if globs.is_match(relative) && relative != Path::new(PROJECT_FILE) {
            files.push(path.to_path_buf());
        }
    };
    // Without globs the root may be any folder, even a home folder: it is not searched whole.
    let depth = if standard { 0 } else { MAX_DEPTH };
    walk(&project.root, depth, &mut visit)
        .map_err(|error| unreadable(&project.root.display().to_string(), &error))?;
    if standard {
        // It is fine if there is no such folder.
        let _ = walk(&project.root.join(DEFAULT_FOLDER), MAX_DEPTH, &mut visit);
    }
    files.sort();
    Ok(files)
}

fn compile(patterns: &[&str]) -> Result<GlobSet, globset::Error> {
    let mut globs = GlobSetBuilder::new();
    for pattern in patterns {
        globs.add(Glob::new(pattern.strip_prefix("./").unwrap_or(pattern))?);
    }
    globs.build()
}

/// Calls `visit` with every file below a folder. Hidden folders, those that cannot hold pipelines
/// of this project (virtual environments, build output), and those below that cannot be read are
/// left out.
fn walk(folder: &Path, depth: usize, visit: &mut dyn FnMut(&Path)) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let skipped =
                name.starts_with('.') || matches!(&*name, "target" | "node_modules" | "venv");
            if depth > 0 && !skipped {
                let _ = walk(&entry.path(), depth - 1, visit);
            }
        } else if kind.is_file() || (kind.is_symlink() && entry.path().is_file()) {
            visit(&entry.path());
        }
    }
    Ok(())
}

fn pipeline_name(path: &Path) -> Option<String> {
    let text = read(path, &path.display().to_string()).ok()??;
    let node = tree::parse(&SourceFile::new("", text)).ok()?;
    node.get("pipeline")?.as_text().map(str::to_owned)
}

/// A path as messages show it: below the project root relative to it.
fn shown_name(path: &Path, root: &Path) -> String {
    let absolute = fs::canonicalize(path).ok();
    let relative = absolute.as_deref().and_then(|path| path.strip_prefix(root).ok());
    relative.unwrap_or(path).display().to_string()
}

/// The text of a file; `None` if there is none.
fn read(path: &Path, name: &str) -> Result<Option<String>, Diagnostics> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(name, &error)),
    };
    let refused = |message: String| Diagnostic::about(Code::Unreadable, name, message);
    if metadata.is_dir() {
        return Err(refused("this is a folder, not a file".to_owned()).into());
    }
    if metadata.len() > MAX_FILE {
        let message = format!("the file has {} bytes; at most {MAX_FILE} are read", metadata.len());
        return Err(refused(message).into());
    }
    let bytes = fs::read(path).map_err(|error| unreadable(name, &error))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..valid].split(|byte| *byte == b'\n').count();
            let message = format!("the file is not UTF-8: wrong byte in line {line}");
            Err(refused(message).hint("save it as UTF-8").into())
        }
    }
}

fn unreadable(name: &str, error: &io::Error) -> Diagnostics {
    Diagnostic::about(Code::Unreadable, name, format!("cannot be read: {error}")).into()
}
