//! The wheels of an environment: those that the lock names, by digest; or what pip finds.

use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
};

use flexcore_plugin_protocol::ContentDigest;

use super::{
    Interpreter, Package, PythonTools,
    lock::{Lock, LockedFile, is_file_name},
    normalized,
    run::{Order, run},
};
use crate::{error::StoreError, tree::digest};

/// A wheel at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wheel {
    pub(crate) locked: LockedFile,
    pub(crate) path: PathBuf,
}

/// Gets the wheels of a package. What is locked is taken as it is locked; what is not is resolved,
/// and locked.
pub(crate) async fn fetch(
    tools: &PythonTools,
    python: &Interpreter,
    package: &Package,
    (cache, work): (&Path, &Path),
) -> Result<Vec<Wheel>, StoreError> {
    let mut lock = match &tools.lock_file {
        Some(path) => Lock::read(path)?,
        None => Lock::default(),
    };
    let downloads = work.join("wheels");
    std::fs::create_dir(&downloads).map_err(|error| StoreError::write(&downloads, error))?;
    if let Some(files) = lock.files(package, python) {
        return locked(tools, (python, package), files, (cache, work)).await;
    }
    let wanted = ["--only-binary=:all:".into(), package.to_string().into()];
    download(tools, python, package, &downloads, &wanted).await?;
    let wheels = take_all(package, &downloads, cache)?;
    lock.set(package, python, wheels.iter().map(|wheel| wheel.locked.clone()).collect());
    if let Some(path) = &tools.lock_file {
        lock.write(path)?;
    }
    Ok(wheels)
}

/// The files that are locked, from the cache or from the index.
async fn locked(
    tools: &PythonTools,
    (python, package): (&Interpreter, &Package),
    files: &[LockedFile],
    (cache, work): (&Path, &Path),
) -> Result<Vec<Wheel>, StoreError> {
    let at = |file: &LockedFile| cached(cache, file);
    if files.iter().any(|file| !is_intact(&at(file), file)) {
        let requirements = work.join("requirements.txt");
        let text: String = files.iter().filter_map(requirement).collect();
        std::fs::write(&requirements, text)
            .map_err(|error| StoreError::write(&requirements, error))?;
        let downloads = work.join("wheels");
        let wanted = [
            "--only-binary=:all:".into(),
            "--no-deps".into(),
            "--require-hashes".into(),
            "--requirement".into(),
            requirements.into(),
        ];
        download(tools, python, package, &downloads, &wanted).await?;
        take_all(package, &downloads, cache)?;
    }
    let wheel = |file: &LockedFile| {
        let path = at(file);
        if is_intact(&path, file) {
            return Ok(Wheel { locked: file.clone(), path });
        }
        let problem = format!("`{}` with the digest of the lock file did not come", file.file);
        Err(StoreError::Resolve { package: package.to_string(), problem })
    };
    files.iter().map(wheel).collect()
}

async fn download(
    tools: &PythonTools,
    python: &Interpreter,
    package: &Package,
    downloads: &Path,
    wanted: &[OsString],
) -> Result<(), StoreError> {
    let pip = ["-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"];
    let mut argv: Vec<OsString> = vec![python.asked.clone().into()];
    argv.extend(pip.map(Into::into));
    argv.extend(["--dest".into(), downloads.into()]);
    argv.extend(wanted.iter().cloned());
    let order = Order {
        argv,
        environment: tools.pip_environment(),
        shown: downloads,
        work: downloads,
        max_output: 16 << 20,
    };
    let done = run(&tools.trusted(), order).await;
    done.map(|_| ()).map_err(|problem| {
        let hint = if problem.contains("No matching distribution") {
            "; only wheels are taken, because building a package would run its code"
        } else if problem.contains("No module named pip") {
            "; install pip for this Python, or name another with `--python`"
        } else {
            ""
        };
        StoreError::Resolve { package: package.to_string(), problem: format!("{problem}{hint}") }
    })
}

/// Moves downloads to their digests.
fn take_all(package: &Package, downloads: &Path, cache: &Path) -> Result<Vec<Wheel>, StoreError> {
    let source = |error: std::io::Error| StoreError::source(downloads, error);
    let mut wheels = Vec::new();
    for entry in std::fs::read_dir(downloads).map_err(source)? {
        let path = entry.map_err(source)?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !is_file_name(&file) {
            let problem = format!("`{file}` is no wheel");
            return Err(StoreError::Resolve { package: package.to_string(), problem });
        }
        let sha256 = File::open(&path).and_then(digest).map_err(source)?;
        let locked = LockedFile { file, sha256 };
        let place = cached(cache, &locked);
        let folder = place.parent().unwrap_or(cache);
        let moved = std::fs::create_dir_all(folder).and_then(|()| std::fs::rename(&path, &place));
        moved.map_err(|error| StoreError::write(&place, error))?;
        wheels.push(Wheel { locked, path: place });
    }
    wheels.sort_by(|one, other| one.locked.cmp(&other.locked));
    Ok(wheels)
}

fn cached(cache: &Path, file: &LockedFile) -> PathBuf {
    cache.join(file.sha256.to_string()).join(&file.file)
}

fn is_intact(path: &Path, file: &LockedFile) -> bool {
    File::open(path).and_then(digest).is_ok_and(|found: ContentDigest| found == file.sha256)
}

/// A line of pip's requirements for a locked wheel.
fn requirement(file: &LockedFile) -> Option<String> {
    let mut parts = file.file.split('-');
    let (name, version) = (parts.next()?, parts.next()?);
    Some(format!("{}=={version} --hash=sha256:{}\n", normalized(name), file.sha256))
}
