//! A plugin that fails again and again on a real store, and what the log says about it.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use flexcore_api::{EnablePlugin, ExecutePlugin};
use flexcore_artifacts::{FolderArtifacts, FolderLogs, LogOptions};
use flexcore_domain::ErrorClass;
use flexcore_plugin_protocol::{Grants, Manifest, PluginKind};
use flexcore_ports::{
    Coordinator, CoordinatorError, DiscoveredPlugin, EventStore as _, GrantsError, Ids,
    LeaseAnswer, LeaseHolder, OperatorGrants, PluginDescription, PluginSource, PluginStore,
    PluginStoreError, ReadFilter, Secrets, StoredPlugin,
};
use flexcore_secrets::{EnvSecrets, ProvidedSecrets, SecretMask};
use flexcore_store_sqlite::{OpenMode, SqliteStore};
use flexcore_testkit::ManualClock;
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{
    BuiltInPlugin, HandleCommand, PluginBounds, Ports, RequestContext, Services, UseCaseError,
};

const MANIFEST: &str = "manifest = 1\n[plugin]\nname = \"shaky\"\nversion = \"1\"\nkind = \"process\"\n\
     type = \"processor\"\nentrypoint = [\"/bin/shaky\"]\n";

/// Says a secret with its last words, each time.
#[derive(Debug)]
struct Crashing;

#[async_trait]
impl PluginHost for Crashing {
    async fn initialize(&self, _: &CallablePlugin) -> Result<PluginDescription, PluginError> {
        let detail = "started with hush-hush".into();
        Ok(PluginDescription { detail, ..PluginDescription::default() })
    }

    async fn validate(
        &self,
        _: &CallablePlugin,
        _: &Value,
    ) -> Result<Vec<ConfigProblem>, PluginError> {
        Ok(vec![])
    }

    async fn schema(
        &self,
        _: &CallablePlugin,
        _: Option<&Value>,
    ) -> Result<PluginSchema, PluginError> {
        Ok(PluginSchema::default())
    }

    async fn execute(
        &self,
        _: &CallablePlugin,
        _: PluginCall,
        _: Arc<dyn AttemptLog>,
        _: CancellationToken,
    ) -> PluginEnd {
        PluginEnd::refused(PluginError {
            class: ErrorClass::Signal,
            code: "FC0644",
            message: "it was killed while it held hush-hush".into(),
            is_fault: true,
            cancelled: false,
            stderr_tail: vec![],
        })
    }

    async fn health(&self, _: &CallablePlugin) -> Result<(), PluginError> {
        Ok(())
    }

    async fn release(&self, _: &ContentDigest) {}
}

/// Files that nobody asks for, because the plugin comes with the program, and no grants.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl PluginStore for Nothing {
    async fn install(&self, _: &PluginSource) -> Result<StoredPlugin, PluginStoreError> {
        unreachable!("nothing is installed")
    }

    async fn find(&self, _: &ContentDigest) -> Result<Option<StoredPlugin>, PluginStoreError> {
        Ok(None)
    }

    async fn find_program(&self, _: &Path) -> Result<Option<StoredPlugin>, PluginStoreError> {
        Ok(None)
    }

    async fn discover(&self, _: &Path) -> Result<Vec<DiscoveredPlugin>, PluginStoreError> {
        Ok(vec![])
    }

    async fn remove(&self, _: &ContentDigest) -> Result<(), PluginStoreError> {
        Ok(())
    }
}

#[async_trait]
impl Coordinator for Nothing {
    async fn acquire(&self, _: &str, _: Duration) -> Result<LeaseAnswer, CoordinatorError> {
        unreachable!("nothing is driven")
    }

    async fn release(&self, _: &flexcore_ports::Lease) -> Result<(), CoordinatorError> {
        Ok(())
    }

    async fn holder(&self, _: &str) -> Result<Option<LeaseHolder>, CoordinatorError> {
        Ok(None)
    }
}

impl OperatorGrants for Nothing {
    fn grants(&self) -> Result<Arc<Grants>, GrantsError> {
        Ok(Arc::default())
    }
}

/// Ids in order.
#[derive(Debug, Default)]
struct Counted(AtomicU64);

impl Ids for Counted {
    fn next(&self) -> Uuid {
        let number = u128::from(self.0.fetch_add(1, Ordering::Relaxed));
        Uuid::from_u128((0x7000_u128 << 64) | (0x8000_u128 << 48) | (number + 1))
    }

    fn secret(&self) -> Result<[u8; 32], flexcore_ports::NoRandomness> {
        unreachable!("no key is made")
    }
}

struct Stage {
    folder: TempDir,
    store: SqliteStore,
    ids: Arc<Counted>,
    context: RequestContext,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mode = OpenMode::Writer { purpose: "test".to_owned() };
        let store = SqliteStore::open(folder.path(), mode, Arc::new(ManualClock::default()));
        let context = RequestContext::local("tester");
        Self { folder, store: store.unwrap(), ids: Arc::default(), context }
    }

    /// A process with the plugin.
    fn life(&self) -> Services {
        let variables = [("SECRET_TOKEN".into(), "hush-hush".into())];
        let secrets = EnvSecrets::new("SECRET_", variables);
        let mask = Arc::new(SecretMask::default());
        let secrets: Arc<dyn Secrets> =
            Arc::new(ProvidedSecrets::new(vec![Box::new(secrets)], mask));
        let clock = Arc::new(ManualClock::default());
        let logs = self.folder.path().join("logs");
        let logs = FolderLogs::new(logs, secrets.mask(), clock.clone(), LogOptions::default());
        let ports = Ports {
            store: self.store.events(),
            verifier: Arc::new(self.store.verifier()),
            views: self.store.views(),
            rebuild: Arc::new(self.store.views_rebuilder()),
            snapshots: Arc::new(self.store.snapshots()),
            clock,
            ids: Arc::clone(&self.ids) as Arc<dyn Ids>,
            logs: Arc::new(logs),
            artifacts: Arc::new(FolderArtifacts::new(self.folder.path().join("artifacts"))),
            coordinator: Arc::new(Nothing),
            secrets,
            host_environment: Arc::default(),
        };
        Services::writing(ports).with_plugins(plugins())
    }
}

fn plugins() -> PluginPorts {
    let plugin = BuiltInPlugin {
        manifest: Arc::new(Manifest::parse("plugin.toml", MANIFEST).unwrap()),
        manifest_text: MANIFEST.to_owned(),
        config_schema: None,
        folder: None,
    };
    let host: Arc<dyn PluginHost> = Arc::new(Crashing);
    PluginPorts {
        store: Arc::new(Nothing),
        hosts: [(PluginKind::Process, host)].into(),
        built_in: vec![plugin],
        grants: Arc::new(Nothing),
        project_root: "/srv".into(),
        bounds: PluginBounds::of_processors(1),
    }
}

async fn call(stage: &Stage, life: &Services) -> &'static str {
    let execute = ExecutePlugin {
        name: "shaky".into(),
        operation: String::new(),
        config: json!({}),
        input: Value::Null,
        idempotency_key: None,
    };
    let refused: UseCaseError = life.handle(&stage.context, execute).await.unwrap_err();
    assert!(!refused.to_string().contains("hush-hush"), "{refused}");
    refused.code()
}

#[tokio::test]
async fn a_plugin_in_a_crash_loop_is_put_into_quarantine_until_somebody_ends_it() {
    let stage = Stage::new();
    let life = stage.life();
    life.ports.secrets.get("TOKEN").await.unwrap();
    let mut codes = Vec::new();
    while codes.last() != Some(&error::QUARANTINED) {
        codes.push(call(&stage, &life).await);
        assert!(codes.len() < 100, "{codes:?}");
        if codes.last() == Some(&error::CIRCUIT_OPEN) {
            // As long as an open circuit stays open.
            life.plugins().unwrap().time.wait(Duration::from_secs(31)).await;
        }
    }
    assert!(codes.contains(&"FC0644"), "{codes:?}");
    let events = stage.store.events().read_all(0, 1_000, &ReadFilter::default()).await.unwrap();
    let kinds: Vec<&str> = events.iter().map(|event| &*event.event.type_name).collect();
    let quarantined = kinds.iter().filter(|kind| kind.contains("Quarantined")).count();
    assert_eq!(quarantined, 1, "{kinds:?}");
    let payloads = events.iter().map(|event| String::from_utf8_lossy(&event.event.payload));
    let texts: String = payloads.collect();
    assert!(texts.contains("it failed") && texts.contains("***"), "{texts}");
    assert!(!texts.contains("hush-hush"), "{texts}");

    // Another process reads it from the log.
    let other = stage.life();
    other.ports.secrets.get("TOKEN").await.unwrap();
    assert_eq!(call(&stage, &other).await, error::QUARANTINED);
    let enable = EnablePlugin { name: "shaky".into() };
    other.handle(&stage.context, enable).await.unwrap();
    assert_eq!(call(&stage, &other).await, "FC0644");
}
