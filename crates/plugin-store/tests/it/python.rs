//! Environments of Python packages: a real pip on wheels of our own, and programs that run.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use flexcore_plugin_protocol::{PluginKind, PluginType};
use flexcore_plugin_store::{FolderPluginStore, PythonTools, StoreOptions};
use flexcore_ports::{PluginSource, PluginStore as _, PluginStoreError, StoredPlugin};
use flexcore_sandbox::{
    IsolationPolicy, Jailer, JailerOptions, Launcher, LauncherOptions, SandboxPolicy,
};

use crate::support::Stage;

const LIBRARY: &str = "def greet(name):\n    return 'hello ' + name\n";
const PROGRAM: &str = "\
import subprocess, sys
from tiny_lib import greet

def main():
    print(greet('you'))
    print([path for path in sys.path if path.endswith('site-packages')] != [])
    print(subprocess.run([sys.executable, '-c', 'import tiny_lib; print(tiny_lib.__name__)'],
                         capture_output=True, text=True).stdout.strip())
    print(__import__('tiny_lib').__cached__.rsplit('/', 2)[-2:])
    return 3
";

/// A folder of wheels, as an index that needs no network.
struct Index(PathBuf);

impl Index {
    fn new(stage: &Stage) -> Self {
        let folder = stage.path("index");
        fs::create_dir(&folder).unwrap();
        let index = Self(folder);
        index.wheel(
            "tiny_lib",
            "1.0",
            "",
            &[("tiny_lib/__init__.py", LIBRARY), ("tests/__init__.py", "")],
        );
        let points = "[console_scripts]\ntap-tiny = tap_tiny.program:main\n";
        index.wheel(
            "tap_tiny",
            "0.1",
            "Requires-Dist: tiny-lib>=1\n",
            &[
                ("tap_tiny/__init__.py", ""),
                ("tap_tiny/program.py", PROGRAM),
                ("tap_tiny/broken.py", "def ("),
                ("tests/__init__.py", "# another one"),
                ("tap_tiny-0.1.data/scripts/helper", "#!python\nprint('helped')\n"),
                ("tap_tiny-0.1.data/data/share/words", "x"),
                ("tap_tiny-0.1.dist-info/entry_points.txt", points),
            ],
        );
        index
    }

    fn wheel(&self, name: &str, version: &str, requires: &str, files: &[(&str, &str)]) {
        let path = self.0.join(format!("{name}-{version}-py3-none-any.whl"));
        let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
        let info = format!("{name}-{version}.dist-info");
        let metadata =
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}");
        let wheel =
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
        let own = [
            (format!("{info}/METADATA"), metadata),
            (format!("{info}/WHEEL"), wheel.to_owned()),
            (format!("{info}/RECORD"), String::new()),
        ];
        let given = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        for (name, text) in given.chain(own) {
            archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        archive.finish().unwrap();
    }
}

struct Workbench {
    stage: Stage,
    launcher: Launcher,
}

impl Workbench {
    async fn new() -> Self {
        let stage = Stage::new();
        let options = LauncherOptions {
            executable: env!("CARGO_BIN_EXE_flexcore-plugin-store-probe").into(),
            lock_path: stage.path("launcher.lock"),
            lock_patience: Duration::from_secs(30),
            environment: vec![],
            isolation: IsolationPolicy::default(),
        };
        Self { launcher: Launcher::start(options).await.unwrap(), stage }
    }

    /// A store of its own, which finds packages in a folder only.
    fn store(&self, name: &str, index: &Path) -> FolderPluginStore {
        let python = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../.cache/venvs/http-service/bin/python");
        assert!(python.exists(), "{} is missing: run `make setup`", python.display());
        let environment = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("PIP_NO_INDEX", "1".to_owned()),
            ("PIP_FIND_LINKS", index.display().to_string()),
            ("PIP_NO_CACHE_DIR", "1".to_owned()),
        ];
        let tools = PythonTools {
            jailer: Arc::new(Jailer::new(self.launcher.clone(), JailerOptions::default())),
            policy: SandboxPolicy::default(),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            python: Some(python.display().to_string()),
            lock_file: Some(self.lock()),
            work: self.stage.path("work"),
        };
        let root = self.stage.path(name);
        FolderPluginStore::new(root, self.stage.path("keys"), StoreOptions::default())
            .with_python(tools)
    }

    fn lock(&self) -> PathBuf {
        self.stage.path("plugins.lock")
    }
}

async fn install(
    store: &FolderPluginStore,
    version: &str,
) -> Result<StoredPlugin, PluginStoreError> {
    let (name, version) = ("tap-tiny".to_owned(), version.to_owned());
    store.install(&PluginSource::Pypi { name, version }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_becomes_a_plugin_that_runs() {
    let bench = Workbench::new().await;
    let index = Index::new(&bench.stage);
    let kept = install(&bench.store("one", &index.0), "0.1").await.unwrap();
    assert_eq!((&*kept.manifest.name, &*kept.manifest.version), ("tap-tiny", "0.1"));
    assert_eq!(
        (kept.manifest.kind, kept.manifest.plugin_type),
        (PluginKind::Singer, PluginType::Extractor)
    );
    assert_eq!(kept.manifest.entrypoint, ["venv/bin/tap-tiny"]);
    assert!(kept.folder.join("venv/share/words").is_file());

    let run = |program: &str| {
        // Nothing of the caller's environment or folder matters to it.
        let path = kept.folder.join("venv/bin").join(program);
        let ran = Command::new(path)
            .env("PYTHONPATH", "/nowhere")
            .env("PYTHONHOME", "/nowhere")
            .output()
            .unwrap();
        (ran.status.code(), String::from_utf8(ran.stdout).unwrap())
    };
    let (code, printed) = run("tap-tiny");
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!((code, lines[0], lines[1]), (Some(3), "hello you", "True"));
    assert!(lines[3].starts_with("['__pycache__', '__init__.cpython-"), "{printed}");
    assert_eq!(run("helper").1, "helped\n");

    // Project files name it by a link.
    let link = bench.stage.path("one/pypi/tap-tiny==0.1");
    assert_eq!(
        link.canonicalize().unwrap(),
        kept.folder.canonicalize().unwrap().join("venv/bin/tap-tiny")
    );
    assert_eq!(Command::new(link).output().unwrap().status.code(), Some(3));
    bench.launcher.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_lock_makes_the_same_bits() {
    let bench = Workbench::new().await;
    let index = Index::new(&bench.stage);
    let one = install(&bench.store("one", &index.0), "0.1").await.unwrap();
    let lock = fs::read_to_string(bench.lock()).unwrap();
    assert!(lock.contains("package = \"tap-tiny\"\nversion = \"0.1\"\n"), "{lock}");
    assert!(lock.contains("tiny_lib-1.0-py3-none-any.whl"), "{lock}");

    // There is a newer library now, which the lock does not name.
    index.wheel("tiny_lib", "1.1", "", &[("tiny_lib/__init__.py", "raise SystemExit(9)")]);
    let two = install(&bench.store("two", &index.0), "0.1").await.unwrap();
    assert_eq!(one.digest, two.digest);
    assert_eq!(fs::read_to_string(bench.lock()).unwrap(), lock);

    // What is at hand needs no index at all.
    let again = bench.store("one", &bench.stage.path("nowhere"));
    again.remove(&one.digest).await.unwrap();
    assert_eq!(install(&again, "0.1").await.unwrap(), one);
    bench.launcher.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_replaced_on_the_index_is_refused() {
    let bench = Workbench::new().await;
    let index = Index::new(&bench.stage);
    install(&bench.store("one", &index.0), "0.1").await.unwrap();
    index.wheel("tiny_lib", "1.0", "", &[("tiny_lib/__init__.py", "import evil")]);
    let error = install(&bench.store("two", &index.0), "0.1").await.unwrap_err();
    assert_eq!(error.code, "FC0674", "{error}");
    assert!(error.message.contains("DO NOT MATCH THE HASHES"), "{error}");
    bench.launcher.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_or_built_says_why() {
    let bench = Workbench::new().await;
    let index = Index::new(&bench.stage);
    let store = bench.store("one", &index.0);
    let error = install(&store, "9.9").await.unwrap_err();
    assert_eq!(error.code, "FC0674");
    assert!(error.message.contains("tap-tiny==9.9"), "{error}");
    let error = install(&store, "../9").await.unwrap_err();
    assert_eq!(error.code, "FC0675");
    let library = PluginSource::Pypi { name: "tiny-lib".to_owned(), version: "1.0".to_owned() };
    let error = store.install(&library).await.unwrap_err();
    assert_eq!(error.code, "FC0675");
    assert!(error.message.contains("it brings no program"), "{error}");

    index.wheel("tap_bad", "1", "", &[("../../outside.py", "x")]);
    let bad = PluginSource::Pypi { name: "tap-bad".to_owned(), version: "1".to_owned() };
    assert_eq!(store.install(&bad).await.unwrap_err().code, "FC0609");

    fs::write(bench.lock(), "<<<<<<< HEAD\n").unwrap();
    let error = install(&store, "0.1").await.unwrap_err();
    assert_eq!(error.code, "FC0676");
    assert!(error.message.contains("plugins.lock"), "{error}");
    bench.launcher.shut_down().await;
}
