//! `traceparent` (W3C Trace Context): the span of the call, or, for a call that is part of no trace,
//! one that is made from what the call is called. The same call has the same trace wherever it is
//! looked at, and no random number is needed for it.

use flexcore_ports::PluginCall;
use sha2::{Digest as _, Sha256};

/// The header of a call.
pub(crate) fn parent(call: &PluginCall) -> String {
    call.trace.map_or_else(|| derived(&call.id), |trace| trace.to_string())
}

/// All attempts of an execution share a trace, each call is a span of it.
fn derived(call: &str) -> String {
    let trace = call.split('/').next().unwrap_or(call);
    format!("00-{}-{}-01", digits(trace, 16), digits(call, 8))
}

/// The first bytes of a digest; never only zeros, which the standard forbids.
fn digits(text: &str, bytes: usize) -> String {
    let mut digest = Sha256::digest(text.as_bytes());
    digest[bytes - 1] |= 1;
    hex::encode(&digest[..bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_an_execution_share_their_trace() {
        let (one, two) = (derived("e1/load/1"), derived("e1/load/2"));
        assert_eq!(one.len(), 55);
        assert_eq!(one[..36], two[..36]);
        assert_ne!(one, two);
        assert_ne!(one[..36], derived("e2/load/1")[..36]);
    }
}
