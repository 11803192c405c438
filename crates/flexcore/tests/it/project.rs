//! A project folder and the binary that runs in it.

mod finished;
mod log;
mod process;
mod redact;

use std::{
    any::Any,
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) use finished::Finished;
pub(crate) use log::Event;
pub(crate) use process::{Running, attempts_alive, children_of, kill, markers_alive};
pub(crate) use redact::redact;

/// Anything that is waited for is there within this time or never; machines under load are slow.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A project folder of its own, removed at the end of the test.
pub(crate) struct Project {
    scratch: TempDir,
    root: PathBuf,
    environment: Vec<(String, String)>,
    /// What must live as long as the project, for example its database.
    kept: Vec<Arc<dyn Any>>,
}

impl Project {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        let scratch = TempDir::with_prefix("flexcore-it-").expect("a temporary folder");
        let root = scratch.path().join("project");
        fs::create_dir(&root).expect("a project folder");
        Self { scratch, root, environment: vec![], kept: vec![] }
    }

    /// The same in a folder whose path is longer than that of a socket may be.
    pub(crate) fn far_down(mut self) -> Self {
        let deep = self.scratch.path().join("a-folder-with-a-long-name/".repeat(8));
        fs::create_dir_all(&deep).expect("folders");
        let root = deep.join("project");
        fs::rename(&self.root, &root).expect("the project moves");
        self.root = root;
        self
    }

    /// A folder with one pipeline file, `pipeline.yaml`, whose steps may write wherever they like in
    /// the project: what they note down there is what tests look at.
    pub(crate) fn with(pipeline: &str) -> Self {
        let project = Self::new();
        project.write("flexcore.yaml", "writable: ['.']\n");
        project.write("pipeline.yaml", pipeline);
        project
    }

    /// Adds a variable to the environment of everything that is run from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Keeps something for as long as the project is there.
    pub(crate) fn keep(&mut self, needed: Arc<dyn Any>) {
        self.kept.push(needed);
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A folder beside the project that is removed with it.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Writes a file and the folders above it.
    pub(crate) fn write(&self, relative: &str, content: impl AsRef<[u8]>) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folders");
        fs::write(&path, content).expect("a file that can be written");
    }

    /// Writes a file of lines.
    pub(crate) fn write_lines(&self, relative: &str, lines: impl Iterator<Item = String>) {
        let lines: Vec<String> = lines.collect();
        self.write(relative, lines.join("\n") + "\n");
    }

    /// Adds to the end of a file.
    pub(crate) fn append(&self, relative: &str, content: &str) {
        use std::io::Write as _;
        let file = File::options().append(true).open(self.path(relative));
        file.and_then(|mut file| file.write_all(content.as_bytes())).expect("an appendable file");
    }

    /// A file's text; empty if there is none.
    pub(crate) fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap_or_default()
    }

    /// How many lines of a file are exactly this.
    pub(crate) fn count_lines(&self, relative: &str, line: &str) -> usize {
        self.read(relative).lines().filter(|found| *found == line).count()
    }

    /// The binary with nothing of this process's environment but `PATH`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flexcore"));
        command.args(arguments).current_dir(&self.root).stdin(Stdio::null());
        command
            .env_clear()
            .env("PATH", search_path())
            .env("HOME", self.scratch())
            .env("USER", "it");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn flexcore(&self, arguments: &[&str]) -> Finished {
        Finished::of(self.command(arguments), arguments)
    }

    /// Runs the binary to its end with `--output json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Finished {
        self.flexcore(&[arguments, &["--output", "json"]].concat())
    }

    /// Starts the binary and does not wait for it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments), arguments, self.scratch())
    }

    /// Starts the binary as the leader of a process group, as a shell starts a job.
    pub(crate) fn start_in_own_group(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        command.process_group(0);
        Running::start(command, arguments, self.scratch())
    }

    /// Runs the binary on a terminal of its own; what it showed there.
    pub(crate) fn on_terminal(&self, arguments: &[&str]) -> Finished {
        let spawn =
            "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
        let binary = self.command(arguments);
        let mut command = Command::new("python3");
        command.args(["-c", spawn]).arg(binary.get_program()).args(binary.get_args());
        command.current_dir(&self.root).stdin(Stdio::null()).env("TERM", "xterm");
        Finished::of(command, arguments)
    }

    /// Runs the binary on a terminal of its own and answers the first question that ends with
    /// `prompt`; what it showed there.
    pub(crate) fn answering(&self, arguments: &[&str], prompt: &str, answer: &str) -> Finished {
        let spawn = "import os, pty, sys
prompt, answer, argv = sys.argv[1].encode(), sys.argv[2].encode(), sys.argv[3:]
seen, asked = b'', False
def read(fd):
    global seen, asked
    data = os.read(fd, 4096)
    seen += data
    if not asked and prompt in seen:
        asked = True
        os.write(fd, answer + b'\\n')
    return data
sys.exit(os.waitstatus_to_exitcode(pty.spawn(argv, read)))";
        let binary = self.command(arguments);
        let mut command = Command::new("python3");
        command.args(["-c", spawn, prompt, answer]).arg(binary.get_program());
        command.args(binary.get_args()).current_dir(&self.root).stdin(Stdio::null());
        command.env("TERM", "xterm");
        Finished::of(command, arguments)
    }

    /// The store's log holds together.
    pub(crate) fn assert_log_verifies(&self) {
        let reply = self.json(&["events", "verify"]).completes().value();
        assert_eq!(reply["intact"], true, "{reply:#}");
    }

    /// All events of the log, in order.
    pub(crate) fn events(&self) -> Vec<Event> {
        log::events(self)
    }

    /// The newest execution, folded.
    pub(crate) fn last_execution(&self) -> Value {
        self.json(&["execution", "show", "last"]).completes().value()
    }
}

/// The search path of this process.
#[expect(clippy::disallowed_methods, reason = "programs of steps are found as the test's are")]
fn search_path() -> String {
    std::env::var("PATH").expect("a PATH")
}

/// Waits until something holds; panics with `what` if it does not come about.
pub(crate) fn wait_until(what: &str, holds: impl FnMut() -> bool) {
    assert!(comes_about(PATIENCE, holds), "did not come about: {what}");
}

/// Waits until something holds, at most for so long.
pub(crate) fn comes_about(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        pause();
    }
    true
}

/// The time between two looks at a condition.
#[expect(clippy::disallowed_methods, reason = "what happens in other processes sends no wake-up")]
fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Where the third-party Singer programs are that `make setup` installs.
pub(crate) fn third_party(program: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = workspace.join(".cache/venvs").join(program).join("bin").join(program);
    assert!(path.exists(), "{} is missing; run `make setup` first", path.display());
    path.canonicalize().map_or(path.clone(), |_| path)
}
