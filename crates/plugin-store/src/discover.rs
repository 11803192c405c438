//! The plugins that a folder offers.

use std::path::{Path, PathBuf};

use flexcore_plugin_protocol::{MANIFEST_FILE, Manifest};
use flexcore_ports::DiscoveredPlugin;

use crate::error::StoreError;

/// The largest manifest that is read.
const MAX_MANIFEST: u64 = 1 << 20;
/// More folders than anybody keeps plugins in.
const MAX_FOLDERS: usize = 10_000;

/// The folder itself if it has a manifest, else each of its folders that has one, by name.
pub(crate) fn discover(folder: &Path) -> Result<Vec<DiscoveredPlugin>, StoreError> {
    let wrong = |error: std::io::Error| StoreError::source(folder, error);
    let entries = std::fs::read_dir(folder).map_err(wrong)?;
    if let Some(itself) = look(folder) {
        return Ok(vec![itself]);
    }
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in entries.take(MAX_FOLDERS) {
        folders.push(entry.map_err(wrong)?.path());
    }
    folders.sort();
    Ok(folders.iter().filter_map(|folder| look(folder)).collect())
}

/// A folder's plugin; `None` if it has no manifest.
fn look(folder: &Path) -> Option<DiscoveredPlugin> {
    let path = folder.join(MANIFEST_FILE);
    let data = std::fs::metadata(&path).ok()?;
    let shown = path.display().to_string();
    let text = if data.is_file() && data.len() <= MAX_MANIFEST {
        std::fs::read_to_string(&path).map_err(|error| format!("{shown} cannot be read: {error}"))
    } else {
        Err(format!("{shown} is no file of a manifest's size"))
    };
    let manifest =
        text.and_then(|text| Manifest::parse(&shown, &text).map_err(|found| found.to_string()));
    Some(DiscoveredPlugin { folder: folder.to_owned(), manifest })
}
