//! Schemas of requests as parameters and bodies have them.

use serde_json::{Map, Value};

/// Where the components are.
const COMPONENTS: &str = "#/components/schemas/";

/// What a reference refers to.
pub(super) fn resolve<'a>(schema: &'a Value, schemas: &'a Map<String, Value>) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|pointer| pointer.strip_prefix(COMPONENTS));
    name.and_then(|name| schemas.get(name)).unwrap_or(schema)
}

/// The schema of a field as text can give it: there is no text for null.
pub(super) fn of_parameter(schema: &Value) -> Value {
    let mut schema = with_components(schema);
    if let Some(types) = schema["type"].as_array() {
        let others: Vec<Value> = types.iter().filter(|one| *one != "null").cloned().collect();
        schema["type"] = match &*others {
            [one] => one.clone(),
            _ => others.into(),
        };
    }
    if schema.get("default").is_some_and(Value::is_null)
        && let Some(schema) = schema.as_object_mut()
    {
        schema.remove("default");
    }
    schema
}

/// The same, referring to components instead of definitions of its own.
fn with_components(schema: &Value) -> Value {
    match schema {
        Value::Object(parts) => {
            let part = |(name, part): (&String, &Value)| {
                let part = match (name.as_str(), part.as_str()) {
                    ("$ref", Some(pointer)) => pointer.replace("#/$defs/", COMPONENTS).into(),
                    _ => with_components(part),
                };
                (name.clone(), part)
            };
            Value::Object(parts.iter().map(part).collect())
        }
        Value::Array(parts) => parts.iter().map(with_components).collect(),
        other => other.clone(),
    }
}

/// A request's schema without the fields that its path names: a reference where it names none.
pub(super) fn without(named: &[&str], request: &Value, schemas: &Map<String, Value>) -> Value {
    if named.is_empty() {
        return request.clone();
    }
    let mut body = resolve(request, schemas).clone();
    for name in named {
        match name.split_once('.') {
            None => remove(&mut body, name),
            Some((outer, inner)) => {
                let part = &mut body["properties"][outer];
                *part = resolve(part, schemas).clone();
                remove(part, inner);
                let is_needed = part["required"].as_array().is_some_and(|all| !all.is_empty());
                if !is_needed {
                    forget(&mut body, outer);
                }
            }
        }
    }
    body
}

/// Takes a property away.
fn remove(object: &mut Value, name: &str) {
    if let Some(properties) = object["properties"].as_object_mut() {
        properties.remove(name);
    }
    forget(object, name);
}

/// Lets a property be left out.
fn forget(object: &mut Value, name: &str) {
    if let Some(required) = object["required"].as_array_mut() {
        required.retain(|one| one != name);
    }
}
