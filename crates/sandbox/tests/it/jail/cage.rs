//! A jail of the tests: a launcher of some tier, a plugin folder with the fixture, and a work folder.

#![expect(clippy::panic, reason = "a test whose stage cannot be set fails, and says which stage")]

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::BufReader,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use flexcore_sandbox::{
    Access, Bind, ControlName, IsolationPolicy, JailError, JailExit, JailSpec, Jailed, Jailer,
    JailerOptions, Launcher, Secret, SpawnRequest, Stdin, processes_of_attempt,
};
use tempfile::TempDir;

use crate::bench::{PATIENCE, lines, options, text};

/// The hostile programs, with their names.
const FIXTURES: [(&str, &str); 2] = [
    ("escape", include_str!("../../fixtures/escape.c")),
    ("exhaust", include_str!("../../fixtures/exhaust.c")),
];

/// Who starts jails, and how strong they can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Root, with all namespaces and a user for each jail.
    Root,
    /// Root inside a user namespace: the program runs as the very user that owns everything.
    RootInUserNamespace,
    /// An ordinary user's launcher.
    Ordinary,
    /// No namespaces.
    Restricted,
}

impl Stage {
    /// The stages of this machine.
    pub(super) fn all() -> Vec<Self> {
        if rustix::process::geteuid().is_root() {
            vec![Self::Root, Self::RootInUserNamespace, Self::Ordinary, Self::Restricted]
        } else {
            vec![Self::Ordinary, Self::Restricted]
        }
    }

    /// Those in which the jail has a root folder and a network of its own.
    pub(super) fn with_namespaces() -> Vec<Self> {
        Self::all().into_iter().filter(|stage| stage.has_namespaces()).collect()
    }

    pub(super) fn has_namespaces(self) -> bool {
        self != Self::Restricted
    }

    fn policy(self) -> IsolationPolicy {
        match self {
            Self::Root | Self::Ordinary => IsolationPolicy::Strongest,
            Self::RootInUserNamespace => IsolationPolicy::UserNamespace,
            Self::Restricted => IsolationPolicy::ProcessGroup,
        }
    }
}

/// A user that owns nothing.
pub(super) const ORDINARY_USER: u32 = 61_998;

pub(super) struct Cage {
    pub(super) stage: Stage,
    pub(super) folder: TempDir,
    pub(super) jailer: Jailer,
    mounts: String,
    descriptors: HashSet<String>,
}

impl Cage {
    pub(super) async fn new(stage: Stage) -> Self {
        Self::with_options(stage, JailerOptions::default()).await
    }

    /// One whose launcher sees a file system of this kind mounted at a folder of the cage.
    pub(super) async fn with_mount(stage: Stage, kind: &str, name: &str) -> Self {
        let mounting = |folder: &TempDir| {
            let at = |name: &str| folder.path().join(name).display().to_string();
            for name in [name, "lower", "upper", "overlay"] {
                fs::create_dir(folder.path().join(name)).unwrap();
            }
            let layers = format!(
                "lowerdir={},upperdir={},workdir={}",
                at("lower"),
                at("upper"),
                at("overlay")
            );
            let options = if kind == "overlay" { format!("-o {layers}") } else { String::new() };
            let mount = format!("mount -t {kind} {options} none {} && chmod 700 {0}", at(name));
            launcher_script(
                folder,
                &format!("unshare -m sh -c '{mount} && exec {} \"$@\"' sh", at("probe")),
            )
        };
        Self::made(stage, JailerOptions::default(), Some(&mounting)).await
    }

    pub(super) async fn with_options(stage: Stage, jailer: JailerOptions) -> Self {
        Self::made(stage, jailer, None).await
    }

    async fn made(
        stage: Stage,
        jailer: JailerOptions,
        launcher: Option<&dyn Fn(&TempDir) -> PathBuf>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path(), 0o755);
        for (name, mode) in [("plugin", 0o755), ("scratch", 0o777), ("other-plugin", 0o755)] {
            fs::create_dir(folder.path().join(name)).unwrap();
            open_to_all(&folder.path().join(name), mode);
        }
        fs::write(folder.path().join("other-plugin/settings"), "password").unwrap();
        for (name, text) in FIXTURES {
            fs::copy(fixture(name, text), folder.path().join("plugin").join(name)).unwrap();
        }
        let mut options = options(&folder, stage.policy());
        if stage == Stage::Ordinary && rustix::process::geteuid().is_root() {
            let user = ORDINARY_USER;
            let drop = format!("setpriv --reuid={user} --regid={user} --clear-groups");
            let probe = folder.path().join("probe");
            options.executable = launcher_script(&folder, &format!("{drop} {}", probe.display()));
        }
        if let Some(launcher) = launcher {
            options.executable = launcher(&folder);
        }
        let launcher = Launcher::start(options).await.unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let jailer = Jailer::new(launcher, jailer);
        Self { stage, folder, jailer, mounts, descriptors: open_descriptors() }
    }

    /// A folder as the program sees it.
    pub(super) fn seen(&self, name: &str) -> PathBuf {
        if self.stage.has_namespaces() {
            Path::new("/").join(name)
        } else {
            self.folder.path().join(name)
        }
    }

    /// A jail without network, with the plugin and a work folder, that must have what the stage can
    /// have.
    pub(super) fn spec(&self) -> JailSpec {
        let bind = |name: &str, access| Bind {
            source: self.folder.path().join(name),
            target: Path::new("/").join(name),
            access,
        };
        let mut spec = JailSpec {
            binds: vec![bind("plugin", Access::ReadOnly), bind("scratch", Access::ReadWrite)],
            ..JailSpec::default()
        };
        if !self.stage.has_namespaces() {
            spec.required = vec![ControlName::Seccomp, ControlName::LandlockFs];
        }
        spec
    }

    pub(super) fn request(&self, argv: &[&str]) -> SpawnRequest {
        SpawnRequest {
            argv: argv.iter().map(OsString::from).collect(),
            cwd: self.seen("scratch"),
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
            stdin: Stdin::Null,
            attempt: self.marker(),
        }
    }

    pub(super) async fn try_spawn(
        &self,
        argv: &[&str],
        spec: JailSpec,
    ) -> Result<Jailed, JailError> {
        self.jailer.spawn(self.request(argv), spec, &[]).await
    }

    pub(super) async fn spawn(&self, argv: &[&str], spec: JailSpec) -> Jailed {
        let stage = self.stage;
        self.try_spawn(argv, spec).await.unwrap_or_else(|error| panic!("{stage:?}: {error:?}"))
    }

    /// Runs the fixture to its end and returns what it printed.
    pub(super) async fn escape(&self, mode: &[&str], spec: JailSpec) -> (String, JailExit) {
        self.fixture("escape", mode, spec).await
    }

    /// Runs the fixture that takes what it can get, and returns what it printed.
    pub(super) async fn exhaust(&self, mode: &[&str], spec: JailSpec) -> (String, JailExit) {
        self.fixture("exhaust", mode, spec).await
    }

    async fn fixture(&self, name: &str, mode: &[&str], spec: JailSpec) -> (String, JailExit) {
        let program = self.seen("plugin").join(name);
        let argv: Vec<&str> =
            std::iter::once(program.to_str().unwrap()).chain(mode.iter().copied()).collect();
        self.run(&argv, spec, &[]).await
    }

    /// Starts the fixture that takes what it can get, which stays, and waits for its first line.
    pub(super) async fn exhausting(
        &self,
        mode: &[&str],
        spec: JailSpec,
    ) -> (Jailed, String, BufReader<File>) {
        let program = self.seen("plugin/exhaust");
        let argv: Vec<&str> =
            std::iter::once(program.to_str().unwrap()).chain(mode.iter().copied()).collect();
        let mut jailed = self.spawn(&argv, spec).await;
        let (said, output) = lines(jailed.stdout.take().unwrap(), 1).await;
        (jailed, said[0].clone(), output)
    }

    /// Runs a program to its end and returns what it printed, its complaints included.
    pub(super) async fn run(
        &self,
        argv: &[&str],
        spec: JailSpec,
        secrets: &[Secret],
    ) -> (String, JailExit) {
        let stage = self.stage;
        let jailed = self.jailer.spawn(self.request(argv), spec, secrets).await;
        let mut jailed = jailed.unwrap_or_else(|error| panic!("{stage:?}: {error:?}"));
        let (stdout, stderr) = (jailed.stdout.take().unwrap(), jailed.stderr.take().unwrap());
        let (printed, complaints, exit) = tokio::time::timeout(PATIENCE, async {
            tokio::join!(text(stdout), text(stderr), jailed.wait())
        })
        .await
        .unwrap_or_else(|_| panic!("{stage:?}: {argv:?} does not end"));
        (printed + &complaints, exit)
    }

    fn marker(&self) -> String {
        format!("{}/jailed", self.folder.path().display())
    }

    pub(super) fn alive(&self) -> Vec<u32> {
        processes_of_attempt(&self.marker())
    }

    /// Asserts that the host is well and that nothing is left of the jails: no process, control
    /// group, mount or descriptor.
    pub(super) async fn assert_clean(&self) {
        let stage = self.stage;
        let mut harmless = self.request(&["/bin/echo", "well"]);
        harmless.cwd = "/usr".into();
        let spec = JailSpec { strict: false, ..JailSpec::default() };
        let mut jailed = self.jailer.spawn(harmless, spec, &[]).await.unwrap();
        assert_eq!(text(jailed.stdout.take().unwrap()).await, "well\n", "{stage:?}");
        jailed.wait().await;
        assert_eq!(self.alive(), Vec::<u32>::new(), "{stage:?}");
        assert_eq!(own_groups(), Vec::<PathBuf>::new(), "{stage:?}");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert_eq!(mounts, self.mounts, "{stage:?}");
        // Tasks that were aborted let go of theirs a moment later.
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let left: Vec<String> =
                open_descriptors().difference(&self.descriptors).cloned().collect();
            if left.is_empty() {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{stage:?}: {left:?}");
            tokio::task::yield_now().await;
        }
    }
}

/// Asserts that every attempt was answered, and none with success.
pub(super) fn assert_held(stage: Stage, printed: &str) {
    assert!(!printed.contains("ESCAPED"), "{stage:?}:\n{printed}");
    assert!(printed.lines().count() > 2, "{stage:?}: nothing was tried:\n{printed}");
}

fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A launcher that is started by `prefix`; the program itself is `probe` in the folder.
fn launcher_script(folder: &TempDir, prefix: &str) -> PathBuf {
    let program = folder.path().join("probe");
    fs::copy(env!("CARGO_BIN_EXE_flexcore-sandbox-probe"), &program).unwrap();
    open_to_all(&program, 0o755);
    let path = folder.path().join("launcher");
    fs::write(&path, format!("#!/bin/sh\nexec {prefix} \"$@\"\n")).unwrap();
    open_to_all(&path, 0o755);
    path
}

/// The compiled fixture, made once for each version of its text.
fn fixture(name: &str, text: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let made = folder.join(format!("{name}-{:x}", hasher.finish()));
    if !made.exists() {
        let work = tempfile::tempdir_in(folder).unwrap();
        let (source, program) = (work.path().join("source.c"), work.path().join(name));
        fs::write(&source, text).unwrap();
        let paths = ["-o".as_ref(), program.as_os_str(), source.as_os_str()];
        let status = Command::new("cc").args(["-O1", "-w", "-pthread"]).args(paths).status();
        let status = status.is_ok_and(|status| status.success());
        assert!(status, "the fixture does not compile; `make setup` installs a C compiler");
        // Whole or not at all: other tests look for it at the same time.
        fs::rename(&program, &made).unwrap();
    }
    made
}

/// The control groups that this process has made and not removed.
pub(super) fn own_groups() -> Vec<PathBuf> {
    let prefix = format!("flexcore-{}-", std::process::id());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let paths: HashSet<&str> = own.lines().filter_map(|line| line.rsplit(':').next()).collect();
    let mut found = Vec::new();
    for mount in mounts.lines().filter(|line| line.contains(" - cgroup")) {
        let point = mount.split(' ').nth(4).unwrap();
        for path in &paths {
            let folder = format!("{point}{path}");
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let own =
                entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
            found.extend(own.map(|entry| entry.path()));
        }
    }
    found
}

/// What the descriptors of this process lead to, with their numbers.
fn open_descriptors() -> HashSet<String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let target = |path: PathBuf| Some((path.clone(), fs::read_link(path).ok()?));
    let seen = entries.filter_map(|entry| target(entry.path()));
    // The folder that is being read is one of them.
    let seen = seen.filter(|(_, target)| !target.ends_with("fd"));
    seen.map(|(path, target)| format!("{} {}", path.display(), target.display())).collect()
}
