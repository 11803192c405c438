//! Which tokens `[auth.jwt]` of a server's settings believes.

use flexcore_cli::HostError;
use flexcore_identity::{KeySource, TokenOptions};

use super::wrong;
use crate::settings::auth::JwtSettings;

pub(super) fn token_options(settings: &JwtSettings) -> Result<TokenOptions, HostError> {
    let JwtSettings { jwks_url, jwks_file, secret_file, public_key_file, .. } = settings;
    let sources = [
        jwks_url.clone().map(KeySource::Url),
        jwks_file.clone().map(KeySource::File),
        secret_file.clone().map(KeySource::Secret),
        public_key_file.clone().map(KeySource::PublicKey),
    ];
    let mut named = sources.into_iter().flatten();
    let (Some(keys), None) = (named.next(), named.next()) else {
        let text =
            "`auth.jwt` names exactly one of jwks_url, jwks_file, secret_file, public_key_file";
        return Err(wrong(&text));
    };
    let named = &settings.algorithms;
    let algorithms = match (&keys, named.is_empty()) {
        (_, false) => named.clone(),
        (KeySource::Secret(_), true) => vec!["HS256".to_owned()],
        (_, true) => vec!["RS256".to_owned(), "EdDSA".to_owned()],
    };
    let algorithms: Result<Vec<_>, _> = algorithms.iter().map(|name| name.parse()).collect();
    // Whoever trusts a provider of many servers must say which tokens are meant for this one.
    if settings.audience.is_none() && !matches!(keys, KeySource::Secret(_)) {
        return Err(wrong(&"`auth.jwt` names no `audience`: tokens for others would be taken"));
    }
    Ok(TokenOptions {
        issuer: settings.issuer.clone(),
        audience: settings.audience.iter().cloned().collect(),
        algorithms: algorithms.map_err(|error| wrong(&error))?,
        keys,
        leeway: settings.leeway,
        tenant_claim: settings.tenant_claim.clone(),
        roles_claim: settings.roles_claim.clone(),
    })
}
