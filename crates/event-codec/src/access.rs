//! The stored form of API keys, roles, their index, and the audit trail.

mod api_key;
mod audit;
mod index;
mod role;
