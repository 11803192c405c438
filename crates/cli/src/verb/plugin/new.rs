//! `flexcore plugin new`

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{ErrorKind, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use crate::{
    Exit,
    drive::shell_word,
    failure::{Code, Failure},
    report::InitReport,
    session::Session,
};

/// What stands for the plugin's name in templates.
const NAME: &str = "my-plugin";
/// What stands for the path of the SDK.
const SDK: &str = "SDK";

/// Arguments of `plugin new`.
#[derive(Debug, Args)]
pub(crate) struct NewArguments {
    /// Its name: a lower-case letter, then lower-case letters, digits and `-`
    name: String,
    /// The language that it is written in
    #[arg(long, value_enum)]
    language: Language,
    /// How it is run
    #[arg(long, value_enum, default_value = "process")]
    kind: Kind,
    /// The folder that is made; that of its name unless given
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,
    /// A checkout of FlexCore, which has the SDKs; looked for around the folder unless given
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<String>,
}

/// The languages of templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// With the crate `flexcore-plugin-sdk`
    Rust,
    /// With the package `flexcore-plugin`
    Python,
}

/// The kinds of templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A process that serves gRPC
    Process,
}

/// A file of a template: its path and its text.
type Template = (&'static str, &'static str);

macro_rules! template {
    ($path:literal, $file:literal) => {
        ($path, include_str!(concat!("../../../../plugin-sdk/templates/", $file)))
    };
}

// The manifest last: a folder with one is a plugin.
const RUST: [Template; 7] = [
    template!("src/main.rs", "rust/main.rs"),
    template!("Cargo.toml", "rust/Cargo.toml.template"),
    template!("Makefile", "rust/Makefile"),
    template!("README.md", "rust/README.md"),
    template!(".gitignore", "rust/gitignore"),
    template!("conformance.json", "conformance.json"),
    template!("plugin.toml", "plugin.toml"),
];

const PYTHON: [Template; 7] = [
    template!("main.py", "python/main.py"),
    template!("requirements.txt", "python/requirements.txt"),
    template!("Makefile", "python/Makefile"),
    template!("README.md", "python/README.md"),
    template!(".gitignore", "python/gitignore"),
    template!("conformance.json", "conformance.json"),
    template!("plugin.toml", "plugin.toml"),
];

impl Language {
    fn files(self) -> &'static [Template] {
        match self {
            Self::Rust => &RUST,
            Self::Python => &PYTHON,
        }
    }

    /// Where its SDK lies in a checkout.
    fn sdk(self) -> &'static str {
        match self {
            Self::Rust => "crates/plugin-sdk",
            Self::Python => "sdk/python",
        }
    }
}

impl NewArguments {
    pub(super) fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        check_name(&self.name)?;
        let Kind::Process = self.kind;
        let shown = self.folder.as_deref().unwrap_or(&self.name).to_owned();
        let current = session.host.current_folder();
        let folder = current.join(&shown);
        let sdk = self.find_sdk(current, &folder)?;
        let files = self.language.files();
        refuse_to_overwrite(&folder, files)?;
        for (name, text) in files {
            write_new(&folder.join(name), &self.fill(name, text, &sdk))?;
        }
        if self.language == Language::Python {
            let program = folder.join("main.py");
            let executable = fs::set_permissions(&program, Permissions::from_mode(0o755));
            executable.map_err(|error| cannot("make executable", &program, &error))?;
        }
        let names = files.iter().map(|(name, _)| *name).collect();
        let report = InitReport { folder: shown.clone(), files: names };
        session.output.result(&report, |report, style| {
            let heading = style.bold("a plugin that works as it is:");
            format!("{heading}\n  {}\n", report.files.join("\n  "))
        })?;
        if !session.output.is_json() {
            session.output.note(&format!("next:  cd {} && make conformance", shell_word(&shown)));
        }
        Ok(Exit::Completed)
    }

    /// A template's text for this plugin.
    fn fill(&self, name: &str, text: &str, sdk: &Path) -> String {
        let text = text.replace(NAME, &self.name);
        match name {
            "Cargo.toml" | "requirements.txt" => text.replace(SDK, &sdk.to_string_lossy()),
            _ => text,
        }
    }

    /// The folder of the language's SDK.
    fn find_sdk(&self, current: &Path, folder: &Path) -> Result<PathBuf, Failure> {
        let inner = self.language.sdk();
        if let Some(checkout) = &self.sdk {
            let sdk = current.join(checkout).join(inner);
            return sdk.canonicalize().map_err(|_| {
                let message = format!("there is no {inner} in {checkout}");
                Failure::new(Code::File, message).hint("name a checkout of FlexCore")
            });
        }
        let found = folder.ancestors().map(|around| around.join(inner)).find(|sdk| sdk.is_dir());
        found.and_then(|sdk| sdk.canonicalize().ok()).ok_or_else(|| {
            let message = format!("the SDK ({inner}) is not around {}", folder.display());
            Failure::new(Code::Usage, message).hint("name a checkout of FlexCore with --sdk FOLDER")
        })
    }
}

/// A name that is good for a manifest, a crate and a program.
fn check_name(name: &str) -> Result<(), Failure> {
    let is_legal = name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_legal {
        return Ok(());
    }
    let message = format!("`{name}` is no name of a plugin");
    Err(Failure::new(Code::Usage, message)
        .hint("begin with a lower-case letter, and go on with lower-case letters, digits and `-`"))
}

/// Nothing is written where anything is in the way.
fn refuse_to_overwrite(folder: &Path, files: &[Template]) -> Result<(), Failure> {
    let paths = files.iter().map(|(name, _)| folder.join(name));
    let there: Vec<String> = paths
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| path.display().to_string())
        .collect();
    if there.is_empty() {
        return Ok(());
    }
    let message = format!("there already: {}", there.join(", "));
    Err(Failure::new(Code::Exists, message).hint("name another folder with --folder"))
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| cannot("make", folder, &error))?;
    }
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Failure::new(Code::Exists, format!("{} is there already", path.display())));
        }
        Err(error) => return Err(cannot("write", path, &error)),
    };
    file.write_all(text.as_bytes()).map_err(|error| cannot("write", path, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Code::File, format!("cannot {what} {}: {error}", path.display()))
}
