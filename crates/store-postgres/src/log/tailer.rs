//! Follows the end of the log, which other processes move too.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use flexcore_ports::StoreError;
use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client};

use super::{published::Published, read::head};
use crate::{connection::Connector, error::store_error};

/// How soon the log is looked at again while it grows, and for how long after it did: notifications
/// come for the first batch of many only.
const BUSY: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));
/// How soon when it does not grow, for when a notification is lost.
const IDLE: Duration = Duration::from_secs(1);
/// The first and the longest pause between attempts to connect.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));

/// The task that follows the log; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Tailer(tokio::task::JoinHandle<()>);

impl Tailer {
    pub(crate) fn start(connector: &Connector, published: Arc<Published>) -> Self {
        let connector = connector.with_settings("follow", &[("statement_timeout", "5s")]);
        Self(tokio::spawn(async move {
            let mut pause = PAUSE.0;
            loop {
                let since = Instant::now();
                if let Err(error) = follow(&connector, &published).await {
                    tracing::debug!(error = %error, "the log's end cannot be followed");
                }
                pause = if since.elapsed() > PAUSE.1 { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
                tokio::time::sleep(pause).await;
            }
        }))
    }

    /// Ends the task.
    pub(crate) fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Tailer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Aborts a task when it goes out of scope.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow(connector: &Connector, published: &Published) -> Result<(), StoreError> {
    let (client, mut connection) = connector.connect_undriven().await?;
    let (woken, is_over) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let driver = {
        let (woken, is_over) = (Arc::clone(&woken), Arc::clone(&is_over));
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                if matches!(message, AsyncMessage::Notification(_)) {
                    woken.notify_one();
                }
            }
            is_over.store(true, Ordering::Relaxed);
            woken.notify_one();
        })
    };
    let _driver = Driver(driver);
    client.batch_execute("LISTEN flexcore").await.map_err(|error| store_error(&error))?;
    let mut grown: Option<Instant> = None;
    while !is_over.load(Ordering::Relaxed) {
        if look(&client, published).await? {
            grown = Some(Instant::now());
        }
        let is_busy = grown.is_some_and(|grown| grown.elapsed() < BUSY.1);
        // A notification that came meanwhile ends the wait at once.
        let _ = tokio::time::timeout(if is_busy { BUSY.0 } else { IDLE }, woken.notified()).await;
    }
    Ok(())
}

/// Looks at the end of the log, and says whether others moved it.
async fn look(client: &Client, published: &Published) -> Result<bool, StoreError> {
    let known = published.head();
    let found = head(client).await?;
    if found.position < known.position || (found.position == known.position && found != known) {
        // What this process saw before it asked must be there, unless the server is another one.
        tracing::warn!(
            known = known.position,
            found = found.position,
            "the log is shorter or another one than it was: the database server was replaced"
        );
        published.replace(found);
        return Ok(true);
    }
    Ok(published.publish(found))
}
