//! DefineRole, RemoveRole and ListRoles.

use async_trait::async_trait;
use flexcore_api::{DefineRole, ListRoles, RemoveRole, RoleList, RoleView, Written};
use flexcore_domain::{
    InvalidName, Role, RoleName,
    access::{
        index::AccessIndexCommand,
        role::{BUILT_IN, RoleCommand, RoleDefinition},
    },
};

use super::{
    authority::{must_have, named},
    roles::built_in,
};
use crate::{HandleCommand, HandleQuery, RequestContext, Services, UseCaseError, streams};

#[async_trait]
impl HandleCommand<DefineRole> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: DefineRole,
    ) -> Result<Written, UseCaseError> {
        let name: RoleName = command.name.parse().map_err(|error| invalid(&error))?;
        let permissions = named(&command.permissions)?;
        must_have(context, &permissions)?;
        let stream = streams::role(&context.tenant, &name);
        // Who may not give what a role has may not take it away either.
        if let Some(former) = self.load::<Role>(&stream).await?.state.and_then(|r| r.definition) {
            must_have(context, &former.permissions)?;
        }
        let definition = RoleDefinition { description: command.description, permissions };
        let listed = AccessIndexCommand::ListRole(name.clone());
        let define = RoleCommand::Define { name, definition };
        let position = self.change_listed::<Role>(context, &stream, &define, &listed).await?;
        self.access.forget();
        Ok(Written { position })
    }
}

#[async_trait]
impl HandleCommand<RemoveRole> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: RemoveRole,
    ) -> Result<Written, UseCaseError> {
        let name: RoleName = command.name.parse().map_err(|error| invalid(&error))?;
        if BUILT_IN.contains(&name.as_str()) {
            return Err(UseCaseError::refused(format!("`{name}` comes with FlexCore and stays")));
        }
        let stream = streams::role(&context.tenant, &name);
        let role = self.load::<Role>(&stream).await?.state.and_then(|role| role.definition);
        let role = role.ok_or_else(|| UseCaseError::NotFound {
            what: "role",
            name: command.name,
            hint: Some("`flexcore role list` shows those that there are".to_owned()),
        })?;
        must_have(context, &role.permissions)?;
        let position = self.change::<Role>(context, &stream, &RoleCommand::Remove).await?;
        self.access.forget();
        Ok(Written { position })
    }
}

#[async_trait]
impl HandleQuery<ListRoles> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        _query: ListRoles,
    ) -> Result<RoleList, UseCaseError> {
        let mut items: Vec<RoleView> = BUILT_IN.into_iter().filter_map(built_in_view).collect();
        for name in self.access_index(&context.tenant).await?.roles {
            let stream = streams::role(&context.tenant, &name);
            let role = self.load::<Role>(&stream).await?.state;
            let defined = role.and_then(|role| role.definition);
            items.extend(defined.map(|definition| view(&name, definition)));
        }
        Ok(RoleList { items })
    }
}

fn built_in_view(name: &'static str) -> Option<RoleView> {
    let description = match name {
        "admin" => "everything",
        "operator" => "runs what is there: run, cancel, retry, read",
        _ => "reads",
    };
    Some(RoleView {
        name: name.to_owned(),
        built_in: true,
        description: Some(description.to_owned()),
        permissions: built_in(name)?.iter().map(ToString::to_string).collect(),
    })
}

fn view(name: &RoleName, definition: RoleDefinition) -> RoleView {
    RoleView {
        name: name.to_string(),
        built_in: false,
        description: definition.description,
        permissions: definition.permissions.iter().map(ToString::to_string).collect(),
    }
}

fn invalid(error: &InvalidName) -> UseCaseError {
    UseCaseError::invalid(error.to_string())
}
