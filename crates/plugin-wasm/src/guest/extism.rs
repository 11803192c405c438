//! Modules of the Extism ABI: plain modules that exchange bytes with their host through a memory of
//! the host's, by the functions of `extism:host/env`.
//!
//! | here | there |
//! |---|---|
//! | a call's operation, else `execute` | the exported function that is called |
//! | input | its JSON text: the array of records, or the parameters |
//! | settings | `config_get`: a text as it is, anything else as JSON |
//! | secrets | `config_get` of `secret:NAME` |
//! | what it keeps | variables |
//! | output | an array is records of the data stream `output`, anything else the result |
//! | the export `config_schema` | the schema of its settings |
//! | the export `validate` | with the settings as input, an array of `{ "pointer", "message" }` |
//!
//! A function that returns anything but 0 failed; `error_set` says why. Functions of WASI preview 1
//! are there too.

mod functions;
mod memory;
mod requests;

use serde_json::Value;
use wasmtime::{Engine, Error, Instance, InstancePre, Linker, Module, Result, Store, Val};

use self::memory::Memory;
use super::{Call, component::not_offered, outcome::said};
use crate::task::{Answer, Description, Failure, FailureKind, Payload, Question, Task};

/// The data stream of records that a module answers.
const OUTPUT: &str = "output";
/// The function that is called when no operation is named.
const USUAL: &str = "execute";

/// What the functions of the host remember during one call.
#[derive(Debug, Default)]
pub(super) struct Host {
    memory: Memory,
    config: serde_json::Map<String, Value>,
    input: (u64, u64),
    output: (u64, u64),
    error: u64,
    http_status: u16,
    http_headers: Vec<(String, String)>,
}

/// Sees whether everything that it imports is offered.
pub(super) fn link(engine: &Engine, module: &Module) -> Result<InstancePre<Call>, Failure> {
    let mut linker = Linker::new(engine);
    let offered = wasmtime_wasi::p1::add_to_linker_async(&mut linker, Call::wasi)
        .and_then(|()| functions::add(&mut linker))
        .and_then(|()| requests::add(&mut linker));
    offered.map_err(|error| Failure::new(FailureKind::Worker, format!("{error:#}")))?;
    linker.instantiate_pre(module).map_err(|error| not_offered(&error))
}

pub(super) async fn call(
    module: &InstancePre<Call>,
    store: &mut Store<Call>,
    task: &Task,
    input: Vec<Payload>,
) -> Result<Answer> {
    let instance = module.instantiate_async(&mut *store).await?;
    let has = |store: &mut Store<Call>, name: &str| instance.get_func(store, name).is_some();
    match &task.question {
        Question::Describe => {
            let detail = module.module().name().unwrap_or_default().to_owned();
            Ok(Answer::Description(Description { name: None, version: None, detail }))
        }
        Question::Schema if !has(store, "config_schema") => Ok(Answer::Schema(None)),
        Question::Schema => {
            begin(store, task, b"")?;
            let schema = run(&instance, store, "config_schema").await?;
            Ok(Answer::Schema(Some(text(schema)?)))
        }
        Question::Validate if !has(store, "validate") => Ok(Answer::Problems(Vec::new())),
        Question::Validate => {
            begin(store, task, task.config.as_bytes())?;
            let problems = run(&instance, store, "validate").await?;
            problems_of(&problems).map(Answer::Problems)
        }
        Question::Execute(operation) => {
            let name = if operation.is_empty() { USUAL } else { operation };
            begin(store, task, &json_of(&input))?;
            let output = run(&instance, store, name).await?;
            Ok(Answer::Output(vec![payload_of(output)]))
        }
    }
}

/// Gives the module its settings and its input.
fn begin(store: &mut Store<Call>, task: &Task, input: &[u8]) -> Result<()> {
    let config = serde_json::from_str(&task.config);
    let call = store.data_mut();
    call.extism.config = config.map_err(|_| {
        said(FailureKind::Configuration, "the settings are not a JSON object; write them as one")
    })?;
    let offset = call.put(input)?;
    call.extism.input = (offset, input.len() as u64);
    Ok(())
}

async fn run(instance: &Instance, store: &mut Store<Call>, name: &str) -> Result<Vec<u8>> {
    // Modules that are libraries prepare themselves before anything else.
    for start in ["_initialize", "__wasm_call_ctors"] {
        if let Some(function) = instance.get_func(&mut *store, start) {
            function.call_async(&mut *store, &[], &mut []).await?;
            break;
        }
    }
    let Some(function) = instance.get_func(&mut *store, name) else {
        let message = format!("it has no function `{name}`; name one of its own as the operation");
        return Err(said(FailureKind::Mismatch, message));
    };
    let kind = function.ty(&*store);
    if kind.params().len() > 0 || kind.results().len() > 1 {
        let message = format!(
            "its function `{name}` takes or returns values; in the Extism ABI it takes none and returns a number"
        );
        return Err(said(FailureKind::Mismatch, message));
    }
    let mut results = vec![Val::I32(0); kind.results().len()];
    function.call_async(&mut *store, &[], &mut results).await?;
    let call = store.data_mut();
    if !matches!(results.first(), None | Some(Val::I32(0) | Val::I64(0))) || call.extism.error > 0 {
        return Err(call.failure());
    }
    let (offset, length) = call.extism.output;
    call.extism.memory.read(offset, length).map(<[u8]>::to_vec).ok_or_else(|| {
        said(FailureKind::Answer, "it says that its output is where it has no memory")
    })
}

impl Call {
    /// Puts bytes where the module can read them.
    fn put(&mut self, bytes: &[u8]) -> Result<u64> {
        let offset = self.alloc(bytes.len() as u64)?;
        self.extism.memory.write(offset, bytes);
        Ok(offset)
    }

    /// Memory of the host's for the module; it counts as the module's own.
    fn alloc(&mut self, length: u64) -> Result<u64> {
        let fits = usize::try_from(length).is_ok_and(|length| self.bound.take(length));
        if !fits {
            return Err(Error::msg("no memory is left for it"));
        }
        Ok(self.extism.memory.alloc(length))
    }

    /// The whole block at an offset, or a trap.
    fn block(&self, offset: u64) -> Result<&[u8]> {
        self.extism.memory.block(offset).ok_or_else(|| bad_offset(offset))
    }

    /// The text at an offset, or a trap.
    fn text(&self, offset: u64) -> Result<String> {
        let bytes = self.block(offset)?.to_vec();
        String::from_utf8(bytes).map_err(|_| Error::msg("a text that it hands over is not UTF-8"))
    }

    fn failure(&self) -> Error {
        let said_so = self.extism.memory.block(self.extism.error).map(String::from_utf8_lossy);
        match said_so {
            Some(text) => {
                let end = text.floor_char_boundary(4_000);
                said(FailureKind::Internal, &text[..end])
            }
            None => said(FailureKind::Internal, "it says that it failed, and not why"),
        }
    }
}

fn bad_offset(offset: u64) -> Error {
    Error::msg(format!("it hands over an address where it has no memory ({offset:#x})"))
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| said(FailureKind::Answer, "its answer is not UTF-8"))
}

fn problems_of(bytes: &[u8]) -> Result<Vec<(String, String)>> {
    let wrong = || {
        let message =
            "its `validate` does not answer an array of objects with `pointer` and `message`";
        said(FailureKind::Answer, message)
    };
    let problems: Vec<Value> = serde_json::from_slice(bytes).map_err(|_| wrong())?;
    let problem = |value: &Value| {
        let part = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        Some((part("pointer").unwrap_or_default(), part("message")?))
    };
    problems.iter().map(|value| problem(value).ok_or_else(wrong)).collect()
}

/// All input as one JSON text.
fn json_of(input: &[Payload]) -> Vec<u8> {
    let mut records = Vec::new();
    let mut is_array = false;
    for payload in input {
        match payload {
            Payload::None => {}
            Payload::Bytes(bytes) => return bytes.clone(),
            Payload::Records(part) => {
                is_array = true;
                records.extend(part.iter().map(|(_, json)| json.as_str()));
            }
        }
    }
    if is_array { format!("[{}]", records.join(",")).into_bytes() } else { Vec::new() }
}

/// An array of objects is records; anything else is for the caller to read.
fn payload_of(output: Vec<u8>) -> Payload {
    let records: Option<Vec<Value>> = serde_json::from_slice(&output).ok();
    match records {
        Some(records) if records.iter().all(Value::is_object) && !records.is_empty() => {
            let record = |value: Value| (OUTPUT.to_owned(), value.to_string());
            Payload::Records(records.into_iter().map(record).collect())
        }
        _ if output.is_empty() => Payload::None,
        _ => Payload::Bytes(output),
    }
}
