//! Use cases of plugins, and the way of every call of one.
//!
//! A name leads to a plugin that is registered or comes with FlexCore (`find`), manifest, step and
//! grants to what it may do (`find` as well), and the lifecycle through circuit and bounds to the
//! host of its kind. What a call says about the plugin goes into the plugin's event stream (`call`).

mod call;
mod calls;
mod circuit;
mod count;
pub(crate) mod error;
mod execute;
mod find;
mod get;
mod initialize;
mod lifecycle;
mod list;
mod manage;
mod masked;
mod ports;
mod program;
mod record;
mod register;
mod schema;
mod validate;
mod view;
mod watch;

pub(crate) use call::{Wish, accepts_config};
pub use execute::log_of_call;
pub(crate) use find::Asker;
pub(crate) use lifecycle::PluginLifecycle;
pub(crate) use masked::mask_uses;
pub use ports::{BuiltInPlugin, PluginBounds, PluginPorts};
pub(crate) use program::{RegisteredProgram, RegisteredPrograms};
pub(crate) use record::CallQueues;
use view::{never_used, role, view};
