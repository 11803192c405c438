//! CreateApiKey, RevokeApiKey and ListApiKeys.

use std::collections::BTreeSet;

use async_trait::async_trait;
use flexcore_api::{
    ApiKeyCreated, ApiKeyPage, ApiKeyView, Command as _, CreateApiKey, ListApiKeys, Query as _,
    RevokeApiKey, Written,
};
use flexcore_domain::{
    ApiKey, ApiKeyId, RoleName,
    access::{
        api_key::{ApiKeyCommand, ApiKeyGrant},
        index::AccessIndexCommand,
    },
};
use flexcore_eventsourcing::{Hash, Timestamp};
use flexcore_pipeline_file::parse_duration;

use super::{
    authority::{in_tenant, must_have, named},
    key_text,
};
use crate::{
    HandleCommand, HandleQuery, OPERATORS_TENANT, RequestContext, Services, UseCaseError,
    format_time, parse_time, streams,
};

/// The longest name of a key, in bytes.
const MAX_NAME: usize = 200;
/// The most keys that one page has.
const MAX_PAGE: usize = 1_000;

#[async_trait]
impl HandleCommand<CreateApiKey> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: CreateApiKey,
    ) -> Result<ApiKeyCreated, UseCaseError> {
        let context = &in_tenant(context, command.tenant.as_deref(), CreateApiKey::NAME)?;
        let name = name_of(&command.name)?;
        let now = self.ports.clock.now();
        let expires_at = command.expires.as_deref().map(|text| end_of(text, now)).transpose()?;
        let permissions = named(&command.permissions)?;
        must_have(context, &permissions)?;
        let roles = self.grantable(context, &command.roles).await?;
        let (id, key, digest) = match &command.certificate {
            None => self.secret_key(&context.tenant)?,
            Some(fingerprint) => certified(context, fingerprint)?,
        };
        let grant =
            ApiKeyGrant { id, name, digest, roles, permissions, created_at: now, expires_at };
        let info = view(&ApiKey { grant: grant.clone(), is_revoked: false }, now);
        let stream = streams::api_key(&context.tenant, id);
        let create = ApiKeyCommand::Create(grant);
        let listed = AccessIndexCommand::ListKey(id);
        let position = self.change_listed::<ApiKey>(context, &stream, &create, &listed).await?;
        Ok(ApiKeyCreated { key, info, position })
    }
}

#[async_trait]
impl HandleCommand<RevokeApiKey> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: RevokeApiKey,
    ) -> Result<Written, UseCaseError> {
        let context = &in_tenant(context, command.tenant.as_deref(), RevokeApiKey::NAME)?;
        let not_found = || UseCaseError::NotFound {
            what: "API key",
            name: command.id.clone(),
            hint: Some("`flexcore key list` shows their ids".to_owned()),
        };
        let id: ApiKeyId = command.id.parse().map_err(|_| not_found())?;
        let stream = streams::api_key(&context.tenant, id);
        if self.load::<ApiKey>(&stream).await?.state.is_none() {
            return Err(not_found());
        }
        let revoke = ApiKeyCommand::Revoke { reason: command.reason.clone() };
        let position = self.change::<ApiKey>(context, &stream, &revoke).await?;
        self.access.forget();
        Ok(Written { position })
    }
}

#[async_trait]
impl HandleQuery<ListApiKeys> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: ListApiKeys,
    ) -> Result<ApiKeyPage, UseCaseError> {
        let context = &in_tenant(context, query.tenant.as_deref(), ListApiKeys::NAME)?;
        let after = query.after.as_deref().map(str::parse::<ApiKeyId>).transpose();
        let after = after.map_err(|error| UseCaseError::invalid(error.to_string()))?;
        let limit = query.limit.clamp(1, MAX_PAGE);
        let now = self.ports.clock.now();
        let index = self.access_index(&context.tenant).await?;
        let mut items: Vec<ApiKeyView> = Vec::new();
        for id in index.keys.into_iter().filter(|id| after.is_none_or(|after| *id > after)) {
            let stream = streams::api_key(&context.tenant, id);
            let Some(key) = self.load::<ApiKey>(&stream).await?.state else { continue };
            if !query.all && !key.is_valid(now) {
                continue;
            }
            if items.len() == limit {
                let next = items.last().map(|last| last.id.clone());
                return Ok(ApiKeyPage { items, next });
            }
            items.push(view(&key, now));
        }
        Ok(ApiKeyPage { items, next: None })
    }
}

impl Services {
    /// A new id and a new key with the digest of its secret.
    fn secret_key(&self, tenant: &str) -> Result<(ApiKeyId, Option<String>, Hash), UseCaseError> {
        let id = ApiKeyId(self.ports.ids.next());
        let secret = self.ports.ids.secret();
        let secret = secret.map_err(|error| UseCaseError::refused(error.to_string()))?;
        let (key, digest) = key_text::make(tenant, id, &secret);
        Ok((id, Some(key), digest))
    }

    /// The roles of these names, if the caller may give all that they allow.
    async fn grantable(
        &self,
        context: &RequestContext,
        names: &[String],
    ) -> Result<BTreeSet<RoleName>, UseCaseError> {
        let mut roles = BTreeSet::new();
        for text in names {
            let not_found = || UseCaseError::NotFound {
                what: "role",
                name: text.clone(),
                hint: Some("`flexcore role list` shows those that there are".to_owned()),
            };
            let name: RoleName = text.parse().map_err(|_| not_found())?;
            let permissions = self.role_permissions(&context.tenant, &name).await?;
            must_have(context, &permissions.ok_or_else(not_found)?)?;
            roles.insert(name);
        }
        Ok(roles)
    }
}

/// A certificate does not say whose tenant it is, so it can only be the operator's.
fn certified(
    context: &RequestContext,
    fingerprint: &str,
) -> Result<(ApiKeyId, Option<String>, Hash), UseCaseError> {
    if &*context.tenant != OPERATORS_TENANT {
        return Err(UseCaseError::Refused {
            message: format!("certificates are known in the tenant `{OPERATORS_TENANT}` only"),
            hint: Some("make a key without a certificate".to_owned()),
        });
    }
    let digest = key_text::parse_fingerprint(fingerprint).ok_or_else(|| UseCaseError::Invalid {
        message: format!("`{fingerprint}` is no SHA-256 fingerprint of a certificate"),
        hint: Some("`openssl x509 -noout -fingerprint -sha256 -in FILE` prints it".to_owned()),
    })?;
    Ok((key_text::id_of_fingerprint(&digest), None, digest))
}

fn name_of(text: &str) -> Result<String, UseCaseError> {
    let name = text.trim();
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        let message = format!("a key's name has 1 to {MAX_NAME} bytes in one line");
        return Err(UseCaseError::invalid(message));
    }
    Ok(name.to_owned())
}

/// The time that a duration or a time means.
fn end_of(text: &str, now: Timestamp) -> Result<Timestamp, UseCaseError> {
    let end = parse_duration(text).map(|after| now.saturating_add(after));
    end.or_else(|| parse_time(text)).ok_or_else(|| UseCaseError::Invalid {
        message: format!("`{text}` is neither a duration nor a time"),
        hint: Some("say 90d, 12h, or 2027-01-31T00:00:00Z".to_owned()),
    })
}

fn view(key: &ApiKey, now: Timestamp) -> ApiKeyView {
    let status = match key {
        key if key.is_revoked => "revoked",
        key if key.is_expired(now) => "expired",
        _ => "active",
    };
    ApiKeyView {
        id: key.grant.id.to_string(),
        name: key.grant.name.clone(),
        status: status.to_owned(),
        roles: key.grant.roles.iter().map(ToString::to_string).collect(),
        permissions: key.grant.permissions.iter().map(ToString::to_string).collect(),
        created_at: format_time(key.grant.created_at),
        expires_at: key.grant.expires_at.map(format_time),
    }
}
