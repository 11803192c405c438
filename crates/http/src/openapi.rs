//! The description of the interface: OpenAPI 3.1, from the request types themselves.

use flexcore_api::{Method, Route};
use flexcore_app::RequestKind;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::{
    ROOT,
    operation::{Operation, operations},
    rest::parameters,
};

/// The description of everything that the server offers.
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let request = (operation.request)(&mut generator).to_value();
        let reply = (operation.reply)(&mut generator).to_value();
        let Some(route) = operation.route else { continue };
        let path = format!("{ROOT}/{}", route.path.replace("{*", "{"));
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        let described = describe(&operation, route, &request, reply);
        entry[route.method.as_str().to_ascii_lowercase()] = described;
    }
    add_requests_by_name(&mut paths);
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "FlexCore",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Durable data-integration pipelines. Every request type can be sent at its route or by its name.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn describe(operation: &Operation, route: Route, request: &Value, reply: Value) -> Value {
    let in_path: Vec<&str> = parameters(route.path).collect();
    let has_body = matches!(route.method, Method::Post | Method::Put);
    let mut listed: Vec<Value> =
        in_path.iter().map(|name| path_parameter(operation, name)).collect();
    if !has_body {
        let others = operation.fields.iter().filter(|(name, _)| !in_path.contains(name));
        listed.extend(others.map(|(name, leaf)| {
            let name = name.rsplit('.').next().unwrap_or(name);
            json!({ "name": name, "in": "query", "required": leaf.required, "schema": leaf.schema })
        }));
    }
    if route.idempotency_field.is_some() {
        listed.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": { "type": "string" },
        }));
    }
    let subject = operation.permission.split('.').next().unwrap_or_default();
    let mut described = json!({
        "operationId": operation.name,
        "tags": [subject],
        "description": format!("Needs the permission `{}`.", operation.permission),
        "parameters": listed,
        "responses": responses(route.status, reply),
    });
    if has_body {
        // The fields of the path may be left out of the body, so it need not be there at all.
        described["requestBody"] = json!({
            "required": false,
            "content": { "application/json": { "schema": without_path(operation, request) } },
        });
    }
    described
}

/// A reference to the request's schema, or what is left of it without the fields of the path.
fn without_path(operation: &Operation, request: &Value) -> Value {
    let named = operation.route.is_some_and(|route| parameters(route.path).next().is_some());
    if !named {
        return request.clone();
    }
    json!({ "type": "object", "description": format!("{}, without what the path names", operation.name) })
}

fn path_parameter(operation: &Operation, name: &str) -> Value {
    let leaf = operation.fields.find(name).map(|(_, leaf)| leaf.schema.clone());
    let schema = leaf.unwrap_or_else(|| json!({ "type": "string" }));
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

fn responses(status: u16, reply: Value) -> Value {
    let problem = json!({
        "description": "What was wrong, with a stable code.",
        "content": {
            "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } },
        },
    });
    let mut all = json!({ "default": problem });
    all[status.to_string()] = json!({
        "description": "The reply.",
        "content": { "application/json": { "schema": reply } },
    });
    all
}

fn add_requests_by_name(paths: &mut Map<String, Value>) {
    for (kind, path) in [(RequestKind::Command, "commands"), (RequestKind::Query, "queries")] {
        let (word, envelope) = match kind {
            RequestKind::Command => ("Sends a command by its name.", "command"),
            RequestKind::Query => ("Sends a query by its name.", "query"),
        };
        let schema = json!({
            "type": "object",
            "required": [envelope, "body"],
            "properties": { envelope: { "type": "string" }, "body": { "type": "object" } },
            "additionalProperties": false,
        });
        let operation = json!({
            "operationId": path,
            "tags": ["by name"],
            "description": word,
            "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": schema } },
            },
            "responses": responses(200, json!({})),
        });
        paths.insert(format!("{ROOT}/{path}"), json!({ "post": operation }));
    }
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "code": { "type": "string", "description": "Stable; each has a page in docs/errors." },
            "hint": { "type": "string" },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let document = openapi();
        let text = document.to_string();
        let mut count = 0;
        for part in text.split("\"$ref\":\"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
            count += 1;
        }
        assert!(count > 20);
    }

    #[test]
    fn every_request_with_a_route_is_described() {
        let document = openapi();
        for operation in operations() {
            let Some(route) = operation.route else { continue };
            let path = format!("{ROOT}/{}", route.path.replace("{*", "{"));
            let method = route.method.as_str().to_ascii_lowercase();
            assert_eq!(document["paths"][&path][method]["operationId"], operation.name);
        }
    }
}
