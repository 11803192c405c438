//! What guests get of the outside: the host answers, whether they run here or in a worker, and
//! counts each use of a right and each attempt without one.

mod http;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use flexcore_domain::CapabilityUse;
use flexcore_plugin_protocol::{Capabilities, Capability, SecretName};
use flexcore_ports::{AttemptLog, LogSource};

pub(crate) use self::http::Http;
use crate::services::{
    HttpRefusal, HttpRequest, HttpResponse, Level, LogBudget, SecretRefusal, Services,
};

/// How many capabilities are counted apart; all beyond are one.
const MAX_COUNTED: usize = 64;
/// How long a capability's text may be that a guest makes up.
const MAX_TEXT: usize = 200;

/// The services of one call.
pub(crate) struct Broker {
    log: Option<Arc<dyn AttemptLog>>,
    budget: Mutex<LogBudget>,
    secrets: Vec<(SecretName, String)>,
    capabilities: Capabilities,
    http: Arc<Http>,
    uses: Mutex<BTreeMap<(String, bool), (u64, u64)>>,
}

impl Broker {
    pub(crate) fn new(
        log: Option<Arc<dyn AttemptLog>>,
        secrets: Vec<(SecretName, String)>,
        capabilities: Capabilities,
        http: Arc<Http>,
    ) -> Self {
        // A little more than a guest's own budget, for what is said at the end.
        let budget = Mutex::new(LogBudget::new());
        Self { log, budget, secrets, capabilities, http, uses: Mutex::default() }
    }

    /// What was used, and what was tried in vain.
    pub(crate) fn uses(&self) -> Vec<CapabilityUse> {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let record = |(key, count): (&(String, bool), &(u64, u64))| CapabilityUse {
            capability: key.0.clone(),
            allowed: key.1,
            times: count.0,
            bytes: count.1,
        };
        uses.iter().map(record).collect()
    }

    fn count(&self, capability: String, allowed: bool, bytes: u64) {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (capability, allowed);
        if uses.len() >= MAX_COUNTED && !uses.contains_key(&key) {
            key = ("others".to_owned(), allowed);
        }
        let (times, all) = uses.entry(key).or_default();
        *times = times.saturating_add(1);
        *all = all.saturating_add(bytes);
    }
}

#[async_trait]
impl Services for Broker {
    fn log(&self, level: Level, line: &str) {
        let Some(log) = &self.log else { return };
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = budget.admit(line) {
            match level {
                Level::Info => log.line(LogSource::Stdout, line),
                _ => log.line(LogSource::Stderr, &format!("{}: {line}", level.as_str())),
            }
        }
    }

    async fn secret(&self, name: &str) -> Result<String, SecretRefusal> {
        let Ok(secret) = SecretName::parse(name) else {
            self.count(made_up("secrets", name), false, 0);
            return Err(SecretRefusal::Denied);
        };
        let capability = Capability::Secret(secret.clone());
        let allowed = self.capabilities.cover(&capability);
        self.count(capability.to_string(), allowed, 0);
        if !allowed {
            return Err(SecretRefusal::Denied);
        }
        let value = self.secrets.iter().find(|(known, _)| *known == secret);
        value.map(|(_, value)| value.clone()).ok_or(SecretRefusal::Missing)
    }

    async fn http(&self, request: HttpRequest) -> Result<HttpResponse, HttpRefusal> {
        let endpoint = match http::endpoint_of(&request.url) {
            Ok(endpoint) => endpoint,
            Err(refusal) => {
                self.count("network (no address)".to_owned(), false, 0);
                return Err(refusal);
            }
        };
        let wanted = Capability::Network(endpoint);
        let Some(grant) = self.capabilities.iter().find(|own| own.covers(&wanted)) else {
            self.count(wanted.to_string(), false, 0);
            return Err(HttpRefusal::Denied);
        };
        let sent = request.body.len();
        let answer = self.http.send(request).await;
        let received = answer.as_ref().map_or(0, |answer| answer.body.len());
        self.count(grant.to_string(), true, (sent + received) as u64);
        answer
    }
}

/// The name of a capability that a guest made up, fit for a trail of audits.
fn made_up(kind: &str, target: &str) -> String {
    let target: String =
        target.chars().filter(|letter| !letter.is_control()).take(MAX_TEXT).collect();
    format!("{kind} {target}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(secrets: &[(&str, &str)], granted: &[&str]) -> Broker {
        let name = |text: &str| SecretName::parse(text).unwrap();
        let granted = granted.iter().map(|text| Capability::Secret(name(text))).collect();
        let secrets = secrets.iter().map(|(one, value)| (name(one), (*value).to_owned()));
        Broker::new(None, secrets.collect(), granted, Arc::new(Http::default()))
    }

    #[tokio::test]
    async fn secrets_are_given_as_granted_and_counted() {
        let broker = broker(&[("token", "hunter2"), ("other", "x")], &["token", "gone"]);
        assert_eq!(broker.secret("token").await, Ok("hunter2".to_owned()));
        assert_eq!(broker.secret("token").await, Ok("hunter2".to_owned()));
        assert_eq!(broker.secret("gone").await, Err(SecretRefusal::Missing));
        assert_eq!(broker.secret("other").await, Err(SecretRefusal::Denied));
        assert_eq!(broker.secret("no\nname").await, Err(SecretRefusal::Denied));
        let uses: Vec<_> = broker
            .uses()
            .into_iter()
            .map(|used| (used.capability, used.allowed, used.times))
            .collect();
        let expected = [
            ("secrets gone", true, 1),
            ("secrets noname", false, 1),
            ("secrets other", false, 1),
            ("secrets token", true, 2),
        ];
        assert_eq!(uses, expected.map(|(name, allowed, times)| (name.to_owned(), allowed, times)));
    }

    #[tokio::test]
    async fn attempts_without_a_right_do_not_flood_the_trail() {
        let broker = broker(&[], &[]);
        for number in 0..1_000 {
            let _ = broker.secret(&format!("secret{number}")).await;
        }
        let uses = broker.uses();
        assert_eq!(uses.len(), MAX_COUNTED + 1);
        assert_eq!(uses.iter().map(|used| used.times).sum::<u64>(), 1_000);
    }
}
