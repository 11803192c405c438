//! Where a server of this machine answers, for verbs that find it holding the store.

use std::{fs, io, path::Path};

use flexcore_cli::ServeAddress;

use crate::paths::StatePaths;

/// Says where a server answers, in a file of its state folder. A file that is left behind does no
/// harm: it is read only while somebody holds the store.
pub(crate) fn announce(paths: &StatePaths, at: &ServeAddress) {
    let scheme = if at.is_encrypted { "https" } else { "http" };
    let address = at.address;
    let ip = match address.ip() {
        // A server that listens everywhere is reached here too.
        ip if ip.is_unspecified() && ip.is_ipv4() => "127.0.0.1".to_owned(),
        ip if ip.is_unspecified() => "[::1]".to_owned(),
        ip if ip.is_ipv6() => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let text = format!("{scheme}://{ip}:{}\n", address.port());
    if let Err(error) = fs::write(paths.serving(), text) {
        tracing::warn!(%error, "verbs on this machine will not find the server");
    }
}

/// Takes it back.
pub(crate) fn withdraw(paths: &StatePaths) {
    match fs::remove_file(paths.serving()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "the address of the server is left behind");
        }
        _ => {}
    }
}

/// Where the server with this state folder answers, if it said so.
pub(crate) fn read(state_folder: &Path) -> Option<String> {
    let text = fs::read_to_string(StatePaths::new(state_folder).serving()).ok()?;
    let url = text.trim();
    (!url.is_empty()).then(|| url.to_owned())
}
