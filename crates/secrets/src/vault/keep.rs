//! Keeps the token alive: looks at it, and renews it well before it ends.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{task::AbortHandle, time::sleep};

use super::client::{Lease, VaultClient};

/// How long after a failure, or with a token about to end, it is tried again: at least so long.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long at most until it is looked again.
const LONGEST: Duration = Duration::from_hours(1);
/// How long until it is looked whether a file holds another token by now.
const FILE_AGAIN: Duration = Duration::from_mins(1);

/// What comes next for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Renew it after so long.
    Renew(Duration),
    /// It cannot be renewed; look after so long whether there is another.
    LookAgain(Duration),
    /// Nothing: it has no end, or nobody can change that.
    Nothing,
}

/// Begins to look after the token, in a task of its own that ends with the client.
pub(super) fn start(client: &Arc<VaultClient>) -> AbortHandle {
    tokio::spawn(keep(Arc::downgrade(client))).abort_handle()
}

async fn keep(client: Weak<VaultClient>) {
    let mut failures = 0;
    let mut renew = false;
    loop {
        let Some(vault) = client.upgrade() else { return };
        let asked = match renew {
            true => vault.renew_token().await,
            false => vault.look_at_token().await,
        };
        let pause = match asked {
            Ok(lease) => {
                failures = 0;
                let next = next(lease, vault.reads_token_anew());
                if let (Next::LookAgain(_) | Next::Nothing, Some(left)) = (next, lease.left) {
                    let minutes = left.as_secs() / 60;
                    tracing::warn!(minutes, "the token of the Vault ends and cannot be renewed");
                }
                renew = matches!(next, Next::Renew(_));
                match next {
                    Next::Renew(pause) | Next::LookAgain(pause) => pause,
                    Next::Nothing => return,
                }
            }
            Err(fault) => {
                failures += 1;
                // The fault says nothing that is secret but what a service repeats: only its code.
                tracing::warn!(
                    code = fault.code(),
                    failures,
                    "the token of the Vault is not renewed"
                );
                renew = false;
                backoff(failures)
            }
        };
        drop(vault);
        sleep(pause).await;
    }
}

/// A token is renewed when two thirds of what is left have gone, so that there is time for another
/// try.
fn next(lease: Lease, may_change: bool) -> Next {
    match lease {
        Lease { left: Some(left), renewable: true } => {
            Next::Renew((left * 2 / 3).clamp(SHORTEST, LONGEST))
        }
        _ if may_change => {
            let left = lease.left.unwrap_or(LONGEST);
            Next::LookAgain(left.clamp(SHORTEST, FILE_AGAIN))
        }
        _ => Next::Nothing,
    }
}

fn backoff(failures: u32) -> Duration {
    SHORTEST.saturating_mul(2_u32.saturating_pow(failures.min(10) - 1)).min(FILE_AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(left: Option<u64>, renewable: bool, may_change: bool) -> Next {
        next(Lease { left: left.map(Duration::from_secs), renewable }, may_change)
    }

    #[test]
    fn a_token_is_renewed_well_before_it_ends() {
        assert_eq!(after(Some(90), true, false), Next::Renew(Duration::from_mins(1)));
        assert_eq!(after(Some(1), true, false), Next::Renew(SHORTEST));
        assert_eq!(after(Some(2_764_800), true, true), Next::Renew(LONGEST));
    }

    #[test]
    fn one_that_cannot_be_renewed_is_looked_for_in_its_file() {
        assert_eq!(after(Some(3_600), false, true), Next::LookAgain(FILE_AGAIN));
        assert_eq!(after(None, false, true), Next::LookAgain(FILE_AGAIN));
        assert_eq!(after(Some(3_600), false, false), Next::Nothing);
        assert_eq!(after(None, false, false), Next::Nothing);
    }

    #[test]
    fn failures_are_tried_again_ever_less_often() {
        let pauses: Vec<u64> = [1, 2, 3, 7, 40].map(|count| backoff(count).as_secs()).into();
        assert_eq!(pauses, [1, 2, 4, 60, 60]);
    }
}
