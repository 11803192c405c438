//! GetPlugin.

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_api::{GetPlugin, PluginView};
use flexcore_ports::{PluginKey, PluginRole};

use super::{never_used, role, view};
use crate::{HandleQuery, RequestContext, Services, UseCaseError, projection::View};

#[async_trait]
impl HandleQuery<GetPlugin> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: GetPlugin,
    ) -> Result<PluginView, UseCaseError> {
        let roles = match &query.role {
            Some(text) => vec![role(text)?],
            None => vec![PluginRole::Tap, PluginRole::Target, PluginRole::Plugin],
        };
        self.up_to_date(View::Plugins).await?;
        let mut found = Vec::new();
        for role in roles {
            let tenant = Arc::clone(&context.tenant);
            let key = PluginKey { tenant, name: query.name.clone(), role };
            let row = self.ports.views.find_plugin(&key).await?.map(view);
            let row = row.or_else(|| (role == PluginRole::Plugin).then(|| never_used(key)));
            let Some(row) = row else { continue };
            let row = self.with_registration(context, row).await?;
            // A name that nothing is known of is not there.
            found.extend((role != PluginRole::Plugin || row.registered.is_some()).then_some(row));
        }
        match (found.pop(), found.pop()) {
            (Some(row), None) => Ok(row),
            (None, _) => Err(UseCaseError::NotFound {
                what: "plugin",
                name: query.name,
                hint: Some(
                    "`flexcore plugin list` shows those that are registered, come with FlexCore, \
                     are named by a pipeline or were used"
                        .into(),
                ),
            }),
            (Some(one), Some(other)) => Err(UseCaseError::Invalid {
                message: format!("`{}` is a {} and a {}", query.name, other.role, one.role),
                hint: Some("say which with `role`".to_owned()),
            }),
        }
    }
}
