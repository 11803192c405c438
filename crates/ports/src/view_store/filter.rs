//! What lists show.

use std::sync::Arc;

use flexcore_domain::{EnvironmentName, ExecutionId, PipelineId, PipelineName};
use uuid::Uuid;

use super::row::PluginRole;

/// Which pipelines a list shows, ordered by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineFilter {
    /// Only of this tenant.
    pub tenant: Arc<str>,
    /// Only these statuses; empty: all.
    pub statuses: Vec<String>,
    /// Only with this tag.
    pub tag: Option<String>,
    /// Only with this text in name or description, case-insensitive.
    pub text: Option<String>,
    /// Only of this owner.
    pub owner: Option<String>,
}

impl PipelineFilter {
    /// All of a tenant.
    pub fn of(tenant: impl Into<Arc<str>>) -> Self {
        Self { tenant: tenant.into(), statuses: vec![], tag: None, text: None, owner: None }
    }
}

/// Which executions a list shows, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// Only of this tenant.
    pub tenant: Arc<str>,
    /// Only of this pipeline.
    pub pipeline: Option<PipelineName>,
    /// Only these statuses; empty: all.
    pub statuses: Vec<String>,
    /// Only with this idempotency key.
    pub run_key: Option<String>,
    /// Only ids whose text begins so.
    pub id_prefix: Option<String>,
}

impl ExecutionFilter {
    /// All of a tenant.
    pub fn of(tenant: impl Into<Arc<str>>) -> Self {
        let tenant = tenant.into();
        Self { tenant, pipeline: None, statuses: vec![], run_key: None, id_prefix: None }
    }

    /// The smallest and the largest id whose text begins with `prefix`; `None` if no id's does.
    pub fn id_range(prefix: &str) -> Option<[Uuid; 2]> {
        if ExecutionId::PREFIX.starts_with(prefix) {
            return Some([Uuid::nil(), Uuid::max()]);
        }
        let digits = prefix.strip_prefix(ExecutionId::PREFIX)?;
        let legal = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if digits.len() > 32 || !digits.bytes().all(legal) {
            return None;
        }
        let filled = |filler: &str| {
            let text = format!("{digits}{}", filler.repeat(32 - digits.len()));
            Uuid::try_parse(&text).ok()
        };
        Some([filled("0")?, filled("f")?])
    }
}

/// Which data streams a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataStreamFilter {
    /// Only of this tenant.
    pub tenant: Arc<str>,
    /// Only of this pipeline.
    pub pipeline: Option<PipelineName>,
    /// Only of this environment.
    pub environment: Option<EnvironmentName>,
}

impl DataStreamFilter {
    /// All of a tenant.
    pub fn of(tenant: impl Into<Arc<str>>) -> Self {
        Self { tenant: tenant.into(), pipeline: None, environment: None }
    }
}

/// Which plugins a list shows, ordered by name and role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginFilter {
    /// Only of this tenant.
    pub tenant: Arc<str>,
    /// Only in this role.
    pub role: Option<PluginRole>,
}

impl PluginFilter {
    /// All of a tenant.
    pub fn of(tenant: impl Into<Arc<str>>) -> Self {
        Self { tenant: tenant.into(), role: None }
    }
}

/// Whose executions are removed when they are old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expiring {
    /// Those of every tenant, but not of these pipelines.
    AllBut(Vec<PipelineId>),
    /// Those of one pipeline.
    OfPipeline {
        /// Its tenant.
        tenant: Arc<str>,
        /// Its name.
        name: PipelineName,
        /// Its id: others may have had its name before.
        id: PipelineId,
    },
}

/// Which metrics a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetricFilter {
    /// Only these names; empty: all.
    pub names: Vec<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Its rows.
    pub items: Vec<T>,
    /// What to pass as `after` for the next page; `None` at the end.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_spans_exactly_the_ids_that_begin_with_it() {
        let id = ExecutionId(Uuid::from_u128(0x0190_abcd_0000_0000_0000_0000_0000_0001));
        for length in 0..=id.to_string().len() {
            let [low, high] = ExecutionFilter::id_range(&id.to_string()[..length]).unwrap();
            assert!((low..=high).contains(&id.0), "{length}");
        }
        let [low, high] = ExecutionFilter::id_range("ex_0190").unwrap();
        assert_eq!(low.simple().to_string(), "01900000000000000000000000000000");
        assert_eq!(high.simple().to_string(), "0190ffffffffffffffffffffffffffff");
        for wrong in ["pl_", "ex_0190ABCD", "ex_g", "0190", &format!("{id}0")] {
            assert_eq!(ExecutionFilter::id_range(wrong), None, "{wrong}");
        }
    }
}
