//! `flexcore plugin install`

use clap::Args;
use flexcore_api::{PluginSourceView, RegisterPlugin};
use flexcore_plugin_protocol::ContentDigest;
use flexcore_ports::{PluginSource, StoredPlugin};
use serde::Serialize;

use super::manage::source;
use crate::{
    Exit, Place,
    failure::{Code, Failure},
    session::Session,
    text::{Style, plugin_registered_text},
};

/// Arguments of `plugin install`.
#[derive(Debug, Args)]
pub(crate) struct InstallArguments {
    /// A folder with a plugin.toml, an archive of one (.tar, .tar.gz, .zip), or pypi:NAME==VERSION;
    /// without it, every package that the project's plugins come from
    #[arg(value_name = "SOURCE")]
    source: Option<String>,
    /// Register it as well, so that steps can call it
    #[arg(long)]
    register: bool,
    /// The Python of a package: a version such as 3.11, a name or a path
    #[arg(long, value_name = "PYTHON")]
    python: Option<String>,
}

/// A plugin whose files are in the store.
#[derive(Debug, Serialize)]
struct InstalledReport {
    /// Its name.
    name: String,
    /// Its version.
    version: String,
    /// How it is run.
    kind: String,
    /// What its files are.
    sha256: String,
    /// Where they lie.
    folder: String,
    /// The trusted key that signed it.
    signed_by: Option<String>,
    /// The plugin of the project that comes from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_by: Option<String>,
}

/// What is to be installed, with which Python, and for which plugin of the project.
struct Wanted {
    source: PluginSource,
    python: Option<String>,
    used_by: Option<String>,
}

impl InstallArguments {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        session
            .only_here("plugin install", "files are brought in on the machine that runs them")?;
        let place = session.here()?.place;
        let wanted = self.wanted(session, &place)?;
        let mut reports = Vec::new();
        for Wanted { source, python, used_by } in wanted {
            let stored = session.host.install_plugin(&place, &source, python.as_deref()).await?;
            if self.register {
                register(session, &place, &stored).await?;
            }
            reports.push(report(stored, used_by));
        }
        session.output.result(&reports, |reports, style| text(reports, style))?;
        Ok(Exit::Completed)
    }

    fn wanted(&self, session: &Session<'_>, place: &Place) -> Result<Vec<Wanted>, Failure> {
        if let Some(text) = &self.source {
            let source = kept(source(text, session.host.current_folder())?, text)?;
            return Ok(vec![Wanted { source, python: self.python.clone(), used_by: None }]);
        }
        let packages = place.project.packages();
        if packages.is_empty() {
            return Err(Failure::new(
                Code::Usage,
                "no plugin of this project comes from a package",
            )
            .hint("name what to install, or write `from: pypi:NAME==VERSION` in flexcore.yaml"));
        }
        let wanted = packages.into_iter().map(|package| Wanted {
            source: PluginSource::Pypi { name: package.name, version: package.version },
            python: self.python.clone().or(package.python),
            used_by: Some(package.plugin),
        });
        Ok(wanted.collect())
    }
}

/// What can be installed. Something with a digest is in the store already.
fn kept(source: PluginSourceView, text: &str) -> Result<PluginSource, Failure> {
    match source {
        PluginSourceView::Folder(path) => Ok(PluginSource::Folder(path.into())),
        PluginSourceView::Archive(path) => Ok(PluginSource::Archive(path.into())),
        PluginSourceView::Pypi { name, version } => Ok(PluginSource::Pypi { name, version }),
        PluginSourceView::Digest(_) => {
            let message = format!("`{text}` names what was taken in before");
            Err(Failure::new(Code::Usage, message)
                .hint("register it with `flexcore plugin register`"))
        }
    }
}

async fn register(
    session: &Session<'_>,
    place: &Place,
    stored: &StoredPlugin,
) -> Result<(), Failure> {
    let source = PluginSourceView::Digest(stored.digest.to_string());
    let command = RegisterPlugin { source, idempotency_key: None };
    let registered = session.command(place, command, "registering a plugin").await?;
    let said = plugin_registered_text(&registered, session.output.message_style());
    session.output.message(said.trim_end());
    Ok(())
}

fn report(stored: StoredPlugin, used_by: Option<String>) -> InstalledReport {
    let digest: ContentDigest = stored.digest;
    InstalledReport {
        name: stored.manifest.name,
        version: stored.manifest.version,
        kind: stored.manifest.kind.as_str().to_owned(),
        sha256: digest.to_string(),
        folder: stored.folder.display().to_string(),
        signed_by: stored.signed_by,
        used_by,
    }
}

fn text(reports: &[InstalledReport], style: Style) -> String {
    let line = |report: &InstalledReport| {
        let signed = match &report.signed_by {
            Some(key) => format!(", signed by {key}"),
            None => String::new(),
        };
        let used = match &report.used_by {
            Some(plugin) => format!(" for `{plugin}`"),
            None => String::new(),
        };
        let folder = style.dim(&report.folder);
        let InstalledReport { name, version, kind, .. } = report;
        format!("installed {name} {version} ({kind}{signed}){used}\n  {folder}\n")
    };
    reports.iter().map(line).collect()
}
