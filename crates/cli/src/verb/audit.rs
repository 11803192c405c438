//! `flexcore audit`

use flexcore_api::{AuditPage, ListAudit};

use crate::{Exit, failure::Failure, session::Session, text::audit_page_text};

/// What was asked by whom, and what came of it.
pub(super) async fn list(session: &Session<'_>, query: ListAudit) -> Result<Exit, Failure> {
    let page = match session.source_if_there(&session.here()?.place).await? {
        Some(reader) => session.ask(&reader, query).await?,
        None => AuditPage { items: vec![], next: None },
    };
    session.output.result(&page, audit_page_text)?;
    Ok(Exit::Completed)
}
