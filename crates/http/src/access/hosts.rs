//! The names of the server, and the origin of pages.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Response, Uri, header},
    middleware::Next,
    response::IntoResponse,
};

use crate::{
    Api, cors,
    problem::{Fault, Problem},
};

/// The names under which a server may be reached. A page that lets its own name point here (DNS
/// rebinding) still sends its own name.
#[derive(Debug, Clone)]
pub struct Hosts {
    names: Arc<BTreeSet<String>>,
}

impl Hosts {
    /// `localhost`, the loopback addresses, where the server listens, and what the operator names.
    pub fn new(address: SocketAddr, others: impl IntoIterator<Item = String>) -> Self {
        let mut names: BTreeSet<String> =
            ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
        if !address.ip().is_unspecified() {
            names.insert(address.ip().to_string());
        }
        names.extend(others.into_iter().map(|host| host.to_ascii_lowercase()));
        Self { names: Arc::new(names) }
    }

    /// Whether an authority such as `localhost:8080` is one of them.
    fn contain(&self, authority: &str) -> bool {
        self.names.contains(&host_of(authority).to_ascii_lowercase())
    }
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    if authority.parse::<IpAddr>().is_ok() {
        return authority;
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// Lets through what comes to a name of this server and from no page of another.
pub(crate) async fn guard_names(
    State(api): State<Arc<Api>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    match check_names(&api.hosts, &api.options.origins, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check_names(
    hosts: &Hosts,
    origins: &[String],
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let of_header = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let of_uri = uri.authority().map(axum::http::uri::Authority::as_str);
    let host = of_uri.or(of_header).unwrap_or_default();
    if !hosts.contain(host) {
        let text = format!("this server is not reached by the name `{host}`");
        return Err(Fault::Host.because(text).hint("name it with --allow-host"));
    }
    let origin = headers.get(header::ORIGIN).filter(|origin| !cors::trusts(origins, origin));
    let origin = origin.map(|value| value.to_str().unwrap_or("null"));
    let is_own = |origin: &str| origin.split_once("://").is_some_and(|(_, name)| name == host);
    match origin {
        Some(origin) if !is_own(origin) => {
            let text = format!("a page of `{origin}` may not use this server");
            Err(Fault::Origin.because(text))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        Hosts::new(([127, 0, 0, 1], 8080).into(), ["Flexcore.Example".to_owned()])
    }

    #[test]
    fn a_server_is_reached_by_its_own_names_only() {
        let hosts = hosts();
        for own in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "::1"] {
            assert!(hosts.contain(own), "{own}");
        }
        assert!(hosts.contain("flexcore.example:443"));
        for other in ["", "evil.example", "localhost.evil.example:8080", "127.0.0.1.nip.io"] {
            assert!(!hosts.contain(other), "{other}");
        }
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        let check = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "localhost:8080".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            let origins = ["https://console.example".to_owned()];
            check_names(&hosts(), &origins, &Uri::from_static("/live"), &headers)
        };
        assert_eq!(check(None), Ok(()));
        assert_eq!(check(Some("http://localhost:8080")), Ok(()));
        assert_eq!(check(Some("https://console.example")), Ok(()));
        for foreign in ["http://evil.example", "null", "http://localhost:9999", "localhost:8080"] {
            assert!(check(Some(foreign)).is_err(), "{foreign}");
        }
    }
}
