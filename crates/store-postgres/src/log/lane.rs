//! One connection for appends, and how a batch gets over it.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use flexcore_eventsourcing::{Hash, StreamName};
use flexcore_ports::{AppendError, LogHead, StoreError, metric::AppendCounts};
use tokio::{sync::Mutex, time::timeout};
use tokio_postgres::{Client, Connection, Row, Socket, Statement};

use super::{
    answers::{Outcome, Request},
    batch::{APPEND_BATCH, Batch, Lone},
    drive::drive,
    failure::Failure,
    names::Names,
    partitions::Partitions,
    prepared::Prepared,
};
use crate::{OpenError, connection::Connector, tls::Encrypted};

/// The settings of sessions that append: whoever hangs must not hold the log's lock for long.
const SETTINGS: [(&str, &str); 4] = [
    ("statement_timeout", "5s"),
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "1s"),
    ("tcp_user_timeout", "5s"),
];
/// How long an answer is waited for: longer than the server may take, so that this means a server
/// that does nothing at all.
const ANSWER: Duration = Duration::from_secs(10);
/// The first and the longest pause between attempts.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

const APPEND_ONE: &str = "SELECT number, last_position, hash FROM flexcore.append_one(\
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

/// One connection for appends. It connects when it is needed, and again when it was lost.
#[derive(Debug)]
pub(crate) struct Lane {
    connector: Connector,
    connected: Option<Connected>,
    names: Arc<Mutex<Names>>,
    partitions: Partitions,
    deadline: Duration,
    counts: AppendCounts,
}

struct Connected {
    client: Client,
    /// Driven by whoever waits for an answer: a task of its own would cost two wake-ups per batch.
    connection: Pin<Box<Connection<Socket, Encrypted>>>,
    append_batch: Statement,
    append_one: Statement,
}

impl std::fmt::Debug for Connected {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connected").finish_non_exhaustive()
    }
}

/// What the server said to a batch.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// The end of the log; `None` if nothing was written.
    pub(crate) head: Option<LogHead>,
    /// The appends that were refused, by index, in order.
    refused: Vec<usize>,
}

impl Lane {
    pub(crate) fn new(
        connector: &Connector,
        names: Arc<Mutex<Names>>,
        partitions: Partitions,
        deadline: Duration,
    ) -> Self {
        let connector = connector.with_settings("append", &SETTINGS);
        let counts = AppendCounts::new();
        Self { connector, connected: None, names, partitions, deadline, counts }
    }

    /// Commits appends together, answers them, and gives the end of the log if it grew, and
    /// whether every one of them was accepted.
    pub(crate) async fn commit(
        &mut self,
        requests: Vec<Request>,
        notify: bool,
    ) -> (Option<LogHead>, bool) {
        let (mut head, mut all_accepted) = (None, true);
        let doubtful = doubtful_streams(&requests);
        if !doubtful.is_empty() {
            let mut names = self.names.lock().await;
            for stream in &doubtful {
                names.forget(stream);
            }
        }
        let mut parts = vec![requests];
        while let Some(mut part) = parts.pop() {
            let appends: Vec<&Prepared> = part.iter().map(|request| &request.prepared).collect();
            let since = Instant::now();
            match self.send(&appends, notify).await {
                Ok(reply) => {
                    self.count(&appends, &reply, since.elapsed());
                    head = reply.head.or(head);
                    if let Some(head) = reply.head {
                        self.partitions.reached(head.position);
                    }
                    all_accepted &= reply.refused.is_empty();
                    answer(part, &reply);
                }
                Err(Failure::Split(_)) if part.len() > 1 => {
                    let second = part.split_off(part.len() / 2);
                    parts.extend([second, part]);
                }
                Err(failure) => {
                    all_accepted = false;
                    self.counts.answered(0, 0, part.len());
                    fail(part, &failure);
                }
            }
        }
        (head, all_accepted)
    }

    fn count(&self, appends: &[&Prepared], reply: &Reply, elapsed: Duration) {
        let events = |appends: &mut dyn Iterator<Item = &&Prepared>| -> usize {
            appends.map(|append| append.event_count()).sum()
        };
        let refused = reply.refused.iter().filter_map(|index| appends.get(*index));
        let written = events(&mut appends.iter()) - events(&mut refused.into_iter());
        if written > 0 {
            self.counts.batch(written, elapsed);
        }
        self.counts.answered(appends.len() - reply.refused.len(), reply.refused.len(), 0);
    }

    /// Sends a batch until its outcome is known or the deadline is over.
    pub(crate) async fn send(
        &mut self,
        appends: &[&Prepared],
        notify: bool,
    ) -> Result<Reply, Failure> {
        let since = Instant::now();
        let mut pause = PAUSE.0;
        let mut was_unknown = false;
        loop {
            let failure = match timeout(ANSWER, self.attempt(appends, notify)).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Reconnect {
                    reason: format!("no answer within {} s", ANSWER.as_secs()),
                    is_unknown: true,
                },
            };
            let reason = match failure {
                Failure::Retry(reason) => reason,
                Failure::Partitions => {
                    self.extend(appends).await?;
                    "there was no partition for the next events".to_owned()
                }
                Failure::Reconnect { reason, is_unknown } => {
                    was_unknown |= is_unknown;
                    self.connected = None;
                    *self.names.lock().await = Names::default();
                    reason
                }
                other => return Err(other),
            };
            tracing::warn!(reason, "an append is tried again");
            if since.elapsed() + pause > self.deadline {
                return Err(Failure::Refuse(self.given_up(&reason, was_unknown)));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    fn given_up(&self, reason: &str, was_unknown: bool) -> AppendError {
        let after = self.deadline.as_secs();
        let outcome = if was_unknown {
            "whether it was written is not known; repeating the same append is safe"
        } else {
            "nothing was written"
        };
        StoreError::Unavailable(format!("{reason}; given up after {after} s; {outcome}")).into()
    }

    async fn attempt(&mut self, appends: &[&Prepared], notify: bool) -> Result<Reply, Failure> {
        let connected = match &mut self.connected {
            Some(connected) => connected,
            none => none.insert(Connected::new(&self.connector).await?),
        };
        let mut names = self.names.lock().await;
        let Connected { client, connection, append_batch, append_one } = connected;
        if let [prepared] = appends
            && let Some(lone) = Lone::new(prepared, &names)
        {
            let (type_id, context_id) =
                drive(connection, names.texts(client, &lone.append.writes[0].events[0])).await?;
            drop(names);
            let row = drive(
                connection,
                send_one(client, append_one, &lone, (type_id, context_id), notify),
            );
            return Ok(reply_to_one(&row.await?));
        }
        let batch = drive(connection, Batch::encode(appends, &mut names, client, notify)).await?;
        drop(names);
        if batch.is_empty() {
            return Ok(Reply { head: None, refused: batch.refused });
        }
        let row = drive(connection, client.query_one(append_batch, &batch.parameters())).await?;
        let reply = reply_to_batch(&row, &batch);
        if !batch.new_streams.is_empty() && reply.head.is_some() {
            learn(&self.names, appends, batch, &reply).await;
        }
        Ok(reply)
    }

    async fn extend(&mut self, appends: &[&Prepared]) -> Result<(), Failure> {
        let events = appends.iter().map(|prepared| prepared.event_count()).sum();
        let Some(Connected { client, connection, .. }) = &mut self.connected else { return Ok(()) };
        match drive(connection, self.partitions.ensure(client, events)).await {
            Err(Failure::Partitions) => Err(Failure::Refuse(
                StoreError::Unavailable("there is no partition for the next events".to_owned())
                    .into(),
            )),
            result => result,
        }
    }
}

impl Connected {
    async fn new(connector: &Connector) -> Result<Self, Failure> {
        let (client, connection) =
            connector.connect_undriven().await.map_err(|error| not_connected(&error))?;
        let mut connection = Box::pin(connection);
        let append_batch = drive(&mut connection, client.prepare(APPEND_BATCH)).await?;
        let append_one = drive(&mut connection, client.prepare(APPEND_ONE)).await?;
        Ok(Self { client, connection, append_batch, append_one })
    }
}

/// The streams of appends of which some are sent again: those were refused for no reason that could
/// be found, so that what is known of their streams may be wrong.
fn doubtful_streams(requests: &[Request]) -> Vec<StreamName> {
    if !requests.iter().any(|request| request.is_again) {
        return Vec::new();
    }
    let parts = requests.iter().flat_map(|request| &request.prepared.parts);
    parts.map(|part| part.stream.clone()).collect()
}

/// Remembers the ids of streams that were created.
async fn learn(names: &Mutex<Names>, appends: &[&Prepared], batch: Batch, reply: &Reply) {
    let refused: Vec<_> = reply
        .refused
        .iter()
        .filter_map(|index| appends.get(*index))
        .flat_map(|prepared| &prepared.parts)
        .map(|part| &part.stream)
        .collect();
    let mut names = names.lock().await;
    for (name, id) in batch.new_streams {
        if !refused.contains(&&name) {
            names.learn(&name, id);
        }
    }
}

fn not_connected(error: &OpenError) -> Failure {
    Failure::Reconnect { reason: error.to_string(), is_unknown: false }
}

async fn send_one(
    client: &Client,
    statement: &Statement,
    lone: &Lone<'_>,
    (type_id, context_id): (i32, i32),
    notify: bool,
) -> Result<Row, tokio_postgres::Error> {
    let Lone { part, stream_id, stored, prepared, .. } = lone;
    let event = &lone.append.writes[0].events[0];
    client
        .query_one(
            statement,
            &[
                &notify,
                stream_id,
                &part.expected.cast_signed(),
                &part.largest,
                &part.epoch,
                &prepared.writes,
                stored,
                &event.occurred_at.as_micros(),
                &type_id,
                &context_id,
                &event.id.0,
                &event.context.correlation,
                &event.context.causation,
                &event.context.sealing_key,
                &part.leaves[0].0.as_slice(),
                &event.payload,
            ],
        )
        .await
}

fn reply_to_one(row: &Row) -> Reply {
    let head = head_of(row);
    let refused = if head.is_none() { vec![0] } else { Vec::new() };
    Reply { head, refused }
}

fn reply_to_batch(row: &Row, batch: &Batch) -> Reply {
    let refused: Vec<i32> = row.get(3);
    let mut refused: Vec<usize> =
        refused.into_iter().filter_map(|number| usize::try_from(number - 1).ok()).collect();
    refused.extend_from_slice(&batch.refused);
    refused.sort_unstable();
    Reply { head: head_of(row), refused }
}

fn head_of(row: &Row) -> Option<LogHead> {
    let number: Option<i64> = row.get(0);
    Some(LogHead {
        batch: number?.unsigned_abs(),
        position: row.get::<_, Option<i64>>(1)?.unsigned_abs(),
        hash: Hash::from_slice(row.get::<_, Option<&[u8]>>(2)?)?,
    })
}

/// Tells everybody in a batch what came of it.
fn answer(requests: Vec<Request>, reply: &Reply) {
    let is_refused = |index: &usize| reply.refused.binary_search(index).is_ok();
    let accepted: usize = requests
        .iter()
        .enumerate()
        .filter(|(index, _)| !is_refused(index))
        .map(|(_, request)| request.prepared.event_count())
        .sum();
    let mut position = reply.head.map_or(0, |head| head.position) - accepted as u64;
    for (index, request) in requests.into_iter().enumerate() {
        let count = request.prepared.event_count() as u64;
        let outcome = if is_refused(&index) {
            Outcome::Refused
        } else if count == 0 {
            Outcome::Written(0)
        } else {
            position += count;
            Outcome::Written(position)
        };
        request.answer(outcome);
    }
}

fn fail(requests: Vec<Request>, failure: &Failure) {
    let error = match failure {
        Failure::Split(error) | Failure::Refuse(error) => error.clone(),
        other => StoreError::Unavailable(format!("{other:?}")).into(),
    };
    for request in requests {
        request.answer(Outcome::Failed(error.clone()));
    }
}
