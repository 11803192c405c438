//! One page into the views.

use std::collections::{BTreeMap, BTreeSet};

use flexcore_ports::{ApplyError, Checkpoint, Fold, RowKey, Stopped};

use super::{FoldPage, PROJECTIONS, Projection, ProjectionError, Projector, Turn, rows::Rows};

/// Where a projection stands, as far as this process knows.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    index: usize,
    pub(super) checkpoint: Option<Checkpoint>,
    stopped: bool,
}

impl Standing {
    pub(super) fn position(&self) -> u64 {
        self.checkpoint.map_or(0, |checkpoint| checkpoint.position)
    }

    pub(super) fn is_behind(&self, end: u64) -> bool {
        !self.stopped && self.position() < end
    }

    fn projection(&self) -> &'static dyn Projection {
        PROJECTIONS[self.index]
    }
}

/// What became of a page in one projection.
enum Folded {
    /// It is in, up to here.
    Upto(Checkpoint),
    /// It is in as far as it goes: this event stopped the projection.
    Stopped(Option<Checkpoint>, Stopped),
    /// Somebody else moved the projection on; nothing was written.
    Moved,
}

impl Projector {
    /// Reads where the projections stand. One that was stopped in another life of the process, or
    /// by another program, is tried once more.
    pub(super) async fn read_standings(&self, turn: &mut Turn) -> Result<(), ProjectionError> {
        let found = self.views.projections().await?;
        let mut found: BTreeMap<_, _> =
            found.into_iter().map(|status| (status.name.clone(), status)).collect();
        let standing = |(index, projection): (usize, &&'static dyn Projection)| {
            let status = found.remove(projection.name());
            let stopped = status.as_ref().is_some_and(|status| status.stopped.is_some());
            let stopped = stopped && !turn.tried.insert(projection.name());
            Standing { index, checkpoint: status.and_then(|status| status.checkpoint), stopped }
        };
        turn.standings = PROJECTIONS.iter().enumerate().map(standing).collect();
        Ok(())
    }

    /// Folds a page into every projection that it follows on.
    pub(super) async fn fold_in(
        &self,
        turn: &mut Turn,
        page: &FoldPage,
    ) -> Result<(), ProjectionError> {
        let [first, second, third, fourth, fifth] = [0, 1, 2, 3, 4].map(|index| {
            let standing = turn.standings.get(index).cloned();
            async move {
                match standing.filter(|standing| {
                    standing.is_behind(page.end.position) && standing.position() >= page.after
                }) {
                    Some(standing) => Some(self.fold_one(&standing, page).await),
                    None => None,
                }
            }
        });
        // At once: a store across a network answers all of them in the time of one.
        let folded: [_; PROJECTIONS.len()] =
            tokio::join!(first, second, third, fourth, fifth).into();
        let mut moved = false;
        for (standing, folded) in turn.standings.iter_mut().zip(folded) {
            match folded.transpose()? {
                None => {}
                Some(Folded::Upto(checkpoint)) => standing.checkpoint = Some(checkpoint),
                Some(Folded::Moved) => moved = true,
                Some(Folded::Stopped(checkpoint, stopped)) => {
                    let view = standing.projection().name();
                    let Stopped { position, reason } = &stopped;
                    tracing::error!(view, position, reason, "a view stopped");
                    turn.tried.insert(view);
                    standing.checkpoint = checkpoint;
                    standing.stopped = true;
                }
            }
        }
        if moved { self.read_standings(turn).await } else { Ok(()) }
    }

    async fn fold_one(
        &self,
        standing: &Standing,
        page: &FoldPage,
    ) -> Result<Folded, ProjectionError> {
        let (projection, after) = (standing.projection(), standing.checkpoint);
        let mut stopped = match self.write(projection, after, page, page.end).await? {
            Written::Whole => return Ok(Folded::Upto(page.end)),
            Written::Moved => return Ok(Folded::Moved),
            Written::Not(stopped) => stopped,
        };
        // What is before the batch of the bad event is still worth showing.
        let reached = loop {
            let end = self.batch_end_before(stopped.position, standing.position()).await?;
            let Some(end) = end else { break after };
            match self.write(projection, after, page, end).await? {
                Written::Whole => break Some(end),
                Written::Moved => return Ok(Folded::Moved),
                Written::Not(earlier) => stopped = earlier,
            }
        };
        let stop = self.views.stop(projection.name(), reached, self.epoch, stopped.clone()).await;
        match stop {
            Ok(()) => Ok(Folded::Stopped(reached, stopped)),
            Err(ApplyError::Moved { .. }) => Ok(Folded::Moved),
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes what a page up to `end` changes in one view.
    async fn write(
        &self,
        projection: &dyn Projection,
        after: Option<Checkpoint>,
        page: &FoldPage,
        end: Checkpoint,
    ) -> Result<Written, ProjectionError> {
        let from = after.map_or(0, |checkpoint| checkpoint.position);
        let facts = match page.facts(projection, from, end.position) {
            Ok(facts) => facts,
            Err((position, reason)) => return Ok(Written::Not(Stopped { position, reason })),
        };
        let mut rows = Rows::default();
        loop {
            let mut keys = BTreeSet::new();
            for fact in &facts {
                projection.needs(fact, &rows, &mut keys);
            }
            keys.retain(|key: &RowKey| !rows.knows(key));
            if keys.is_empty() {
                break;
            }
            rows.load(&*self.views, projection.name(), keys).await?;
        }
        projection.see(&mut rows, page.events(from, end.position));
        for fact in &facts {
            if let Err(reason) = projection.fold(&mut rows, fact) {
                let position = fact.recorded.position;
                return Ok(Written::Not(Stopped { position, reason }));
            }
        }
        let fold = Fold {
            projection: projection.name().to_owned(),
            after,
            epoch: self.epoch,
            checkpoint: end,
            rows: rows.into_changed(&*self.views, projection.name()).await?,
        };
        match self.views.apply(fold).await {
            Ok(()) => Ok(Written::Whole),
            Err(ApplyError::Moved { .. }) => Ok(Written::Moved),
            Err(error) => Err(failed(error)),
        }
    }

    /// The end of the last batch before `position`, if one ends after `after`.
    async fn batch_end_before(
        &self,
        position: u64,
        after: u64,
    ) -> Result<Option<Checkpoint>, ProjectionError> {
        for position in (after + 1..position).rev() {
            if let Some(hash) = self.store.batch_hash_at(position).await? {
                return Ok(Some(Checkpoint { position, hash }));
            }
        }
        Ok(None)
    }
}

/// What became of an attempt to write a page.
enum Written {
    Whole,
    Moved,
    Not(Stopped),
}

fn failed(error: ApplyError) -> ProjectionError {
    match error {
        ApplyError::Store(error) => ProjectionError::Store(error),
        error => ProjectionError::Fenced(error),
    }
}
