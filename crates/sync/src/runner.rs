//! The port's implementation: what is made around an attempt, and what becomes of it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use flexcore_ports::attempt::{
    AttemptContext, AttemptEnd, AttemptError, AttemptObserver, AttemptOutcome, SyncRunner,
    SyncSettings,
};
use flexcore_sandbox::ProjectJailer;
use serde_json::Value;

use tokio_util::sync::CancellationToken;

use crate::{
    attempt::Attempt,
    catalog::ruled_catalog,
    discovery::{DiscoveryError, Inquiry, discover},
    failure::{PrepareError, cancelled},
    folder,
    plugin::{PluginName, Role},
    program::Trail,
    workplace::Workplace,
};

/// What a [`PumpSyncRunner`] takes from its surroundings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncOptions {
    /// A folder in memory that belongs to this user (`XDG_RUNTIME_DIR`), for config files. Where it
    /// is `None` or cannot be used, `/dev/shm` is; without that the attempt's work folder is, and
    /// the attempt's log warns that secrets lie on disk.
    pub runtime_folder: Option<PathBuf>,
}

/// Runs syncs as two processes, each in a jail of its own, with the pump between them.
#[derive(Debug, Clone)]
pub struct PumpSyncRunner {
    jailer: ProjectJailer,
    /// Where private folders may be made, best first.
    private_bases: Vec<PathBuf>,
}

impl PumpSyncRunner {
    /// A runner; first removes the config files of attempts whose process is gone.
    pub fn new(jailer: ProjectJailer, options: SyncOptions) -> Self {
        let SyncOptions { runtime_folder } = options;
        let private_bases = folder::candidates(runtime_folder);
        for base in &private_bases {
            sweep(base);
        }
        Self { jailer, private_bases }
    }

    fn workplace(&self, context: &AttemptContext) -> Result<Workplace, PrepareError> {
        Workplace::create(context, self.private_bases.iter().map(PathBuf::as_path))
    }
}

fn sweep(base: &Path) {
    let base_name = base.display();
    match folder::sweep(base) {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, base = %base_name, "removed left config files"),
        Err(error) => {
            tracing::debug!(%error, base = %base_name, "cannot look for left config files");
        }
    }
}

#[async_trait]
impl SyncRunner for PumpSyncRunner {
    async fn run(
        &self,
        context: AttemptContext,
        settings: SyncSettings,
        observer: Arc<dyn AttemptObserver>,
        cancel: CancellationToken,
    ) -> AttemptEnd {
        if cancel.is_cancelled() {
            return AttemptEnd::nothing_ran(AttemptOutcome::Cancelled);
        }
        let workplace = match self.workplace(&context) {
            Ok(workplace) => workplace,
            Err(error) => return AttemptEnd::nothing_ran(AttemptOutcome::Failed(error.into())),
        };
        let jailer = &self.jailer;
        Attempt { jailer, context, settings, workplace, observer, cancel }.run().await
    }

    async fn discover(
        &self,
        context: AttemptContext,
        settings: SyncSettings,
    ) -> Result<Value, AttemptError> {
        let workplace = self.workplace(&context)?;
        workplace.write_config(Role::Tap, &settings.tap.config)?;
        let tap = &settings.tap;
        let cancel = CancellationToken::new();
        let (jailer, context, workplace, cancel) = (&self.jailer, &context, &workplace, &cancel);
        let inquiry = Inquiry { jailer, context, workplace, tap, cancel };
        let discovered = discover(inquiry, &mut Trail::default()).await;
        let discovered = discovered.map_err(|error| match error {
            DiscoveryError::Failed(error) => error,
            DiscoveryError::Cancelled => cancelled(),
        })?;
        let plugin = PluginName::new(Role::Tap, tap);
        let (catalog, warnings) = ruled_catalog(&discovered, &settings)
            .map_err(|source| PrepareError::Rules { plugin, source })?;
        workplace.warn(&warnings);
        Ok(catalog.to_json().to_value())
    }
}
