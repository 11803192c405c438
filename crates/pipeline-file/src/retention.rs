//! How long a pipeline wants its executions kept.

use std::time::Duration;

use serde_json::Value;

use crate::units::parse_duration;

/// How long a pipeline wants its executions, and what their steps wrote, kept. `None`: it does not
/// say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetentionPeriods {
    /// Executions in lists.
    pub executions: Option<Duration>,
    /// What their steps wrote: as long as the executions unless the file says otherwise.
    pub logs: Option<Duration>,
}

/// What the `retention` of a stored document says. A document that cannot be read says nothing.
pub fn retention_of(document: &Value) -> RetentionPeriods {
    let period = |key: &str| {
        let text = document.pointer(&format!("/pipeline/content/retention/{key}"))?.as_str()?;
        parse_duration(text)
    };
    let executions = period("executions");
    RetentionPeriods { executions, logs: period("logs").or(executions) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn logs_are_kept_as_long_as_executions_unless_the_file_says_otherwise() {
        let of = |retention: Value| {
            retention_of(&json!({ "pipeline": { "content": { "retention": retention } } }))
        };
        let day = Duration::from_hours(24);
        let both = RetentionPeriods { executions: Some(day * 90), logs: Some(day * 90) };
        assert_eq!(of(json!({ "executions": "90d" })), both);
        let shorter = RetentionPeriods { logs: Some(day * 30), ..both };
        assert_eq!(of(json!({ "executions": "90d", "logs": "30d" })), shorter);
        let logs = RetentionPeriods { executions: None, logs: Some(day) };
        assert_eq!(of(json!({ "logs": "24h" })), logs);
        assert_eq!(retention_of(&json!({})), RetentionPeriods::default());
    }
}
