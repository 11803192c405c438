//! Group commit: whatever queues up while a batch is on its way makes the next one.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use flexcore_eventsourcing::StreamName;
use flexcore_ports::LogHead;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::{mpsc, oneshot};

use super::{
    answers::{Outcome, Request},
    lane::Lane,
    prepared::Prepared,
    published::Published,
};

/// How many requests wait for the batcher at most; further callers wait for room.
pub(crate) const CAPACITY: usize = 1_024;
/// How many the batcher takes in before they are sent.
const WAITING: usize = 2_048;
/// The most appends in a batch.
const MAX_APPENDS: usize = 1_000;
/// A batch takes no further append once it has so many payload bytes.
const MAX_BYTES: usize = 1 << 20;
/// A batch takes no further append once it has so many events.
const MAX_EVENTS: usize = 10_000;
/// Other processes are told of growth at most so often: who was told looks again every few
/// milliseconds for twice as long.
const NOTIFY: Duration = Duration::from_millis(50);
/// The shortest and the longest time for which callers that are expected back are waited for before
/// a batch is sent without them. In between it is a quarter of what the last batch took: leaving a
/// caller behind costs that caller a whole batch.
const GAP: (Duration, Duration) = (Duration::from_micros(20), Duration::from_micros(500));

/// A message to the batcher.
#[derive(Debug)]
pub(crate) enum Message {
    /// Append.
    Append(Request),
    /// Commit what came before, and end.
    Close(oneshot::Sender<()>),
}

/// The task that forms batches.
pub(crate) struct Batcher {
    pub(crate) messages: mpsc::Receiver<Message>,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) published: Arc<Published>,
}

/// A batch that came back.
struct Done {
    lane: Lane,
    head: Option<LogHead>,
    all_accepted: bool,
    /// The streams that it wrote to, and their versions if they were accepted.
    streams: Vec<(StreamName, u64)>,
    took: Duration,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Request>,
    /// Streams that batches on their way write to.
    busy: HashSet<StreamName>,
    /// Versions that streams have at least, as the last batches left them.
    ends: HashMap<StreamName, u64>,
    running: FuturesUnordered<BoxFuture<'static, Done>>,
    /// How many appends the last batch had: so many callers may come back at any moment.
    last_size: usize,
    /// How long it took.
    took: Duration,
    notified: Option<Instant>,
    closing: Vec<oneshot::Sender<()>>,
    is_closed: bool,
}

impl Batcher {
    /// Runs until everybody who could send is gone, or until it is told to close.
    pub(crate) async fn run(mut self) {
        let mut state = State::default();
        loop {
            self.take_in(&mut state);
            self.dispatch(&mut state);
            if state.is_closed && state.waiting.is_empty() && state.running.is_empty() {
                break;
            }
            let may_receive = !state.is_closed && state.waiting.len() < WAITING;
            tokio::select! {
                biased;
                Some(done) = state.running.next(), if !state.running.is_empty() => {
                    self.finish(done, &mut state);
                    self.gather(&mut state).await;
                }
                message = self.messages.recv(), if may_receive => match message {
                    Some(message) => state.accept(message),
                    None => state.is_closed = true,
                },
            }
        }
        // Connections are closed before anybody is told.
        drop(self);
        for closing in state.closing {
            let _ = closing.send(());
        }
    }

    /// Callers that were answered a moment ago mostly send again. Sending what the first of them
    /// bring would make the others wait for a batch of their own. A lone caller has no others: its
    /// next append wakes this task as soon as looking for it would, and looking would wake another
    /// thread, which takes a processor from the server.
    async fn gather(&mut self, state: &mut State) {
        if !state.running.is_empty() || state.last_size <= 1 {
            return;
        }
        let patience = (state.took / 4).clamp(GAP.0, GAP.1);
        let since = Instant::now();
        loop {
            self.take_in(state);
            if state.waiting.len() >= state.last_size || since.elapsed() > patience {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    fn take_in(&mut self, state: &mut State) {
        while state.waiting.len() < WAITING
            && let Ok(message) = self.messages.try_recv()
        {
            state.accept(message);
        }
    }

    /// Sends what may be sent. It waits for nothing: batches on their way get on only while this task
    /// looks at them.
    fn dispatch(&mut self, state: &mut State) {
        while !state.waiting.is_empty() && state.is_worth_sending() {
            let Some(mut lane) = self.lanes.pop() else { return };
            let (requests, streams) = state.compose();
            if requests.is_empty() {
                self.lanes.push(lane);
                return;
            }
            let notify = state.notified.is_none_or(|notified| notified.elapsed() > NOTIFY);
            if notify {
                state.notified = Some(Instant::now());
            }
            state.last_size = requests.len();
            let since = Instant::now();
            state.running.push(Box::pin(async move {
                let (head, all_accepted) = lane.commit(requests, notify).await;
                Done { lane, head, all_accepted, streams, took: since.elapsed() }
            }));
        }
    }

    fn finish(&mut self, done: Done, state: &mut State) {
        self.lanes.push(done.lane);
        state.took = done.took;
        if let Some(head) = done.head {
            self.published.publish(head);
        }
        let has_deferred =
            done.all_accepted && state.waiting.iter().any(|request| request.was_deferred);
        for (stream, end) in done.streams {
            state.busy.remove(&stream);
            if has_deferred {
                state.ends.insert(stream, end);
            }
        }
        if has_deferred {
            state.refuse_outrun();
        }
    }
}

impl State {
    fn accept(&mut self, message: Message) {
        match message {
            Message::Append(request) => self.waiting.push_back(request),
            Message::Close(reply) => {
                self.closing.push(reply);
                self.is_closed = true;
            }
        }
    }

    /// While a batch is on its way, a small one would only make the callers behind it wait longer.
    fn is_worth_sending(&self) -> bool {
        self.running.is_empty() || self.waiting.len() >= self.last_size
    }

    /// Takes from what waits as much as fits into a batch, in order. Appends that write to a stream
    /// which another one on its way writes to are left for later.
    fn compose(&mut self) -> (Vec<Request>, Vec<(StreamName, u64)>) {
        let (mut requests, mut streams, mut left) = (Vec::new(), Vec::new(), VecDeque::new());
        let (mut bytes, mut events) = (0, 0);
        // Streams that this batch guards and streams of appends that were left: nobody overtakes.
        let mut guarded = HashSet::new();
        while let Some(mut request) = self.waiting.pop_front() {
            let is_full =
                requests.len() >= MAX_APPENDS || bytes >= MAX_BYTES || events >= MAX_EVENTS;
            if is_full {
                self.waiting.push_front(request);
                break;
            }
            if self.has_to_wait(&request.prepared, &guarded) {
                request.was_deferred = true;
                let parts = request.prepared.parts.iter();
                guarded.extend(parts.map(|part| part.stream.clone()));
                left.push_back(request);
                continue;
            }
            for part in &request.prepared.parts {
                if part.added > 0 {
                    self.busy.insert(part.stream.clone());
                    streams.push((part.stream.clone(), part.expected + u64::from(part.added)));
                } else {
                    guarded.insert(part.stream.clone());
                }
            }
            bytes += request.prepared.bytes;
            events += request.prepared.event_count();
            requests.push(request);
        }
        while let Some(request) = left.pop_back() {
            self.waiting.push_front(request);
        }
        (requests, streams)
    }

    fn has_to_wait(&self, prepared: &Prepared, guarded: &HashSet<StreamName>) -> bool {
        prepared.parts.iter().any(|part| {
            self.busy.contains(&part.stream)
                || (!guarded.is_empty() && part.added > 0 && guarded.contains(&part.stream))
        })
    }

    /// Those that waited for a stream which has outgrown what they expect need not be sent.
    fn refuse_outrun(&mut self) {
        let outrun = |request: &Request, ends: &HashMap<StreamName, u64>| {
            let mut parts = request.prepared.parts.iter();
            request.was_deferred
                && parts.any(|part| ends.get(&part.stream).is_some_and(|end| part.expected < *end))
        };
        for request in std::mem::take(&mut self.waiting) {
            if outrun(&request, &self.ends) {
                request.answer(Outcome::Refused);
            } else {
                self.waiting.push_back(request);
            }
        }
        self.ends.clear();
    }
}
