//! Replies as text for people. Pure: a value and a style in, a string out.

mod access;
mod apply;
mod bookmark;
mod builder;
mod catalog;
mod checkpoint;
mod data_stream;
mod event;
mod execution;
mod failure;
mod graph;
mod health;
mod log;
mod mermaid;
mod pipeline;
mod plan;
mod plugin;
mod quantity;
mod replay;
mod sandbox;
mod setting;
mod store;
mod style;
mod system;
mod table;

pub(crate) use access::{api_key_created_text, api_key_page_text, audit_page_text, role_list_text};
pub(crate) use apply::apply_text;
pub(crate) use bookmark::{bookmark_list_text, bookmark_text, difference_text};
pub(crate) use catalog::catalog_text;
pub(crate) use checkpoint::{key_pair_text, signed_checkpoint_text};
pub(crate) use data_stream::{data_stream_page_text, data_stream_text};
pub(crate) use event::{event_page_text, event_text, statistics_text, verify_text};
#[cfg(test)]
pub(crate) use execution::tests as execution_tests;
pub(crate) use execution::{execution_page_text, execution_text, first_error_text, summary_text};
pub(crate) use failure::failure_text;
pub(crate) use graph::graph_text;
pub(crate) use health::health_text;
pub(crate) use log::{error_report_text, log_heading, log_line_text};
pub(crate) use mermaid::mermaid;
pub(crate) use pipeline::{
    pipeline_page_text, pipeline_status_text, pipeline_text, pipeline_versions_text,
};
pub(crate) use plan::plan_text;
pub(crate) use plugin::{
    plugin_calls_text, plugin_executed_text, plugin_initialized_text, plugin_list_text,
    plugin_log_text, plugin_page_text, plugin_registered_text, plugin_schema_text, plugin_text,
    plugin_validated_text,
};
pub(crate) use quantity::{bytes_text, count_text, duration_text};
pub(crate) use replay::{aggregate_text, log_copied_text, views_rebuilt_text};
pub(crate) use sandbox::{doctor_text, sandbox_text, sandboxes_text};
pub(crate) use setting::settings_text;
pub(crate) use store::{store_migration_text, store_pruned_text, store_status_text};
pub(crate) use style::Style;
pub(crate) use system::{metrics_text, views_text};
pub(crate) use table::{Align, Table, printable, shortened};
