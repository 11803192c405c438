//! A compiled guest and its calls: each in a fresh instance, with a deadline, within its bounds.

mod bound;
mod component;
mod extism;
mod outcome;
mod wasi;

use std::sync::Arc;

use flexcore_plugin_protocol::PluginKind;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wasmtime::{InstancePre, Store};

pub(crate) use self::wasi::WasiRights;
use self::{bound::Bound, component::PluginPre, extism::Host, wasi::Wasi};
use crate::{
    cache::{self, Entry},
    engine::Runtime,
    remote::RunFolder,
    services::{Level, LogBudget, Services},
    task::{Answer, Failure, FailureKind, Finish, Payload, State, Task},
};

/// What one call of a guest knows.
pub(crate) struct Call {
    bound: Bound,
    services: Arc<dyn Services>,
    log: LogBudget,
    kept: State,
    wasi: Option<Wasi>,
    extism: Host,
}

/// A guest that can be called.
pub(crate) struct Guest {
    runtime: Runtime,
    code: Code,
    rights: WasiRights,
    permits: Semaphore,
    /// Where its calls have private folders; removed with it.
    _folder: Option<RunFolder>,
}

enum Code {
    Component { plugin: PluginPre<Call>, uses_wasi: bool },
    Extism { module: InstancePre<Call>, uses_wasi: bool },
}

/// What is asked of a guest, and by whom.
pub(crate) struct Order {
    pub(crate) task: Task,
    pub(crate) input: Vec<Payload>,
    pub(crate) services: Arc<dyn Services>,
    pub(crate) cancel: CancellationToken,
}

impl Guest {
    /// Loads compiled code, and sees whether everything that it imports is offered.
    pub(crate) fn load(
        runtime: Runtime,
        kind: PluginKind,
        entry: &Entry,
        rights: WasiRights,
        calls: u32,
    ) -> Result<Self, Failure> {
        let code = if kind == PluginKind::WasmComponent {
            let component = cache::load_component(&runtime.engine, entry)?;
            let uses_wasi = component::uses_wasi(&component, &runtime.engine);
            Code::Component { plugin: component::link(&runtime.engine, &component)?, uses_wasi }
        } else {
            let module = cache::load_module(&runtime.engine, entry)?;
            let uses_wasi = module.imports().any(|import| import.module().starts_with("wasi"));
            Code::Extism { module: extism::link(&runtime.engine, &module)?, uses_wasi }
        };
        let permits = Semaphore::new(usize::try_from(calls).unwrap_or(1));
        Ok(Self { runtime, code, rights, permits, _folder: None })
    }

    /// The same, with the folder in which its calls have theirs.
    pub(crate) fn keeping(self, folder: Option<RunFolder>) -> Self {
        Self { _folder: folder, ..self }
    }

    /// Carries out one call.
    pub(crate) async fn run(&self, order: Order) -> Finish {
        let Order { task, input, services, cancel } = order;
        let time = task.bounds.time_ms.map(std::time::Duration::from_millis);
        let work = async {
            // Never closed.
            let _permit = self.permits.acquire().await;
            let _running = self.runtime.ticker.run();
            self.call(task, input, services).await
        };
        tokio::select! {
            biased;
            finish = work => finish,
            () = cancel.cancelled() => failed(FailureKind::Cancelled, "it was cancelled"),
            () = elapsed(time) => {
                failed(FailureKind::Time, format!("it gave no answer within {time:?}"))
            }
        }
    }

    async fn call(&self, task: Task, input: Vec<Payload>, services: Arc<dyn Services>) -> Finish {
        let mut store = match self.store(&task, services) {
            Ok(store) => store,
            Err(failure) => return Finish { outcome: Err(failure), state: State::new() },
        };
        let answered = match &self.code {
            Code::Component { plugin, .. } => {
                component::call(plugin, &mut store, &task, input).await
            }
            Code::Extism { module, .. } => extism::call(module, &mut store, &task, input).await,
        };
        let bounds = task.bounds;
        let mut call = store.into_data();
        if let Some(remark) = call.log.remark() {
            call.services.log(Level::Warn, &remark);
        }
        let outcome = answered.map_err(|error| outcome::explain(&error, &call.bound, &bounds));
        let outcome = outcome.and_then(|answer| within(answer, bounds.output));
        Finish { outcome, state: std::mem::take(&mut call.kept) }
    }

    fn store(&self, task: &Task, services: Arc<dyn Services>) -> Result<Store<Call>, Failure> {
        let uses_wasi = match &self.code {
            Code::Component { uses_wasi, .. } | Code::Extism { uses_wasi, .. } => *uses_wasi,
        };
        let wasi = uses_wasi.then(|| Wasi::new(&self.rights, &services)).transpose()?;
        let call = Call {
            bound: Bound::new(task.bounds.memory),
            services,
            log: LogBudget::new(),
            kept: task.state.clone(),
            wasi,
            extism: Host::default(),
        };
        let mut store = Store::new(&self.runtime.engine, call);
        store.limiter(|call| &mut call.bound);
        store.set_hostcall_fuel(outcome::most_in_one_go(&task.bounds));
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        if let Some(fuel) = task.bounds.fuel {
            let set = store.set_fuel(fuel);
            set.map_err(|error| Failure::new(FailureKind::Worker, error.to_string()))?;
        }
        Ok(store)
    }
}

impl Call {
    fn log(&mut self, level: Level, line: &str) {
        for line in line.lines() {
            if let Some(line) = self.log.admit(line) {
                self.services.log(level, line);
            }
        }
    }
}

fn failed(kind: FailureKind, message: impl Into<String>) -> Finish {
    Finish { outcome: Err(Failure::new(kind, message)), state: State::new() }
}

async fn elapsed(time: Option<std::time::Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

fn within(answer: Answer, most: u64) -> Result<Answer, Failure> {
    let size = match &answer {
        Answer::Output(payloads) => payloads.iter().map(Payload::size).sum(),
        Answer::Description(description) => description.detail.len(),
        Answer::Schema(schema) => schema.as_ref().map_or(0, String::len),
        Answer::Problems(problems) => problems.iter().map(|(at, text)| at.len() + text.len()).sum(),
    };
    if size as u64 > most {
        return Err(outcome::too_much(most));
    }
    Ok(answer)
}
