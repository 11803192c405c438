//! Who may do what: API keys, roles, and what was asked by whom.

mod audit;
mod key;
mod permission;
mod role;

pub use audit::{AuditPage, AuditRecordView, ListAudit};
pub use key::{
    ApiKeyCreated, ApiKeyPage, ApiKeyView, CallerView, CreateApiKey, ListApiKeys, RevokeApiKey,
    WhoAmI,
};
pub use permission::{OWN_SUBJECT, is_of_the_system, permissions};
pub use role::{DefineRole, ListRoles, RemoveRole, RoleList, RoleView};
