//! What a token says of its bearer.

use serde_json::{Map, Value};

use crate::TokenOptions;

/// The longest subject, tenant or role, in bytes.
const LONGEST: usize = 256;
/// The most roles that are looked at.
const MOST_ROLES: usize = 64;

/// Who sends a token, as its issuer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCaller {
    /// The name of the caller (`sub`).
    pub subject: String,
    /// The tenant; `None` where tokens do not say.
    pub tenant: Option<String>,
    /// The roles.
    pub roles: Vec<String>,
}

/// Reads the claims that the operator named; the error says which one is of no use.
pub(crate) fn caller(
    claims: &Map<String, Value>,
    options: &TokenOptions,
) -> Result<TokenCaller, String> {
    let text = |name: &str| match find(claims, name).and_then(Value::as_str) {
        Some(text) if is_name(text) => Ok(text.to_owned()),
        _ => Err(name.to_owned()),
    };
    let subject = text("sub")?;
    let tenant = options.tenant_claim.as_deref().map(text).transpose()?;
    let roles = match find(claims, &options.roles_claim) {
        None | Some(Value::Null) => vec![],
        // As scopes are written (RFC 8693, 4.2).
        Some(Value::String(text)) => text.split(' ').map(str::to_owned).collect(),
        Some(Value::Array(values)) => {
            let one = |value: &Value| value.as_str().map(str::to_owned);
            let roles: Option<Vec<String>> = values.iter().map(one).collect();
            roles.ok_or_else(|| options.roles_claim.clone())?
        }
        Some(_) => return Err(options.roles_claim.clone()),
    };
    let roles: Vec<String> = roles.into_iter().filter(|role| is_name(role)).collect();
    if roles.len() > MOST_ROLES {
        return Err(options.roles_claim.clone());
    }
    Ok(TokenCaller { subject, tenant, roles })
}

/// A claim, or one inside another: `realm_access.roles`. A claim whose own name has dots goes first.
fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (outer, inner) = name.split_once('.')?;
    find(claims.get(outer)?.as_object()?, inner)
}

/// Names go into events and logs.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::KeySource;

    fn read(claims: Value, tenant: Option<&str>, roles: &str) -> Result<TokenCaller, String> {
        let options = TokenOptions {
            issuer: None,
            audience: vec![],
            algorithms: vec![],
            keys: KeySource::Secret("unused".into()),
            leeway: Duration::ZERO,
            tenant_claim: tenant.map(str::to_owned),
            roles_claim: roles.to_owned(),
        };
        let Value::Object(claims) = claims else { unreachable!("an object") };
        caller(&claims, &options)
    }

    #[test]
    fn tenant_and_roles_are_where_the_operator_says() {
        let claims = json!({
            "sub": "ann", "org": { "name": "acme" }, "scope": "loader viewer",
            "realm_access": { "roles": ["admin"] }, "https://x.example/t": "b",
        });
        let found = read(claims.clone(), Some("org.name"), "scope").unwrap();
        let roles = vec!["loader".to_owned(), "viewer".to_owned()];
        let expected = TokenCaller { subject: "ann".into(), tenant: Some("acme".into()), roles };
        assert_eq!(found, expected);
        let found =
            read(claims.clone(), Some("https://x.example/t"), "realm_access.roles").unwrap();
        assert_eq!((found.tenant.as_deref(), found.roles), (Some("b"), vec!["admin".to_owned()]));
        assert_eq!(read(claims, None, "none").unwrap().roles, [""; 0]);
    }

    #[test]
    fn a_token_that_does_not_say_what_it_must_is_of_no_use() {
        let wrong = [
            (json!({}), "sub"),
            (json!({ "sub": 7 }), "sub"),
            (json!({ "sub": "" }), "sub"),
            (json!({ "sub": "a\nb" }), "sub"),
            (json!({ "sub": "x".repeat(257) }), "sub"),
            (json!({ "sub": "ann" }), "tenant"),
            (json!({ "sub": "ann", "tenant": ["acme"] }), "tenant"),
            (json!({ "sub": "ann", "tenant": "a", "roles": 7 }), "roles"),
            (json!({ "sub": "ann", "tenant": "a", "roles": [7] }), "roles"),
            (json!({ "sub": "ann", "tenant": "a", "roles": vec!["r"; 65] }), "roles"),
        ];
        for (claims, name) in wrong {
            let error = read(claims.clone(), Some("tenant"), "roles").unwrap_err();
            assert_eq!(error, name, "{claims}");
        }
    }
}
