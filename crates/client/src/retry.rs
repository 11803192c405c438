//! When something is sent again, and how long to wait before.

use std::time::Duration;

/// Before the first time that something is sent again.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait that the client chooses.
const LONGEST: Duration = Duration::from_secs(5);
/// The longest wait that a server may ask for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How one try went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It certainly did not arrive.
    NotSent,
    /// Nobody knows whether it arrived.
    Lost,
    /// The server answered with this status.
    Answered(u16),
}

/// Whether to send it again. A status of 429 says that it was not carried out; 502 to 504 come from
/// a balancer, or from a server whose store is away.
pub(crate) const fn is_worthwhile(trouble: Trouble, is_repeatable: bool) -> bool {
    match trouble {
        Trouble::NotSent | Trouble::Answered(429) => true,
        Trouble::Lost | Trouble::Answered(502..=504) => is_repeatable,
        Trouble::Answered(_) => false,
    }
}

/// How long to wait before try `attempt` (the second is 1), with all clients at different moments.
pub(crate) fn wait(attempt: u32, asked: Option<Duration>) -> Duration {
    let longest = FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST);
    let share = 0.5 + fastrand::f64() / 2.0;
    let own = longest.mul_f64(share);
    asked.map_or(own, |asked| asked.min(PATIENCE).max(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_safe_is_sent_again() {
        for safe in [true, false] {
            assert!(is_worthwhile(Trouble::NotSent, safe));
            assert!(is_worthwhile(Trouble::Answered(429), safe));
            assert_eq!(is_worthwhile(Trouble::Lost, safe), safe);
            assert_eq!(is_worthwhile(Trouble::Answered(503), safe), safe);
            for final_ in [400, 401, 403, 404, 409, 412, 500, 501] {
                assert!(!is_worthwhile(Trouble::Answered(final_), safe), "{final_}");
            }
        }
    }

    #[test]
    fn waits_grow_up_to_a_bound_and_obey_the_server_within_reason() {
        for attempt in 1..100 {
            let own = wait(attempt, None);
            assert!(own >= FIRST / 2 && own <= LONGEST, "{own:?}");
        }
        assert!(wait(9, None) > wait(1, None));
        assert_eq!(wait(1, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(wait(1, Some(Duration::from_hours(1))), PATIENCE);
    }
}
