//! Compiling in a jailed process that is killed when it takes too long.

use std::io;

use flexcore_plugin_protocol::{Effective, PluginKind};
use flexcore_sandbox::{Access, Containment, Jailer, Limits, Profile};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::start::{end, listen_to_errors, pipes, spawn, with_reason};
use crate::{
    WasmOptions,
    task::{Failure, FailureKind},
    worker::{COMPILE, read_compiled},
};

/// How much larger than the file the code may be that is made of it.
const GROWTH: u64 = 64;

/// Compiles a file.
pub(crate) async fn compile(
    jailer: &Jailer,
    options: &WasmOptions,
    kind: PluginKind,
    counts_fuel: bool,
    wasm: &[u8],
) -> Result<Vec<u8>, Failure> {
    let memory_bytes = options.compile.memory_bytes;
    let base = Limits { memory_bytes, pids: 32, ..Limits::default() };
    let containment = Containment::new(&Effective::default(), &options.policy, base);
    let containment = containment
        .map_err(|error| Failure::new(FailureKind::Worker, error.to_string()))?
        .profile(Profile::Compute)
        .show(&options.executable, Access::ReadOnly);
    let fuel = if counts_fuel { "fuel" } else { "plain" };
    let arguments = [COMPILE, kind.as_str(), fuel];
    let mut process = spawn(jailer, options, &containment, &arguments).await?;
    let errors = listen_to_errors(&mut process);
    let length = u64::try_from(wasm.len()).unwrap_or(u64::MAX);
    let time = options.compile.time_for(length);
    let most = length.saturating_mul(GROWTH).saturating_add(1 << 20);
    let exchanged = match pipes(&mut process) {
        Ok(pipes) => tokio::time::timeout(time, exchange(pipes, wasm, most)).await,
        Err(error) => Ok(Err(error)),
    };
    let exit = match exchanged {
        Ok(_) => end(process, options.stop).await,
        Err(_) => process.kill().await,
    };
    match exchanged {
        Err(_) => {
            let message = format!(
                "it took longer than {time:?} to compile, which is too long for its size; build it smaller"
            );
            Err(Failure::new(FailureKind::TooLarge, message))
        }
        Ok(Ok(output)) if !output.is_empty() => read_compiled(&output).unwrap_or_else(|| {
            Err(Failure::new(FailureKind::Worker, "the process that compiles it gave no answer"))
        }),
        Ok(_) if exit.out_of_memory => {
            let message = "it took more memory to compile than is allowed; build it smaller";
            Err(Failure::new(FailureKind::TooLarge, message))
        }
        Ok(_) => {
            let message = "the process that compiles it ended without an answer";
            Err(with_reason(Failure::new(FailureKind::Worker, message), &exit, &errors))
        }
    }
}

async fn exchange(
    (mut input, output): (tokio::net::unix::pipe::Sender, tokio::net::unix::pipe::Receiver),
    wasm: &[u8],
    most: u64,
) -> io::Result<Vec<u8>> {
    let write = async {
        let written = input.write_all(wasm).await;
        drop(input);
        written
    };
    let read = async {
        let mut bytes = Vec::new();
        output.take(most).read_to_end(&mut bytes).await.map(|_| bytes)
    };
    let (written, read) = tokio::join!(write, read);
    // One that ended before it had read everything has said why.
    let read = read?;
    if read.is_empty() { written.map(|()| read) } else { Ok(read) }
}
