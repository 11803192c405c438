//! Requests to a Vault, and what its answers mean.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{
    Client, Method, Response, StatusCode, Url,
    header::{HeaderMap, HeaderValue},
    redirect::Policy,
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    fault::Fault,
    name::Wanted,
    settings::{VaultSettingError, VaultSettings, VaultToken},
    tls::tls,
};
use crate::SecretMask;

/// What stands for itself in a part of a path (RFC 3986).
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The largest answer, in bytes. Vault's own limit for what a secret holds is 1 MiB.
const MAX_ANSWER: usize = 2 * 1024 * 1024;

/// How much of what Vault says about an error is shown, in characters.
const MAX_SAID: usize = 200;

/// The fields of a secret, as text: what is no text in Vault is its JSON.
pub(super) type Fields = BTreeMap<String, String>;

/// A Vault that can be asked.
pub(super) struct VaultClient {
    http: Client,
    url: Url,
    mount: String,
    prefix: String,
    token: VaultToken,
    mask: Arc<SecretMask>,
    patience: Duration,
}

/// How long a token lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    /// From now on; `None` for one without end.
    pub(super) left: Option<Duration>,
    pub(super) renewable: bool,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: Option<T>,
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

#[derive(Deserialize)]
struct TokenData {
    #[serde(default)]
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

/// A version of a secret; `data` is null where it was deleted.
#[derive(Deserialize)]
struct Version {
    data: Option<BTreeMap<String, Value>>,
    metadata: Option<VersionMetadata>,
}

#[derive(Deserialize)]
struct VersionMetadata {
    #[serde(default)]
    deletion_time: String,
}

#[derive(Deserialize, Default)]
struct Errors {
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    data: Option<Version>,
}

impl VaultClient {
    pub(super) fn new(
        settings: VaultSettings,
        mask: Arc<SecretMask>,
    ) -> Result<Self, VaultSettingError> {
        let url = settings.url()?;
        let part = |key, text: &str| match text.trim_matches('/') {
            path if path.is_empty() && key == "prefix" => Ok(String::new()),
            path if Wanted::parse(path).is_ok_and(|wanted| wanted.field.is_none()) => {
                Ok(path.to_owned())
            }
            _ => Err(VaultSettingError::Path { key }),
        };
        let (mount, prefix) = (part("mount", &settings.mount)?, part("prefix", &settings.prefix)?);
        let mut headers = HeaderMap::new();
        // Vault's guard against requests that somebody was talked into.
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        if let Some(namespace) = &settings.namespace {
            let value = HeaderValue::from_str(namespace);
            let value = value.map_err(|_| VaultSettingError::Namespace)?;
            headers.insert("x-vault-namespace", value);
        }
        let http = Client::builder()
            .tls_backend_preconfigured(tls(settings.ca.as_deref())?)
            // The token goes to this address and to no other, whatever answers there.
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .http1_only()
            .default_headers(headers)
            .timeout(settings.patience)
            .user_agent(concat!("flexcore/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| VaultSettingError::Tls { reason: error.to_string() })?;
        let VaultSettings { token, patience, .. } = settings;
        Ok(Self { http, url, mount, prefix, token, mask, patience })
    }

    /// Where a secret is, for messages.
    pub(super) fn shown(&self, path: &str) -> String {
        let parts = [self.mount.as_str(), &self.prefix, path];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        format!("{}{}", self.url, parts.join("/"))
    }

    /// Whether the token may be another one at the next request.
    pub(super) fn reads_token_anew(&self) -> bool {
        matches!(self.token, VaultToken::File(_))
    }

    /// The fields at a path; `None` if there is nothing.
    pub(super) async fn read(&self, path: &str) -> Result<Option<Fields>, Fault> {
        let (status, body) = self.ask(Method::GET, &self.address_of(path), None).await?;
        if status == StatusCode::NOT_FOUND {
            return self.not_found(&body);
        }
        let answer: Envelope<Version> = self.decode(status, &body)?;
        let missing = || Fault::OtherEngine { mount: self.mount.clone() };
        let version = answer.data.ok_or_else(missing)?;
        // A key-value engine of version 1 answers with the fields themselves.
        let fields = version.data.filter(|_| version.metadata.is_some()).ok_or_else(missing)?;
        let text = |(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        };
        Ok(Some(fields.into_iter().map(text).collect()))
    }

    /// How long the token lasts.
    pub(super) async fn look_at_token(&self) -> Result<Lease, Fault> {
        let (status, body) = self.ask(Method::GET, "v1/auth/token/lookup-self", None).await?;
        let answer: Envelope<TokenData> = self.decode(status, &body)?;
        let garbage = || Fault::Garbage { why: "it says nothing about the token".to_owned() };
        let token = answer.data.ok_or_else(garbage)?;
        Ok(Lease { left: seconds(token.ttl), renewable: token.renewable })
    }

    /// Makes the token last longer.
    pub(super) async fn renew_token(&self) -> Result<Lease, Fault> {
        let path = "v1/auth/token/renew-self";
        let (status, body) = self.ask(Method::POST, path, Some("{}")).await?;
        let answer: Envelope<Value> = self.decode(status, &body)?;
        let garbage = || Fault::Garbage { why: "it says nothing about the token".to_owned() };
        let auth = answer.auth.ok_or_else(garbage)?;
        Ok(Lease { left: seconds(auth.lease_duration), renewable: auth.renewable })
    }

    fn address_of(&self, path: &str) -> String {
        let encoded = |text: &str| {
            let parts = text.split('/').filter(|part| !part.is_empty());
            let parts = parts.map(|part| utf8_percent_encode(part, &UNRESERVED).to_string());
            parts.collect::<Vec<_>>().join("/")
        };
        let below = format!("{}/{path}", self.prefix);
        format!("v1/{}/data/{}", encoded(&self.mount), encoded(&below))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&'static str>,
    ) -> Result<(StatusCode, Vec<u8>), Fault> {
        let token = self.token.read()?;
        self.mask.hide(&token);
        let mut value = HeaderValue::from_str(&token)
            .map_err(|_| Fault::NoToken { why: "it cannot stand in a header".to_owned() })?;
        value.set_sensitive(true);
        let url = format!("{}/{path}", self.url.as_str().trim_end_matches('/'));
        let mut request = self.http.request(method, url).header("x-vault-token", value);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        Ok((status, self.body(answer).await?))
    }

    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(Fault::Garbage { why: "its answer does not end".to_owned() });
            }
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Fault {
        if error.is_timeout() {
            return Fault::late(self.patience);
        }
        // The first sentence repeats the address, which the message has already.
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Fault::Unreachable { why: cause.to_string() }
    }

    fn decode<'a, T: Deserialize<'a>>(
        &self,
        status: StatusCode,
        body: &'a [u8],
    ) -> Result<T, Fault> {
        if !status.is_success() {
            return Err(self.refusal(status, body));
        }
        serde_json::from_slice(body)
            .map_err(|_| Fault::Garbage { why: "its answer is no JSON of Vault's".to_owned() })
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> Fault {
        let said = said(&serde_json::from_slice(body).unwrap_or_default());
        match status {
            StatusCode::SERVICE_UNAVAILABLE => Fault::Sealed,
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Fault::denied(&self.token, said),
            status if status.is_redirection() => Fault::Answer {
                status: status.as_u16(),
                said: "it sends elsewhere; give the address of the active node".to_owned(),
            },
            status => Fault::Answer { status: status.as_u16(), said },
        }
    }

    /// Nothing there is an answer; no engine there, or one of another version, is a mistake.
    fn not_found(&self, body: &[u8]) -> Result<Option<Fields>, Fault> {
        let Ok(found) = serde_json::from_slice::<Errors>(body) else {
            return Err(Fault::Garbage { why: "its answer is no JSON of Vault's".to_owned() });
        };
        if let Some(metadata) = found.data.as_ref().and_then(|data| data.metadata.as_ref()) {
            let at = Some(metadata.deletion_time.clone()).filter(|time| !time.is_empty());
            return Err(Fault::Deleted { at });
        }
        let mentions = |words: &str| {
            let warnings = found.warnings.iter().flatten();
            found.errors.iter().chain(warnings).any(|line| line.contains(words))
        };
        if mentions("no handler for route") {
            return Err(Fault::NoEngine { mount: self.mount.clone() });
        }
        if mentions("versioned K/V") {
            return Err(Fault::OtherEngine { mount: self.mount.clone() });
        }
        Ok(None)
    }
}

fn seconds(ttl: u64) -> Option<Duration> {
    (ttl > 0).then(|| Duration::from_secs(ttl))
}

/// What it says about an error, in one line of bounded length.
fn said(errors: &Errors) -> String {
    let line = errors.errors.join("; ");
    let line = line.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty());
    let line: String = line.collect::<Vec<_>>().join(" ").chars().take(MAX_SAID).collect();
    if line.is_empty() { "it does not say why".to_owned() } else { line }
}
