//! API keys, and who the caller is.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Command, Query, Route, Written};

/// Makes an API key. What it allows can be no more than what its maker may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// What to call it, for example the program that is going to use it
    pub name: String,
    /// A role of whoever has it; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Something that whoever has it may do, such as pipeline.execute; may be repeated
    #[arg(long = "permission", value_name = "PERMISSION")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<String>,
    /// When it ends: after a time such as 90d, or at one (RFC 3339)
    #[arg(long, value_name = "WHEN")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Know the caller by its client certificate and not by a secret: the SHA-256 fingerprint of the
    /// certificate, as openssl prints it
    #[arg(long, value_name = "FINGERPRINT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The tenant that it is for, if that is another than the caller's; only callers of the
    /// operator's tenant may name one
    #[arg(long, value_name = "TENANT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

impl Command for CreateApiKey {
    type Reply = ApiKeyCreated;
    const NAME: &'static str = "CreateApiKey";
    const PERMISSION: &'static str = "key.create";
    const ROUTE: Option<Route> = Some(Route::post("keys").replying(201));
}

/// A new key. Its text is in this reply and nowhere else, ever.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyCreated {
    /// The key, to be sent as `Authorization: Bearer KEY`; absent if a certificate stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is known of it from now on.
    pub info: ApiKeyView,
    /// The log's position after it.
    pub position: u64,
}

/// Whoever prints a reply by accident must not print a secret.
impl std::fmt::Debug for ApiKeyCreated {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ApiKeyCreated").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Takes an API key back, for good. Requests that carry it are refused from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct RevokeApiKey {
    /// Its id, ak_…
    pub id: String,
    /// Why
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The tenant that it belongs to, if that is another than the caller's; only callers of the
    /// operator's tenant may name one
    #[arg(long, value_name = "TENANT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

impl Command for RevokeApiKey {
    type Reply = Written;
    const NAME: &'static str = "RevokeApiKey";
    const PERMISSION: &'static str = "key.revoke";
    const ROUTE: Option<Route> = Some(Route::delete("keys/{id}"));
}

/// Lists API keys, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields, default)]
pub struct ListApiKeys {
    /// Also those that were revoked or have expired
    #[arg(long)]
    pub all: bool,
    /// How many to show
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// Show what comes after this key, as the last page gave it
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The tenant that they belong to, if that is another than the caller's; only callers of the
    /// operator's tenant may name one
    #[arg(long, value_name = "TENANT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

impl Default for ListApiKeys {
    fn default() -> Self {
        Self { all: false, limit: 50, after: None, tenant: None }
    }
}

impl Query for ListApiKeys {
    type Reply = ApiKeyPage;
    const NAME: &'static str = "ListApiKeys";
    const PERMISSION: &'static str = "key.read";
    const ROUTE: Option<Route> = Some(Route::get("keys"));
}

/// A page of API keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyPage {
    /// The keys.
    pub items: Vec<ApiKeyView>,
    /// What to pass as `after` for what follows; absent at the end.
    pub next: Option<String>,
}

/// What is known of an API key; the key itself is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyView {
    /// Its id, which is also a part of the key.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Where it stands: `active`, `expired` or `revoked`.
    pub status: String,
    /// The roles of whoever has it.
    pub roles: Vec<String>,
    /// What whoever has it may do besides.
    pub permissions: Vec<String>,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// When it ends (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// Tells callers who they are and what they may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct WhoAmI {}

impl Query for WhoAmI {
    type Reply = CallerView;
    const NAME: &'static str = "WhoAmI";
    const PERMISSION: &'static str = "self.read";
    const ROUTE: Option<Route> = Some(Route::get("me"));
}

/// Who a caller is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallerView {
    /// The name that events carry.
    pub actor: String,
    /// The tenant that the caller belongs to.
    pub tenant: String,
    /// What the caller may do.
    pub permissions: Vec<String>,
}
