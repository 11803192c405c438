//! What only one kind of plugin has.

use crate::capability::{Endpoint, Host, SecretName};

/// What only one kind of plugin has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindDetails {
    /// A process that serves gRPC.
    Process(GrpcDetails),
    /// Singer has nothing of its own.
    Singer,
    /// Commands have nothing of their own.
    Command,
    /// Components and Extism modules.
    Wasm(WasmDetails),
    /// A service elsewhere.
    Http(HttpDetails),
}

/// How the handshake of a process goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcDetails {
    /// The variable by which the program knows that it is run as a plugin.
    pub cookie_key: String,
    /// Its value. It is no secret.
    pub cookie_value: String,
    /// The versions of its own protocol that it speaks, none twice.
    pub app_versions: Vec<u32>,
}

/// Where WebAssembly runs, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WasmDetails {
    /// Where it runs.
    pub isolation: WasmIsolation,
    /// How many instructions a call may take, if that is counted.
    pub fuel: Option<u64>,
}

/// Where WebAssembly runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WasmIsolation {
    /// In a jailed process of its own.
    Process,
    /// In FlexCore's own process; only where the operator trusts it.
    InProcess,
}

/// Where a service is, and how FlexCore shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpDetails {
    /// Its address without a `/` at the end.
    pub url: String,
    /// The path that says whether it is well.
    pub health: String,
    /// How FlexCore shows who it is.
    pub authentication: HttpAuthentication,
}

/// How FlexCore shows a service who it is. Secrets are names, never values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpAuthentication {
    /// Not at all.
    None,
    /// With a token.
    Bearer {
        /// The secret that is the token.
        token: SecretName,
    },
    /// With a certificate.
    Mtls {
        /// The secret that is the certificate, in PEM.
        certificate: SecretName,
        /// The secret that is its key, in PEM.
        key: SecretName,
    },
}

impl HttpAuthentication {
    /// Reads `bearer:SECRET` or `mtls:CERTIFICATE,KEY`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let name = |text| SecretName::parse(text).ok();
        match text.split_once(':')? {
            ("bearer", token) => Some(Self::Bearer { token: name(token)? }),
            ("mtls", pair) => {
                let (certificate, key) = pair.split_once(',')?;
                Some(Self::Mtls { certificate: name(certificate)?, key: name(key)? })
            }
            _ => None,
        }
    }

    /// The secrets that it needs.
    pub(super) fn secrets(&self) -> Vec<&SecretName> {
        match self {
            Self::None => Vec::new(),
            Self::Bearer { token } => vec![token],
            Self::Mtls { certificate, key } => vec![certificate, key],
        }
    }
}

/// The address of a service in its one form, or what is wrong with it.
pub(super) fn parse_url(text: &str) -> Result<String, &'static str> {
    let (scheme, rest) = text.split_once("://").ok_or("`url` begins with `https://`")?;
    let (default_port, tls) = match scheme {
        "https" => (443, true),
        "http" => (80, false),
        _ => return Err("`url` begins with `https://`"),
    };
    if rest.contains('@') {
        return Err("`url` has no user and no password; `auth` names the secret");
    }
    let path_at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_at);
    let path_is_legal =
        path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&byte));
    if !path_is_legal || path.split('/').any(|part| part == "..") {
        return Err("`url` is an address and a plain path, without a query");
    }
    let with_port = format!("tcp://{authority}");
    let endpoint = Endpoint::parse(&with_port)
        .or_else(|_| Endpoint::parse(&format!("{with_port}:{default_port}")))
        .map_err(|_| "`url` names one host and, if need be, a port")?;
    if !tls && !is_this_machine(&endpoint.host) {
        return Err("`url` must be `https` for a service on another machine");
    }
    let port = (endpoint.port != default_port).then(|| format!(":{}", endpoint.port));
    let path = path.trim_end_matches('/');
    Ok(format!("{scheme}://{}{}{path}", endpoint.host, port.unwrap_or_default()))
}

fn is_this_machine(host: &Host) -> bool {
    host.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form() {
        for (text, url) in [
            ("https://API.example.com", "https://api.example.com"),
            ("https://api.example.com:443/", "https://api.example.com"),
            ("https://api.example.com:8443/flext/v1/", "https://api.example.com:8443/flext/v1"),
            ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
            ("http://localhost:80/a", "http://localhost/a"),
            ("http://[::1]:8081", "http://[::1]:8081"),
        ] {
            assert_eq!(parse_url(text).as_deref(), Ok(url));
        }
        for wrong in [
            "api.example.com",
            "ftp://a",
            "http://api.example.com",
            "https://u:p@a",
            "https://a?b=c",
            "https://a/../b",
            "https://a/b c",
            "https://",
            "https://a:0",
            "https://*.a",
        ] {
            assert!(parse_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn authentication_names_secrets() {
        assert!(matches!(
            HttpAuthentication::parse("bearer:flext_token"),
            Some(HttpAuthentication::Bearer { .. })
        ));
        let mtls = HttpAuthentication::parse("mtls:cert,key").unwrap();
        assert_eq!(mtls.secrets().len(), 2);
        for wrong in ["", "bearer", "bearer:", "basic:x", "mtls:a", "bearer:a b"] {
            assert_eq!(HttpAuthentication::parse(wrong), None, "{wrong}");
        }
    }
}
