//! `flexcore plugin list|used|show`

use flexcore_api::{GetPlugin, ListActivePlugins, PluginPage, PluginView};

use crate::{
    ConnectorDescription, Exit,
    failure::Failure,
    report::PluginReport,
    session::Session,
    text::{plugin_list_text, plugin_page_text, plugin_text},
};

/// How many plugins one page of the inventory has.
const PAGE: usize = 200;

/// What comes with FlexCore is there without a store.
pub(super) async fn list(session: &Session<'_>) -> Result<Exit, Failure> {
    let mut plugins: Vec<PluginReport> = session.host.connectors().iter().map(connector).collect();
    let built_in = session.host.built_in_plugins();
    let known = registered(session).await?;
    let mut described: Vec<PluginReport> = known.iter().filter_map(report).collect();
    for plugin in built_in {
        match described.iter_mut().find(|report| report.name == plugin.name) {
            Some(report) => report.description = Some(plugin.description),
            None => described.push(PluginReport {
                name: plugin.name,
                kind: plugin.kind,
                version: Some(plugin.version),
                status: None,
                built_in: true,
                description: Some(plugin.description),
            }),
        }
    }
    plugins.extend(described);
    plugins.sort_by(|a, b| a.name.cmp(&b.name));
    session.output.result(&plugins, |plugins, style| plugin_list_text(plugins, style))?;
    Ok(Exit::Completed)
}

fn connector(connector: &ConnectorDescription) -> PluginReport {
    PluginReport {
        name: connector.name.to_owned(),
        kind: "connector".to_owned(),
        version: None,
        status: None,
        built_in: true,
        description: Some(connector.description.to_owned()),
    }
}

fn report(view: &PluginView) -> Option<PluginReport> {
    let registered = view.registered.as_ref()?;
    Some(PluginReport {
        name: view.name.clone(),
        kind: registered.kind.clone(),
        version: Some(registered.version.clone()),
        status: Some(registered.status.clone()),
        built_in: registered.built_in,
        description: None,
    })
}

/// Every registered plugin; none where there is no project or no store.
pub(super) async fn registered(session: &Session<'_>) -> Result<Vec<PluginView>, Failure> {
    let Ok(here) = session.here() else { return Ok(vec![]) };
    let reader = match session.source_if_there(&here.place).await {
        Ok(Some(reader)) => reader,
        Ok(None) => return Ok(vec![]),
        Err(failure) => {
            // What comes with FlexCore is worth showing all the same.
            session.output.warning("the store cannot be read, so registered plugins are missing");
            session.output.failure(&failure);
            return Ok(vec![]);
        }
    };
    let mut query = ListActivePlugins {
        role: Some("plugin".to_owned()),
        limit: PAGE,
        ..ListActivePlugins::default()
    };
    let mut found = Vec::new();
    loop {
        let page = session.ask(&reader, query.clone()).await?;
        found.extend(page.items);
        match page.next {
            None => return Ok(found),
            next => query.after = next,
        }
    }
}

pub(super) async fn used(session: &Session<'_>, query: ListActivePlugins) -> Result<Exit, Failure> {
    let page = match session.source_if_there(&session.here()?.place).await? {
        Some(reader) => session.ask(&reader, query).await?,
        None => PluginPage { items: vec![], next: None },
    };
    session.output.result(&page, plugin_page_text)?;
    Ok(Exit::Completed)
}

pub(super) async fn show(session: &Session<'_>, query: GetPlugin) -> Result<Exit, Failure> {
    let reader = session.source(&session.here()?.place).await?;
    let view = session.ask(&reader, query).await?;
    session.output.result(&view, plugin_text)?;
    Ok(Exit::Completed)
}
