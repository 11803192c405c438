//! An environment from its wheels.

use flexcore_plugin_protocol::{ArchiveLimits, ContentPath, MANIFEST_FILE};

use super::{
    Interpreter, Package, PythonTools,
    fetch::Wheel,
    normalized,
    run::{Order, run},
    scripts,
    wheel::Placer,
};
use crate::{
    error::StoreError,
    tree::{Staging, StagingError},
};

/// Reads every module once, so that none has to be read again at each start. It runs nothing of them.
const COMPILE: &str = include_str!("compile.py");
/// The largest sum of compiled modules.
const MAX_COMPILED: u64 = 1 << 30;

/// Puts wheels together and says what they are, as a plugin's folder.
pub(crate) fn collect(
    package: &Package,
    python: &Interpreter,
    wheels: &[Wheel],
    limits: ArchiveLimits,
    staging: &mut Staging,
) -> Result<(), StoreError> {
    let build = |problem: String| StoreError::Build { package: package.to_string(), problem };
    let mut placer = Placer::new(python, limits, staging);
    let mut own = Vec::new();
    for wheel in wheels {
        let programs = placer.place(wheel)?;
        if normalized(wheel.locked.file.split('-').next().unwrap_or_default()) == package.name {
            own = programs;
        }
    }
    let names: Vec<&str> = own.iter().map(String::as_str).collect();
    let program = scripts::program_of(&package.name, &names).map_err(build)?;
    for (path, text) in
        [(MANIFEST_FILE, manifest(package, &program)), ("venv/pyvenv.cfg", settings(python))]
    {
        let path = ContentPath::parse(path).map_err(|error| build(error.to_string()))?;
        let written = staging.bytes(&path, text.as_bytes(), false);
        written.map_err(|error| staging_error(package, &error))?;
    }
    Ok(())
}

/// What says to others that this is a virtual environment, and whose.
fn settings(python: &Interpreter) -> String {
    let home = python.program.parent().unwrap_or(&python.program).display();
    let release = &python.release;
    format!("home = {home}\ninclude-system-site-packages = false\nversion = {release}\n")
}

/// The manifest of a package: what can be told from its name.
fn manifest(package: &Package, program: &str) -> String {
    let (kind, plugin_type) = if program.starts_with("tap-") {
        ("singer", "extractor")
    } else if program.starts_with("target-") {
        ("singer", "loader")
    } else {
        ("command", "processor")
    };
    format!(
        "manifest = 1\n\n[plugin]\nname = \"{program}\"\nversion = \"{}\"\n\
         description = \"{package} of the Python Package Index\"\nkind = \"{kind}\"\n\
         type = \"{plugin_type}\"\nentrypoint = [\"venv/bin/{program}\"]\n",
        package.version
    )
}

/// The modules of an environment, compiled: path below the staging folder and bytes.
pub(crate) async fn compiled(
    tools: &PythonTools,
    (package, python): (&Package, &Interpreter),
    folder: &std::path::Path,
    work: &std::path::Path,
) -> Result<Vec<(ContentPath, Vec<u8>)>, StoreError> {
    let build = |problem: String| StoreError::Build { package: package.to_string(), problem };
    let order = Order {
        argv: vec![
            python.program.clone().into(),
            "-SB".into(),
            "-c".into(),
            COMPILE.into(),
            folder.into(),
        ],
        // Constants that are sets have the order of their hashes.
        environment: vec![
            ("PYTHONHASHSEED".into(), "0".into()),
            ("PYTHONUTF8".into(), "1".into()),
            ("PATH".into(), "/usr/bin:/bin".into()),
        ],
        shown: folder,
        work,
        max_output: MAX_COMPILED,
    };
    let printed = run(&tools.held(), order).await.map_err(build)?;
    frames(&printed).ok_or_else(|| build("the compiler's answer is damaged".to_owned()))
}

/// What the compiler printed: lengths of path and bytes, path, bytes.
fn frames(mut printed: &[u8]) -> Option<Vec<(ContentPath, Vec<u8>)>> {
    let mut files = Vec::new();
    while !printed.is_empty() {
        let (head, rest) = printed.split_at_checked(12)?;
        let path = usize::try_from(u32::from_be_bytes(head[..4].try_into().ok()?)).ok()?;
        let bytes = usize::try_from(u64::from_be_bytes(head[4..].try_into().ok()?)).ok()?;
        let (path, rest) = rest.split_at_checked(path)?;
        let (bytes, rest) = rest.split_at_checked(bytes)?;
        files.push((ContentPath::parse(std::str::from_utf8(path).ok()?).ok()?, bytes.to_vec()));
        printed = rest;
    }
    Some(files)
}

/// Adds compiled modules; one that a wheel brought already is left as it is.
pub(crate) fn add(
    package: &Package,
    files: &[(ContentPath, Vec<u8>)],
    staging: &mut Staging,
) -> Result<(), StoreError> {
    for (path, bytes) in files.iter().filter(|(path, _)| path.as_str().contains("__pycache__/")) {
        if !staging.holds(path) {
            staging.bytes(path, bytes, false).map_err(|error| staging_error(package, &error))?;
        }
    }
    Ok(())
}

fn staging_error(package: &Package, error: &StagingError) -> StoreError {
    let problem = match error {
        StagingError::Read(error) | StagingError::Write(error) => error.to_string(),
        StagingError::Length => "a file has another length than it says".to_owned(),
        StagingError::Link(path) => format!("`{path}` is a link"),
    };
    StoreError::Build { package: package.to_string(), problem }
}
