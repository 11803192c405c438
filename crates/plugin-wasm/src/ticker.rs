//! The clock of running guests: while one runs, the engine's epoch moves on every few milliseconds,
//! and each guest that notices lets others run. Nothing ticks when no guest ran for a second.
//!
//! It has a thread of its own, because guests may keep every thread of the runtime busy.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use wasmtime::{Engine, EngineWeak};

/// How long a guest may keep a thread without letting others run.
const TICK: Duration = Duration::from_millis(5);
/// After how many ticks without a guest the thread rests.
const REST_AFTER: u32 = 200;

/// Moves an engine's epoch while guests run.
#[derive(Debug)]
pub(crate) struct Ticker(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    rests: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

/// Says that a guest runs, until it is dropped.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Shared);

impl Ticker {
    /// Begins a thread for an engine; it ends with this.
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (engine, seen) = (engine.weak(), Arc::downgrade(&shared));
        thread::Builder::new()
            .name("wasm-ticker".to_owned())
            .spawn(move || tick(&engine, &seen))?;
        Ok(Self(shared))
    }

    /// A guest begins to run.
    pub(crate) fn run(&self) -> Running<'_> {
        // Either this sees that the thread rests, or the thread sees that a guest runs: both write
        // before they read.
        self.0.running.fetch_add(1, Ordering::SeqCst);
        if self.0.rests.load(Ordering::SeqCst) {
            self.0.wake();
        }
        Running(&self.0)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // The thread holds the shared part only while it looks, and then finds it gone.
        self.0.wake();
    }
}

impl Shared {
    fn wake(&self) {
        let _held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.rests.store(false, Ordering::SeqCst);
        self.wake.notify_all();
    }

    fn rest(&self) {
        let held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.rests.store(true, Ordering::SeqCst);
        if self.running.load(Ordering::SeqCst) == 0 {
            // A minute, not for ever: the engine may go meanwhile.
            let rested = self.wake.wait_timeout(held, Duration::from_mins(1));
            drop(rested);
        }
        self.rests.store(false, Ordering::SeqCst);
    }

    fn pause(&self) {
        let held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.wake.wait_timeout(held, TICK));
    }
}

fn tick(engine: &EngineWeak, shared: &Weak<Shared>) {
    let mut idle = 0;
    loop {
        let Some(shared) = shared.upgrade() else { return };
        idle = if shared.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle > REST_AFTER {
            shared.rest();
            idle = 0;
        } else {
            shared.pause();
        }
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
    }
}
