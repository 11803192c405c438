//! `flexcore metrics` and `flexcore views`

use flexcore_api::{GetSystemMetrics, GetViews};

use crate::{
    Exit,
    failure::Failure,
    session::Session,
    text::{metrics_text, views_text},
};

/// What was counted.
pub(super) async fn metrics(
    session: &Session<'_>,
    query: GetSystemMetrics,
) -> Result<Exit, Failure> {
    let reader = session.source(&session.here()?.place).await?;
    let metrics = session.ask(&reader, query).await?;
    session.output.result(&metrics, metrics_text)?;
    Ok(Exit::Completed)
}

/// How far the views follow the log. A view that stopped is a fault.
pub(super) async fn views(session: &Session<'_>, query: GetViews) -> Result<Exit, Failure> {
    let reader = session.source(&session.here()?.place).await?;
    let views = session.ask(&reader, query).await?;
    session.output.result(&views, views_text)?;
    let stopped = views.items.iter().any(|view| view.stopped.is_some());
    Ok(if stopped { Exit::Failed } else { Exit::Completed })
}
