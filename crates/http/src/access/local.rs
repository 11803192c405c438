//! The token of a server without configured authentication.

use async_trait::async_trait;
use flexcore_app::{OPERATORS_TENANT, Permissions};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Authenticate, Caller, Credentials, Refusal};

/// The one token of a server without configured authentication. Whoever can read the operator's
/// file has it, and may do everything.
#[derive(Clone)]
pub struct LocalToken {
    digest: [u8; 32],
}

impl LocalToken {
    /// Callers who know `token`.
    pub fn new(token: &str) -> Self {
        Self { digest: Sha256::digest(token).into() }
    }
}

impl std::fmt::Debug for LocalToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LocalToken").finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticate for LocalToken {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Caller, Refusal> {
        let token = credentials.token.ok_or(Refusal::Missing)?;
        let given: [u8; 32] = Sha256::digest(token).into();
        if !bool::from(given.ct_eq(&self.digest)) {
            return Err(Refusal::Unknown);
        }
        Ok(Caller {
            actor: "operator".into(),
            tenant: OPERATORS_TENANT.into(),
            permissions: Permissions::All,
        })
    }
}
