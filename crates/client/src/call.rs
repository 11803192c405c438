//! A request as HTTP has it: from its type's route, or by its name.

use std::collections::BTreeMap;

use flexcore_api::{Command, Method, Query, Route};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

/// What needs no escape in a part of a path or a query.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A request by its fields: raw JSON, so that numbers keep their digits.
type Fields = BTreeMap<String, Box<RawValue>>;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Below the root of the interface, query included.
    pub(crate) target: String,
    /// JSON, where there is a body.
    pub(crate) body: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    /// Whether it may be sent twice.
    pub(crate) is_repeatable: bool,
}

impl Call {
    /// A command.
    ///
    /// # Errors
    /// If the command cannot be written as JSON.
    pub(crate) fn of_command<C: Command>(command: &C) -> serde_json::Result<Self> {
        let is_repeatable = command.idempotency_key().is_some();
        let call = match C::ROUTE {
            Some(route) => of_route(route, command)?,
            None => None,
        };
        let call = match call {
            Some(call) => call,
            None => by_name("commands", "command", C::NAME, command)?,
        };
        Ok(Self { is_repeatable, ..call })
    }

    /// A query.
    ///
    /// # Errors
    /// If the query cannot be written as JSON.
    pub(crate) fn of_query<Q: Query>(query: &Q) -> serde_json::Result<Self> {
        let call = match Q::ROUTE {
            Some(route) => of_route(route, query)?,
            None => None,
        };
        let call = match call {
            Some(call) => call,
            None => by_name("queries", "query", Q::NAME, query)?,
        };
        Ok(Self { is_repeatable: true, ..call })
    }
}

/// A request in an envelope, which takes whatever it holds.
fn by_name<T: Serialize>(
    path: &str,
    kind: &str,
    name: &str,
    request: &T,
) -> serde_json::Result<Call> {
    let name = serde_json::to_string(name)?;
    let body = serde_json::to_string(request)?;
    Ok(Call {
        method: Method::Post,
        target: path.to_owned(),
        body: Some(format!("{{\"{kind}\":{name},\"body\":{body}}}")),
        idempotency_key: None,
        is_repeatable: false,
    })
}

/// A request at its route; `None` if it holds what neither a path nor a query can say.
fn of_route<T: Serialize>(route: Route, request: &T) -> serde_json::Result<Option<Call>> {
    let mut fields: Fields = serde_json::from_str(&serde_json::to_string(request)?)?;
    let Some(path) = path(route.path, &mut fields) else { return Ok(None) };
    let key = route.idempotency_field.and_then(|name| text(fields.get(name)?));
    let key = key.filter(|key| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()));
    if let (Some(name), Some(_)) = (route.idempotency_field, &key) {
        fields.remove(name);
    }
    let mut call = Call {
        method: route.method,
        target: path,
        body: None,
        idempotency_key: key,
        is_repeatable: false,
    };
    match route.method {
        Method::Post | Method::Put => call.body = Some(serde_json::to_string(&fields)?),
        Method::Get | Method::Delete => {
            let mut pairs = Vec::new();
            for (name, value) in &fields {
                if add(&mut pairs, name, value).is_none() {
                    return Ok(None);
                }
            }
            if !pairs.is_empty() {
                call.target = format!("{}?{}", call.target, pairs.join("&"));
            }
        }
    }
    Ok(Some(call))
}

/// The path with its fields in place, which are taken out of the others.
fn path(template: &str, fields: &mut Fields) -> Option<String> {
    let parts = template.split('/').map(|part| {
        let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            return Some(part.to_owned());
        };
        let (name, slashes) = match name.strip_prefix('*') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let value = text(&take(fields, name)?)?;
        if slashes {
            value.split('/').map(segment).collect::<Option<Vec<_>>>().map(|all| all.join("/"))
        } else {
            segment(&value)
        }
    });
    parts.collect::<Option<Vec<_>>>().map(|parts| parts.join("/"))
}

/// One part of a path. An empty one would be another path, and dots go up.
fn segment(text: &str) -> Option<String> {
    let is_plain = !matches!(text, "" | "." | "..");
    is_plain.then(|| escaped(text))
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Takes a field out, `outer.inner` from within another.
fn take(fields: &mut Fields, name: &str) -> Option<Box<RawValue>> {
    let Some((outer, inner)) = name.split_once('.') else { return fields.remove(name) };
    let mut below: Fields = serde_json::from_str(fields.get(outer)?.get()).ok()?;
    let value = below.remove(inner)?;
    if below.is_empty() {
        fields.remove(outer);
    } else {
        fields.insert(outer.to_owned(), serde_json::value::to_raw_value(&below).ok()?);
    }
    Some(value)
}

/// What a value is as plain text.
fn text(value: &RawValue) -> Option<String> {
    match serde_json::from_str(value.get()).ok()? {
        Value::String(text) => Some(text),
        Value::Number(_) | Value::Bool(_) => Some(value.get().to_owned()),
        _ => None,
    }
}

/// Adds a field to a query; `None` if a query cannot say it.
fn add(pairs: &mut Vec<String>, name: &str, value: &RawValue) -> Option<()> {
    let mut push = |name: &str, text: &str| {
        pairs.push(format!("{}={}", escaped(name), escaped(text)));
    };
    match serde_json::from_str(value.get()).ok()? {
        Value::Null => {}
        Value::Array(items) => {
            for item in items {
                push(name, item.as_str()?);
            }
        }
        Value::Object(_) => {
            let below: Fields = serde_json::from_str(value.get()).ok()?;
            for (inner, value) in &below {
                match serde_json::from_str(value.get()).ok()? {
                    Value::Null => {}
                    Value::Array(_) | Value::Object(_) => return None,
                    _ => push(&format!("{name}.{inner}"), &text(value)?),
                }
            }
        }
        _ => push(name, &text(value)?),
    }
    Some(())
}

#[cfg(test)]
mod tests;
