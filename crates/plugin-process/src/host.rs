//! The port's implementation: which pool a call goes to, and what is told of its end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use flexcore_plugin_protocol::{ContentDigest, LimitName};
use flexcore_ports::{
    AttemptLog, CallablePlugin, ConfigProblem, PluginCall, PluginDescription, PluginEnd,
    PluginError, PluginHost, PluginSchema,
};
use flexcore_sandbox::Jailer;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    ProcessOptions,
    config::Settings,
    error::Fault,
    execute::{Bounds, ExecutionEnd, execute},
    foreign,
    pool::{Lease, Pool},
    process::{MAX_ANSWER, PluginProcess, Services},
    start::StartFailure,
};

/// What two calls must have in common to share processes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    digest: ContentDigest,
    rights: ContentDigest,
    /// Empty where the plugin says that it keeps nothing between calls.
    tenant: String,
}

/// Calls plugins that are processes.
#[derive(Debug)]
pub struct ProcessHost {
    jailer: Arc<Jailer>,
    options: Arc<ProcessOptions>,
    pools: Mutex<HashMap<Key, Arc<Pool>>>,
}

impl ProcessHost {
    /// A host that starts its plugins by `jailer`. It needs a runtime with I/O and time when it is
    /// used, not yet here.
    pub fn new(jailer: Arc<Jailer>, options: ProcessOptions) -> Self {
        Self { jailer, options: Arc::new(options), pools: Mutex::default() }
    }

    /// Ends every process; no call may be made afterwards or be running.
    pub async fn close(&self) {
        let pools: Vec<_> = self.pools().drain().map(|(_, pool)| pool).collect();
        for pool in pools {
            pool.close().await;
        }
    }

    /// How many processes there are that are idle, busy and starting.
    pub fn census(&self) -> [usize; 3] {
        let pools: Vec<_> = self.pools().values().cloned().collect();
        pools
            .iter()
            .map(|pool| pool.census())
            .fold([0; 3], |sum, one| std::array::from_fn(|place| sum[place] + one[place]))
    }

    fn pool(&self, plugin: &CallablePlugin) -> Arc<Pool> {
        let is_shared = plugin.manifest.pool.reuse_across_tenants;
        let key = Key {
            digest: plugin.digest,
            rights: plugin.effective.digest(),
            tenant: if is_shared { String::new() } else { plugin.tenant.clone() },
        };
        let mut pools = self.pools();
        let pool = pools.entry(key).or_insert_with(|| {
            Pool::new(plugin.clone(), Arc::clone(&self.jailer), Arc::clone(&self.options))
        });
        Arc::clone(pool)
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<Key, Arc<Pool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process for a question.
    async fn ask(&self, plugin: &CallablePlugin) -> Result<Lease, PluginError> {
        let deadline = Instant::now() + self.options.wait;
        let lease = self.pool(plugin).lease(None, deadline).await;
        lease.map_err(|failure| told(plugin, &failure))
    }

    /// What a question came to.
    async fn answer<T>(
        &self,
        plugin: &CallablePlugin,
        mut lease: Lease,
        answer: Result<T, Fault>,
    ) -> Result<T, PluginError> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(fault) => {
                let fault = settle(&mut lease, fault).await;
                Err(fault.tell(&plugin.manifest.name, lease.process.output.tail()))
            }
        }
    }
}

#[async_trait]
impl PluginHost for ProcessHost {
    async fn initialize(&self, plugin: &CallablePlugin) -> Result<PluginDescription, PluginError> {
        let pool = self.pool(plugin);
        let lease = self.ask(plugin).await?;
        if plugin.manifest.pool.reuse_across_tenants
            && matches!(lease.process.services, Services::FlexCore { stateless: false, .. })
        {
            let what = "its manifest says `reuse_across_tenants`, and the plugin does not say that it is stateless; take it out of the manifest, or declare it in the plugin";
            let fault = Fault::Mismatch { what: what.to_owned() };
            return Err(fault.tell(&plugin.manifest.name, Vec::new()));
        }
        pool.warm(plugin.manifest.pool.min_idle).await.map_err(|failure| told(plugin, &failure))?;
        Ok(PluginDescription {
            name: plugin.manifest.name.clone(),
            version: plugin.manifest.version.clone(),
            detail: describe(&lease.process),
        })
    }

    async fn validate(
        &self,
        plugin: &CallablePlugin,
        config: &Value,
    ) -> Result<Vec<ConfigProblem>, PluginError> {
        let lease = self.ask(plugin).await?;
        if matches!(lease.process.services, Services::Foreign) {
            return Ok(Vec::new());
        }
        let answer = lease.process.validate(config, self.options.answer).await;
        self.answer(plugin, lease, answer).await
    }

    async fn schema(
        &self,
        plugin: &CallablePlugin,
        config: Option<&Value>,
    ) -> Result<PluginSchema, PluginError> {
        let lease = self.ask(plugin).await?;
        if matches!(lease.process.services, Services::Foreign) {
            return Ok(PluginSchema::default());
        }
        let answer = lease.process.schema(config, self.options.answer).await;
        self.answer(plugin, lease, answer).await
    }

    async fn execute(
        &self,
        plugin: &CallablePlugin,
        call: PluginCall,
        log: Arc<dyn AttemptLog>,
        cancel: CancellationToken,
    ) -> PluginEnd {
        let bounds = self.bounds(plugin, &call);
        let settings = Settings { config: &call.config, secrets: &call.secrets };
        let wait = bounds.timeout.map_or(self.options.wait, |all| all.min(self.options.wait));
        let pool = self.pool(plugin);
        let lease = tokio::select! {
            biased;
            lease = pool.lease(Some(&settings), Instant::now() + wait) => lease,
            () = cancel.cancelled() => Err(Fault::Cancelled.into()),
        };
        let mut lease = match lease {
            Ok(lease) => lease,
            Err(failure) => {
                let error = told(plugin, &failure);
                let outcome = Err(error);
                return PluginEnd { outcome, isolation: failure.isolation, uses: Vec::new() };
            }
        };
        let following = lease.process.output.follow(&log);
        let before = lease.process.supervisor.network();
        let end = run(&lease.process, plugin, &call, (bounds, &log, &cancel)).await;
        let outcome = match end.outcome {
            Ok(output) => Ok(output),
            Err(fault) => {
                if !end.is_over {
                    lease.spoil();
                }
                let fault = settle(&mut lease, fault).await;
                Err(fault.tell(&plugin.manifest.name, lease.process.output.tail()))
            }
        };
        drop(following);
        let uses = lease.process.uses_since(&before);
        PluginEnd { outcome, isolation: Some(lease.process.isolation.clone()), uses }
    }

    async fn health(&self, plugin: &CallablePlugin) -> Result<(), PluginError> {
        let lease = self.ask(plugin).await?;
        let answer = lease.process.health(self.options.answer).await;
        self.answer(plugin, lease, answer).await
    }

    async fn release(&self, digest: &ContentDigest) {
        let pools: Vec<_> = {
            let mut pools = self.pools();
            pools.extract_if(|key, _| key.digest == *digest).map(|(_, pool)| pool).collect()
        };
        for pool in pools {
            pool.close().await;
        }
    }
}

impl ProcessHost {
    fn bounds(&self, plugin: &CallablePlugin, call: &PluginCall) -> Bounds {
        let limits = &plugin.effective.limits;
        let timeout = call.timeout.into_iter().chain(limits.duration(LimitName::Execute)).min();
        let message = limits.get(LimitName::MaxFrame).and_then(|bytes| usize::try_from(bytes).ok());
        Bounds {
            timeout: timeout.map(|timeout| timeout.max(Duration::from_millis(1))),
            idle: limits.duration(LimitName::Idle),
            stop: self.options.stop,
            message: message.map_or(MAX_ANSWER, |bytes| bytes.min(MAX_ANSWER)),
            output: limits.get(LimitName::OutputBytes).unwrap_or(self.options.output_bytes),
        }
    }
}

async fn run(
    process: &PluginProcess,
    plugin: &CallablePlugin,
    call: &PluginCall,
    (bounds, log, cancel): (Bounds, &Arc<dyn AttemptLog>, &CancellationToken),
) -> ExecutionEnd {
    match &process.services {
        Services::FlexCore { initial_credit, .. } => {
            execute(&process.connection, (call, *initial_credit), bounds, log, cancel).await
        }
        Services::Foreign => {
            foreign::call(&process.connection, (plugin, call), bounds, cancel).await
        }
    }
}

/// Finds out what is behind a fault, and has the process replaced if it is to blame.
async fn settle(lease: &mut Lease, fault: Fault) -> Fault {
    let fault = lease.process.explain(fault).await;
    if fault.is_fault() {
        lease.spoil();
    }
    fault
}

fn told(plugin: &CallablePlugin, failure: &StartFailure) -> PluginError {
    failure.fault.tell(&plugin.manifest.name, failure.stderr_tail.clone())
}

fn describe(process: &PluginProcess) -> String {
    match process.services {
        Services::FlexCore { concurrent, stateless, .. } => {
            let keeps = if stateless { "keeps nothing between calls" } else { "may keep a state" };
            format!("speaks flexcore.plugin.v1, {concurrent} calls at a time, {keeps}")
        }
        Services::Foreign => {
            "a go-plugin with services of its own: name a method as the operation".to_owned()
        }
    }
}
