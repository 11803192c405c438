//! How many requests a caller may send.
//!
//! A bucket of tokens for each caller, as the generic cell rate algorithm has it (ITU-T I.371): one
//! time is kept for each, at which its bucket would be full again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::Response,
    middleware::Next,
    response::IntoResponse,
};
use flexcore_app::RequestContext;

use crate::problem::Fault;

/// How many callers are remembered at most; who is forgotten begins with a full bucket.
const CALLERS: usize = 10_000;

/// So many requests a second, and so many at once after a silence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// On average, in a second; more than 0.
    pub per_second: f64,
    /// At once; at least 1.
    pub burst: u32,
}

/// The buckets of all callers.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    /// Between two requests of one caller, on average.
    interval: Duration,
    /// How far a caller may be ahead of that.
    tolerance: Duration,
    full_at: Mutex<HashMap<Arc<str>, Instant>>,
}

impl RateLimiter {
    pub(crate) fn new(rate: Rate) -> Self {
        let interval = Duration::try_from_secs_f64(1.0 / rate.per_second);
        let interval = interval.unwrap_or(Duration::MAX).min(Duration::from_hours(1));
        let tolerance = interval.saturating_mul(rate.burst.max(1) - 1);
        Self { interval, tolerance, full_at: Mutex::default() }
    }

    /// Takes a token of a caller's bucket; if there is none, says when there will be one.
    ///
    /// # Errors
    /// For how long to wait.
    fn take(&self, caller: &str, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = buckets.get(caller).copied().unwrap_or(now).max(now);
        let ahead = full_at.duration_since(now);
        if let Some(wait) = ahead.checked_sub(self.tolerance).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        let full_at = full_at + self.interval;
        if let Some(bucket) = buckets.get_mut(caller) {
            *bucket = full_at;
            return Ok(());
        }
        if buckets.len() >= CALLERS {
            buckets.retain(|_, full_at| *full_at > now);
        }
        if buckets.len() >= CALLERS {
            buckets.clear();
        }
        buckets.insert(caller.into(), full_at);
        Ok(())
    }
}

/// Refuses who asks too often.
pub(crate) async fn limit_rate(
    State(limiter): State<Arc<RateLimiter>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let caller = request.extensions().get::<RequestContext>();
    if let Some(caller) = caller {
        let name = format!("{}/{}", caller.tenant, caller.actor);
        if let Err(wait) = limiter.take(&name, Instant::now()) {
            let seconds = wait.as_secs() + 1;
            return Fault::Rate
                .because("this caller sends more requests than it may")
                .hint(format!("send the next one in {seconds} s"))
                .retry_after(seconds)
                .into_response();
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter() -> RateLimiter {
        RateLimiter::new(Rate { per_second: 10.0, burst: 3 })
    }

    #[test]
    fn a_burst_is_taken_and_then_the_rate() {
        let (limiter, now) = (limiter(), Instant::now());
        let taken = (0..5).filter(|_| limiter.take("a", now).is_ok()).count();
        assert_eq!(taken, 3);
        let wait = limiter.take("a", now).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        assert!(limiter.take("b", now).is_ok(), "others have buckets of their own");
        let later = now + wait;
        assert!(limiter.take("a", later).is_ok());
        assert!(limiter.take("a", later).is_err());
    }

    #[test]
    fn a_long_silence_gives_no_more_than_a_burst() {
        let (limiter, now) = (limiter(), Instant::now());
        assert!(limiter.take("a", now).is_ok());
        let later = now + Duration::from_hours(1);
        assert_eq!((0..9).filter(|_| limiter.take("a", later).is_ok()).count(), 3);
    }

    #[test]
    fn many_callers_do_not_fill_the_memory() {
        let (limiter, now) = (limiter(), Instant::now());
        for number in 0..3 * CALLERS {
            assert!(limiter.take(&number.to_string(), now).is_ok());
        }
        assert!(limiter.full_at.lock().unwrap().len() <= CALLERS);
    }

    #[test]
    fn a_rate_beyond_reason_does_not_panic() {
        for per_second in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300, 1e300] {
            let limiter = RateLimiter::new(Rate { per_second, burst: u32::MAX });
            assert!(limiter.take("a", Instant::now()).is_ok());
        }
    }
}
