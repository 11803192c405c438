//! WhoAmI.

use async_trait::async_trait;
use flexcore_api::{CallerView, WhoAmI};

use crate::{HandleQuery, Permissions, RequestContext, Services, UseCaseError};

#[async_trait]
impl HandleQuery<WhoAmI> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        _query: WhoAmI,
    ) -> Result<CallerView, UseCaseError> {
        let permissions = match &context.permissions {
            Permissions::All => vec!["*".to_owned()],
            Permissions::Only(names) => names.iter().cloned().collect(),
        };
        Ok(CallerView {
            actor: context.actor.to_string(),
            tenant: context.tenant.to_string(),
            permissions,
        })
    }
}
