//! Every route there is, from the description itself: a new use case is tested without a line here.

use axum::{body::Body, http::Request};
use flexcore_http::openapi;
use serde_json::{Map, Value, json};

use crate::stage::{Answer, NEIGHBOUR, NOBODY, OPERATOR, Stage, asked};

/// A route of a command or query, as the description has it.
#[derive(Debug)]
struct Described {
    method: String,
    /// Below the root, with the names in braces.
    path: String,
    operation: Value,
}

/// All routes of commands and queries.
fn described(document: &Value) -> Vec<Described> {
    let paths = document["paths"].as_object().unwrap().iter();
    let routes = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| Described {
            method: method.to_ascii_uppercase(),
            path: path.strip_prefix("/api/v1/flexcore/").unwrap_or_default().to_owned(),
            operation: operation.clone(),
        })
    });
    let is_request = |route: &Described| {
        let about = route.operation["description"].as_str().unwrap_or_default();
        about.starts_with("Needs the permission")
    };
    routes.filter(is_request).collect()
}

impl Described {
    /// The path with something that exists in the place of each name, where there is something.
    fn filled(&self, execution: &str) -> String {
        let part = |part: &str| match part.trim_matches(['{', '}']) {
            name if name == part => name.to_owned(),
            "execution" => execution.to_owned(),
            "stream" => format!("default/execution/{execution}"),
            "name" | "pipeline" => "orders".to_owned(),
            _ => "one".to_owned(),
        };
        self.path.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    /// The least body that the schema allows.
    fn body(&self, document: &Value) -> Option<Value> {
        let schema = &self.operation["requestBody"]["content"]["application/json"]["schema"];
        (!schema.is_null()).then(|| least(document, schema))
    }

    /// The parameters of the query that have to be there.
    fn query(&self, document: &Value) -> String {
        let parameters = self.operation["parameters"].as_array().into_iter().flatten();
        let needed = parameters.filter(|one| one["in"] == "query" && one["required"] == true);
        let pairs = needed.map(|one| {
            let value = least(document, &one["schema"]);
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{}={text}", one["name"].as_str().unwrap())
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    async fn ask(
        &self,
        stage: &Stage,
        target: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = match token {
            Some(token) => asked(&self.method, target, token),
            None => Request::builder()
                .method(&*self.method)
                .uri(format!("/api/v1/flexcore/{target}"))
                .header("host", "localhost"),
        };
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        stage.send(request.body(body).unwrap()).await
    }
}

/// The least value that a schema allows, as far as ours go.
fn least(document: &Value, schema: &Value) -> Value {
    if let Some(pointer) = schema["$ref"].as_str() {
        return least(document, document.pointer(&pointer[1..]).expect("what is referred to"));
    }
    let several = ["anyOf", "oneOf"].into_iter().find_map(|word| schema[word].as_array());
    if let Some(one) = several.and_then(|all| all.first()) {
        return least(document, one);
    }
    if let Some(value) = schema["enum"].as_array().and_then(|all| all.first()) {
        return value.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("object") => {
            let names = schema["required"].as_array().into_iter().flatten();
            let pairs = names
                .filter_map(Value::as_str)
                .map(|name| (name.to_owned(), least(document, &schema["properties"][name])));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        Some("array") => json!([]),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(false),
        Some("string") => json!("one"),
        _ => json!({}),
    }
}

#[tokio::test]
async fn nobody_is_answered_without_a_token() {
    let stage = Stage::new().await;
    let document = openapi();
    for route in described(&document) {
        let answer = route.ask(&stage, &route.filled("last"), None, None).await;
        assert_eq!((answer.status, &*answer.code()), (401, "FC0701"), "{route:?}");
    }
}

#[tokio::test]
async fn nobody_may_do_what_was_not_allowed() {
    let stage = Stage::new().await;
    let document = openapi();
    let execution = stage.fill().await;
    for route in described(&document) {
        // Who a caller is may be asked by everybody who is known.
        if route.operation["operationId"] == "WhoAmI" {
            continue;
        }
        let target = format!("{}?{}", route.filled(&execution), route.query(&document));
        let answer = route.ask(&stage, &target, Some(NOBODY), route.body(&document).as_ref()).await;
        let told = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!((answer.status, &*answer.code()), (403, "FC0205"), "{route:?}\n{told}");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_refused() {
    let stage = Stage::new().await;
    let document = openapi();
    for route in described(&document) {
        let target = format!("{}?no-such-parameter=1", route.filled("last"));
        let answer = route.ask(&stage, &target, Some(OPERATOR), None).await;
        assert_eq!((answer.status, &*answer.code()), (400, "FC0708"), "{route:?}");
        if let Some(mut body) = route.body(&document) {
            body["no-such-field"] = json!(1);
            let answer =
                route.ask(&stage, &route.filled("last"), Some(OPERATOR), Some(&body)).await;
            assert_eq!((answer.status, &*answer.code()), (400, "FC0708"), "{route:?}");
        }
    }
}

#[tokio::test]
async fn what_is_asked_well_is_answered_as_described() {
    let stage = Stage::new().await;
    let document = openapi();
    let mut answered = 0;
    for route in described(&document) {
        let execution = stage.get("executions/last").await;
        let execution = match execution.status {
            200 => execution.json()["id"].as_str().unwrap().to_owned(),
            _ => stage.fill().await,
        };
        let target = format!("{}?{}", route.filled(&execution), route.query(&document));
        let answer =
            route.ask(&stage, &target, Some(OPERATOR), route.body(&document).as_ref()).await;
        let told = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status < 500, "{route:?}\n{told}");
        let is_documented = route.operation["responses"].get(answer.status.to_string()).is_some();
        match answer.status {
            200..300 => assert!(is_documented, "{route:?}\n{told}"),
            // Some need more than the least request, or more than there is here.
            _ => assert!(!answer.code().is_empty()),
        }
        answered += usize::from(is_documented);
    }
    assert!(answered >= 15, "only {answered} were answered");
}

#[tokio::test]
async fn another_tenant_finds_nothing() {
    let stage = Stage::new().await;
    let document = openapi();
    let execution = stage.fill().await;
    for route in described(&document) {
        let target = format!("{}?{}", route.filled(&execution), route.query(&document));
        let answer =
            route.ask(&stage, &target, Some(NEIGHBOUR), route.body(&document).as_ref()).await;
        let told = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status < 500, "{route:?}\n{told}");
        assert!(!told.contains(&format!("\"id\":\"{execution}\"")), "{route:?}\n{told}");
        let is_of_orders = answer.status == 200 && told.contains("\"orders\"");
        assert!(!is_of_orders, "{route:?}\n{told}");
    }
}
