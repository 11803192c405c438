//! `flexcore plugin register|unregister|disable|enable`

use std::path::Path;

use clap::Args;
use flexcore_api::{
    DisablePlugin, EnablePlugin, PluginSourceView, RegisterPlugin, UnregisterPlugin, Written,
};

use crate::{
    Exit,
    failure::{Code, Failure},
    report::Done,
    session::Session,
    text::plugin_registered_text,
};

/// The endings of archives.
const ARCHIVES: [&str; 4] = [".tar", ".tar.gz", ".tgz", ".zip"];

/// Arguments of `plugin register`.
#[derive(Debug, Args)]
pub(crate) struct RegisterArguments {
    /// A folder with a plugin.toml, an archive of one (.tar, .tar.gz, .zip), pypi:NAME==VERSION, or
    /// sha256:DIGEST of what was taken in before
    #[arg(value_name = "SOURCE")]
    source: String,
}

impl RegisterArguments {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let source = source(&self.source, session.host.current_folder())?;
        let command = RegisterPlugin { source, idempotency_key: None };
        let place = &session.here()?.place;
        let registered = session.command(place, command, "registering a plugin").await?;
        session.output.result(&registered, plugin_registered_text)?;
        Ok(Exit::Completed)
    }
}

/// Where a text says that a plugin comes from. Relative paths start in `current`.
pub(crate) fn source(text: &str, current: &Path) -> Result<PluginSourceView, Failure> {
    if let Some(package) = text.strip_prefix("pypi:") {
        let (name, version) = package.split_once("==").ok_or_else(|| {
            let message = format!("`{text}` names no version");
            Failure::new(Code::Usage, message).hint("write pypi:NAME==VERSION")
        })?;
        let (name, version) = (name.to_owned(), version.to_owned());
        return Ok(PluginSourceView::Pypi { name, version });
    }
    if let Some(digest) = text.strip_prefix("sha256:") {
        return Ok(PluginSourceView::Digest(digest.to_owned()));
    }
    let path = current.join(text).display().to_string();
    if ARCHIVES.iter().any(|ending| text.ends_with(ending)) {
        Ok(PluginSourceView::Archive(path))
    } else {
        Ok(PluginSourceView::Folder(path))
    }
}

pub(super) async fn unregister(
    session: &Session<'_>,
    command: UnregisterPlugin,
) -> Result<Exit, Failure> {
    let done = format!("plugin `{}` is forgotten; its history stays in the log", command.name);
    let place = &session.here()?.place;
    let written = session.command(place, command, "unregistering a plugin").await?;
    say(session, done, written)
}

pub(super) async fn disable(
    session: &Session<'_>,
    command: DisablePlugin,
) -> Result<Exit, Failure> {
    let name = command.name.clone();
    let place = &session.here()?.place;
    let written = session.command(place, command, "disabling a plugin").await?;
    say(session, format!("plugin `{name}` is disabled: nobody calls it"), written)
}

pub(super) async fn enable(session: &Session<'_>, command: EnablePlugin) -> Result<Exit, Failure> {
    let name = command.name.clone();
    let place = &session.here()?.place;
    let written = session.command(place, command, "enabling a plugin").await?;
    let done = if written.position == 0 {
        format!("plugin `{name}` could be called before")
    } else {
        format!("plugin `{name}` can be called again")
    };
    say(session, done, written)
}

fn say(session: &Session<'_>, done: String, written: Written) -> Result<Exit, Failure> {
    let done = Done { done, written };
    session.output.result(&done, |done, _| format!("{}\n", done.done))?;
    Ok(Exit::Completed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_told_by_its_form() {
        let read = |text| source(text, Path::new("/here")).unwrap();
        assert_eq!(read("p"), PluginSourceView::Folder("/here/p".into()));
        assert_eq!(read("/a/p.tar.gz"), PluginSourceView::Archive("/a/p.tar.gz".into()));
        let (name, version) = ("tap-x".into(), "1.2".into());
        assert_eq!(read("pypi:tap-x==1.2"), PluginSourceView::Pypi { name, version });
        assert_eq!(read("sha256:ab"), PluginSourceView::Digest("ab".into()));
        assert!(source("pypi:tap-x", Path::new("/here")).is_err());
    }
}
