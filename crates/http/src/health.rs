//! `/live`, `/ready` and `/health`: for load balancers, and for people.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode, header},
    response::IntoResponse,
};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde::Serialize;

use crate::Api;

/// How the process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether it takes requests: it has started, and is not about to end.
    pub ready: bool,
    /// What it stands on, part by part.
    pub checks: Vec<Check>,
}

/// How one part is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name, such as `store`.
    pub name: &'static str,
    /// Whether it does its work.
    pub healthy: bool,
    /// What is to be known of it, for a person.
    pub detail: String,
}

impl Health {
    fn word(&self) -> &'static str {
        match (self.ready, self.checks.iter().all(|check| check.healthy)) {
            (true, true) => "healthy",
            (true, false) => "degraded",
            (false, _) => "unready",
        }
    }
}

/// Looks how the process is.
#[async_trait]
pub trait HealthChecks: Send + Sync {
    /// Whether requests are taken; must be quick.
    fn is_ready(&self) -> bool;

    /// Looks at each part.
    async fn look(&self) -> Health;
}

/// Whether the process runs at all.
pub(crate) async fn live() -> &'static str {
    "live\n"
}

/// Whether requests may be sent here.
pub(crate) async fn ready(State(api): State<Arc<Api>>) -> (StatusCode, &'static str) {
    match api.health.is_ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

/// The same in JSON, without a look at anything: cheap enough for every balancer. With
/// `detail=true` what `detailed` answers.
pub(crate) async fn health(
    State(api): State<Arc<Api>>,
    request: Request,
    detailed: Router,
) -> Response<Body> {
    let wants_detail = |query: &str| query.split('&').any(|pair| pair == "detail=true");
    if request.uri().query().is_some_and(wants_detail) {
        let Ok(answer) = TowerToHyperService::new(detailed).call(request).await;
        return answer;
    }
    let (status, text) = match api.health.is_ready() {
        true => (StatusCode::OK, r#"{"status":"healthy"}"#),
        false => (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"unready"}"#),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Each part, for who may ask.
pub(crate) async fn detail(State(api): State<Arc<Api>>) -> Response<Body> {
    let health = api.health.look().await;
    let status = match health.ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = serde_json::json!({ "status": health.word(), "checks": health.checks });
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
