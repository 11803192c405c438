//! Who may do what: use cases of API keys and roles, the callers that are known by them, and the
//! audit trail.

mod authority;
mod cache;
mod caller;
mod key;
mod key_text;
mod records;
mod role;
mod roles;
mod trail;
mod who;

pub(crate) use cache::AccessCache;
pub use caller::{CallerError, KnownCaller};
pub(crate) use trail::AuditLog;
pub use trail::AuditTicket;
