//! Who may do what: roles and API keys, and the trail of what was asked.
//!
//! A role is a named set of permissions of one tenant; an API key has roles, permissions of its
//! own, or both. What a permission allows is decided where requests are taken: here it is a word
//! that can be written down, compared and covered by another.

pub mod api_key;
pub mod audit;
pub mod index;
mod permission;
pub mod role;

pub use api_key::ApiKey;
pub use audit::AuditTrail;
pub use index::AccessIndex;
pub use permission::Permission;
pub use role::Role;
