//! ListActivePlugins.

use async_trait::async_trait;
use flexcore_api::{ListActivePlugins, PluginPage};

use super::{role, view};
use crate::{HandleQuery, RequestContext, Services, UseCaseError, projection::View};

#[async_trait]
impl HandleQuery<ListActivePlugins> for Services {
    async fn answer(
        &self,
        _context: &RequestContext,
        query: ListActivePlugins,
    ) -> Result<PluginPage, UseCaseError> {
        let role = query.role.as_deref().map(role).transpose()?;
        self.up_to_date(View::Plugins).await?;
        let page = self.ports.views.list_plugins(role, query.limit, query.after.as_deref()).await?;
        Ok(PluginPage { items: page.items.into_iter().map(view).collect(), next: page.next })
    }
}
