//! Nobody gives what they do not have.

use std::collections::BTreeSet;

use flexcore_api::{is_of_the_system, permissions};
use flexcore_domain::{InvalidName, Permission, TenantName};

use crate::{RequestContext, UseCaseError, context::OPERATORS_TENANT};

/// Permissions out of the texts of a request. A permission that no request asks for is a slip of the
/// pen, and would give nothing.
pub(super) fn named(texts: &[String]) -> Result<BTreeSet<Permission>, UseCaseError> {
    texts.iter().map(|text| known(text)).collect()
}

fn known(text: &str) -> Result<Permission, UseCaseError> {
    let all = permissions();
    let parsed = text.parse::<Permission>().ok();
    let is_known =
        |one: &Permission| one.as_str() == "*" || all.iter().any(|name| one.covers(name));
    parsed.filter(is_known).ok_or_else(|| {
        let subject = text.split('.').next().unwrap_or_default();
        let near: Vec<&str> =
            all.iter().copied().filter(|name| name.starts_with(subject)).collect();
        let known = if near.is_empty() { all.into_iter().collect() } else { near };
        UseCaseError::Invalid {
            message: format!("there is no permission `{text}`"),
            hint: Some(format!("known are {}, `subject.*` and `*`", known.join(", "))),
        }
    })
}

/// The permission to act for other tenants than one's own.
const TENANTS: &str = "system.tenants";

/// The caller's context in the tenant that the request names: the own one, or for the operator
/// another.
pub(super) fn in_tenant(
    context: &RequestContext,
    named: Option<&str>,
    request: &'static str,
) -> Result<RequestContext, UseCaseError> {
    let Some(name) = named.filter(|name| **name != *context.tenant) else {
        return Ok(context.clone());
    };
    if !context.may(TENANTS) {
        let actor = context.actor.to_string();
        return Err(UseCaseError::Forbidden { actor, request, permission: TENANTS });
    }
    let tenant: TenantName =
        name.parse().map_err(|error: InvalidName| UseCaseError::invalid(error.to_string()))?;
    Ok(RequestContext { tenant: tenant.as_str().into(), ..context.clone() })
}

/// Whether the caller may hand these on.
pub(super) fn must_have<'a>(
    context: &RequestContext,
    given: impl IntoIterator<Item = &'a Permission>,
) -> Result<(), UseCaseError> {
    for permission in given {
        if &*context.tenant != OPERATORS_TENANT && is_of_the_system(permission.as_str()) {
            return Err(UseCaseError::Refused {
                message: format!("`{permission}` concerns every tenant"),
                hint: Some(format!("only the tenant `{OPERATORS_TENANT}` can grant it")),
            });
        }
        if !context.permissions.cover(permission) {
            let permission = permission.to_string();
            return Err(UseCaseError::BeyondOwn { actor: context.actor.to_string(), permission });
        }
    }
    Ok(())
}
