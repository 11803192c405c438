//! What systemd is told of a service of `Type=notify`: sd_notify(3), as far as it is needed.

use std::{
    collections::BTreeMap,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
};

/// The variable in which a service manager names its socket.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Who started this process, if that is somebody who wants to hear of it.
#[derive(Debug)]
pub(super) struct ServiceManager {
    socket: Option<String>,
}

impl ServiceManager {
    /// Whom the environment names.
    pub(super) fn of(environment: &BTreeMap<String, String>) -> Self {
        Self { socket: environment.get(SOCKET).filter(|name| !name.is_empty()).cloned() }
    }

    /// Requests are taken from now on.
    pub(super) fn ready(&self) {
        self.tell("READY=1\nSTATUS=takes requests\n");
    }

    /// The process is about to end.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishes what is under way\n");
    }

    /// Who is not there to hear it does not keep the server from its work.
    fn tell(&self, state: &str) {
        let Some(name) = &self.socket else { return };
        if let Err(error) = send(name, state) {
            tracing::warn!(%error, socket = name, "the service manager was not told");
        }
    }
}

/// A name that begins with `@` is of the abstract namespace.
fn send(name: &str, state: &str) -> io::Result<()> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not hold us up.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> ServiceManager {
        ServiceManager::of(&BTreeMap::from([(SOCKET.to_owned(), name.to_owned())]))
    }

    #[test]
    fn a_manager_hears_of_the_beginning_and_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = of(path.to_str().unwrap());
        manager.ready();
        manager.stopping();
        let mut heard = [0; 100];
        for expected in ["READY=1\n", "STOPPING=1\n"] {
            let length = socket.recv(&mut heard).unwrap();
            let text = std::str::from_utf8(&heard[..length]).unwrap();
            assert!(text.starts_with(expected), "{text}");
        }
    }

    #[test]
    fn a_name_of_the_abstract_namespace_is_one() {
        let name = format!("flexcore-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        of(&format!("@{name}")).ready();
        assert!(socket.recv(&mut [0; 100]).unwrap() > 0);
    }

    #[test]
    fn nobody_there_is_no_error() {
        of("").ready();
        of("/nowhere/at/all").ready();
    }
}
