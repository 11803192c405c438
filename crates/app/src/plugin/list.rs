//! ListActivePlugins.

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_api::{ListActivePlugins, PluginPage, PluginView};
use flexcore_ports::{PluginFilter, PluginKey, PluginRole};

use super::{never_used, role, view};
use crate::{HandleQuery, RequestContext, Services, UseCaseError, projection::View};

#[async_trait]
impl HandleQuery<ListActivePlugins> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: ListActivePlugins,
    ) -> Result<PluginPage, UseCaseError> {
        let wanted = query.role.as_deref().map(role).transpose()?;
        self.up_to_date(View::Plugins).await?;
        let mut items = Vec::new();
        if query.after.is_none() && wanted.is_none_or(|role| role == PluginRole::Plugin) {
            items.extend(self.unused_built_ins(context, &query).await?);
        }
        let tenant = Arc::clone(&context.tenant);
        let filter = PluginFilter { tenant, role: wanted };
        let mut after = query.after.clone();
        // Where only some are wanted, more than one page of the view may have to be looked at.
        loop {
            let left = query.limit.saturating_sub(items.len()).max(1);
            let page = self.ports.views.list_plugins(&filter, left, after.as_deref()).await?;
            for row in page.items {
                let view = self.with_registration(context, view(row)).await?;
                items.extend(is_wanted(&query, &view).then_some(view));
            }
            after = page.next;
            if after.is_none() || items.len() >= query.limit {
                items.sort_by(|a, b| (&a.name, &a.role).cmp(&(&b.name, &b.role)));
                return Ok(PluginPage { items, next: after });
            }
        }
    }
}

impl Services {
    /// Those that come with FlexCore and that nobody has used or named yet.
    async fn unused_built_ins(
        &self,
        context: &RequestContext,
        query: &ListActivePlugins,
    ) -> Result<Vec<PluginView>, UseCaseError> {
        let Some(lifecycle) = &self.plugins else { return Ok(vec![]) };
        let mut unused = Vec::new();
        for plugin in &lifecycle.ports.built_in {
            let name = plugin.manifest.name.clone();
            let tenant = Arc::clone(&context.tenant);
            let key = PluginKey { tenant, name, role: PluginRole::Plugin };
            if self.ports.views.find_plugin(&key).await?.is_none() {
                let view = self.with_registration(context, never_used(key)).await?;
                unused.extend(is_wanted(query, &view).then_some(view));
            }
        }
        Ok(unused)
    }
}

/// What is unregistered is shown to who asks for it.
fn is_wanted(query: &ListActivePlugins, view: &PluginView) -> bool {
    let fits = |wanted: &Option<String>, is: Option<&String>| match wanted {
        None => true,
        Some(wanted) => is == Some(wanted),
    };
    let registered = view.registered.as_ref();
    let is_gone = registered.is_some_and(|one| one.status == "unregistered");
    fits(&query.status, registered.map(|one| &one.status))
        && fits(&query.kind, registered.map(|one| &one.kind))
        && (!is_gone || query.status.is_some())
}
