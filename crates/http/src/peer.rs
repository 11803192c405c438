//! Who is at the other end of a connection, as the connection itself shows.

use std::sync::Arc;

/// The certificate that a client showed, in DER; its chain was checked against the authorities that
/// the operator named. Requests carry it among their extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate(pub Arc<[u8]>);
