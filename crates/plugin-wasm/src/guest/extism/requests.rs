//! The functions of `extism:host/env` that send requests, and texts for bytes.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use wasmtime::{Caller, Error, Linker, Result};

use super::{Call, functions::MODULE};
use crate::services::{HttpRefusal, HttpRequest, MAX_BODY};

/// What is kept is text; bytes that are none are kept so.
const BASE64: &str = "base64:";

/// A request as modules write it.
#[derive(Deserialize)]
struct Request {
    url: String,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    method: Option<String>,
}

pub(super) fn add(linker: &mut Linker<Call>) -> Result<()> {
    linker
        .func_wrap_async(
            MODULE,
            "http_request",
            |mut guest: Caller<'_, Call>, (request, body): (u64, u64)| {
                Box::new(async move { send(guest.data_mut(), request, body).await })
            },
        )?
        .func_wrap(MODULE, "http_status_code", |guest: Caller<'_, Call>| {
            u32::from(guest.data().extism.http_status)
        })?
        .func_wrap(MODULE, "http_headers", |mut guest: Caller<'_, Call>| {
            let call = guest.data_mut();
            let headers: serde_json::Map<_, _> = std::mem::take(&mut call.extism.http_headers)
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect();
            call.put(serde_json::Value::Object(headers).to_string().as_bytes())
        })?;
    Ok(())
}

async fn send(call: &mut Call, request: u64, body: u64) -> Result<u64> {
    let Request { url, headers, method } = serde_json::from_slice(call.block(request)?)
        .map_err(|error| Error::msg(format!("its request is no JSON of a request: {error}")))?;
    let body = if body == 0 { Vec::new() } else { call.block(body)?.to_vec() };
    if body.len() > MAX_BODY {
        return Err(Error::msg("the body of its request is larger than 8 MiB"));
    }
    let method = method.unwrap_or_else(|| "GET".to_owned());
    let headers = headers.into_iter().collect();
    let request = HttpRequest { method, url, headers, timeout_ms: 0, body };
    // The ABI knows no errors of requests: a module that sends one that fails has ended.
    let answer = call.services.http(request).await.map_err(|refusal| {
        Error::msg(match refusal {
            HttpRefusal::Denied => "a request was denied: nobody granted its address".to_owned(),
            HttpRefusal::Malformed(why) => format!("its request is none: {why}"),
            HttpRefusal::Timeout => "a request took too long".to_owned(),
            HttpRefusal::TooLarge => "the answer to a request is larger than 8 MiB".to_owned(),
            HttpRefusal::Unreachable(why) => format!("a request failed: {why}"),
        })
    })?;
    call.extism.http_status = answer.status;
    call.extism.http_headers = answer.headers;
    call.put(&answer.body)
}

/// What is kept for a variable's bytes.
pub(super) fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with(BASE64) => text.to_owned(),
        _ => format!("{BASE64}{}", BASE64_STANDARD.encode(bytes)),
    }
}

/// The bytes of what was kept.
pub(super) fn bytes_of(text: &str) -> Vec<u8> {
    let encoded = text.strip_prefix(BASE64).and_then(|text| BASE64_STANDARD.decode(text).ok());
    encoded.unwrap_or_else(|| text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_back_byte_by_byte() {
        for bytes in [&b""[..], b"text", "é".as_bytes(), b"\xff\0", b"base64:!", b"base64:QQ=="] {
            assert_eq!(bytes_of(&text_of(bytes)), bytes);
        }
    }
}
