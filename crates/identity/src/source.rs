//! Keys that change: read when they are needed, again when they are old, and again when a token
//! names one that is not there, but never more often than is good for whoever has them.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use flexcore_ports::Clock;
use jsonwebtoken::Header;
use reqwest::Client;

use crate::{
    KeySource, TokenOptionsError, fetch,
    keys::{KeySet, public_key},
};

/// After so long keys are read again, so that one that was taken back ends.
const OLD: Duration = Duration::from_mins(5);
/// Between two reads at least, whatever tokens name: tokens with made-up key ids make no flood.
const PAUSE: Duration = Duration::from_secs(10);

/// The keys of an issuer, as new as they have to be.
pub(crate) struct Keys {
    origin: Origin,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Held by the one who reads; whoever has keys does not wait for it.
    reading: tokio::sync::Mutex<()>,
}

enum Origin {
    Fixed,
    File(PathBuf),
    Url(Client, String),
}

#[derive(Default)]
struct State {
    set: Option<Arc<KeySet>>,
    /// When it was read, and when somebody tried to last; microseconds.
    read_at: i64,
    tried_at: Option<i64>,
    problem: String,
}

impl Keys {
    /// Reads keys that are in files; those of a provider are read when they are needed, so that a
    /// server starts while its provider is away.
    pub(crate) fn new(
        source: &KeySource,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TokenOptionsError> {
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|error| TokenOptionsError::Keys(format!("{}: {error}", path.display())))
        };
        let mut state = State::default();
        let origin = match source {
            KeySource::Secret(path) => {
                state.set = Some(Arc::new(KeySet::secret(&read(path)?).map_err(|e| at(path, &e))?));
                Origin::Fixed
            }
            KeySource::PublicKey(path) => {
                state.set = Some(Arc::new(public_key(&read(path)?).map_err(|e| at(path, &e))?));
                Origin::Fixed
            }
            KeySource::File(path) => {
                let set = KeySet::jwks(&read(path)?).map_err(TokenOptionsError::Keys);
                state.set = Some(Arc::new(set.map_err(|error| at(path, &error))?));
                state.read_at = clock.now().as_micros();
                state.tried_at = Some(state.read_at);
                Origin::File(path.clone())
            }
            KeySource::Url(url) => {
                Origin::Url(fetch::client().map_err(TokenOptionsError::Keys)?, url.clone())
            }
        };
        let reading = tokio::sync::Mutex::default();
        Ok(Self { origin, clock, state: Mutex::new(state), reading })
    }

    /// The keys for a token with this header.
    ///
    /// # Errors
    /// There are none, and why.
    pub(crate) async fn for_token(&self, header: &Header) -> Result<Arc<KeySet>, String> {
        match self.need(header) {
            Need::Nothing => {}
            Need::Newer => {
                if let Ok(_reading) = self.reading.try_lock() {
                    self.read().await;
                }
            }
            Need::Key => {
                let _reading = self.reading.lock().await;
                // Somebody else may have read while this one waited.
                if matches!(self.need(header), Need::Key) {
                    self.read().await;
                }
            }
        }
        let state = self.lock();
        state.set.clone().ok_or_else(|| state.problem.clone())
    }

    /// What has to be read for a token.
    fn need(&self, header: &Header) -> Need {
        if matches!(self.origin, Origin::Fixed) {
            return Need::Nothing;
        }
        let now = self.clock.now().as_micros();
        let state = self.lock();
        let may_try = state.tried_at.is_none_or(|tried| elapsed(now, tried) >= PAUSE);
        let has_key = state.set.as_ref().is_some_and(|set| !set.candidates(header).is_empty());
        match (may_try, has_key) {
            (true, false) => Need::Key,
            (true, true) if elapsed(now, state.read_at) >= OLD => Need::Newer,
            _ => Need::Nothing,
        }
    }

    /// Reads the keys anew. Those that are there stay if that is not possible: a provider that is
    /// away locks nobody out.
    async fn read(&self) {
        let now = self.clock.now().as_micros();
        let read = match &self.origin {
            Origin::Fixed => return,
            Origin::File(path) => tokio::fs::read(path).await.map_err(|error| error.to_string()),
            Origin::Url(client, url) => fetch::fetch(client, url).await,
        };
        let mut state = self.lock();
        state.tried_at = Some(now);
        match read.and_then(|bytes| KeySet::jwks(&bytes)) {
            Ok(set) => {
                state.set = Some(Arc::new(set));
                state.read_at = now;
            }
            Err(problem) => {
                tracing::warn!(problem, "the keys of tokens cannot be read");
                state.problem = problem;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Need {
    Nothing,
    /// The keys are old, but they will do.
    Newer,
    /// There is no key for this token.
    Key,
}

fn at(path: &std::path::Path, error: &TokenOptionsError) -> TokenOptionsError {
    TokenOptionsError::Keys(format!("{}: {error}", path.display()))
}

/// A clock that went back means that nothing is certain: read again.
fn elapsed(now: i64, then: i64) -> Duration {
    let micros = now.checked_sub(then).and_then(|micros| u64::try_from(micros).ok());
    micros.map_or(Duration::MAX, Duration::from_micros)
}
