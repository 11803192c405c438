//! `flexcore plugin discover`

use std::path::PathBuf;

use clap::Args;
use flexcore_ports::DiscoveredPlugin;
use serde::Serialize;

use super::list::registered;
use crate::{
    Exit, Place,
    failure::{Code, Failure},
    session::Session,
    text::{Align, Style, Table},
};

/// Folders with plugins, separated by colons.
const SEARCH_PATH: &str = "FLEXCORE_PLUGIN_PATH";
/// Where a project keeps plugins of its own.
const OF_PROJECT: &str = "plugins";

/// Arguments of `plugin discover`.
#[derive(Debug, Args)]
pub(crate) struct DiscoverArguments {
    /// Folders with a plugin.toml, or with folders that have one; without any, `plugins` in the
    /// project and those of `FLEXCORE_PLUGIN_PATH`
    #[arg(value_name = "FOLDER")]
    folders: Vec<String>,
}

/// A plugin that a folder offers.
#[derive(Debug, Serialize)]
struct OfferedReport {
    /// Its folder.
    folder: String,
    /// Its name; absent if its manifest cannot be read.
    name: Option<String>,
    /// Its version.
    version: Option<String>,
    /// How it is run.
    kind: Option<String>,
    /// The version that is registered under the name.
    registered: Option<String>,
    /// What is wrong with its manifest.
    problems: Option<String>,
}

impl DiscoverArguments {
    /// Manifests with mistakes are shown, and are a failure besides.
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let place = session.here()?.place;
        let folders = self.folders(session, &place)?;
        let known = registered(session).await?;
        let version_of = |name: &str| {
            let view = known.iter().find(|view| view.name == name)?;
            view.registered.as_ref().map(|registered| registered.version.clone())
        };
        let mut reports = Vec::new();
        for folder in folders {
            let found = session.host.discover_plugins(&place, &folder).await?;
            reports.extend(found.into_iter().map(|one| report(one, version_of)));
        }
        session.output.result(&reports, |reports, style| text(reports, style))?;
        let is_good = reports.iter().all(|report| report.problems.is_none());
        Ok(if is_good { Exit::Completed } else { Exit::Failed })
    }

    fn folders(&self, session: &Session<'_>, place: &Place) -> Result<Vec<PathBuf>, Failure> {
        let current = session.host.current_folder();
        if !self.folders.is_empty() {
            return Ok(self.folders.iter().map(|folder| current.join(folder)).collect());
        }
        let named = session.host.environment().get(SEARCH_PATH);
        let named = named.map(std::env::split_paths).into_iter().flatten();
        let named = named.filter(|folder| !folder.as_os_str().is_empty());
        let own = place.project.root.join(OF_PROJECT);
        let mut folders: Vec<PathBuf> = named.map(|folder| current.join(folder)).collect();
        if own.is_dir() {
            folders.insert(0, own);
        }
        if folders.is_empty() {
            return Err(Failure::new(Code::Usage, "there is no folder to look for plugins in")
                .hint(format!(
                    "name one, set {SEARCH_PATH}, or make `{OF_PROJECT}` in the project"
                )));
        }
        Ok(folders)
    }
}

fn report(found: DiscoveredPlugin, version_of: impl Fn(&str) -> Option<String>) -> OfferedReport {
    let folder = found.folder.display().to_string();
    match found.manifest {
        Ok(manifest) => OfferedReport {
            folder,
            registered: version_of(&manifest.name),
            name: Some(manifest.name),
            version: Some(manifest.version),
            kind: Some(manifest.kind.as_str().to_owned()),
            problems: None,
        },
        Err(problems) => OfferedReport {
            folder,
            name: None,
            version: None,
            kind: None,
            registered: None,
            problems: Some(problems),
        },
    }
}

fn text(reports: &[OfferedReport], style: Style) -> String {
    let mut table = Table::new([
        ("plugin", Align::Left),
        ("version", Align::Left),
        ("kind", Align::Left),
        ("registered", Align::Left),
        ("folder", Align::Left),
    ]);
    let mut problems = String::new();
    for report in reports {
        match &report.problems {
            Some(found) => problems = format!("{problems}{found}\n\n"),
            None => table.row([
                report.name.clone().unwrap_or_default(),
                report.version.clone().unwrap_or_default(),
                report.kind.clone().unwrap_or_default(),
                report.registered.clone().unwrap_or_else(|| "no".to_owned()),
                report.folder.clone(),
            ]),
        }
    }
    let found = table.text(style);
    if problems.is_empty() { found } else { format!("{found}\n{}", problems.trim_end()) + "\n" }
}
