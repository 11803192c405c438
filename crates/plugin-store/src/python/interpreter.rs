//! The interpreter of an environment.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{
    PythonTools,
    run::{Order, run},
};
use crate::error::StoreError;

/// The longest first line that kernels read.
const MAX_SHEBANG: usize = 120;
const PROBE: &str = "import json, os, sys, sysconfig; print(json.dumps({\
    'program': os.path.realpath(getattr(sys, '_base_executable', sys.executable)), \
    'version': '%d.%d' % sys.version_info[:2], 'release': sys.version.split()[0], \
    'machine': sysconfig.get_platform(), 'cache_tag': sys.implementation.cache_tag}))";

/// A Python that environments can be made for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Interpreter {
    /// How it was asked for; its pip is the one that is used.
    #[serde(skip)]
    pub(crate) asked: String,
    /// Its program, without links and outside of virtual environments.
    pub(crate) program: PathBuf,
    /// `3.11`.
    pub(crate) version: String,
    /// `3.11.2`.
    pub(crate) release: String,
    /// `linux-x86_64`.
    pub(crate) machine: String,
    /// `cpython-311`.
    pub(crate) cache_tag: String,
}

impl Interpreter {
    /// Asks the interpreter that is wanted what it is.
    pub(crate) async fn find(tools: &PythonTools, work: &Path) -> Result<Self, StoreError> {
        let wanted = tools.python.as_deref().unwrap_or("python3");
        let is_version = wanted.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let program = if is_version { format!("python{wanted}") } else { wanted.to_owned() };
        let wrong = |problem: String| StoreError::Build {
            package: "the plugin".to_owned(),
            problem: format!("{problem}; install Python, or name one with `--python`"),
        };
        let order = Order {
            argv: [&*program, "-I", "-c", PROBE].map(Into::into).into(),
            environment: tools.pip_environment(),
            shown: work,
            work,
            max_output: 64 * 1024,
        };
        let said = run(&tools.trusted(), order).await.map_err(wrong)?;
        let found: Self = serde_json::from_slice(&said)
            .map_err(|error| wrong(format!("`{program}` does not say what it is: {error}")))?;
        let found = Self { asked: program.clone(), ..found };
        let shown = found.program.to_string_lossy();
        if shown.len() > MAX_SHEBANG || shown.contains(char::is_whitespace) {
            return Err(wrong(format!(
                "the path of `{program}`, {shown}, is too long for the first line of a script, or has spaces"
            )));
        }
        Ok(found)
    }

    /// Where modules lie in an environment.
    pub(crate) fn site(&self) -> String {
        format!("venv/lib/python{}/site-packages", self.version)
    }
}
