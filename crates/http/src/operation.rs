//! Every command and query that exists, as something that can be called with JSON.

use std::{pin::Pin, sync::Arc};

use flexcore_api::{Command, Query, Route};
use flexcore_app::{HandleCommand, HandleQuery, RequestContext, RequestKind, Services};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Api,
    fields::Fields,
    problem::{Fault, Problem},
};

/// The JSON of a reply, or why there is none.
type Reply = Pin<Box<dyn Future<Output = Result<Vec<u8>, Problem>> + Send>>;

/// A command or query.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) kind: RequestKind,
    pub(crate) name: &'static str,
    pub(crate) permission: &'static str,
    pub(crate) route: Option<Route>,
    pub(crate) fields: Fields,
    /// The schema of the request.
    pub(crate) request: fn(&mut SchemaGenerator) -> Schema,
    /// The schema of the reply.
    pub(crate) reply: fn(&mut SchemaGenerator) -> Schema,
    /// Carries out the request with this JSON text.
    pub(crate) call: fn(Arc<Api>, RequestContext, String) -> Reply,
}

/// All of them.
pub(crate) fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    macro_rules! add_commands {
        ($($command:ident),* $(,)?) => {
            $(all.push(of_command::<flexcore_api::$command>());)*
        };
    }
    macro_rules! add_queries {
        ($($query:ident),* $(,)?) => { $(all.push(of_query::<flexcore_api::$query>());)* };
    }
    flexcore_api::for_each_command!(add_commands);
    flexcore_api::for_each_query!(add_queries);
    all
}

fn of_command<C: Command>() -> Operation
where
    Services: HandleCommand<C>,
{
    Operation {
        kind: RequestKind::Command,
        name: C::NAME,
        permission: C::PERMISSION,
        route: C::ROUTE,
        fields: Fields::of::<C>(),
        request: schema::<C>,
        reply: schema::<C::Reply>,
        call: |api, context, text| {
            Box::pin(async move {
                let command: C = parse(C::NAME, &text)?;
                written(&api.commands.execute(&context, command).await?)
            })
        },
    }
}

fn of_query<Q: Query>() -> Operation
where
    Services: HandleQuery<Q>,
{
    Operation {
        kind: RequestKind::Query,
        name: Q::NAME,
        permission: Q::PERMISSION,
        route: Q::ROUTE,
        fields: Fields::of::<Q>(),
        request: schema::<Q>,
        reply: schema::<Q::Reply>,
        call: |api, context, text| {
            Box::pin(async move {
                let query: Q = parse(Q::NAME, &text)?;
                written(&api.queries.ask(&context, query).await?)
            })
        },
    }
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn parse<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, Problem> {
    serde_json::from_str(text)
        .map_err(|error| Fault::Malformed.because(format!("this is not a {name}: {error}")))
}

fn written<T: Serialize>(reply: &T) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(reply).map_err(|error| {
        tracing::error!(%error, "a reply cannot be written as JSON");
        Fault::Internal.because("the reply cannot be written")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_there_once_and_names_fields_of_its_request() {
        let mut seen = BTreeSet::new();
        for operation in operations() {
            let Some(route) = operation.route else { continue };
            assert!(seen.insert((route.method, shape(route.path))), "{}", route.path);
            for name in crate::rest::parameters(route.path) {
                let outer = name.split('.').next().unwrap();
                let known = operation.fields.iter().any(|(full, _)| full == name || full == outer);
                assert!(known, "{}: {name}", operation.name);
            }
            if let Some(field) = route.idempotency_field {
                assert!(operation.fields.find(field).is_some(), "{}: {field}", operation.name);
            }
        }
        assert!(seen.len() > 20);
    }

    /// A path with all its names alike.
    fn shape(path: &str) -> String {
        path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect()
    }
}
