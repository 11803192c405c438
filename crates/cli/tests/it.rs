//! Verbs from their arguments to their exit codes, on a host whose store is not there, or in use.
//! What needs a store runs through the binary, in its own tests.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{self, Cursor, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use flexcore_api::{CommandEnvelope, DoctorReport, ErrorBody, SandboxReportView, SettingList};
use flexcore_app::{Discovery, ProjectRights, Sample};
use flexcore_cli::{
    ConformanceCheck, ConformanceOutcome, ConnectorDescription, DatabaseUrl, Exit, Host, HostError,
    HostErrorKind, Place, Reader, ServeRequest, SettingFlags, StoreMigration, StoreStatus,
    Terminal, Transfer, TransferEnd, Writer, execute, parse,
};
use flexcore_plugin_protocol::Grants;
use flexcore_ports::{
    Clock, DiscoveredPlugin, GrantsError, LogVerifier, OperatorGrants, PluginSource, StoredPlugin,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// An operator who grants nothing.
struct NoGrants;

impl OperatorGrants for NoGrants {
    fn grants(&self) -> Result<Arc<Grants>, GrantsError> {
        Ok(Arc::default())
    }
}

fn absent(place: &Place) -> HostError {
    HostError {
        kind: HostErrorKind::Absent,
        code: "FC0402",
        message: format!("there is nothing in {}", place.state_folder.display()),
        hint: None,
    }
}

/// A machine without a store that can be opened.
struct StorelessHost {
    environment: BTreeMap<String, String>,
    folder: PathBuf,
}

#[async_trait]
impl Host for StorelessHost {
    fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    fn current_folder(&self) -> &Path {
        &self.folder
    }

    fn clock(&self) -> Arc<dyn Clock> {
        panic!("no test looks at a clock")
    }

    fn connectors(&self) -> Vec<ConnectorDescription> {
        vec![
            ConnectorDescription { name: "tap-csv", description: "Reads CSV." },
            ConnectorDescription { name: "target-jsonl", description: "Writes JSON Lines." },
        ]
    }

    async fn conformance(&self, _: &Path) -> Result<(bool, Vec<ConformanceCheck>), HostError> {
        let check = |name: &str, outcome, detail: Option<&str>| ConformanceCheck {
            name: name.to_owned(),
            outcome,
            detail: detail.map(str::to_owned),
            hint: detail.map(|_| "mend it".to_owned()),
        };
        let checks = vec![
            check("it starts", ConformanceOutcome::Passed, None),
            check("it ends", ConformanceOutcome::Failed, Some("it goes on\nand on")),
        ];
        Ok((false, checks))
    }

    async fn serve(
        &self,
        _: &Place,
        _: ServeRequest,
        _: CancellationToken,
    ) -> Result<(), HostError> {
        panic!("no test serves")
    }

    fn settings(&self, _: &Place, flags: &SettingFlags) -> Result<SettingList, HostError> {
        let file = flags.config.as_ref().map(|path| path.display().to_string());
        let item = |flag: &flexcore_cli::SettingFlag| flexcore_api::SettingView {
            key: flag.key.to_owned(),
            variable: "FLEXCORE_X".to_owned(),
            value: flag.value.clone(),
            origin: flag.flag.to_owned(),
        };
        Ok(SettingList { file, items: flags.values.iter().map(item).collect() })
    }

    fn run_connector(&self, _: &str, arguments: Vec<OsString>) -> ExitCode {
        ExitCode::from(u8::try_from(arguments.len()).unwrap())
    }

    fn secret_seed(&self) -> Result<[u8; 32], HostError> {
        Ok([7; 32])
    }

    fn rights(&self, place: &Place) -> Result<ProjectRights, HostError> {
        Ok(ProjectRights {
            grants: Arc::new(NoGrants),
            grants_file: place.state_folder.join("grants.toml"),
            root: place.project.root.clone(),
            writable: vec![],
            hidden: vec![],
            private_home: true,
        })
    }

    fn grant(&self, place: &Place, _: &str) -> Result<(), HostError> {
        Err(absent(place))
    }

    async fn sandbox_report(&self, place: &Place) -> Result<SandboxReportView, HostError> {
        Err(absent(place))
    }

    async fn doctor(&self, _: &Place) -> DoctorReport {
        DoctorReport { checks: vec![], sandbox: None, ready: false }
    }

    async fn write(&self, place: &Place, purpose: &str) -> Result<Writer, HostError> {
        Err(HostError {
            kind: HostErrorKind::Held { pid: Some(7), purpose: Some("run of `x`".to_owned()) },
            code: "FC0403",
            message: format!("{} is in use; refused: {purpose}", place.state_folder.display()),
            hint: None,
        })
    }

    async fn read(&self, place: &Place) -> Result<Reader, HostError> {
        Err(HostError {
            kind: HostErrorKind::Absent,
            code: "FC0402",
            message: format!(
                "there is no store in {} ({:?})",
                place.state_folder.display(),
                place.store
            ),
            hint: None,
        })
    }

    async fn verifier(&self, place: &Place) -> Result<Arc<dyn LogVerifier>, HostError> {
        Err(HostError {
            kind: HostErrorKind::Absent,
            code: "FC0402",
            message: format!("there is no store in {}", place.state_folder.display()),
            hint: None,
        })
    }

    async fn transfer(&self, place: &Place, _: TransferEnd) -> Result<Transfer, HostError> {
        Err(self.read(place).await.unwrap_err())
    }

    async fn store_status(&self, place: &Place) -> Result<StoreStatus, HostError> {
        Err(self.read(place).await.unwrap_err())
    }

    async fn migrate(
        &self,
        url: &DatabaseUrl,
        app_role: Option<&str>,
    ) -> Result<StoreMigration, HostError> {
        let server = url.to_string();
        Ok(StoreMigration { server, from: 0, to: 1, app_role: app_role.map(str::to_owned) })
    }

    async fn send(
        &self,
        _: &Place,
        _: CommandEnvelope,
    ) -> Result<Option<Result<Value, ErrorBody>>, HostError> {
        Ok(None)
    }

    async fn discover(&self, _: &Place, discovery: Discovery) -> Result<Value, HostError> {
        Ok(json!({ "streams": [{
            "tap_stream_id": discovery.step.to_string(),
            "stream": discovery.step.to_string(),
            "schema": { "properties": { "id": { "type": "integer" } } },
            "metadata": [{ "breadcrumb": [], "metadata": { "selected": true } }],
        }] }))
    }

    async fn sample(&self, _: &Place, _: Discovery, records: u64) -> Result<Sample, HostError> {
        Ok(Sample { streams: vec![("test".to_owned(), records)], records, was_all: false })
    }

    async fn install_plugin(
        &self,
        place: &Place,
        _: &PluginSource,
        _: Option<&str>,
    ) -> Result<StoredPlugin, HostError> {
        Err(self.read(place).await.unwrap_err())
    }

    async fn discover_plugins(
        &self,
        place: &Place,
        _: &Path,
    ) -> Result<Vec<DiscoveredPlugin>, HostError> {
        Err(self.read(place).await.unwrap_err())
    }
}

/// A folder to work in, and what the last verb wrote.
struct Workbench {
    folder: TempDir,
    variables: BTreeMap<String, String>,
}

/// What a verb came to.
struct Outcome {
    code: ExitCode,
    results: String,
    messages: String,
}

impl Outcome {
    /// Exit codes can be compared by their debug form only.
    fn exited_with(&self, exit: Exit) -> bool {
        format!("{:?}", self.code) == format!("{:?}", ExitCode::from(exit))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.results)
            .unwrap_or_else(|error| panic!("{error}: {}", self.results))
    }
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Workbench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: BTreeMap::new() }
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let bench = Self::new();
        for (name, text) in files {
            bench.write(name, text);
        }
        bench
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    async fn run(&self, line: &str) -> Outcome {
        let arguments: Vec<OsString> =
            ["flexcore"].into_iter().chain(line.split_whitespace()).map(OsString::from).collect();
        let (results, messages) = (Captured::default(), Captured::default());
        let mut terminal = Terminal {
            input: Box::new(Cursor::new(Vec::new())),
            output: Box::new(results.clone()),
            errors: Box::new(messages.clone()),
            output_is_terminal: false,
            errors_is_terminal: false,
        };
        let host = StorelessHost {
            environment: self.variables.clone(),
            // Messages must not depend on where temporary folders lie.
            folder: fs::canonicalize(self.folder.path()).unwrap(),
        };
        let code = match parse(&arguments, &mut terminal) {
            Ok(cli) => execute(cli, &host, terminal).await,
            Err(code) => code,
        };
        Outcome { code, results: results.text(), messages: messages.text() }
    }
}

const PIPELINE: &str = "pipeline: small\nsteps:\n  - id: load\n    sync:\n      tap: { plugin: tap-csv, config: { files: [] } }\n      target: { plugin: target-jsonl, config: { path: out } }\n";

#[tokio::test]
async fn a_starter_project_is_written_once_and_is_valid() {
    let bench = Workbench::new();
    let written = bench.run("init here --output json").await;
    assert!(written.exited_with(Exit::Completed), "{}", written.messages);
    assert!(written.json()["files"].as_array().unwrap().contains(&json!("flexcore.yaml")));
    let again = bench.run("init here").await;
    assert!(again.exited_with(Exit::Refused));
    assert!(again.messages.contains("nothing was written"), "{}", again.messages);
    let valid = bench.run("validate here/pipelines/cities.yaml").await;
    assert!(valid.exited_with(Exit::Completed), "{}", valid.messages);
    assert_eq!(valid.results, "valid  here/pipelines/cities.yaml  cities\n");
}

#[tokio::test]
async fn validate_looks_at_every_pipeline_of_the_project_and_reports_all_of_them() {
    let bench = Workbench::with(&[
        ("flexcore.yaml", "project: p\npipelines: [\"*.yaml\"]\n"),
        ("good.yaml", PIPELINE),
        ("bad.yaml", "pipeline: bad\nstepz: []\n"),
    ]);
    let outcome = bench.run("validate --output json").await;
    assert!(outcome.exited_with(Exit::InvalidFile));
    let report = outcome.json();
    assert_eq!(report["valid"], false);
    let of = |name: &str| {
        let files = report["files"].as_array().unwrap();
        files.iter().find(|file| file["file"] == name).unwrap().clone()
    };
    assert_eq!(of("good.yaml")["document"]["format"], 1);
    assert!(of("bad.yaml")["diagnostics"][0]["line"].is_u64());
    assert_eq!(outcome.messages, "");
}

#[tokio::test]
async fn a_wrong_file_is_shown_with_its_line_and_exits_as_documented() {
    let bench = Workbench::with(&[("bad.yaml", "pipeline: bad\nstepz: []\n")]);
    let text = bench.run("run bad.yaml").await;
    assert!(text.exited_with(Exit::InvalidFile));
    assert!(text.messages.contains("--> bad.yaml:2:1"), "{}", text.messages);
    assert_eq!(text.results, "");
    let json = bench.run("run bad.yaml --output json").await;
    let diagnostics: Value = serde_json::from_str(&json.messages).unwrap();
    assert_eq!(diagnostics[0]["file"], "bad.yaml");
}

#[tokio::test]
async fn a_store_in_use_refuses_a_run_and_says_for_what() {
    let bench = Workbench::with(&[("small.yaml", PIPELINE)]);
    let outcome = bench.run("run small --output json").await;
    assert!(outcome.exited_with(Exit::Refused));
    let body: ErrorBody = serde_json::from_str(&outcome.messages).unwrap();
    assert_eq!(body.code, "FC0403");
    assert!(body.message.contains("run of `small`"), "{}", body.message);
}

#[tokio::test]
async fn a_machine_on_which_nothing_can_run_is_a_fault() {
    let bench = Workbench::new();
    let looked = bench.run("doctor").await;
    assert!(looked.exited_with(Exit::Failed), "{}", looked.results);
    assert!(looked.results.contains("runs cannot succeed here"));
    let steps = "pipeline: p\nsteps:\n  - { id: a, capabilities: { network: ['tcp://db:1'] }, \
                 command: { argv: [x] } }\n";
    let bench = Workbench::with(&[("p.yaml", steps)]);
    let valid = bench.run("validate p.yaml").await;
    assert!(valid.exited_with(Exit::Completed));
    assert!(valid.messages.contains("step `a` of `p` asks for `network tcp://db:1`"));
}

#[tokio::test]
async fn lists_of_a_store_that_is_not_there_are_empty() {
    let bench = Workbench::new();
    for line in ["execution list", "pipeline list", "events read"] {
        let outcome = bench.run(&format!("{line} --output json")).await;
        assert!(outcome.exited_with(Exit::Completed), "{line}");
        assert_eq!(outcome.json()["items"], json!([]), "{line}");
    }
    for line in ["execution show", "logs", "events verify", "execution retry", "bookmark show x"] {
        let outcome = bench.run(line).await;
        assert!(outcome.exited_with(Exit::Refused), "{line}: {}", outcome.messages);
        assert!(outcome.messages.contains("there is no store"), "{line}");
    }
    assert!(!bench.folder.path().join(".flexcore").exists());
}

#[tokio::test]
async fn a_new_plugin_is_written_once_and_has_its_name() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (language, program, manifest) in
        [("rust", "src/main.rs", "Cargo.toml"), ("python", "main.py", "requirements.txt")]
    {
        let bench = Workbench::new();
        let sdk = checkout.display();
        let line = format!("plugin new titles --language {language} --sdk {sdk}");
        let made = bench.run(&line).await;
        assert!(made.exited_with(Exit::Completed), "{}", made.messages);
        let text = |name: &str| fs::read_to_string(bench.folder.path().join("titles").join(name));
        assert!(text("plugin.toml").unwrap().contains("entrypoint = [\"bin/titles\"]"));
        assert!(text(program).unwrap().contains("\"titles\""));
        // The SDK is named by a path that is there.
        assert!(text(manifest).unwrap().contains("/plugin-sdk") || language == "python");
        assert!(!text(manifest).unwrap().contains("SDK"), "{:?}", text(manifest));
        let again = bench.run(&line).await;
        assert!(again.exited_with(Exit::Refused));
        assert!(again.messages.contains("there already"), "{}", again.messages);
    }
    let bench = Workbench::new();
    let unnamed = bench.run("plugin new Titles --language rust").await;
    assert!(unnamed.exited_with(Exit::Usage), "{}", unnamed.messages);
    let nowhere = bench.run("plugin new titles --language rust").await;
    assert!(nowhere.messages.contains("--sdk FOLDER"), "{}", nowhere.messages);
    assert!(!bench.folder.path().join("titles").exists());
}

#[tokio::test]
async fn conformance_says_what_is_wrong_and_what_to_do() {
    let bench = Workbench::with(&[("plugin.toml", "")]);
    let text = bench.run("plugin conformance .").await;
    assert!(text.exited_with(Exit::Refused));
    assert_eq!(
        text.results,
        "passed   it starts\nFAILED   it ends\n         it goes on\n         and on\n         to do: \
         mend it\nit does not conform: 1 failed\n"
    );
    let json = bench.run("plugin conformance . --output json").await.json();
    assert_eq!(
        (&json["conforms"], &json["checks"][1]["outcome"]),
        (&json!(false), &json!("failed"))
    );
    let nothing = bench.run("plugin conformance elsewhere").await;
    assert!(nothing.messages.contains("no plugin.toml"), "{}", nothing.messages);
}

#[tokio::test]
async fn a_plan_needs_no_store() {
    let bench = Workbench::with(&[("small.yaml", PIPELINE)]);
    let outcome = bench.run("plan small --output json").await;
    assert!(outcome.exited_with(Exit::Completed), "{}", outcome.messages);
    let sync = &outcome.json()["steps"][0]["sync"];
    assert_eq!(sync["streams"][0]["stream"], "load");
    assert_eq!(sync["bookmark"]["state"], Value::Null);
    let offline = bench.run("plan small --offline").await;
    assert!(offline.results.contains("not known: the tap was not asked"), "{}", offline.results);
    let mermaid = bench.run("plan small --mermaid").await;
    assert_eq!(mermaid.results, "flowchart TD\n    s0[\"load<br/>sync\"]\n");
}

#[tokio::test]
async fn select_names_the_syncs_when_the_step_is_wrong() {
    let bench = Workbench::with(&[("small.yaml", PIPELINE)]);
    let right = bench.run("select small/load").await;
    assert!(right.results.contains("id"), "{}", right.results);
    let wrong = bench.run("select small/lod").await;
    assert!(wrong.exited_with(Exit::Refused));
    assert!(wrong.messages.contains("its syncs: `load`"), "{}", wrong.messages);
}

#[tokio::test]
async fn the_store_comes_from_the_flag_then_the_environment_then_the_project() {
    let mut bench = Workbench::with(&[
        ("flexcore.yaml", "project: p\n"),
        (".env", "FLEXCORE_STORE=from-file\n"),
    ]);
    let shown = async |bench: &Workbench, line: &str| bench.run(line).await.messages;
    assert!(shown(&bench, "logs").await.contains("/from-file"));
    bench.variables.insert("FLEXCORE_STORE".to_owned(), "from-variable".to_owned());
    assert!(shown(&bench, "logs").await.contains("/from-variable"));
    assert!(shown(&bench, "logs --store from-flag").await.contains("/from-flag"));
    bench.variables.insert("FLEXCORE_STORE".to_owned(), String::new());
    bench.write(".env", "");
    assert!(shown(&bench, "logs").await.contains("/.flexcore"));
    let mysql = bench.run("logs --store mysql://me:hush@db/x").await;
    assert!(mysql.exited_with(Exit::Refused));
    assert!(mysql.messages.contains("`mysql` is not supported yet"));
    assert!(!mysql.messages.contains("hush"));
}

#[tokio::test]
async fn a_database_is_named_by_flag_environment_and_project_and_its_password_is_not_shown() {
    let mut bench = Workbench::with(&[("flexcore.yaml", "store: postgres\n")]);
    let unset = bench.run("logs").await;
    assert!(unset.messages.contains("FLEXCORE_DATABASE_URL is not set"), "{}", unset.messages);
    assert!(unset.exited_with(Exit::Refused));
    let url = "postgres://me:hush@db/of-variable";
    bench.variables.insert("FLEXCORE_DATABASE_URL".to_owned(), url.to_owned());
    let of_variable = bench.run("logs").await.messages;
    assert!(of_variable.contains("postgres://me:***@db/of-variable"), "{of_variable}");
    assert!(of_variable.contains("/.flexcore"), "{of_variable}");
    assert!(!of_variable.contains("warning"), "{of_variable}");
    let of_flag = bench.run("logs --store postgresql://me:hush@db/of-flag").await.messages;
    assert!(of_flag.contains("postgresql://me:***@db/of-flag"), "{of_flag}");
    assert!(of_flag.contains("can be seen by other users"), "{of_flag}");
    bench.variables.insert("FLEXCORE_STORE".to_owned(), "folder".to_owned());
    assert!(bench.run("logs").await.messages.contains("/folder"));
    for text in [&of_variable, &of_flag] {
        assert!(!text.contains("hush"), "{text}");
    }
}

#[tokio::test]
async fn only_a_database_is_migrated() {
    let bench = Workbench::with(&[("flexcore.yaml", "project: p\n")]);
    let folder = bench.run("store migrate").await;
    assert!(folder.exited_with(Exit::Refused));
    assert!(folder.messages.contains("migrates by itself"), "{}", folder.messages);
    let line = "store migrate --app-role app --store postgres://owner@db/x --output json";
    let database = bench.run(line).await;
    assert_eq!(database.json()["to"], 1);
    assert_eq!(database.json()["app_role"], "app");
}

#[tokio::test]
async fn settings_that_nothing_works_without_cannot_be_turned_off() {
    let mut bench = Workbench::new();
    bench.variables.insert("FLEXCORE_EVENT_STORE_ENABLED".to_owned(), "false".to_owned());
    let outcome = bench.run("execution list").await;
    assert!(outcome.exited_with(Exit::Refused));
    assert!(outcome.messages.contains("FLEXCORE_EVENT_STORE_ENABLED"), "{}", outcome.messages);
}

#[tokio::test]
async fn an_unknown_environment_is_a_wrong_setting_of_the_project() {
    let bench = Workbench::with(&[
        ("flexcore.yaml", "project: p\nenvironments: { prod: {} }\n"),
        ("small.yaml", PIPELINE),
    ]);
    assert!(bench.run("plan small --offline -e prod").await.exited_with(Exit::Completed));
    let outcome = bench.run("plan small --offline -e prd").await;
    assert!(outcome.exited_with(Exit::InvalidFile));
    assert!(outcome.messages.contains("prod"), "{}", outcome.messages);
}

#[tokio::test]
async fn a_connector_ends_with_its_own_code() {
    let outcome = Workbench::new().run("plugin run tap-csv -- a b c").await;
    assert_eq!(format!("{:?}", outcome.code), format!("{:?}", ExitCode::from(3)));
    let list = Workbench::new().run("plugin list").await;
    assert!(list.results.contains("tap-csv       Reads CSV."), "{}", list.results);
}

#[tokio::test]
async fn wrong_arguments_exit_with_two() {
    let outcome = Workbench::new().run("run").await;
    assert!(outcome.exited_with(Exit::Usage));
    assert!(outcome.messages.contains("<FILE|NAME>"), "{}", outcome.messages);
}

#[tokio::test]
async fn a_bookmark_of_no_address_is_a_wrong_argument() {
    let outcome = Workbench::new().run("bookmark reset small").await;
    assert!(outcome.exited_with(Exit::Usage));
    assert!(outcome.messages.contains("PIPELINE/STEP"), "{}", outcome.messages);
}

#[tokio::test]
async fn completions_are_written_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let outcome = Workbench::new().run(&format!("completions {shell}")).await;
        assert!(outcome.results.contains("flexcore"), "{shell}");
    }
}
