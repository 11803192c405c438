//! Components of the world `flexcore:plugin/plugin`.

use wasmtime::{
    Engine, Error, Result, Store,
    component::{Component, HasSelf, Linker},
};

use self::{
    bindings::flexcore::plugin::{http, log, secrets, state, types},
    convert::{payload_in, payload_out},
};
pub(super) use bindings::PluginPre;

use super::{Call, outcome};
use crate::{
    services::{
        HttpRefusal, HttpRequest, Level, MAX_BODY, MAX_STATE, MAX_STATE_KEY, MAX_STATE_VALUE,
        SecretRefusal,
    },
    task::{Answer, Description, Failure, FailureKind, Payload, Question, Task},
};

mod convert;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../plugin-protocol/wit",
        world: "plugin",
        imports: {
            "flexcore:plugin/secrets": async,
            "flexcore:plugin/http": async,
        },
        exports: { default: async },
    });
}

/// Whether it wants anything of WASI.
pub(super) fn uses_wasi(component: &Component, engine: &Engine) -> bool {
    component.component_type().imports(engine).any(|(name, _)| name.starts_with("wasi:"))
}

/// Sees whether everything that it imports is offered, and that it is a plugin.
pub(super) fn link(engine: &Engine, component: &Component) -> Result<PluginPre<Call>, Failure> {
    let mut linker = Linker::new(engine);
    let offered = wasmtime_wasi::p2::add_to_linker_async(&mut linker).and_then(|()| {
        bindings::Plugin::add_to_linker::<_, HasSelf<Call>>(&mut linker, |call| call)
    });
    offered.map_err(|error| Failure::new(FailureKind::Worker, format!("{error:#}")))?;
    let instance = linker.instantiate_pre(component).map_err(|error| not_offered(&error))?;
    PluginPre::new(instance).map_err(|error| {
        let message = format!(
            "it is no component of the world {}: {error:#}; build it for that world",
            flexcore_plugin_protocol::WIT_WORLD
        );
        Failure::new(FailureKind::Mismatch, message)
    })
}

pub(super) fn not_offered(error: &Error) -> Failure {
    let message =
        format!("it imports something that no plugin is offered: {error:#}; build it without that");
    Failure::new(FailureKind::Import, message)
}

pub(super) async fn call(
    plugin: &PluginPre<Call>,
    store: &mut Store<Call>,
    task: &Task,
    input: Vec<Payload>,
) -> Result<Answer> {
    let plugin = plugin.instantiate_async(&mut *store).await?;
    match &task.question {
        Question::Describe => {
            let info = plugin.call_info(&mut *store).await?;
            Ok(Answer::Description(Description {
                name: Some(info.name),
                version: Some(info.version),
                detail: info.description,
            }))
        }
        Question::Schema => {
            let schema = plugin.call_config_schema(&mut *store).await?;
            Ok(Answer::Schema(Some(schema).filter(|schema| !schema.trim().is_empty())))
        }
        Question::Validate => {
            let problems = plugin.call_validate(&mut *store, &task.config).await?;
            let pairs = problems.into_iter().map(|problem| (problem.pointer, problem.message));
            Ok(Answer::Problems(pairs.collect()))
        }
        Question::Execute(operation) => {
            execute(&plugin, store, task, operation, input).await.map(Answer::Output)
        }
    }
}

async fn execute(
    plugin: &bindings::Plugin,
    store: &mut Store<Call>,
    task: &Task,
    operation: &str,
    mut input: Vec<Payload>,
) -> Result<Vec<Payload>> {
    if input.is_empty() {
        input.push(Payload::None);
    }
    let (last, mut size) = (input.len() - 1, 0);
    let mut output = Vec::with_capacity(input.len());
    for (index, part) in input.into_iter().enumerate() {
        let call = types::Call {
            execution_id: task.id.clone(),
            operation: operation.to_owned(),
            config: task.config.clone(),
            input: payload_in(part),
            last: index == last,
        };
        let answer = plugin.call_execute(&mut *store, &call).await?;
        let part = payload_out(answer.map_err(|failure| failed(&failure))?);
        size += part.size();
        if size as u64 > task.bounds.output {
            return Err(Error::new(outcome::Said(outcome::too_much(task.bounds.output))));
        }
        output.push(part);
    }
    Ok(output)
}

/// What a plugin says went wrong.
fn failed(failure: &types::Failure) -> Error {
    let kind = match failure.class {
        types::FailureClass::Configuration => FailureKind::Configuration,
        types::FailureClass::Data => FailureKind::Data,
        types::FailureClass::Network => FailureKind::Network,
        types::FailureClass::Internal => FailureKind::Internal,
    };
    let end = failure.message.floor_char_boundary(4_000);
    outcome::said(kind, &failure.message[..end])
}

impl types::Host for Call {}

impl log::Host for Call {
    fn write(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.log(level, &message);
    }
}

impl state::Host for Call {
    fn get(&mut self, key: String) -> Result<Option<String>, state::StateError> {
        Ok(self.kept.get(&key).cloned())
    }

    fn put(&mut self, key: String, value: String) -> Result<(), state::StateError> {
        let fits = (1..=MAX_STATE_KEY).contains(&key.len()) && value.len() <= MAX_STATE_VALUE;
        if fits && self.keep(key, value) { Ok(()) } else { Err(state::StateError::TooLarge) }
    }
}

impl Call {
    /// Keeps a text for the next call, if all of them are not too much.
    pub(super) fn keep(&mut self, key: String, value: String) -> bool {
        let others = self.kept.iter().filter(|(other, _)| **other != key);
        let size: usize = others.map(|(key, value)| key.len() + value.len()).sum();
        let fits = size + key.len() + value.len() <= MAX_STATE;
        if fits {
            self.kept.insert(key, value);
        }
        fits
    }
}

impl secrets::Host for Call {
    async fn get(&mut self, name: String) -> Result<String, secrets::SecretError> {
        self.services.secret(&name).await.map_err(|refusal| match refusal {
            SecretRefusal::Denied => secrets::SecretError::Denied,
            SecretRefusal::Missing => secrets::SecretError::Missing,
            SecretRefusal::Unavailable(why) => secrets::SecretError::Unavailable(why),
        })
    }
}

impl http::Host for Call {
    async fn send(&mut self, request: http::Request) -> Result<http::Response, http::HttpError> {
        if request.body.len() > MAX_BODY {
            return Err(http::HttpError::TooLarge);
        }
        let http::Request { method, url, headers, body, timeout_ms } = request;
        let sent = self.services.http(HttpRequest { method, url, headers, timeout_ms, body }).await;
        let answer = sent.map_err(|refusal| match refusal {
            HttpRefusal::Denied => http::HttpError::Denied,
            HttpRefusal::Malformed(why) => http::HttpError::Malformed(why),
            HttpRefusal::Timeout => http::HttpError::Timeout,
            HttpRefusal::TooLarge => http::HttpError::TooLarge,
            HttpRefusal::Unreachable(why) => http::HttpError::Unreachable(why),
        })?;
        Ok(http::Response { status: answer.status, headers: answer.headers, body: answer.body })
    }
}
