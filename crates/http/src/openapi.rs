//! The description of the interface: OpenAPI 3.1, from the request types themselves.

mod extra;
mod schema;

use flexcore_api::{Method, Route};
use flexcore_app::RequestKind;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::{
    ROOT,
    operation::{Operation, operations},
    rest::{CONSISTENT_WITH, WAIT, can_wait, parameters},
};

/// The description of everything that the server offers.
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let all: Vec<Described> = operations()
        .into_iter()
        .filter_map(|operation| {
            let request = (operation.request)(&mut generator).to_value();
            let reply = (operation.reply)(&mut generator).to_value();
            Some(Described { route: operation.route?, operation, request, reply })
        })
        .collect();
    let mut schemas = generator.take_definitions(true);
    let mut paths: Map<String, Value> = Map::new();
    for one in &all {
        let path = shown(one.route.path);
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[one.route.method.as_str().to_ascii_lowercase()] = one.document(&schemas);
    }
    extra::add(&mut paths);
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "FlexCore",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Durable data-integration pipelines. Every request type can be sent at \
                its route or by its name. Every answer has the header X-Request-Id, which is the \
                request's where it has one.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
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

/// A path as the description has it: a field inside another goes by its own name.
fn shown(path: &str) -> String {
    let part = |part: &str| match part.strip_prefix('{').map(|name| name.trim_start_matches('*')) {
        Some(name) => format!("{{{}", last(name)),
        None => part.to_owned(),
    };
    let parts: Vec<_> = path.split('/').map(part).collect();
    format!("{ROOT}/{}", parts.join("/"))
}

/// The name of a field without those around it.
fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// A request with a route, and its schemas as they refer to the components.
struct Described {
    operation: Operation,
    route: Route,
    request: Value,
    reply: Value,
}

impl Described {
    fn document(&self, schemas: &Map<String, Value>) -> Value {
        let Self { operation, route, request, reply } = self;
        let in_path: Vec<&str> = parameters(route.path).collect();
        let has_body = matches!(route.method, Method::Post | Method::Put);
        let mut listed: Vec<Value> = in_path.iter().map(|name| self.path_parameter(name)).collect();
        if !has_body {
            let others = operation.fields.iter().filter(|(name, _)| !in_path.contains(name));
            listed.extend(others.map(|(name, leaf)| {
                parameter("query", last(name), leaf.required, schema::of_parameter(&leaf.schema))
            }));
        }
        listed.extend(self.around());
        let subject = operation.permission.split('.').next().unwrap_or_default();
        let mut described = json!({
            "operationId": operation.name,
            "summary": summary(request, schemas),
            "tags": [subject],
            "description": format!("Needs the permission `{}`.", operation.permission),
            "parameters": listed,
            "responses": responses(*route, reply),
        });
        if has_body {
            let body = schema::without(&in_path, request, schemas);
            // The fields of the path may be left out of the body, so it need not be there at all.
            let is_required = body["required"].as_array().is_some_and(|names| !names.is_empty())
                || body.get("$ref").is_some();
            described["requestBody"] = json!({
                "required": is_required,
                "content": { "application/json": { "schema": body } },
            });
        }
        described
    }

    fn path_parameter(&self, name: &str) -> Value {
        let leaf = self.operation.fields.find(name);
        let mut schema = leaf.map_or_else(
            || json!({ "type": "string" }),
            |(_, leaf)| schema::of_parameter(&leaf.schema),
        );
        if schema["type"] == "string" {
            schema["minLength"] = 1.into();
        }
        parameter("path", last(name), true, schema)
    }

    /// What can be said besides the fields of the request.
    fn around(&self) -> Vec<Value> {
        let text = || json!({ "type": "string" });
        let mut listed = Vec::new();
        if self.route.idempotency_field.is_some() {
            let key = json!({ "type": "string", "minLength": 1, "pattern": "^[!-~]+$" });
            listed.push(parameter("header", "Idempotency-Key", false, key));
        }
        if self.route.match_field.is_some() {
            let about = "The ETag of what is to be changed; nothing is changed if it is another.";
            listed.push(explained(parameter("header", "If-Match", false, text()), about));
        }
        if self.operation.kind == RequestKind::Query {
            let position = json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX });
            let about = "The answer has to know of this position of the log, such as the one that \
                         a command was answered with.";
            listed.push(explained(parameter("query", CONSISTENT_WITH, false, position), about));
            listed.push(parameter("header", "If-None-Match", false, text()));
        }
        if can_wait(&self.operation) {
            let about = "Waits so long until it has ended or, with If-None-Match, until it has \
                         changed; such as `30s`.";
            let wait = json!({ "type": "string", "pattern": "^[0-9]{1,3}(s|ms)?$" });
            listed.push(explained(parameter("query", WAIT, false, wait), about));
        }
        listed
    }
}

/// A parameter of a request.
fn parameter(place: &str, name: &str, is_required: bool, schema: Value) -> Value {
    let mut parameter = json!({ "name": name, "in": place, "required": is_required });
    parameter["schema"] = schema;
    parameter
}

fn explained(mut parameter: Value, about: &str) -> Value {
    parameter["description"] = about.into();
    parameter
}

/// The first sentence of what the request type says of itself.
fn summary(request: &Value, schemas: &Map<String, Value>) -> String {
    let about = schema::resolve(request, schemas)["description"].as_str().unwrap_or_default();
    let end = about.find(". ").map_or(about.len(), |end| end + 1);
    about[..end].replace('\n', " ")
}

fn responses(route: Route, reply: &Value) -> Value {
    let mut all = json!({ "default": refused() });
    let mut headers = json!({ "X-Request-Id": { "schema": { "type": "string" } } });
    if route.method == Method::Get {
        headers["ETag"] = json!({ "schema": { "type": "string" } });
        headers["Link"] = json!({ "schema": { "type": "string" } });
        all["304"] = json!({ "description": "The caller has it already." });
    } else {
        headers["X-Flexcore-Position"] = json!({ "schema": { "type": "integer" } });
    }
    all[route.status.to_string()] = json!({
        "description": "The reply.",
        "headers": headers,
        "content": { "application/json": { "schema": reply } },
    });
    all
}

/// Every answer that is an error.
fn refused() -> Value {
    json!({
        "description": "What was wrong, with a stable code.",
        "content": {
            "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } },
        },
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "An error (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "code": { "type": "string", "description": "Stable; each has a page in docs/errors." },
            "hint": { "type": "string", "description": "What to do." },
            "instance": { "type": "string", "description": "The path that was asked." },
            "request_id": { "type": "string", "description": "What logs and events name." },
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
            let path = shown(route.path);
            let method = route.method.as_str().to_ascii_lowercase();
            assert_eq!(document["paths"][&path][method]["operationId"], operation.name);
        }
    }
}
