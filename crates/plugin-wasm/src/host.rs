//! The port's implementation: which guest a call belongs to, where it runs, and what its answer
//! means to the core.

mod answer;
mod guests;
mod input;

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_domain::{ControlRecord, Isolation, IsolationPlace};
use flexcore_plugin_protocol::{ContentDigest, KindDetails, LimitName};
use flexcore_ports::{
    AttemptLog, CallablePlugin, ConfigProblem, PluginCall, PluginDescription, PluginEnd,
    PluginError, PluginHost, PluginSchema,
};
use flexcore_sandbox::Jailer;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use self::guests::{Guests, Place};
use crate::{
    WasmOptions,
    broker::{Broker, Http},
    guest::Order,
    task::{Answer, Bounds, Failure, FailureKind, Finish, Payload, Question, Task},
};

/// Calls plugins that are WebAssembly.
#[derive(Debug)]
pub struct WasmHost {
    guests: Guests,
    http: Arc<Http>,
}

/// What is asked of a plugin, whichever question it is.
struct Asked {
    question: Question,
    id: String,
    config: String,
    state: crate::task::State,
    input: Vec<Payload>,
    time: Option<std::time::Duration>,
    cancel: CancellationToken,
}

impl Asked {
    fn about(question: Question, config: Option<&Value>) -> Self {
        Self {
            question,
            id: String::new(),
            config: config.map_or_else(|| "{}".to_owned(), Value::to_string),
            state: crate::task::State::new(),
            input: Vec::new(),
            time: None,
            cancel: CancellationToken::new(),
        }
    }
}

impl WasmHost {
    /// A host whose workers are started by `jailer`. It needs a runtime with I/O and time when it
    /// is used, not yet here.
    pub fn new(jailer: Arc<Jailer>, options: WasmOptions) -> Self {
        Self { guests: Guests::new(jailer, options), http: Arc::new(Http::default()) }
    }

    /// Ends every worker; no call may be made afterwards or be running.
    pub async fn close(&self) {
        self.guests.close().await;
    }

    fn broker(
        &self,
        plugin: &CallablePlugin,
        call: Option<(&mut PluginCall, Arc<dyn AttemptLog>)>,
    ) -> Arc<Broker> {
        let capabilities = plugin.effective.capabilities.clone();
        let (secrets, log) = match call {
            Some((call, log)) => (std::mem::take(&mut call.secrets), Some(log)),
            None => (Vec::new(), None),
        };
        Arc::new(Broker::new(log, secrets, capabilities, Arc::clone(&self.http)))
    }

    /// Asks a plugin, wherever it runs; what held it is known if it could be called at all.
    async fn ask(
        &self,
        plugin: &CallablePlugin,
        asked: Asked,
        broker: &Arc<Broker>,
    ) -> (Finish, Option<Isolation>) {
        let place = tokio::select! {
            biased;
            place = self.guests.place(plugin) => place,
            () = asked.cancel.cancelled() => {
                Err(Failure::new(FailureKind::Cancelled, "it was cancelled"))
            }
        };
        let place = match place {
            Ok(place) => place,
            Err(failure) => {
                return (Finish { outcome: Err(failure), state: asked.state }, None);
            }
        };
        let bounds = self.bounds(plugin, asked.time, &asked.question);
        let Asked { question, id, config, state, input, cancel, .. } = asked;
        let task = Task { question, id, config, state, bounds };
        let services = Arc::clone(broker);
        let order = Order { task, input, services, cancel };
        match &*place {
            Place::Here(guest) => (guest.run(order).await, Some(in_process(&bounds))),
            Place::Worker(worker) => {
                let isolation = worker.isolation().clone();
                (worker.call(order, Arc::clone(broker)).await, Some(isolation))
            }
        }
    }

    fn bounds(
        &self,
        plugin: &CallablePlugin,
        time: Option<std::time::Duration>,
        question: &Question,
    ) -> Bounds {
        let options = self.guests.options();
        let limits = &plugin.effective.limits;
        let fuel = match &plugin.manifest.details {
            KindDetails::Wasm(wasm) => wasm.fuel,
            _ => None,
        };
        let is_work = matches!(question, Question::Execute(_));
        let most = if is_work { limits.duration(LimitName::Execute) } else { Some(options.answer) };
        let time = time.into_iter().chain(most).min();
        Bounds {
            memory: limits.get(LimitName::Memory).unwrap_or(options.memory_bytes),
            fuel,
            output: limits.get(LimitName::OutputBytes).unwrap_or(options.output_bytes),
            time_ms: time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    async fn answer(&self, plugin: &CallablePlugin, asked: Asked) -> Result<Answer, PluginError> {
        let broker = self.broker(plugin, None);
        let (finish, _) = self.ask(plugin, asked, &broker).await;
        finish.outcome.map_err(PluginError::from)
    }
}

#[async_trait]
impl PluginHost for WasmHost {
    async fn initialize(&self, plugin: &CallablePlugin) -> Result<PluginDescription, PluginError> {
        let answer = self.answer(plugin, Asked::about(Question::Describe, None)).await?;
        Ok(answer::description(answer, &plugin.manifest)?)
    }

    async fn validate(
        &self,
        plugin: &CallablePlugin,
        config: &Value,
    ) -> Result<Vec<ConfigProblem>, PluginError> {
        let answer = self.answer(plugin, Asked::about(Question::Validate, Some(config))).await?;
        Ok(answer::problems(answer)?)
    }

    async fn schema(
        &self,
        plugin: &CallablePlugin,
        _config: Option<&Value>,
    ) -> Result<PluginSchema, PluginError> {
        let answer = self.answer(plugin, Asked::about(Question::Schema, None)).await?;
        Ok(answer::schema(answer)?)
    }

    async fn execute(
        &self,
        plugin: &CallablePlugin,
        mut call: PluginCall,
        log: Arc<dyn AttemptLog>,
        cancel: CancellationToken,
    ) -> PluginEnd {
        let broker = self.broker(plugin, Some((&mut call, log)));
        let input = match input::payloads(&call.input) {
            Ok(input) => input,
            Err(failure) => return PluginEnd::refused(failure.into()),
        };
        let state = match input::state(call.state.as_deref()) {
            Ok(state) => state,
            Err(failure) => return PluginEnd::refused(failure.into()),
        };
        let had_state = !state.is_empty();
        let asked = Asked {
            question: Question::Execute(call.operation),
            id: call.id,
            config: call.config.to_string(),
            state,
            input,
            time: call.timeout,
            cancel,
        };
        let (Finish { outcome, state }, isolation) = self.ask(plugin, asked, &broker).await;
        let outcome = outcome.and_then(|answer| answer::output(answer, &state, had_state));
        PluginEnd { outcome: outcome.map_err(PluginError::from), isolation, uses: broker.uses() }
    }

    async fn health(&self, plugin: &CallablePlugin) -> Result<(), PluginError> {
        // Whoever can say what it is can be called.
        self.answer(plugin, Asked::about(Question::Describe, None)).await.map(|_| ())
    }

    async fn release(&self, digest: &ContentDigest) {
        self.guests.release(digest);
    }
}

/// What holds WebAssembly in this process: the engine alone.
fn in_process(bounds: &Bounds) -> Isolation {
    let control = |name: &str, detail: String| ControlRecord {
        name: name.to_owned(),
        state: "enforced".to_owned(),
        required: true,
        detail,
    };
    let mut controls = vec![
        control("wasm_memory", format!("wasmtime, limit {}", bounds.memory)),
        control("wasm_stack", "wasmtime, limit 524288".to_owned()),
        control(
            "wasm_epoch",
            bounds.time_ms.map_or_else(String::new, |ms| format!("wasmtime, limit {ms} ms")),
        ),
    ];
    if let Some(fuel) = bounds.fuel {
        controls.push(control("wasm_fuel", format!("wasmtime, limit {fuel}")));
    }
    Isolation { part: String::new(), place: IsolationPlace::InProcess, controls }
}
