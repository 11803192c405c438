//! The same with wasmtime alone: store, instance and call, with its pool, without fibers, deadlines
//! or bounds.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use wasmtime::{
    Caller, Config, Engine, InstanceAllocationStrategy, InstancePre, Linker, Module,
    PoolingAllocationConfig, Result, Store,
};

pub(super) struct Bare {
    engine: Engine,
    module: InstancePre<u64>,
}

impl Bare {
    pub(super) fn new(wasm: &[u8]) -> anyhow::Result<Self> {
        let mut config = Config::new();
        let mut pool = PoolingAllocationConfig::new();
        pool.total_memories(16).total_tables(16).total_core_instances(16);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).map_err(|error| anyhow!("{error:#}"))?;
        let module = link(&engine, wasm).map_err(|error| anyhow!("{error:#}"))?;
        Ok(Self { engine, module })
    }

    /// How long each of so many calls took.
    pub(super) fn calls(&self, count: usize) -> anyhow::Result<Vec<Duration>> {
        let calls = (0..count).map(|_| {
            let began = Instant::now();
            self.call().map(|()| began.elapsed())
        });
        calls.collect::<Result<_>>().map_err(|error| anyhow!("{error:#}"))
    }

    fn call(&self) -> Result<()> {
        let mut store = Store::new(&self.engine, 0);
        let instance = self.module.instantiate(&mut store)?;
        let execute = instance.get_typed_func::<(), i32>(&mut store, "execute")?;
        execute.call(&mut store, ()).map(|_| ())
    }
}

fn link(engine: &Engine, wasm: &[u8]) -> Result<InstancePre<u64>> {
    let module = Module::new(engine, wasm)?;
    let mut linker = Linker::new(engine);
    let host = "extism:host/env";
    linker
        .func_wrap(host, "input_offset", || 8_u64)?
        .func_wrap(host, "input_length", || 200_u64)?
        .func_wrap(host, "output_set", |mut caller: Caller<'_, u64>, _: u64, length: u64| {
            *caller.data_mut() = length;
        })?;
    linker.instantiate_pre(&module)
}
