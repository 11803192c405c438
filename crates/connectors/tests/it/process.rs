//! Starts connectors and talks to them.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use sha2::{Digest as _, Sha256};

/// A folder with the files of one test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn append(&self, name: &str, content: &str) {
        let mut file = fs::OpenOptions::new().append(true).open(self.path().join(name)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }
}

/// How a connector is called; its working directory is the test's folder.
pub(crate) struct Call<'a> {
    folder: &'a Folder,
    name: &'static str,
    arguments: Vec<String>,
    environment: BTreeMap<&'static str, String>,
}

/// How a connector ended.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Standard output of a connector that succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }

    /// The line on which a connector that failed says why.
    #[track_caller]
    pub(crate) fn failure(self) -> String {
        assert_eq!(self.code, Some(1), "{}", self.stderr);
        let critical = self.stderr.lines().find(|line| line.starts_with("CRITICAL "));
        critical.unwrap_or_else(|| panic!("no reason in {:?}", self.stderr)).to_owned()
    }
}

impl<'a> Call<'a> {
    /// A call with this configuration, written to a file of its own.
    pub(crate) fn new(folder: &'a Folder, name: &'static str, config: &str) -> Self {
        let file = format!("{name}.config.json");
        folder.write(&file, config);
        Self::bare(folder, name).argument("--config").argument(&file)
    }

    pub(crate) fn bare(folder: &'a Folder, name: &'static str) -> Self {
        Self { folder, name, arguments: Vec::new(), environment: BTreeMap::new() }
    }

    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// As the engine calls it, within an execution and with what it has committed of it.
    pub(crate) fn execution(mut self, execution: &str, committed: Option<&str>) -> Self {
        self.environment.insert("FLEXCORE_EXECUTION", execution.to_owned());
        self.environment.insert("FLEXCORE_STEP", "load".to_owned());
        if let Some(line) = committed {
            self.environment.insert("FLEXCORE_COMMITTED_STATE", state_hash(line));
        }
        self
    }

    pub(crate) fn spawn(&self) -> Running {
        let mut child = Command::new(program())
            .arg(self.name)
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment)
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running { child, stdin, stdout }
    }

    /// Runs to the end with this input.
    pub(crate) fn run(&self, input: impl AsRef<[u8]>) -> Outcome {
        self.spawn().end_with(input)
    }
}

/// A connector at work.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    /// Writes to its input; returns once it is in the pipe.
    pub(crate) fn send(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Waits for a line of its output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// Kills it as the machine would, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Writes the last of its input and waits for its end.
    pub(crate) fn end_with(mut self, input: impl AsRef<[u8]>) -> Outcome {
        let mut stdin = self.stdin.take().unwrap();
        let input = input.as_ref().to_vec();
        // A connector that fails early closes its input; that is for its exit code to say.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let outcome = self.wait();
        writer.join().unwrap();
        outcome
    }

    /// Ends its input and waits for its end.
    pub(crate) fn end(mut self) -> Outcome {
        drop(self.stdin.take());
        self.wait()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Outcome {
        use std::io::Read as _;
        let mut stderr_pipe = self.child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            stderr_pipe.read_to_string(&mut text).unwrap();
            text
        });
        let mut stdout = String::new();
        self.stdout.read_to_string(&mut stdout).unwrap();
        let stderr = errors.join().unwrap();
        let code = self.child.wait().unwrap().code();
        Outcome { code, stdout, stderr }
    }
}

/// The example `connector` of this package, which every test run builds.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("examples/connector");
    assert!(
        program.exists(),
        "{} is not built; run the tests of the whole package",
        program.display()
    );
    program
}

/// The hash that the engine commits for a STATE line.
pub(crate) fn state_hash(line: &str) -> String {
    hex::encode(Sha256::digest(line.as_bytes()))
}

/// The value of the last STATE in a tap's output.
pub(crate) fn last_state(output: &str) -> String {
    let line = output.lines().rfind(|line| line.contains("\"STATE\"")).unwrap();
    line.strip_prefix("{\"type\":\"STATE\",\"value\":")
        .unwrap()
        .strip_suffix('}')
        .unwrap()
        .to_owned()
}

/// The records in a tap's output.
pub(crate) fn records(output: &str) -> Vec<String> {
    output
        .lines()
        .filter(|line| line.starts_with("{\"type\":\"RECORD\""))
        .map(|line| line.split_once("\"record\":").unwrap().1.strip_suffix('}').unwrap().to_owned())
        .collect()
}
