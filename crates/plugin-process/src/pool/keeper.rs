//! Who looks after the processes of a pool that wait for work.

use std::sync::{Arc, Weak};

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{Pool, member::Member};

/// After how many questions without a good answer a process is replaced.
const MISSES: u32 = 3;

/// Looks after a pool for as long as it is there.
pub(super) fn keep(pool: &Arc<Pool>) {
    let every = pool.options.health_interval;
    let pool = Arc::downgrade(pool);
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::spawn(async move {
        loop {
            ticks.tick().await;
            let Some(pool) = Weak::upgrade(&pool) else { return };
            if pool.state().is_closed {
                return;
            }
            look_after(&pool).await;
        }
    });
}

async fn look_after(pool: &Arc<Pool>) {
    for member in retired(pool) {
        pool.retire(member.process);
    }
    let resting: Vec<_> = {
        let state = pool.state();
        let idle = state.members.iter().filter(|member| member.is_idle());
        idle.map(|member| (member.number, Arc::clone(&member.process))).collect()
    };
    for (number, process) in resting {
        let is_well = process.health(pool.options.answer).await.is_ok();
        note(pool, number, is_well);
    }
    // What does not start now is tried again at the next turn; a call would say why.
    let _ = pool.warm(pool.plugin.manifest.pool.min_idle).await;
    pool.state().wake_one();
}

/// Takes out the processes that nobody needs any more.
fn retired(pool: &Pool) -> Vec<Member> {
    let rules = &pool.plugin.manifest.pool;
    let mut state = pool.state();
    let mut spare = state.members.iter().filter(|member| member.is_idle()).count();
    let mut kept = Vec::with_capacity(state.members.len());
    let mut retired = Vec::new();
    // The ones that worked longest ago come first.
    for member in state.members.drain(..) {
        let is_surplus =
            spare > rules.min_idle as usize && member.last_used.elapsed() >= pool.options.keep_idle;
        let is_old = member.born.elapsed() >= rules.max_age.duration();
        if member.is_idle() && (is_surplus || is_old || !member.process.is_alive()) {
            spare -= 1;
            retired.push(member);
        } else {
            kept.push(member);
        }
    }
    state.members = kept;
    retired
}

fn note(pool: &Pool, number: u64, is_well: bool) {
    let mut state = pool.state();
    let Some(place) = state.members.iter().position(|one| one.number == number) else { return };
    let member = &mut state.members[place];
    member.misses = if is_well { 0 } else { member.misses + 1 };
    if member.misses >= MISSES && member.is_idle() {
        let member = state.members.remove(place);
        drop(state);
        pool.retire(member.process);
    }
}
