//! Roles.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Command, Query, Route, Written};

/// Lets a role be this from now on, for everybody who has it. It can be no more than what the one
/// who defines it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct DefineRole {
    /// Its name
    pub name: String,
    /// Something that who has it may do, such as pipeline.execute or plugin.*; may be repeated
    #[arg(long = "permission", value_name = "PERMISSION", required = true)]
    pub permissions: Vec<String>,
    /// What it is for
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl Command for DefineRole {
    type Reply = Written;
    const NAME: &'static str = "DefineRole";
    const PERMISSION: &'static str = "role.define";
    const ROUTE: Option<Route> = Some(Route::put("roles/{name}"));
}

/// Takes a role away from everybody who has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct RemoveRole {
    /// Its name
    pub name: String,
}

impl Command for RemoveRole {
    type Reply = Written;
    const NAME: &'static str = "RemoveRole";
    const PERMISSION: &'static str = "role.remove";
    const ROUTE: Option<Route> = Some(Route::delete("roles/{name}"));
}

/// Lists the roles, those that come with FlexCore first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRoles {}

impl Query for ListRoles {
    type Reply = RoleList;
    const NAME: &'static str = "ListRoles";
    const PERMISSION: &'static str = "role.read";
    const ROUTE: Option<Route> = Some(Route::get("roles"));
}

/// The roles of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleList {
    /// The roles.
    pub items: Vec<RoleView>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleView {
    /// Its name.
    pub name: String,
    /// Whether it comes with FlexCore.
    pub built_in: bool,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What who has it may do.
    pub permissions: Vec<String>,
}
