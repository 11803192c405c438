//! The first line that a go-plugin process writes, and the environment that makes it write it.
//!
//! The line is `CORE|APP|NETWORK|ADDRESS|PROTOCOL|CERTIFICATE|MULTIPLEX`, of which the first four
//! are always there. Written from the contract of HashiCorp's go-plugin, which is what existing
//! plugins keep.

mod environment;

use std::fmt;

pub use environment::PluginEnvironment;

/// The longest first line. A line with a certificate, which we never ask for, has about 900 bytes.
pub const MAX_HANDSHAKE_BYTES: usize = 8 * 1024;
/// The one version of go-plugin's own protocol.
const CORE_VERSION: u64 = 1;
/// A name of a socket that can be reached through its folder's descriptor: `sun_path` has 108
/// bytes, of which `/proc/self/fd/NUMBER/` and the end take up to 28.
const MAX_SOCKET_NAME: usize = 80;

/// What a host offers, and so what a line may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeOffer<'a> {
    /// The versions of the plugin's protocol that the host speaks.
    pub app_versions: &'a [u32],
    /// The folder for the socket, as the plugin sees it; absolute, without `/` at its end.
    pub socket_folder: &'a str,
    /// Whether the host asked for all connections over one socket.
    pub multiplex: bool,
}

/// What a plugin said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// The version of the plugin's protocol, one of those offered.
    pub app_version: u32,
    /// The name of its socket in the folder: one part, so it can be opened beneath it.
    pub socket_name: String,
    /// Whether all connections go over that socket.
    pub multiplex: bool,
}

/// What is known of the first line when some bytes have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstLine<'a> {
    /// The line, and what came after it.
    Complete {
        /// The line without its end.
        line: &'a [u8],
        /// What the plugin wrote after it.
        rest: &'a [u8],
    },
    /// More bytes are needed.
    Incomplete,
    /// There is no end of line in as many bytes as a line may have.
    TooLong,
}

/// Looks for the end of the first line.
pub fn first_line(bytes: &[u8]) -> FirstLine<'_> {
    let window = bytes.get(..=MAX_HANDSHAKE_BYTES).unwrap_or(bytes);
    match window.iter().position(|byte| *byte == b'\n') {
        Some(end) => FirstLine::Complete { line: &bytes[..end], rest: &bytes[end + 1..] },
        None if window.len() > MAX_HANDSHAKE_BYTES => FirstLine::TooLong,
        None => FirstLine::Incomplete,
    }
}

/// Why a first line is no handshake that this host can go on with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Longer than any real one.
    #[error(
        "the first line of the plugin has more than {MAX_HANDSHAKE_BYTES} bytes, so it is no handshake"
    )]
    TooLong,
    /// Not UTF-8, or with control characters.
    #[error("the first line of the plugin is no text, so it is no handshake")]
    NotText,
    /// Too few fields.
    #[error(
        "the plugin's first line is `{line}`, not the handshake `CORE|APP|NETWORK|ADDRESS|PROTOCOL`; \
         it may have printed something before it served, or is no go-plugin plugin"
    )]
    Short {
        /// The start of the line.
        line: String,
    },
    /// The first field is no 1.
    #[error(
        "the plugin speaks version `{found}` of go-plugin's protocol, this host speaks {CORE_VERSION}"
    )]
    CoreVersion {
        /// The first field.
        found: String,
    },
    /// The second field is not among those offered.
    #[error(
        "the plugin speaks version `{found}` of its own protocol, the host offers {offered}; `app_versions` in its manifest lists what it speaks"
    )]
    AppVersion {
        /// The second field.
        found: String,
        /// What the host offers.
        offered: Versions,
    },
    /// The third field is not `unix`.
    #[error("the plugin listens on `{found}`; in the jail only a `unix` socket can be reached")]
    Network {
        /// The third field.
        found: String,
    },
    /// The fourth field is no socket in the folder.
    #[error(
        "the plugin's socket is `{found}`, not a file in `{folder}`; it must take `PLUGIN_UNIX_SOCKET_DIR` or `TMPDIR` for its place"
    )]
    Address {
        /// The fourth field.
        found: String,
        /// Where it ought to be.
        folder: String,
    },
    /// The fifth field is not `grpc`.
    #[error(
        "the plugin speaks `{found}`; only `grpc` is supported. Build it with `GRPCServer: plugin.DefaultGRPCServer`"
    )]
    Protocol {
        /// The fifth field; `netrpc` if it is not there.
        found: String,
    },
    /// The sixth field is there.
    #[error("the plugin wants TLS with a certificate of its own, which was not asked for")]
    Certificate,
    /// The seventh field is no truth value, or true without having been asked for.
    #[error("the plugin's last field is `{found}`, which does not fit what the host asked for")]
    Multiplex {
        /// The seventh field.
        found: String,
    },
}

impl HandshakeError {
    /// Its stable code; the page is in `docs/errors`.
    pub const CODE: &str = "FC0610";
}

/// Versions for a message: `1, 2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions(Vec<u32>);

impl fmt::Display for Versions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(u32::to_string).collect();
        formatter.write_str(&texts.join(", "))
    }
}

impl Handshake {
    /// Reads the first line, with or without its end.
    ///
    /// # Errors
    ///
    /// What keeps the host from going on with this plugin.
    pub fn parse(line: &[u8], offer: HandshakeOffer<'_>) -> Result<Self, HandshakeError> {
        if line.len() > MAX_HANDSHAKE_BYTES {
            return Err(HandshakeError::TooLong);
        }
        let line = std::str::from_utf8(line).map_err(|_| HandshakeError::NotText)?.trim();
        if line.contains(char::is_control) {
            return Err(HandshakeError::NotText);
        }
        let fields: Vec<&str> = line.split('|').collect();
        let [core, app, network, address, optional @ ..] = fields.as_slice() else {
            return Err(HandshakeError::Short { line: shown(line) });
        };
        if whole_number(core) != Some(CORE_VERSION) {
            return Err(HandshakeError::CoreVersion { found: shown(core) });
        }
        let app_version = app_version(app, offer)?;
        if *network != "unix" {
            return Err(HandshakeError::Network { found: shown(network) });
        }
        let socket_name = socket_name(address, offer)?;
        // Old plugins leave the field out, and then speak net/rpc.
        let protocol = optional.first().copied().filter(|field| !field.is_empty());
        let protocol = protocol.unwrap_or("netrpc");
        if protocol != "grpc" {
            return Err(HandshakeError::Protocol { found: shown(protocol) });
        }
        if optional.get(1).is_some_and(|certificate| !certificate.is_empty()) {
            return Err(HandshakeError::Certificate);
        }
        Ok(Self { app_version, socket_name, multiplex: multiplex(optional.get(2), offer)? })
    }
}

fn app_version(field: &str, offer: HandshakeOffer<'_>) -> Result<u32, HandshakeError> {
    let version = whole_number(field).and_then(|number| u32::try_from(number).ok());
    version.filter(|version| offer.app_versions.contains(version)).ok_or_else(|| {
        let offered = Versions(offer.app_versions.to_vec());
        HandshakeError::AppVersion { found: shown(field), offered }
    })
}

/// The name of the socket, which lies in the folder itself.
fn socket_name(address: &str, offer: HandshakeOffer<'_>) -> Result<String, HandshakeError> {
    let inner = address.strip_prefix(offer.socket_folder).and_then(|rest| rest.strip_prefix('/'));
    let legal = |name: &&str| {
        (1..=MAX_SOCKET_NAME).contains(&name.len())
            && !name.contains('/')
            && *name != "."
            && *name != ".."
    };
    inner.filter(legal).map(str::to_owned).ok_or_else(|| HandshakeError::Address {
        found: shown(address),
        folder: offer.socket_folder.to_owned(),
    })
}

fn multiplex(field: Option<&&str>, offer: HandshakeOffer<'_>) -> Result<bool, HandshakeError> {
    let Some(field) = field.filter(|field| !field.is_empty()) else { return Ok(false) };
    // The spellings that Go's strconv.ParseBool takes.
    let value = match *field {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    };
    value
        .filter(|multiplex| offer.multiplex || !multiplex)
        .ok_or_else(|| HandshakeError::Multiplex { found: shown(field) })
}

/// A number without sign; Rust would take a `+`.
fn whole_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// The start of what a plugin wrote, for a message.
fn shown(text: &str) -> String {
    const SHOWN: usize = 120;
    let start: String = text.chars().take(SHOWN).collect();
    if text.chars().count() > SHOWN { format!("{start}…") } else { start }
}

#[cfg(test)]
mod tests;
