//! The process in which guests run: it loads one, and calls it as its host says. Whatever a guest
//! wants of the outside it asks its host for.
//!
//! The host starts it in a jail, without network, and speaks with it over its standard input and
//! output. When the host closes that, the worker ends.

mod compiling;
mod relay;

use std::{
    collections::HashMap,
    ffi::OsString,
    io,
    os::fd::AsFd as _,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

pub(crate) use self::compiling::read as read_compiled;
use self::relay::{Relay, Replies};
use crate::{
    cache::Entry,
    engine::Runtime,
    guest::{Guest, Order},
    task::{Failure, FailureKind, Task},
    wire::{Assembly, End, Frame, Inbox, Load, Outbox, Tag, bad, pack, parts_of, unpack},
};

/// The first argument of a worker.
pub const WORKER: &str = "wasm-worker";
/// The argument behind it of a worker that compiles.
pub(crate) const COMPILE: &str = "compile";

/// Runs a worker, if that is what the arguments say: `PROGRAM wasm-worker …`. To be called first
/// thing in `main`.
pub fn run_if_worker(arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.skip(1);
    if arguments.next()? != WORKER {
        return None;
    }
    Some(run_worker(&arguments.collect::<Vec<_>>()))
}

/// Runs a worker with the arguments behind `wasm-worker`, until its host has no more use for it.
pub fn run_worker(arguments: &[OsString]) -> ExitCode {
    let arguments: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let ended = match arguments[..] {
        [COMPILE, kind, fuel] => compiling::run(kind, fuel == "fuel"),
        [] => serve_here(),
        _ => Err(bad("a worker is started by its host alone")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The host reads what a worker says last.
            let _ = io::Write::write_all(&mut io::stderr(), format!("{error}\n").as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn serve_here() -> io::Result<()> {
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(4);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let ended = runtime.block_on(async {
        let input = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
        let output = pipe::Sender::from_owned_fd(io::stdout().as_fd().try_clone_to_owned()?)?;
        // In a task, so that what it starts runs on the same thread.
        let serving = tokio::spawn(serve(Inbox::new(input), Arc::new(Outbox::new(output))));
        serving.await.unwrap_or_else(|_| Err(bad("the worker has a mistake")))
    });
    // Guests that still run have nobody left to answer.
    runtime.shutdown_background();
    ended
}

/// What a worker knows of a call.
#[derive(Default)]
struct Begun {
    input: Assembly,
    cancel: CancellationToken,
    replies: Arc<Replies>,
}

type Calls = Arc<Mutex<HashMap<u64, Begun>>>;

async fn serve(mut inbox: Inbox, outbox: Arc<Outbox>) -> io::Result<()> {
    tokio::spawn({
        let outbox = Arc::clone(&outbox);
        async move { outbox.pump().await }
    });
    let Some(guest) = load(&mut inbox, &outbox).await? else { return Ok(()) };
    let calls = Calls::default();
    while let Some(Frame { tag, call, body }) = inbox.next().await? {
        let mut begun = calls.lock().unwrap_or_else(PoisonError::into_inner);
        match tag {
            Tag::Input => begun.entry(call).or_default().input.take(&body, u64::MAX)?,
            Tag::Call => {
                let entry = begun.entry(call).or_default();
                let order = order(call, entry, &body, &outbox)?;
                let (guest, outbox, calls) =
                    (Arc::clone(&guest), Arc::clone(&outbox), Arc::clone(&calls));
                tokio::spawn(async move { run(&guest, call, order, &outbox, &calls).await });
            }
            Tag::Cancel => {
                if let Some(entry) = begun.get(&call) {
                    entry.cancel.cancel();
                }
            }
            Tag::Reply => {
                if let Some(entry) = begun.get(&call) {
                    entry.replies.take(body);
                }
            }
            _ => return Err(bad("a frame that is for the host")),
        }
    }
    Ok(())
}

async fn load(inbox: &mut Inbox, outbox: &Outbox) -> io::Result<Option<Arc<Guest>>> {
    let Some(frame) = inbox.next().await? else { return Ok(None) };
    if frame.tag != Tag::Load {
        return Err(bad("nothing was loaded yet"));
    }
    let (load, _): (Load, _) = unpack(&frame.body)?;
    let kind = load.kind();
    let entry = Entry { path: load.path, key: load.key };
    let loaded = Runtime::new(load.calls, load.counts_fuel)
        .and_then(|runtime| Guest::load(runtime, kind, &entry, load.rights, load.calls));
    match loaded {
        Ok(guest) => {
            outbox.send(Tag::Ready, 0, &[])?;
            Ok(Some(Arc::new(guest)))
        }
        Err(failure) => {
            outbox.send(Tag::Refused, 0, &pack(&failure, &[])?)?;
            // The host ends this process when it has read that.
            while inbox.next().await?.is_some() {}
            Ok(None)
        }
    }
}

fn order(call: u64, entry: &mut Begun, body: &[u8], outbox: &Arc<Outbox>) -> io::Result<Order> {
    let (task, _): (Task, _) = unpack(body)?;
    let input = std::mem::take(&mut entry.input.payloads);
    let services = Relay::new(call, Arc::clone(outbox), Arc::clone(&entry.replies));
    Ok(Order { task, input, services: Arc::new(services), cancel: entry.cancel.clone() })
}

async fn run(guest: &Guest, call: u64, order: Order, outbox: &Outbox, calls: &Calls) {
    let finish = guest.run(order).await;
    calls.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
    let (end, output) = End::of(finish);
    let send = || -> io::Result<()> {
        for part in output.iter().flat_map(parts_of) {
            outbox.send(Tag::Output, call, &part)?;
        }
        outbox.send(Tag::End, call, &pack(&end, &[])?)
    };
    if send().is_err() {
        // Either nobody reads any more, or the end itself does not fit into a frame.
        let message = "what it keeps and answers is more than a frame holds";
        let failure = Failure::new(FailureKind::Answer, message);
        let (end, _) = End::of(crate::task::Finish { outcome: Err(failure), state: [].into() });
        if let Ok(body) = pack(&end, &[]) {
            let _ = outbox.send(Tag::End, call, &body);
        }
    }
}
