//! How people name executions: an id, a unique prefix of one, or `last`.

use std::sync::Arc;

use flexcore_domain::ExecutionId;
use flexcore_ports::ExecutionFilter;

use crate::{RequestContext, Services, UseCaseError, projection::View};

impl Services {
    /// The execution that a text names.
    pub(crate) async fn resolve_execution(
        &self,
        context: &RequestContext,
        text: &str,
    ) -> Result<ExecutionId, UseCaseError> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let of_tenant = || ExecutionFilter::of(Arc::clone(&context.tenant));
        self.up_to_date(View::Executions).await?;
        let not_found = |hint: &str| UseCaseError::NotFound {
            what: "execution",
            name: text.to_owned(),
            hint: Some(hint.to_owned()),
        };
        if text == "last" {
            let page = self.ports.views.list_executions(&of_tenant(), 1, None).await?;
            let newest = page.items.first().map(|row| row.id);
            return newest.ok_or_else(|| not_found("nothing was run yet in this store"));
        }
        let prefix = match text.strip_prefix(ExecutionId::PREFIX) {
            Some(_) => text.to_owned(),
            None => format!("{}{text}", ExecutionId::PREFIX),
        };
        let filter = ExecutionFilter { id_prefix: Some(prefix), ..of_tenant() };
        let page = self.ports.views.list_executions(&filter, 2, None).await?;
        match page.items.as_slice() {
            [row] => Ok(row.id),
            [] => Err(not_found("`flexcore execution list` shows their ids")),
            _ => Err(UseCaseError::invalid(format!(
                "more than one execution has an id that begins with `{text}`; give more of it"
            ))),
        }
    }
}
