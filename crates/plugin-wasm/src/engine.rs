//! The engine: one way of compiling and running for every guest, here and in workers.

use std::{
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
};

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
};

use crate::{
    task::{Failure, FailureKind},
    ticker::Ticker,
};

/// Stack that a guest may use.
const GUEST_STACK: usize = 512 << 10;
/// Stack of a call, what the host's functions use included.
const CALL_STACK: usize = 1 << 20;
/// Instances of core modules in one component; programs of script languages consist of dozens.
const CORE_INSTANCES: u32 = 64;
/// Tables in one component.
const TABLES: u32 = 32;
/// Memories in one component.
const MEMORIES: u32 = 8;
/// Elements of one table.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;

/// An engine and its clock.
#[derive(Clone)]
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) ticker: Arc<Ticker>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Runtime").finish_non_exhaustive()
    }
}

impl Runtime {
    /// An engine for so many guests at one time.
    pub(crate) fn new(calls: u32, counts_fuel: bool) -> Result<Self, Failure> {
        let mut config = config(counts_fuel);
        // What runs here was compiled elsewhere.
        config.enable_compiler(false);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(calls)));
        let engine = Engine::new(&config).map_err(|error| unusable(&error))?;
        let ticker = Ticker::start(&engine)
            .map_err(|error| unusable(&format!("the system gave no thread: {error}")))?;
        Ok(Self { engine, ticker: Arc::new(ticker) })
    }
}

/// An engine that compiles, and runs nothing.
pub(crate) fn compiler(counts_fuel: bool) -> Result<Engine, Failure> {
    Engine::new(&config(counts_fuel)).map_err(|error| unusable(&error))
}

/// What compiled code must have in common with the engine that runs it.
pub(crate) fn compatibility(counts_fuel: bool) -> Result<u64, Failure> {
    // Making a compiler takes longer than starting a worker.
    static KNOWN: [OnceLock<u64>; 2] = [const { OnceLock::new() }; 2];
    let known = &KNOWN[usize::from(counts_fuel)];
    if let Some(hash) = known.get() {
        return Ok(*hash);
    }
    // Keys of the standard library's hasher are constant when it is made this way.
    let mut hasher = std::hash::DefaultHasher::new();
    compiler(counts_fuel)?.precompile_compatibility_hash().hash(&mut hasher);
    Ok(*known.get_or_init(|| hasher.finish()))
}

fn unusable(error: &dyn std::fmt::Display) -> Failure {
    let message = format!("WebAssembly cannot be run on this machine: {error}");
    Failure::new(FailureKind::Worker, message)
}

fn config(counts_fuel: bool) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(counts_fuel)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(CALL_STACK)
        .cranelift_opt_level(OptLevel::Speed)
        // No component of ours is called concurrently with itself; bookkeeping for it costs a
        // third of a call.
        .concurrency_support(false)
        .wasm_memory64(false);
    config
}

fn pool(calls: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls * CORE_INSTANCES)
        .total_memories(calls * MEMORIES)
        .total_tables(calls * TABLES)
        .total_stacks(calls + 1)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(8)
        .max_memories_per_module(4)
        .max_core_instance_size(1 << 20)
        .max_component_instance_size(1 << 20)
        .table_elements(TABLE_ELEMENTS)
        // What a small guest touches is cleared by hand, which is quicker than by the kernel.
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}
