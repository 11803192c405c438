//! The names of event streams.

use flexcore_domain::{
    AccessIndex, ApiKey, ApiKeyId, AuditTrail, DataStream, EnvironmentName, Execution, ExecutionId,
    NameReservation, Pipeline, PipelineId, PipelineName, Plugin, PluginName, Role, RoleName,
};
use flexcore_eventsourcing::{Aggregate, StreamName};

const FITS: &str =
    "ids and names are short and not empty, and tenants are checked where they enter";

pub(crate) fn pipeline(tenant: &str, id: PipelineId) -> StreamName {
    StreamName::new(tenant, Pipeline::CATEGORY, [id.to_string().as_str()]).expect(FITS)
}

pub(crate) fn pipeline_name(tenant: &str, name: &PipelineName) -> StreamName {
    StreamName::new(tenant, NameReservation::CATEGORY, [name.as_str()]).expect(FITS)
}

pub(crate) fn execution(tenant: &str, id: ExecutionId) -> StreamName {
    StreamName::new(tenant, Execution::CATEGORY, [id.to_string().as_str()]).expect(FITS)
}

pub(crate) fn plugin(tenant: &str, name: &PluginName) -> StreamName {
    StreamName::new(tenant, Plugin::CATEGORY, [name.as_str()]).expect(FITS)
}

pub(crate) fn api_key(tenant: &str, id: ApiKeyId) -> StreamName {
    StreamName::new(tenant, ApiKey::CATEGORY, [id.to_string().as_str()]).expect(FITS)
}

pub(crate) fn role(tenant: &str, name: &RoleName) -> StreamName {
    StreamName::new(tenant, Role::CATEGORY, [name.as_str()]).expect(FITS)
}

/// The one stream that lists the keys and roles of a tenant.
pub(crate) fn access(tenant: &str) -> StreamName {
    StreamName::new(tenant, AccessIndex::CATEGORY, ["index"]).expect(FITS)
}

/// A part of what was noted on a day.
pub(crate) fn audit(tenant: &str, day: &str, part: &str) -> StreamName {
    StreamName::new(tenant, AuditTrail::CATEGORY, [day, part]).expect(FITS)
}

/// The stream of a sync's memory. `item` is the key of a `for_each` item, if there is one; keys
/// that are too long are refused where they are made.
pub(crate) fn data_stream(
    tenant: &str,
    environment: &EnvironmentName,
    pipeline: PipelineId,
    state: &str,
    item: Option<&str>,
) -> StreamName {
    let pipeline = pipeline.to_string();
    let key = [environment.as_str(), pipeline.as_str(), state];
    StreamName::new(tenant, DataStream::CATEGORY, key.into_iter().chain(item)).expect(FITS)
}
