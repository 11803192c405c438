//! One page into the views.

use std::collections::{BTreeMap, BTreeSet};

use flexcore_ports::{ApplyError, Checkpoint, Fold, RowKey, Stopped};
use futures_util::future::join_all;

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

    /// Folds a page into every projection that it follows on. What they make of it is written
    /// together: one transaction of the store costs little more than one projection's would.
    pub(super) async fn fold_in(
        &self,
        turn: &mut Turn,
        page: &FoldPage,
    ) -> Result<(), ProjectionError> {
        let follows = |standing: &&Standing| {
            standing.is_behind(page.end.position) && standing.position() >= page.after
        };
        let standings: Vec<Standing> = turn.standings.iter().filter(follows).cloned().collect();
        // At once: a store across a network answers all of them in the time of one.
        let prepared = join_all(standings.iter().map(|standing| {
            self.prepare(standing.projection(), standing.checkpoint, page, page.end)
        }));
        let (mut folds, mut whole, mut moved) = (Vec::new(), Vec::new(), false);
        for (standing, prepared) in standings.iter().zip(prepared.await) {
            match prepared? {
                Prepared::Fold(fold) => {
                    folds.push(fold);
                    whole.push(standing.index);
                }
                Prepared::Not(stopped) => {
                    let folded = self.fold_before(standing, page, stopped).await?;
                    moved |= turn.note(standing.index, folded);
                }
            }
        }
        for (index, applied) in whole.into_iter().zip(self.views.apply_all(folds).await) {
            let folded = match applied {
                Ok(()) => Folded::Upto(page.end),
                Err(ApplyError::Moved { .. }) => Folded::Moved,
                Err(error) => return Err(failed(error)),
            };
            moved |= turn.note(index, folded);
        }
        if moved { self.read_standings(turn).await } else { Ok(()) }
    }

    /// Folds in what of a page is before the batch of a bad event, which is still worth showing.
    async fn fold_before(
        &self,
        standing: &Standing,
        page: &FoldPage,
        mut stopped: Stopped,
    ) -> Result<Folded, ProjectionError> {
        let (projection, after) = (standing.projection(), standing.checkpoint);
        let reached = loop {
            let end = self.batch_end_before(stopped.position, standing.position()).await?;
            let Some(end) = end else { break after };
            match self.prepare(projection, after, page, end).await? {
                Prepared::Not(earlier) => stopped = earlier,
                Prepared::Fold(fold) => match self.views.apply(fold).await {
                    Ok(()) => break Some(end),
                    Err(ApplyError::Moved { .. }) => return Ok(Folded::Moved),
                    Err(error) => return Err(failed(error)),
                },
            }
        };
        let stop = self.views.stop(projection.name(), reached, self.epoch, stopped.clone()).await;
        match stop {
            Ok(()) => Ok(Folded::Stopped(reached, stopped)),
            Err(ApplyError::Moved { .. }) => Ok(Folded::Moved),
            Err(error) => Err(failed(error)),
        }
    }

    /// What a page up to `end` changes in one view.
    async fn prepare(
        &self,
        projection: &dyn Projection,
        after: Option<Checkpoint>,
        page: &FoldPage,
        end: Checkpoint,
    ) -> Result<Prepared, ProjectionError> {
        let from = after.map_or(0, |checkpoint| checkpoint.position);
        let facts = match page.facts(projection, from, end.position) {
            Ok(facts) => facts,
            Err((position, reason)) => return Ok(Prepared::Not(Stopped { position, reason })),
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
                return Ok(Prepared::Not(Stopped { position, reason }));
            }
        }
        Ok(Prepared::Fold(Fold {
            projection: projection.name().to_owned(),
            after,
            epoch: self.epoch,
            checkpoint: end,
            rows: rows.into_changed(&*self.views, projection.name()).await?,
        }))
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

impl Turn {
    /// Notes what became of a page in the projection with this index; whether somebody else moved
    /// it on.
    fn note(&mut self, index: usize, folded: Folded) -> bool {
        let Some(standing) = self.standings.get_mut(index) else { return true };
        match folded {
            Folded::Upto(checkpoint) => standing.checkpoint = Some(checkpoint),
            Folded::Moved => return true,
            Folded::Stopped(checkpoint, stopped) => {
                let view = standing.projection().name();
                let Stopped { position, reason } = &stopped;
                tracing::error!(view, position, reason, "a view stopped");
                self.tried.insert(view);
                standing.checkpoint = checkpoint;
                standing.stopped = true;
            }
        }
        false
    }
}

/// What a projection makes of a page.
enum Prepared {
    Fold(Fold),
    /// It cannot get over this event.
    Not(Stopped),
}

fn failed(error: ApplyError) -> ProjectionError {
    match error {
        ApplyError::Store(error) => ProjectionError::Store(error),
        error => ProjectionError::Fenced(error),
    }
}
