//! Requests on behalf of guests: to granted addresses only, redirects not followed, bodies of
//! bounded size. Names that lead into a private network are refused, because whoever owns a name
//! could otherwise point it at the machine's own services after it was granted.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use flexcore_plugin_protocol::{Endpoint, Host, Transport};
use reqwest::{
    Client, Method, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::services::{HttpRefusal, HttpRequest, HttpResponse, MAX_BODY};

/// How long a request may take that says nothing itself.
const USUAL: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);
/// All headers of a request together.
const MAX_HEADERS: usize = 64 << 10;
/// Headers that say how a message travels or where it goes, which is the host's business.
const OWN_HEADERS: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "proxy-authorization",
];

/// The client, made when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Http(OnceLock<Result<Client, String>>);

impl Http {
    /// Sends a request; that its address is granted is known already.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpRefusal> {
        let HttpRequest { method, url, headers, timeout_ms, body } = request;
        let malformed = |what: &str| HttpRefusal::Malformed(what.to_owned());
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| malformed("there is no such method"))?;
        if method == Method::CONNECT {
            return Err(malformed("connections through others are not for plugins"));
        }
        let headers = headers_of(&headers)?;
        let time = if timeout_ms == 0 { USUAL } else { Duration::from_millis(timeout_ms.into()) };
        let client = self.0.get_or_init(client).as_ref();
        let client = client.map_err(|why| HttpRefusal::Unreachable(why.clone()))?;
        let request = client.request(method, url).headers(headers).body(body).timeout(time);
        let answer = request.send().await.map_err(|error| refusal(&error))?;
        let status = answer.status().as_u16();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = body_of(answer).await?;
        Ok(HttpResponse { status, headers, body })
    }
}

/// Where an address leads.
pub(super) fn endpoint_of(url: &str) -> Result<Endpoint, HttpRefusal> {
    let malformed = |what: &str| HttpRefusal::Malformed(what.to_owned());
    let url = Url::parse(url).map_err(|error| HttpRefusal::Malformed(error.to_string()))?;
    let transport = match url.scheme() {
        "https" => Transport::Https,
        "http" => Transport::Tcp,
        _ => return Err(malformed("an address begins with https:// or http://")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(malformed("an address has no user and no password; use a header"));
    }
    let host = url.host_str().and_then(|host| Host::parse(host).ok());
    let host = host.ok_or_else(|| malformed("an address names one host"))?;
    let port = url.port_or_known_default().filter(|port| *port != 0);
    Ok(Endpoint { transport, host, port: port.ok_or_else(|| malformed("there is no port 0"))? })
}

fn headers_of(pairs: &[(String, String)]) -> Result<HeaderMap, HttpRefusal> {
    let malformed = |what: String| HttpRefusal::Malformed(what);
    if pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_HEADERS {
        return Err(malformed("its headers are larger than 64 KiB".to_owned()));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let header = HeaderName::from_bytes(name.as_bytes());
        let header = header.map_err(|_| malformed("a header's name is none".to_owned()))?;
        if OWN_HEADERS.contains(&header.as_str()) {
            return Err(malformed(format!("the header `{header}` is the host's own")));
        }
        let value = HeaderValue::from_bytes(value.as_bytes());
        let value = value.map_err(|_| malformed(format!("the value of `{header}` is none")))?;
        headers.append(header, value);
    }
    Ok(headers)
}

async fn body_of(mut answer: reqwest::Response) -> Result<Vec<u8>, HttpRefusal> {
    if answer.content_length().is_some_and(|length| length > MAX_BODY as u64) {
        return Err(HttpRefusal::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| refusal(&error))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(HttpRefusal::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn refusal(error: &reqwest::Error) -> HttpRefusal {
    if error.is_timeout() {
        return HttpRefusal::Timeout;
    }
    // The innermost cause says what happened; the outer ones repeat the address.
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.is_builder() {
        HttpRefusal::Malformed(cause.to_string())
    } else {
        HttpRefusal::Unreachable(cause.to_string())
    }
}

fn client() -> Result<Client, String> {
    let mut roots = RootCertStore::empty();
    // Certificates that cannot be read prove nothing; the others do.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .dns_resolver(Public)
        .user_agent(concat!("flexcore/", env!("CARGO_PKG_VERSION")));
    client.build().map_err(|error| error.to_string())
}

/// Resolves names to addresses of the public internet.
#[derive(Debug, Clone, Copy)]
struct Public;

impl Resolve for Public {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            // Whoever grants `localhost` means it.
            let is_here = name.as_str().eq_ignore_ascii_case("localhost");
            let allowed: Vec<SocketAddr> =
                found.filter(|address| is_here || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err("the name leads into a private network; grant the address itself if that is meant".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_special = matches!(
                (first, second),
                (0 | 240.., _) | (100, 64..=127) | (198, 18..=19) | (192, 0)
            );
            !(is_special
                || address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address == Ipv4Addr::BROADCAST)
        }
        // Global unicast without what carries an IPv4 address inside (Teredo, 6to4).
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            (0x2000..0x4000).contains(&first) && first != 0x2002 && (first, second) != (0x2001, 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_one_host_and_port() {
        for (url, endpoint) in [
            ("https://API.example.com/a?b", "https://api.example.com:443"),
            ("http://127.0.0.1:81/", "tcp://127.0.0.1:81"),
            ("http://0x7f.1/", "tcp://127.0.0.1:80"),
            ("https://[::1]:8443", "https://[::1]:8443"),
        ] {
            assert_eq!(endpoint_of(url).unwrap().to_string(), endpoint);
        }
        for url in ["", "ftp://a", "https://u:p@a", "https://a:0", "file:///etc/passwd", "https://"]
        {
            assert!(matches!(endpoint_of(url), Err(HttpRefusal::Malformed(_))), "{url}");
        }
    }

    #[test]
    fn headers_that_lead_elsewhere_are_refused() {
        let header = |name: &str, value: &str| headers_of(&[(name.to_owned(), value.to_owned())]);
        assert!(header("Accept", "text/plain").is_ok());
        for (name, value) in
            [("Host", "a"), ("Content-Length", "1"), ("a b", "c"), ("a", "b\r\nc: d")]
        {
            assert!(header(name, value).is_err(), "{name}");
        }
        assert!(header("a", &"b".repeat(MAX_HEADERS)).is_err());
    }

    #[test]
    fn private_networks_are_known() {
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "0.0.0.0",
            "64:ff9b::7f00:1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["93.184.216.34", "2606:2800:220:1::1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
