//! `flexcore init`

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    path::Path,
};

use clap::Args;

use crate::{
    Exit,
    drive::shell_word,
    failure::{Code, Failure},
    report::InitReport,
    session::Session,
};

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// The folder; made if it is not there
    #[arg(default_value = ".")]
    folder: String,
}

/// The files of a starter project, the one that makes it a project last: if writing stops half way
/// no other verb mistakes the rest for one.
const FILES: [(&str, &str); 4] = [
    ("data/cities.csv", include_str!("init/cities.csv")),
    ("pipelines/cities.yaml", include_str!("init/cities.yaml")),
    (".gitignore", include_str!("init/gitignore")),
    ("flexcore.yaml", include_str!("init/flexcore.yaml")),
];

impl InitArguments {
    pub(super) fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let folder = session.host.current_folder().join(&self.folder);
        refuse_to_overwrite(&folder)?;
        for (name, content) in FILES {
            write_new(&folder.join(name), content)?;
        }
        let report = InitReport {
            folder: self.folder.clone(),
            files: FILES.iter().map(|(name, _)| *name).collect(),
        };
        session.output.result(&report, |report, style| {
            let heading = style.bold("a project that runs as it is:");
            format!("{heading}\n  {}\n", report.files.join("\n  "))
        })?;
        if !session.output.is_json() {
            let enter = match self.folder.as_str() {
                "." => String::new(),
                folder => format!("cd {} && ", shell_word(folder)),
            };
            session.output.note(&format!("next:  {enter}flexcore run cities"));
        }
        Ok(Exit::Completed)
    }
}

/// Looks before anything is written.
fn refuse_to_overwrite(folder: &Path) -> Result<(), Failure> {
    let there: Vec<&str> =
        FILES.iter().map(|(name, _)| *name).filter(|name| folder.join(name).exists()).collect();
    if there.is_empty() {
        return Ok(());
    }
    let message =
        format!("{} has {} already; nothing was written", folder.display(), there.join(", "));
    Err(Failure::new(Code::Exists, message).hint("give another folder: flexcore init DIR"))
}

/// Never replaces a file, not even one that came between looking and writing.
fn write_new(path: &Path, content: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot write {}: {error}", path.display());
        let code = if error.kind() == ErrorKind::AlreadyExists { Code::Exists } else { Code::File };
        Failure::new(code, message)
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(content.as_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use flexcore_pipeline_file::{find_pipeline, load_pipeline, load_project};

    use super::*;

    fn write_all(folder: &Path) {
        for (name, content) in FILES {
            write_new(&folder.join(name), content).unwrap();
        }
    }

    #[test]
    fn the_starter_project_is_valid() {
        let folder = tempfile::tempdir().unwrap();
        write_all(folder.path());
        let project = load_project(folder.path()).unwrap();
        let file = find_pipeline(&project, "cities").unwrap();
        let loaded = load_pipeline(&file, &project, &["tap-csv", "target-jsonl"]).unwrap();
        assert_eq!(loaded.warnings, []);
        assert_eq!(loaded.definition.steps.len(), 2);
    }

    #[test]
    fn files_that_are_there_are_never_touched() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("flexcore.yaml"), "project: mine\n").unwrap();
        let failure = refuse_to_overwrite(folder.path()).unwrap_err();
        assert_eq!(failure.exit(), Exit::Refused);
        assert!(write_new(&folder.path().join("flexcore.yaml"), "x").is_err());
        let text = fs::read_to_string(folder.path().join("flexcore.yaml")).unwrap();
        assert_eq!(text, "project: mine\n");
    }

    #[test]
    fn an_existing_folder_is_fine_if_nothing_would_be_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("README.md"), "mine").unwrap();
        refuse_to_overwrite(folder.path()).unwrap();
    }
}
