//! Who watches over one process from its start to its end.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use flexcore_sandbox::{GrantUse, JailExit, Jailed};
use tokio::{sync::watch, task::JoinSet};

use crate::start::RunFolder;

/// Watches over one process. The process ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Supervisor {
    /// In its jail, until it has ended.
    jailed: Arc<Mutex<Option<Jailed>>>,
    exit: watch::Receiver<Option<JailExit>>,
}

impl Supervisor {
    /// Begins to watch. `readers` are the tasks that read what it prints; `folder` goes when nobody
    /// is left who could write to it.
    pub(crate) fn start(jailed: Jailed, folder: RunFolder, mut readers: JoinSet<()>) -> Self {
        let process = Arc::clone(&jailed.process);
        let jailed = Arc::new(Mutex::new(Some(jailed)));
        let watched = Arc::clone(&jailed);
        let (sender, exit) = watch::channel(None);
        tokio::spawn(async move {
            process.wait().await;
            let ended = watched.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(ended) = ended else { return };
            let end = ended.wait().await;
            drop(folder);
            // Nobody is left who could write, so they come to an end.
            while readers.join_next().await.is_some() {}
            sender.send_replace(Some(end));
        });
        Self { jailed, exit }
    }

    /// How it ended, if it has.
    pub(crate) fn exit(&self) -> Option<JailExit> {
        self.exit.borrow().clone()
    }

    /// Waits for its end, at most so long.
    pub(crate) async fn exit_within(&self, patience: Duration) -> Option<JailExit> {
        let mut exit = self.exit.clone();
        let ended = tokio::time::timeout(patience, exit.wait_for(Option::is_some)).await;
        ended.ok()?.ok()?.clone()
    }

    /// Has it killed with everything that it started, and returns at once.
    pub(crate) fn begin_kill(&self) {
        if let Some(jailed) = self.jailed.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            jailed.begin_kill();
        }
    }

    /// Kills it and waits until nothing of it is left.
    pub(crate) async fn kill(&self) {
        self.begin_kill();
        let mut exit = self.exit.clone();
        // An error would mean that the watching task is gone with its runtime.
        let _ = exit.wait_for(Option::is_some).await;
    }

    /// How its network grants were used so far.
    pub(crate) fn network(&self) -> Vec<GrantUse> {
        let jailed = self.jailed.lock().unwrap_or_else(PoisonError::into_inner);
        match jailed.as_ref() {
            Some(jailed) => jailed.network(),
            None => self.exit().map(|exit| exit.network).unwrap_or_default(),
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.begin_kill();
    }
}
