//! A host with one plugin.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use flexcore_plugin_protocol::{
    Capabilities, Capability, CapabilityKind, ContentDigest, Effective, LimitName, Manifest,
    SecretName,
};
use flexcore_plugin_wasm::{WasmHost, WasmOptions};
use flexcore_ports::{
    AttemptLog, CallablePlugin, LogSource, PluginCall, PluginEnd, PluginHost as _,
};
use flexcore_sandbox::{IsolationPolicy, Jailer, JailerOptions, Launcher, LauncherOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// The launcher's and the workers' program.
const PROBE: &str = env!("CARGO_BIN_EXE_flexcore-plugin-wasm-probe");
/// How long anything may take at most that is bound to happen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Where guests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Here,
    Worker,
}

impl Place {
    pub(crate) const BOTH: [Self; 2] = [Self::Here, Self::Worker];
}

/// What a test wants of its plugin.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    pub(crate) wasm: Vec<u8>,
    pub(crate) capabilities: Vec<(CapabilityKind, Option<String>)>,
    pub(crate) limits: Vec<(LimitName, u64)>,
    pub(crate) tables: String,
}

impl Wanted {
    pub(crate) fn component(wasm: Vec<u8>) -> Self {
        Self::of("wasm-component", "guest", wasm)
    }

    pub(crate) fn module(text: &str) -> Self {
        Self::of("wasm-extism", "guest", wat::parse_str(text).unwrap())
    }

    pub(crate) fn of(kind: &'static str, name: &'static str, wasm: Vec<u8>) -> Self {
        let (capabilities, limits) = (Vec::new(), Vec::new());
        Self { kind, name, wasm, capabilities, limits, tables: String::new() }
    }

    pub(crate) fn may(mut self, kind: CapabilityKind, target: &str) -> Self {
        self.capabilities
            .push((kind, Some(target).filter(|target| !target.is_empty()).map(Into::into)));
        self
    }

    pub(crate) fn limit(mut self, name: LimitName, value: u64) -> Self {
        self.limits.push((name, value));
        self
    }
}

/// A host with one plugin.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) host: Arc<WasmHost>,
    pub(crate) plugin: CallablePlugin,
    pub(crate) log: Arc<Lines>,
}

/// The lines of a log.
#[derive(Debug, Default)]
pub(crate) struct Lines(pub(crate) Mutex<Vec<String>>);

impl AttemptLog for Lines {
    fn line(&self, _: LogSource, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

impl Bench {
    pub(crate) async fn new(place: Place, wanted: Wanted) -> Self {
        Self::with(place, wanted, |_| {}).await
    }

    pub(crate) async fn with(
        place: Place,
        wanted: Wanted,
        change: impl FnOnce(&mut WasmOptions),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plugin = plugin(folder.path().join("plugin"), place, &wanted);
        let mut options = WasmOptions::new(&folder.path().join("state"), &PathBuf::from(PROBE));
        fs::create_dir(folder.path().join("state")).unwrap();
        options.start = PATIENCE;
        options.compile.time = PATIENCE;
        if place == Place::Here {
            options.in_process.push(plugin.digest);
        }
        change(&mut options);
        let launcher = LauncherOptions {
            executable: PROBE.into(),
            lock_path: folder.path().join("launcher.lock"),
            lock_patience: Duration::ZERO,
            environment: Vec::new(),
            isolation: IsolationPolicy::Strongest,
        };
        let launcher = Launcher::start(launcher).await.unwrap();
        let jailer = Arc::new(Jailer::new(launcher, JailerOptions::default()));
        let host = Arc::new(WasmHost::new(jailer, options));
        Self { folder, host, plugin, log: Arc::default() }
    }

    /// One call with these settings and this input.
    pub(crate) async fn call(&self, config: Value, input: Value) -> PluginEnd {
        self.carry_out(call(config, input)).await
    }

    pub(crate) async fn carry_out(&self, call: PluginCall) -> PluginEnd {
        let log: Arc<dyn AttemptLog> = Arc::clone(&self.log) as Arc<dyn AttemptLog>;
        let work = self.host.execute(&self.plugin, call, log, CancellationToken::new());
        tokio::time::timeout(PATIENCE, work).await.expect("every call ends")
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.log.0.lock().unwrap().clone()
    }
}

pub(crate) fn call(config: Value, input: Value) -> PluginCall {
    PluginCall {
        id: "execution/step/1".into(),
        idempotency_key: "execution/step".into(),
        attempt: 1,
        operation: String::new(),
        config,
        input,
        state: None,
        secrets: Vec::new(),
        timeout: Some(Duration::from_mins(1)),
        trace: None,
    }
}

pub(crate) fn secret(name: &str, value: &str) -> (SecretName, String) {
    (SecretName::parse(name).unwrap(), value.to_owned())
}

fn plugin(folder: PathBuf, place: Place, wanted: &Wanted) -> CallablePlugin {
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("guest.wasm"), &wanted.wasm).unwrap();
    let isolation = if place == Place::Here { "inprocess" } else { "process" };
    let (name, kind, tables) = (wanted.name, wanted.kind, &wanted.tables);
    let fuel = if tables.contains("fuel") { "" } else { "[wasm]\n" };
    let manifest = format!(
        "manifest = 1\n[plugin]\nname = \"{name}\"\nversion = \"0.1.0\"\nkind = \"{kind}\"\ntype = \"transformer\"\n\
         entrypoint = [\"guest.wasm\"]\n{fuel}{tables}isolation = \"{isolation}\"\n"
    );
    let manifest = Manifest::parse("plugin.toml", &manifest).unwrap();
    let capability = |(kind, target): &(CapabilityKind, Option<String>)| {
        Capability::from_parts(*kind, target.as_deref()).unwrap()
    };
    let capabilities: Capabilities = wanted.capabilities.iter().map(capability).collect();
    let effective = Effective {
        capabilities,
        limits: wanted.limits.iter().copied().collect(),
        ..Effective::default()
    };
    CallablePlugin {
        manifest: Arc::new(manifest),
        digest: ContentDigest::of(&wanted.wasm),
        folder: Some(folder),
        effective,
        tenant: "default".into(),
    }
}

/// A component of the world from the text of a module's fields, with this as its `execute`.
///
/// It has a memory, an allocator, and says that it is `guest` 0.1.0. `execute` has the parameters
/// `$kind`, `$at` and `$length` of its input and returns where its answer lies: at 16 a byte (0 for
/// an answer, 1 for a failure), at 20 a byte (the kind of payload, or the failure's class), at 24 and
/// 28 where its content is.
pub(crate) fn component(fields: &str, execute: &str) -> Vec<u8> {
    let text = COMPONENT.replace("FIELDS", fields).replace("EXECUTE", execute);
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_source("plugin.wit", flexcore_plugin_protocol::PLUGIN_WIT).unwrap();
    let world = resolve.select_world(&[package], Some("plugin")).unwrap();
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding, false).unwrap();
    let mut encoder = wit_component::ComponentEncoder::default();
    encoder.validate(true).module(&module).unwrap().encode().unwrap()
}

/// Answers what it was given.
pub(crate) const ECHO: &str = "
    (i32.store8 (i32.const 16) (i32.const 0))
    (i32.store8 (i32.const 20) (local.get $kind))
    (i32.store (i32.const 24) (local.get $at))
    (i32.store (i32.const 28) (local.get $length))
    (i32.const 16)";

const COMPONENT: &str = r#"(module
  FIELDS
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 4096))
  (data (i32.const 64) "guest")
  (data (i32.const 72) "0.1.0")
  (data (i32.const 80) "{\"type\":\"object\"}")
  (data (i32.const 100) "settings are missing")
  ;; Where to put so many bytes; grows the memory as needed.
  (func $alloc (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
    (global.set $free (i32.add (local.get $at) (local.get $new)))
    (block $enough
      (br_if $enough (i32.le_u (global.get $free) (i32.shl (memory.size) (i32.const 16))))
      (br_if $enough (i32.ge_s (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $new) (i32.const 16)))) (i32.const 0)))
      unreachable)
    (local.get $at))
  (func $pair (param $at i32) (param $where i32) (param $length i32)
    (i32.store (local.get $at) (local.get $where))
    (i32.store offset=4 (local.get $at) (local.get $length)))
  (func (export "info") (result i32)
    (call $pair (i32.const 16) (i32.const 64) (i32.const 5))
    (call $pair (i32.const 24) (i32.const 72) (i32.const 5))
    (i32.store8 (i32.const 32) (i32.const 2))
    (call $pair (i32.const 36) (i32.const 64) (i32.const 5))
    (i32.const 16))
  (func (export "config-schema") (result i32)
    (call $pair (i32.const 16) (i32.const 80) (i32.const 17))
    (i32.const 16))
  (func (export "validate") (param $at i32) (param $length i32) (result i32)
    ;; `{}` lacks something; anything longer will do.
    (call $pair (i32.const 32) (i32.const 0) (i32.const 0))
    (call $pair (i32.const 40) (i32.const 100) (i32.const 20))
    (call $pair (i32.const 16) (i32.const 32) (i32.le_u (local.get $length) (i32.const 2)))
    (i32.const 16))
  (func (export "execute")
    (param $id i32) (param $id_length i32) (param $operation i32) (param $operation_length i32)
    (param $config i32) (param $config_length i32) (param $kind i32) (param $at i32) (param $length i32)
    (param $last i32) (result i32)
    EXECUTE))"#;

/// A module of the Extism ABI, with this as its `execute`. `$put` copies bytes of its memory into a
/// block of the host's.
pub(crate) fn extism(fields: &str, execute: &str) -> String {
    EXTISM.replace("FIELDS", fields).replace("EXECUTE", execute)
}

const EXTISM: &str = r#"(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "load_u8" (func $load_u8 (param i64) (result i32)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error_set (param i64)))
  FIELDS
  (memory (export "memory") 1)
  (func $put (param $at i32) (param $length i32) (result i64)
    (local $block i64) (local $done i32)
    (local.set $block (call $alloc (i64.extend_i32_u (local.get $length))))
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $done) (local.get $length)))
      (call $store_u8
        (i64.add (local.get $block) (i64.extend_i32_u (local.get $done)))
        (i32.load8_u (i32.add (local.get $at) (local.get $done))))
      (local.set $done (i32.add (local.get $done) (i32.const 1)))
      (br $next)))
    (local.get $block))
  (func (export "execute") (result i32)
    EXECUTE))"#;

/// An empty object of settings.
pub(crate) fn nothing() -> Value {
    json!({})
}
