//! Whether a service may be called, and what a call used of that.

use std::sync::atomic::{AtomicU64, Ordering};

use flexcore_domain::CapabilityUse;
use flexcore_plugin_protocol::{
    Capability, Endpoint, HttpAuthentication, HttpDetails, Subject, grant_lines,
};
use flexcore_ports::CallablePlugin;

use crate::fault::Fault;

/// What a service needs: its own address, and the secrets with which FlexCore shows who it is.
#[derive(Debug)]
pub(crate) struct Rights {
    address: Capability,
    secrets: Vec<Capability>,
}

/// What was used of it.
#[derive(Debug, Default)]
pub(crate) struct Used {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Rights {
    /// Refuses a service that was not granted.
    pub(crate) fn of(plugin: &CallablePlugin, http: &HttpDetails) -> Result<Self, Fault> {
        let address = Capability::Network(endpoint(&http.url)?);
        let secrets = match &http.authentication {
            HttpAuthentication::None => vec![],
            HttpAuthentication::Bearer { token } => vec![token],
            HttpAuthentication::Mtls { certificate, key } => vec![certificate, key],
        };
        let secrets: Vec<Capability> =
            secrets.into_iter().cloned().map(Capability::Secret).collect();
        let rights = Self { address, secrets };
        let missing: Vec<&Capability> =
            rights.all().filter(|one| !plugin.effective.capabilities.cover(one)).collect();
        if missing.is_empty() { Ok(rights) } else { Err(not_granted(plugin, &missing)) }
    }

    fn all(&self) -> impl Iterator<Item = &Capability> {
        std::iter::once(&self.address).chain(&self.secrets)
    }

    /// What goes into the trail of audits.
    pub(crate) fn uses(&self, used: &Used) -> Vec<CapabilityUse> {
        let times = used.requests.load(Ordering::Relaxed);
        if times == 0 {
            return Vec::new();
        }
        let one = |capability: &Capability, bytes| CapabilityUse {
            capability: capability.to_string(),
            allowed: true,
            times,
            bytes,
        };
        let address = one(&self.address, used.bytes.load(Ordering::Relaxed));
        std::iter::once(address).chain(self.secrets.iter().map(|secret| one(secret, 0))).collect()
    }
}

impl Used {
    /// Whether nothing went out.
    pub(crate) fn is_nothing(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0
    }

    /// A request goes out.
    pub(crate) fn request(&self, bytes: u64) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.answer(bytes);
    }

    /// So many bytes of an answer came in.
    pub(crate) fn answer(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The address that has to be granted for an URL: `https://host:port`, or `tcp://` without TLS.
fn endpoint(url: &str) -> Result<Endpoint, Fault> {
    let wrong = || Fault::unusable(format!("`{url}` in its manifest is no address"));
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let authority = rest.split('/').next().unwrap_or_default();
    let (transport, port) = if scheme == "https" { ("https", 443) } else { ("tcp", 80) };
    let text = format!("{transport}://{authority}");
    Endpoint::parse(&text)
        .or_else(|_| Endpoint::parse(&format!("{text}:{port}")))
        .map_err(|_| wrong())
}

fn not_granted(plugin: &CallablePlugin, missing: &[&Capability]) -> Fault {
    let name = &plugin.manifest.name;
    let shown: Vec<String> = missing.iter().map(|one| format!("`{one}`")).collect();
    let not_asked: Vec<String> = missing
        .iter()
        .filter(|one| !plugin.manifest.capabilities.cover(one))
        .map(|one| format!("`{one}`"))
        .collect();
    let also = if not_asked.is_empty() {
        String::new()
    } else {
        format!(
            "its manifest has to ask for {} in `[capabilities]` first; then ",
            not_asked.join(" and ")
        )
    };
    let subject = Subject { plugin: Some(name.clone()), ..Subject::default() };
    let lines = grant_lines(&subject, missing.iter().copied());
    let what = format!(
        "needs {}, which it was not granted; {also}add to `grants.toml`:\n{lines}",
        shown.join(" and ")
    );
    Fault::NotGranted { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_to_grant_is_that_of_the_url() {
        for (url, address) in [
            ("https://api.example.com", "https://api.example.com:443"),
            ("https://api.example.com:8443/flext", "https://api.example.com:8443"),
            ("http://127.0.0.1:8081/x", "tcp://127.0.0.1:8081"),
            ("http://localhost/x", "tcp://localhost:80"),
            ("https://[::1]:1/x", "https://[::1]:1"),
        ] {
            assert_eq!(endpoint(url).unwrap().to_string(), address);
        }
        assert!(endpoint("nothing").is_err());
    }
}
