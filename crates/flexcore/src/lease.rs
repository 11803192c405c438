//! Leases as the operator sets them, and what they mean for the processes of this machine.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use flexcore_cli::{HostError, HostErrorKind};
use flexcore_pipeline_file::parse_duration;
use flexcore_ports::AttemptDeadline;
use flexcore_sandbox::Launcher;

/// The variable that says for how long leases are asked for.
const TTL_VARIABLE: &str = "FLEXCORE_LEASE_TTL";

/// Long enough for a restart of the store, short enough for a takeover in less than ten seconds.
const TTL: Duration = Duration::from_secs(6);

/// Below, a busy machine loses leases; above, nobody waits for a takeover.
const SENSIBLE: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_hours(1);

/// For how long leases are asked for.
pub(crate) fn ttl(environment: &BTreeMap<String, String>) -> Result<Duration, HostError> {
    let Some(text) = environment.get(TTL_VARIABLE).filter(|text| !text.is_empty()) else {
        return Ok(TTL);
    };
    parse_duration(text).filter(|ttl| SENSIBLE.contains(ttl)).ok_or_else(|| HostError {
        kind: HostErrorKind::Refused,
        code: "FC0503",
        message: format!("{TTL_VARIABLE} is `{text}`, which is no duration from 500ms to 1h"),
        hint: Some(format!("write it as in `{TTL_VARIABLE}=6s`, which is the default")),
    })
}

/// The launcher as the watch over a lease: it runs on when this process is stopped.
#[derive(Debug)]
pub(crate) struct LauncherDeadline(pub(crate) Launcher);

#[async_trait]
impl AttemptDeadline for LauncherDeadline {
    async fn set(&self, deadline: Option<Instant>) {
        self.0.end_all_at(deadline).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ttl_of(text: &str) -> Result<Duration, HostError> {
        ttl(&BTreeMap::from([(TTL_VARIABLE.to_owned(), text.to_owned())]))
    }

    #[test]
    fn the_time_of_leases_is_a_duration_within_reason() {
        assert_eq!(ttl(&BTreeMap::new()), Ok(TTL));
        assert_eq!(ttl_of(""), Ok(TTL));
        assert_eq!(ttl_of("900ms"), Ok(Duration::from_millis(900)));
        for text in ["0s", "499ms", "2h", "6", "soon", "-6s"] {
            assert_eq!(ttl_of(text).unwrap_err().code, "FC0503", "{text}");
        }
    }
}
