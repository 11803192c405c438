//! GetPlugin.

use async_trait::async_trait;
use flexcore_api::{GetPlugin, PluginView};
use flexcore_ports::{PluginKey, PluginRole};

use super::{role, view};
use crate::{HandleQuery, RequestContext, Services, UseCaseError, projection::View};

#[async_trait]
impl HandleQuery<GetPlugin> for Services {
    async fn answer(
        &self,
        _context: &RequestContext,
        query: GetPlugin,
    ) -> Result<PluginView, UseCaseError> {
        let roles = match &query.role {
            Some(text) => vec![role(text)?],
            None => vec![PluginRole::Tap, PluginRole::Target],
        };
        self.up_to_date(View::Plugins).await?;
        let mut found = Vec::new();
        for role in roles {
            let key = PluginKey { name: query.name.clone(), role };
            found.extend(self.ports.views.find_plugin(&key).await?);
        }
        match (found.pop(), found.pop()) {
            (Some(row), None) => Ok(view(row)),
            (None, _) => Err(UseCaseError::NotFound {
                what: "plugin",
                name: query.name,
                hint: Some("those that no pipeline names and no sync used are not listed".into()),
            }),
            (Some(_), Some(_)) => Err(UseCaseError::Invalid {
                message: format!("`{}` is both a tap and a target", query.name),
                hint: Some("say which with `role`".to_owned()),
            }),
        }
    }
}
