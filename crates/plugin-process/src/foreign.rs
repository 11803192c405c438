//! Plugins that were written for another host: they have services of their own, of which nothing is
//! known but what a call says.
//!
//! The operation of a call is the method, `package.Service/Method`; it must have one message each way.
//! Where the plugin's folder has its descriptors (`descriptors.binpb`, made with
//! `protoc --include_imports --descriptor_set_out`), the input is the message as protobuf's JSON and
//! so is the result. Where it has none, input and result are `{"base64": "…"}`, the message's bytes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use flexcore_domain::ErrorClass;
use flexcore_ports::{CallablePlugin, PluginCall, PluginOutput};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, SerializeOptions};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    error::Fault,
    execute::{Bounds, ExecutionEnd},
    grpc::{Connection, GrpcError},
};

/// The file with a plugin's descriptors.
const DESCRIPTORS: &str = "descriptors.binpb";
/// The longest such file.
const MAX_DESCRIPTORS: u64 = 16 << 20;

/// Calls one method once.
pub(crate) async fn call(
    connection: &Connection,
    (plugin, call): (&CallablePlugin, &PluginCall),
    bounds: Bounds,
    cancel: &CancellationToken,
) -> ExecutionEnd {
    let method = match method(plugin, &call.operation).await {
        Ok(method) => method,
        Err(fault) => return ExecutionEnd { outcome: Err(fault), is_over: true },
    };
    let question = match method.encode(&call.input) {
        Ok(question) => question,
        Err(fault) => return ExecutionEnd { outcome: Err(fault), is_over: true },
    };
    let answer = connection.unary_bytes(&method.path, question, bounds.message);
    let answer = tokio::select! {
        biased;
        answer = within(bounds.timeout, answer) => answer,
        () = cancel.cancelled() => Err(Fault::Cancelled),
    };
    // One that was broken off may be at work still.
    let is_over = matches!(answer, Ok(_) | Err(Fault::Failed { .. }));
    let outcome = answer.and_then(|bytes| method.decode(bytes));
    let outcome =
        outcome.map(|result| PluginOutput { result: Some(result), ..PluginOutput::default() });
    ExecutionEnd { outcome, is_over }
}

async fn within(
    timeout: Option<std::time::Duration>,
    answer: impl Future<Output = Result<Bytes, GrpcError>>,
) -> Result<Bytes, Fault> {
    let answer = match timeout {
        None => answer.await,
        Some(timeout) => {
            let what = format!("it was not done after {timeout:?}, and was broken off");
            tokio::time::timeout(timeout, answer).await.map_err(|_| Fault::TooLate { what })?
        }
    };
    answer.map_err(|error| match error {
        GrpcError::Status(status) => {
            let message = format!("it answered with an error: {status}");
            Fault::Failed { class: ErrorClass::ExitCode, message }
        }
        other => other.into(),
    })
}

/// A method, and its messages if they are known.
struct Method {
    path: String,
    descriptor: Option<MethodDescriptor>,
}

async fn method(plugin: &CallablePlugin, operation: &str) -> Result<Method, Fault> {
    let wanted = operation.trim_start_matches('/');
    let parts = wanted.split_once('/').filter(|(service, name)| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        !service.is_empty()
            && !name.is_empty()
            && service.bytes().all(|byte| plain(byte) || byte == b'.')
            && name.bytes().all(plain)
    });
    let Some((service, name)) = parts else {
        let message = format!(
            "it does not speak flexcore.plugin.v1, so the operation must name a method, such as `package.Service/Method`; it is `{operation}`"
        );
        return Err(refused(message));
    };
    let descriptor = match descriptors(plugin).await? {
        Some(pool) => Some(find(&pool, service, name)?),
        None => None,
    };
    Ok(Method { path: format!("/{service}/{name}"), descriptor })
}

fn find(pool: &DescriptorPool, service: &str, name: &str) -> Result<MethodDescriptor, Fault> {
    let found = pool.get_service_by_name(service);
    let method = found.and_then(|service| service.methods().find(|method| method.name() == name));
    let method = method
        .ok_or_else(|| refused(format!("its {DESCRIPTORS} has no method `{service}/{name}`")))?;
    if method.is_client_streaming() || method.is_server_streaming() {
        let message = format!(
            "`{service}/{name}` is a stream; of plugins with services of their own only methods with one message each way can be called"
        );
        return Err(refused(message));
    }
    Ok(method)
}

async fn descriptors(plugin: &CallablePlugin) -> Result<Option<DescriptorPool>, Fault> {
    let Some(folder) = &plugin.folder else { return Ok(None) };
    let file = folder.join(DESCRIPTORS);
    let Ok(facts) = tokio::fs::metadata(&file).await else { return Ok(None) };
    let unusable = |why: String| refused(format!("its {DESCRIPTORS} cannot be used: {why}"));
    if facts.len() > MAX_DESCRIPTORS {
        return Err(unusable(format!("it has more than {MAX_DESCRIPTORS} bytes")));
    }
    let bytes = tokio::fs::read(&file).await.map_err(|error| unusable(error.to_string()))?;
    let pool = DescriptorPool::decode(bytes.as_slice());
    pool.map(Some).map_err(|error| unusable(error.to_string()))
}

impl Method {
    fn encode(&self, input: &Value) -> Result<Bytes, Fault> {
        let Some(descriptor) = &self.descriptor else {
            let text = input.get("base64").and_then(Value::as_str).unwrap_or_default();
            let bytes = STANDARD.decode(text).map_err(|error| {
                refused(format!("`base64` of its input is no base64 ({error})"))
            })?;
            if input.get("base64").is_none() && !input.is_null() {
                let message = format!(
                    "its folder has no {DESCRIPTORS}, so the input must be {{\"base64\": \"…\"}}, the bytes of the request"
                );
                return Err(refused(message));
            }
            return Ok(bytes.into());
        };
        let empty = json!({});
        let input = if input.is_null() { &empty } else { input };
        let message = DynamicMessage::deserialize(descriptor.input(), input);
        let message = message.map_err(|error| {
            refused(format!("its input is no {}: {error}", descriptor.input().full_name()))
        })?;
        Ok(message.encode_to_vec().into())
    }

    fn decode(&self, bytes: Bytes) -> Result<Value, Fault> {
        let Some(descriptor) = &self.descriptor else {
            return Ok(json!({ "base64": STANDARD.encode(&bytes) }));
        };
        let what = |error: String| {
            Fault::protocol(format!(
                "answered with something that is no {} ({error})",
                descriptor.output().full_name()
            ))
        };
        let message = DynamicMessage::decode(descriptor.output(), bytes)
            .map_err(|error| what(error.to_string()))?;
        let options = SerializeOptions::new().skip_default_fields(false).use_proto_field_name(true);
        message
            .serialize_with_options(serde_json::value::Serializer, &options)
            .map_err(|error| what(error.to_string()))
    }
}

fn refused(message: String) -> Fault {
    Fault::Failed { class: ErrorClass::Refused, message }
}
