//! Who may ask, and from where.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use flexcore_app::Services;
use flexcore_cli::{HostError, HostErrorKind};
use flexcore_http::{Authenticate, LocalToken};

use crate::{callers::Callers, checkpoints, host::failed, settings::auth::AuthSettings};

/// Without configured authentication whoever reaches the server and reads one file may do
/// everything, so only this machine may reach it.
pub(super) fn may_listen(address: SocketAddr, auth: &AuthSettings) -> Result<(), HostError> {
    if address.ip().is_loopback() || auth.is_configured() {
        return Ok(());
    }
    Err(HostError {
        kind: HostErrorKind::Refused,
        code: "FC0711",
        message: format!("{address} can be reached by others, and no authentication is configured"),
        hint: Some(
            "say in the settings how callers are known (docs/security.md), or listen at 127.0.0.1"
                .to_owned(),
        ),
    })
}

/// What knows the callers.
pub(super) fn of_callers(
    services: &Arc<Services>,
    auth: &AuthSettings,
    token_file: &Path,
) -> Result<Arc<dyn Authenticate>, HostError> {
    let local = LocalToken::new(&token(token_file)?);
    Ok(Arc::new(Callers::new(services, auth, local)?))
}

/// The token that requests carry, in a file that only the operator can read; made at the first
/// start.
fn token(path: &Path) -> Result<String, HostError> {
    let cannot = |error: io::Error| failed(format!("{}: {error}", path.display()));
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(cannot(error)),
    }
    let seed = checkpoints::secret_seed()?;
    let token: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let _ = fs::remove_file(path);
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(cannot)?;
    writeln!(file, "{token}").and_then(|()| file.sync_all()).map_err(cannot)?;
    Ok(token)
}
