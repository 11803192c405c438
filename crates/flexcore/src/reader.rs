//! Opening a store to read.

use std::sync::Arc;

use flexcore_app::{QueryBus, Services};
use flexcore_cli::{HostError, Place, Reader};

use crate::{
    host::BinaryHost, observe::CountedRequests, paths::StatePaths, plugins, secrets, store,
    writer::Parts,
};

pub(crate) async fn open(host: &BinaryHost, place: &Place) -> Result<Reader, HostError> {
    let paths = StatePaths::new(&place.state_folder);
    let store = store::for_reading(place).await?;
    let environment = Arc::new(host.environment_of(place));
    // What a reader shows was masked when it was written: it has nothing to hide.
    let parts = Parts::new(&paths, &store, secrets::none(), &environment);
    let services = if store.folds_views {
        Services::writing(parts.ports)
    } else {
        Services::reading(parts.ports)
    };
    let plugins = plugins::for_reading(&paths, place, host.executable(), &environment);
    let services = Arc::new(services.with_plugins(plugins));
    let queries = QueryBus::new(Arc::clone(&services), Arc::new(CountedRequests));
    Ok(Reader { services, queries })
}
