//! The files that belong to a program: itself, its interpreter, the installation around both.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Read as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use crate::{JailError, SpawnError, SpawnRequest};

/// How many interpreters of interpreters and links to links are followed.
const MAX_DEPTH: usize = 8;
/// What the kernel reads of a script to find its interpreter.
const FIRST_LINE: u64 = 256;
/// The folders of an installation that programs run from.
const PARTS: [&str; 6] = ["bin", "sbin", "lib", "lib64", "libexec", "share"];

/// Collects the folders of installations.
pub(super) struct Installations<'a> {
    project: &'a Path,
    home: Option<&'a Path>,
    runtime: &'a [PathBuf],
    hidden: &'a [PathBuf],
    paths: BTreeSet<PathBuf>,
}

impl<'a> Installations<'a> {
    pub(super) const fn new(
        project: &'a Path,
        home: Option<&'a Path>,
        runtime: &'a [PathBuf],
    ) -> Self {
        Self { project, home, runtime, hidden: &[], paths: BTreeSet::new() }
    }

    /// Folders of the project that are not shown with it: what a program needs of them is.
    pub(super) fn hiding(self, hidden: &'a [PathBuf]) -> Self {
        Self { hidden, ..self }
    }

    pub(super) fn into_paths(self) -> BTreeSet<PathBuf> {
        self.paths
    }

    /// The program of a request with everything that it is run by.
    pub(super) fn add_program(&mut self, request: &SpawnRequest) {
        if let Some(file) = request.argv.first().and_then(|name| find(name, request)) {
            self.add_file(&file, request, MAX_DEPTH);
        }
    }

    /// What else can be started by its name alone.
    pub(super) fn add_search_path(&mut self, request: &SpawnRequest) {
        for folder in search_path(request).filter(|folder| folder.is_absolute()) {
            self.add_folder_of_programs(&folder);
        }
    }

    /// The interpreters of the virtual environments that lie in the project.
    pub(super) fn add_environments_of_project(&mut self) {
        for name in [".venv", "venv"] {
            self.add_base_of(&self.project.join(name));
        }
    }

    fn add_file(&mut self, file: &Path, request: &SpawnRequest, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        self.add_around(file);
        if let Ok(target) = fs::read_link(file) {
            let target = file.parent().unwrap_or(file).join(target);
            return self.add_file(&without_dots(&target), request, depth);
        }
        if let Some(interpreter) = interpreter_of(file, request) {
            self.add_file(&interpreter, request, depth);
        }
    }

    /// The program and what lies around it. Of folders that hold everything, only the program.
    fn add_around(&mut self, file: &Path) {
        let Some(folder) = file.parent() else { return };
        if folder.file_name() == Some(OsStr::new("bin")) {
            self.add_folder_of_programs(folder);
        } else if self.holds_everything(folder) {
            self.add(file);
        } else {
            self.add(folder);
        }
    }

    fn add_folder_of_programs(&mut self, folder: &Path) {
        let Some(prefix) = folder.parent() else { return };
        if prefix.join("pyvenv.cfg").is_file() {
            self.add(prefix);
            self.add_base_of(prefix);
        } else if !matches!(folder.file_name().map(OsStr::as_bytes), Some(b"bin" | b"sbin")) {
            if !self.holds_everything(folder) {
                self.add(folder);
            }
        } else if self.is_at_home(prefix) || self.holds_everything(prefix) {
            // Beside programs and libraries such a folder holds what is nobody's business.
            for part in PARTS.iter().filter(|part| **part != "share") {
                self.add_if_there(&prefix.join(part));
            }
        } else {
            self.add(prefix);
        }
    }

    /// The installation that a virtual environment was made from.
    fn add_base_of(&mut self, environment: &Path) {
        let Ok(settings) = fs::read_to_string(environment.join("pyvenv.cfg")) else { return };
        let home = settings.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == "home").then(|| PathBuf::from(value.trim()))
        });
        for home in home.into_iter().filter(|home| home.is_absolute()) {
            self.add_folder_of_programs(&home);
            if let Ok(resolved) = home.join("python3").canonicalize()
                && let Some(folder) = resolved.parent()
            {
                self.add_folder_of_programs(folder);
            }
        }
    }

    fn add_if_there(&mut self, path: &Path) {
        if path.exists() {
            self.add(path);
        }
    }

    /// Adds what is not shown anyway. A folder that nobody could leave is shown as it is.
    fn add(&mut self, path: &Path) {
        let shown = |folder: &Path| path.starts_with(folder);
        let is_hidden = self.hidden.iter().any(|folder| shown(folder));
        let is_shown =
            self.runtime.iter().any(|folder| shown(folder)) || (shown(self.project) && !is_hidden);
        if !is_shown && path.is_absolute() && path.exists() {
            self.paths.insert(without_dots(path));
        }
    }

    fn is_at_home(&self, path: &Path) -> bool {
        self.home.is_some_and(|home| path.starts_with(home))
    }

    /// Whether a folder is one in which people and systems keep all sorts of things.
    fn holds_everything(&self, folder: &Path) -> bool {
        let is_above = |other: &Path| other.starts_with(folder);
        folder.components().count() <= 2
            || [Path::new("/var/tmp"), Path::new("/dev/shm")].contains(&folder)
            || is_above(self.project)
            || self.home.is_some_and(is_above)
    }
}

/// Replaces a program's path that climbs by one that does not: the folders on the way are not in the
/// jail.
pub(super) fn name_without_climbing(request: &mut SpawnRequest) {
    let Some(name) = request.argv.first_mut() else { return };
    let path = request.cwd.join(&*name);
    let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
    let has_slash = name.as_bytes().contains(&b'/');
    if let (true, true, Some(folder), Some(file)) =
        (climbs, has_slash, path.parent(), path.file_name())
        && let Ok(folder) = folder.canonicalize()
    {
        *name = folder.join(file).into_os_string();
    }
}

/// The program that a name means, as the system would find it.
fn find(name: &OsStr, request: &SpawnRequest) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(without_dots(&request.cwd.join(name))).filter(|file| file.exists());
    }
    search_path(request).map(|folder| request.cwd.join(folder).join(name)).find(|file| {
        file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
    })
}

fn search_path(request: &SpawnRequest) -> impl Iterator<Item = PathBuf> {
    let path = request.environment.iter().find(|(name, _)| name == "PATH");
    std::env::split_paths(path.map(|(_, value)| value.as_os_str()).unwrap_or_default())
}

/// What runs a script, past `env`.
fn interpreter_of(file: &Path, request: &SpawnRequest) -> Option<PathBuf> {
    let line = first_line(file).ok()?;
    let words = line.strip_prefix(b"#!")?;
    let mut words = words.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let interpreter = PathBuf::from(OsStr::from_bytes(words.next()?));
    if interpreter.file_name() != Some(OsStr::new("env")) {
        return Some(interpreter);
    }
    let named = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))?;
    find(OsStr::from_bytes(named), request)
}

fn first_line(file: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(file)?.take(FIRST_LINE).read_to_end(&mut start)?;
    start.truncate(start.iter().position(|byte| *byte == b'\n').unwrap_or(start.len()));
    Ok(start)
}

/// The path with `.` and `..` resolved by their text.
fn without_dots(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// A failed start in the words of one without a jail, where that would have failed as well.
pub(super) fn explained(request: &SpawnRequest, error: JailError) -> JailError {
    let JailError::Program { source, .. } = &error else { return error };
    let Some(name) = request.argv.first() else { return error };
    let cwd = &request.cwd;
    let enter = fs::metadata(cwd)
        .and_then(|status| if status.is_dir() { Ok(()) } else { Err(Errno::NOTDIR.into()) });
    if let Err(source) = enter {
        return SpawnError::WorkingDirectory { cwd: cwd.clone(), source }.into();
    }
    let program = name.to_string_lossy().into_owned();
    let Some(file) = find(name, request) else {
        return not_found(name, program, request).into();
    };
    let may_execute = rustix::fs::access(&file, rustix::fs::Access::EXEC_OK).is_ok();
    match Errno::from_io_error(source) {
        Some(Errno::NOENT | Errno::NOTDIR) if interpreter_is_missing(&file, request) => {
            let line = first_line(&file).unwrap_or_default();
            let first_line = String::from_utf8_lossy(&line).trim_end().to_owned();
            SpawnError::InterpreterNotFound { program, first_line }.into()
        }
        Some(Errno::ACCESS | Errno::PERM | Errno::ISDIR) if !may_execute || file.is_dir() => {
            SpawnError::NotExecutable { program }.into()
        }
        Some(Errno::TOOBIG) => SpawnError::TooLong { program }.into(),
        _ => error,
    }
}

/// Without a file of that name that may be executed, one that may not is found.
fn not_found(name: &OsStr, program: String, request: &SpawnRequest) -> SpawnError {
    let has_slash = name.as_bytes().contains(&b'/');
    if !has_slash && search_path(request).any(|folder| folder.join(name).exists()) {
        return SpawnError::NotExecutable { program };
    }
    let path: OsString = request
        .environment
        .iter()
        .find(|(name, _)| name == "PATH")
        .map(|(_, value)| value.clone())
        .unwrap_or_default();
    let searched = (!has_slash).then(|| path.to_string_lossy().into_owned());
    SpawnError::ProgramNotFound { program, searched }
}

fn interpreter_is_missing(file: &Path, request: &SpawnRequest) -> bool {
    let line = first_line(file).unwrap_or_default();
    line.starts_with(b"#!") && interpreter_of(file, request).is_none_or(|found| !found.exists())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::Stdin;

    fn request(argv: &[&str], cwd: &Path, path: &str) -> SpawnRequest {
        SpawnRequest {
            argv: argv.iter().map(Into::into).collect(),
            cwd: cwd.to_owned(),
            environment: vec![("PATH".into(), path.into())],
            stdin: Stdin::Null,
            attempt: "a".into(),
        }
    }

    fn program(file: &Path, text: &str) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    struct Machine {
        _folder: tempfile::TempDir,
        root: PathBuf,
    }

    impl Machine {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().canonicalize().unwrap();
            for name in ["home/me", "srv/project", "opt"] {
                fs::create_dir_all(root.join(name)).unwrap();
            }
            Self { _folder: folder, root }
        }

        fn shown(&self, argv: &str, path: &str) -> Vec<String> {
            let (project, home) = (self.root.join("srv/project"), self.root.join("home/me"));
            let runtime = crate::JailSpec::default().runtime;
            let mut found = Installations::new(&project, Some(&home), &runtime);
            let request = request(&[argv], &project, path);
            found.add_program(&request);
            found.add_search_path(&request);
            found.add_environments_of_project();
            let relative = |path: PathBuf| {
                let path = path.strip_prefix(&self.root).unwrap_or(&path).to_owned();
                path.to_string_lossy().into_owned()
            };
            found.into_paths().into_iter().map(relative).collect()
        }

        fn at(&self, path: &str) -> String {
            self.root.join(path).to_string_lossy().into_owned()
        }
    }

    #[test]
    fn programs_of_the_machine_and_of_the_project_need_nothing() {
        let machine = Machine::new();
        program(&machine.root.join("srv/project/load.sh"), "#!/bin/sh\n");
        assert_eq!(machine.shown("sh", "/usr/bin:/bin"), Vec::<String>::new());
        assert_eq!(machine.shown("./load.sh", "/usr/bin:/bin"), Vec::<String>::new());
    }

    #[test]
    fn a_program_in_a_hidden_folder_is_shown_with_its_environment() {
        let machine = Machine::new();
        let project = machine.root.join("srv/project");
        let environment = project.join(".flexcore/plugins/sha256/ab/venv");
        program(&environment.join("bin/tap"), "#!/bin/sh\n");
        fs::write(environment.join("pyvenv.cfg"), "home = /usr/bin\n").unwrap();
        fs::create_dir_all(project.join(".flexcore/plugins/pypi")).unwrap();
        symlink("../sha256/ab/venv/bin/tap", project.join(".flexcore/plugins/pypi/tap==1"))
            .unwrap();
        let (runtime, hidden) = (crate::JailSpec::default().runtime, [project.join(".flexcore")]);
        let mut found = Installations::new(&project, None, &runtime).hiding(&hidden);
        found.add_program(&request(&[".flexcore/plugins/pypi/tap==1"], &project, "/usr/bin"));
        let paths = found.into_paths();
        let plugins = project.join(".flexcore/plugins");
        assert!(paths.contains(&environment), "{paths:?}");
        assert!(paths.iter().all(
            |path| path.starts_with(plugins.join("sha256/ab")) || path == &plugins.join("pypi")
        ));
    }

    #[test]
    fn a_script_comes_with_its_folder_and_its_interpreter() {
        let machine = Machine::new();
        let script = machine.root.join("opt/etl/run.py");
        program(&machine.root.join("opt/python/bin/python"), "");
        program(&script, &format!("#!{}\n", machine.at("opt/python/bin/python")));
        let shown = machine.shown(&machine.at("opt/etl/run.py"), "/usr/bin");
        assert_eq!(shown, ["opt/etl", "opt/python"]);
    }

    #[test]
    fn env_in_a_first_line_means_what_the_path_has() {
        let machine = Machine::new();
        program(&machine.root.join("opt/tool/bin/snake"), "");
        program(&machine.root.join("opt/etl/run"), "#!/usr/bin/env -S snake -u\n");
        let path = machine.at("opt/tool/bin");
        assert_eq!(machine.shown(&machine.at("opt/etl/run"), &path), ["opt/etl", "opt/tool"]);
    }

    #[test]
    fn a_virtual_environment_comes_with_the_installation_below_it() {
        let machine = Machine::new();
        let python = machine.root.join("opt/python-3/bin/python3");
        program(&python, "");
        let environment = machine.root.join("home/me/venvs/tap");
        program(
            &environment.join("bin/tap"),
            &format!("#!{}\n", machine.at("home/me/venvs/tap/bin/python")),
        );
        symlink(&python, environment.join("bin/python")).unwrap();
        let settings = format!("home = {}\nversion = 3\n", machine.at("opt/python-3/bin"));
        fs::write(environment.join("pyvenv.cfg"), settings).unwrap();
        let shown = machine.shown(&machine.at("home/me/venvs/tap/bin/tap"), "/usr/bin");
        assert_eq!(shown, ["home/me/venvs/tap", "opt/python-3"]);
    }

    #[test]
    fn a_home_folder_shows_programs_and_libraries_and_nothing_else() {
        let machine = Machine::new();
        program(&machine.root.join("home/me/.cargo/bin/tool"), "");
        fs::write(machine.root.join("home/me/.cargo/credentials.toml"), "").unwrap();
        program(&machine.root.join("home/me/run.sh"), "#!/bin/sh\n");
        let path = machine.at("home/me/.cargo/bin");
        let shown = machine.shown(&machine.at("home/me/run.sh"), &path);
        assert_eq!(shown, ["home/me/.cargo/bin", "home/me/run.sh"]);
    }

    #[test]
    fn a_ring_of_links_comes_to_an_end() {
        let machine = Machine::new();
        for (from, to) in [("opt/a", "opt/b"), ("opt/b", "opt/a")] {
            symlink(machine.root.join(to), machine.root.join(from)).unwrap();
        }
        assert_eq!(machine.shown(&machine.at("opt/a"), "/usr/bin"), Vec::<String>::new());
    }

    #[test]
    fn what_fails_without_a_jail_too_is_said_as_if_there_were_none() {
        let machine = Machine::new();
        let cwd = machine.root.join("srv/project");
        let failed = |argv: &str, errno: Errno| {
            let program = argv.to_owned();
            let error = JailError::Program { program, source: errno.into() };
            explained(&request(&[argv], &cwd, "/nowhere"), error).to_string()
        };
        assert!(failed("tap", Errno::NOENT).starts_with("program `tap` not found in PATH"));
        fs::write(cwd.join("plain"), "").unwrap();
        assert!(failed("./plain", Errno::ACCESS).starts_with("no permission to execute"));
        program(&cwd.join("script"), "#!/no/such/interpreter\n");
        assert!(failed("./script", Errno::NOENT).contains("`#!/no/such/interpreter`"));
        program(&cwd.join("fine"), "#!/bin/sh\n");
        assert!(failed("./fine", Errno::NOENT).starts_with("cannot start `./fine` in its jail"));
    }
}
