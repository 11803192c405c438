//! What was asked by whom, and what came of it.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Query, Route};

/// Reads the audit trail, in the order of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields, default)]
pub struct ListAudit {
    /// Only records since then: an age such as 7d, or a time (RFC 3339). Without it and without
    /// `after`: of the last day
    #[arg(long, value_name = "WHEN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only what this actor asked, for example user:ann or key:ak_…
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Only requests of this name, for example CancelExecution
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Only what ended like this: accepted, refused or denied
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Only records after this position of the log
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// How many to show
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

impl Default for ListAudit {
    fn default() -> Self {
        Self { since: None, actor: None, request: None, outcome: None, after: None, limit: 100 }
    }
}

impl Query for ListAudit {
    type Reply = AuditPage;
    const NAME: &'static str = "ListAudit";
    const PERMISSION: &'static str = "audit.read";
    const ROUTE: Option<Route> = Some(Route::get("audit"));
}

/// A page of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditPage {
    /// The records. A page may have fewer than were asked for although more follow.
    pub items: Vec<AuditRecordView>,
    /// What to pass as `after` for what follows; absent at the end of the log.
    pub next: Option<u64>,
}

/// One request, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRecordView {
    /// Where it stands in the log.
    pub position: u64,
    /// When (RFC 3339).
    pub at: String,
    /// Who asked.
    pub actor: String,
    /// What was asked: the name of a request, or `authenticate`.
    pub request: String,
    /// `accepted`, `refused` or `denied`.
    pub outcome: String,
    /// The stable code of the error, if it was not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The first event stream that it wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// How often since the record before, where many alike are counted together.
    pub times: u64,
    /// What everything that followed from it is found by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
}
