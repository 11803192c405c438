//! What a step asks for: `capabilities` and `limits`, as values.

use flexcore_plugin_protocol::{
    ByteSize, Capability, CapabilityKind, CapabilityRequest, LimitName, Limits, MilliCpu,
};
use serde_json::Value;
use thiserror::Error;

/// What a step's programs are to be allowed, rendered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepRequest {
    /// What they may reach.
    pub capabilities: CapabilityRequest,
    /// What they may use.
    pub limits: Limits,
}

/// Something in `capabilities` or `limits` that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{key}`: {message}{}", shown_hint(*.hint))]
pub struct RequestError {
    /// The keys that lead to it, joined by dots.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

fn shown_hint(hint: Option<&str>) -> String {
    hint.map(|hint| format!(" ({hint})")).unwrap_or_default()
}

impl RequestError {
    fn new(key: String, message: impl Into<String>) -> Self {
        Self { key, message: message.into(), hint: None }
    }
}

impl StepRequest {
    /// Reads both keys; `Null` where a step has one of them not.
    pub(crate) fn read(capabilities: &Value, limits: &Value) -> Result<Self, RequestError> {
        Ok(Self { capabilities: read_capabilities(capabilities)?, limits: read_limits(limits)? })
    }
}

fn read_capabilities(value: &Value) -> Result<CapabilityRequest, RequestError> {
    let mut request = CapabilityRequest::default();
    let mut asked = Vec::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        let Some(kind) = CapabilityKind::from_key(key).filter(|_| !value.is_null()) else {
            continue;
        };
        request.stated.insert(kind);
        match value {
            Value::Array(targets) => {
                for (index, target) in targets.iter().enumerate() {
                    asked.push(read_target(kind, index, target)?);
                }
            }
            Value::Bool(true) => {
                asked.extend(Capability::from_parts(kind, None).ok());
            }
            Value::Bool(false) => {}
            _ => {
                let message = "it is `true` or `false`";
                return Err(RequestError::new(format!("capabilities.{key}"), message));
            }
        }
    }
    request.asked = asked.into_iter().collect();
    Ok(request)
}

/// One target of a capability that has targets. A secret's name that is none is not shown: somebody
/// may have put its value there.
pub(crate) fn read_target(
    kind: CapabilityKind,
    index: usize,
    target: &Value,
) -> Result<Capability, RequestError> {
    let key = format!("capabilities.{}[{index}]", kind.key());
    let text = target.as_str().ok_or_else(|| RequestError::new(key.clone(), "it is a text"))?;
    Capability::from_parts(kind, Some(text)).map_err(|error| {
        let shown = if kind == CapabilityKind::Secrets { "" } else { text };
        let message =
            if shown.is_empty() { error.to_string() } else { format!("`{shown}`: {error}") };
        RequestError { key, message, hint: error.hint() }
    })
}

fn read_limits(value: &Value) -> Result<Limits, RequestError> {
    let mut limits = Vec::new();
    for (key, value) in
        value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null())
    {
        let Some(name) = LimitName::from_key(key) else { continue };
        limits.push((name, read_limit(name, value)?));
    }
    Ok(limits.into_iter().collect())
}

/// The value of one limit.
pub(crate) fn read_limit(name: LimitName, value: &Value) -> Result<u64, RequestError> {
    let number = || value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    let (read, expected) = match name {
        LimitName::Cpu => {
            let cpus = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
            let share = cpus.and_then(MilliCpu::from_cpus);
            let expected = "a number of processors such as `0.5`, in thousandths and at most 1024";
            (share.map(|share| share.thousandths().into()), expected)
        }
        LimitName::Pids | LimitName::Nofile => (
            number().filter(|number| (1..=u64::from(u32::MAX)).contains(number)),
            "a number from 1",
        ),
        LimitName::Swap => {
            let size = value.as_str().and_then(ByteSize::parse).map(|size| size.0);
            (size.or_else(|| number().filter(|number| *number == 0)), "a size such as `1GiB`, or 0")
        }
        _ => {
            let size = value.as_str().and_then(ByteSize::parse).map(|size| size.0);
            (size.filter(|size| *size > 0), "a size such as `256MiB`, more than nothing")
        }
    };
    read.ok_or_else(|| RequestError::new(format!("limits.{name}"), format!("it is {expected}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_become_a_request() {
        let capabilities = json!({
            "network": ["tcp://db:5432"], "fs_read": ["/data", "in"], "env": [], "exec": true,
            "gpu": false,
        });
        let limits = json!({ "memory": "512MiB", "cpu": 1.5, "pids": 8, "swap": 0 });
        let request = StepRequest::read(&capabilities, &limits).unwrap();
        let asked: Vec<String> =
            request.capabilities.asked.iter().map(ToString::to_string).collect();
        assert_eq!(asked, ["network tcp://db:5432", "fs_read in", "fs_read /data", "exec"]);
        assert!(request.capabilities.stated.contains(&CapabilityKind::Env));
        assert!(!request.capabilities.stated.contains(&CapabilityKind::FsWrite));
        let limits: Vec<_> = request.limits.iter().collect();
        let expected = [
            (LimitName::Memory, 512 << 20),
            (LimitName::Swap, 0),
            (LimitName::Cpu, 1_500),
            (LimitName::Pids, 8),
        ];
        assert_eq!(limits, expected);
        assert_eq!(StepRequest::read(&Value::Null, &Value::Null).unwrap(), StepRequest::default());
    }

    #[test]
    fn what_means_nothing_is_named() {
        let capabilities = |value| StepRequest::read(&value, &Value::Null).unwrap_err().to_string();
        let limits = |value| StepRequest::read(&Value::Null, &value).unwrap_err().to_string();
        let said = capabilities(json!({ "network": ["tcp://ok:1", "db"] }));
        assert!(said.starts_with("`capabilities.network[1]`: `db`: "), "{said}");
        let said = capabilities(json!({ "fs_read": ["../x"] }));
        assert!(said.contains("a path has no `..`"), "{said}");
        let said = capabilities(json!({ "secrets": ["hunter 2"] }));
        assert!(!said.contains("hunter"), "{said}");
        assert_eq!(
            limits(json!({ "memory": "0B" })),
            "`limits.memory`: it is a size such as `256MiB`, more than nothing"
        );
        assert!(limits(json!({ "pids": 0 })).starts_with("`limits.pids`"));
        assert!(limits(json!({ "cpu": "much" })).starts_with("`limits.cpu`"));
    }
}
