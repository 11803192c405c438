//! What was found out about callers, for as long as it is certain to hold.
//!
//! Everything is forgotten as soon as any key or role changes: on this node by whoever changes it,
//! on others as soon as their tailers read it. Without somebody who follows the log nothing is
//! remembered at all.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use flexcore_domain::{ApiKey, ApiKeyId, RoleName};

use crate::Permissions;

/// How many keys and how many sets of roles are remembered; beyond that it begins anew.
const MOST: usize = 10_000;

/// A key with what it allows.
#[derive(Debug, Clone)]
pub(crate) struct CachedKey {
    pub(super) key: ApiKey,
    pub(super) permissions: Permissions,
}

type Keys = HashMap<(Arc<str>, ApiKeyId), Arc<CachedKey>>;
type Roles = HashMap<(Arc<str>, BTreeSet<RoleName>), Permissions>;

#[derive(Debug, Default)]
pub(crate) struct AccessCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Grows with every change: what was read before a change is not remembered after it.
    generation: u64,
    is_followed: bool,
    keys: Keys,
    roles: Roles,
}

/// What was known when somebody began to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Generation(u64);

impl AccessCache {
    /// Forgets everything: a key or a role has changed.
    pub(super) fn forget(&self) {
        self.lock().forget();
    }

    /// From now on changes are heard of, or not any more.
    pub(super) fn follow(&self, is_followed: bool) {
        let mut state = self.lock();
        state.forget();
        state.is_followed = is_followed;
    }

    pub(super) fn key(
        &self,
        tenant: &Arc<str>,
        id: ApiKeyId,
    ) -> Result<Arc<CachedKey>, Generation> {
        let state = self.lock();
        let known = state.keys.get(&(Arc::clone(tenant), id));
        known.cloned().ok_or(Generation(state.generation))
    }

    pub(super) fn keep_key(&self, since: Generation, tenant: Arc<str>, key: Arc<CachedKey>) {
        let mut state = self.lock();
        if state.may_keep(since) {
            state.keys.insert((tenant, key.key.grant.id), key);
        }
    }

    pub(super) fn roles(
        &self,
        tenant: &Arc<str>,
        roles: &BTreeSet<RoleName>,
    ) -> Result<Permissions, Generation> {
        let state = self.lock();
        let known = state.roles.get(&(Arc::clone(tenant), roles.clone()));
        known.cloned().ok_or(Generation(state.generation))
    }

    pub(super) fn keep_roles(
        &self,
        since: Generation,
        tenant: Arc<str>,
        roles: BTreeSet<RoleName>,
        permissions: Permissions,
    ) {
        let mut state = self.lock();
        if state.may_keep(since) {
            state.roles.insert((tenant, roles), permissions);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self) {
        self.generation += 1;
        self.keys.clear();
        self.roles.clear();
    }

    fn may_keep(&mut self, since: Generation) -> bool {
        if self.keys.len() >= MOST || self.roles.len() >= MOST {
            self.keys.clear();
            self.roles.clear();
        }
        self.is_followed && self.generation == since.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role() -> BTreeSet<RoleName> {
        ["loader".parse().unwrap()].into()
    }

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let (cache, tenant) = (AccessCache::default(), Arc::<str>::from("default"));
        cache.follow(true);
        let before = cache.roles(&tenant, &role()).unwrap_err();
        cache.forget();
        cache.keep_roles(before, Arc::clone(&tenant), role(), Permissions::All);
        let after = cache.roles(&tenant, &role()).unwrap_err();
        cache.keep_roles(after, Arc::clone(&tenant), role(), Permissions::All);
        assert_eq!(cache.roles(&tenant, &role()).unwrap(), Permissions::All);
        assert!(cache.roles(&"acme".into(), &role()).is_err(), "each tenant has its own");
        cache.forget();
        assert!(cache.roles(&tenant, &role()).is_err());
    }

    #[test]
    fn without_somebody_who_hears_of_changes_nothing_is_remembered() {
        let (cache, tenant) = (AccessCache::default(), Arc::<str>::from("default"));
        for is_followed in [false, true, false] {
            cache.follow(is_followed);
            let since = cache.roles(&tenant, &role()).unwrap_err();
            cache.keep_roles(since, Arc::clone(&tenant), role(), Permissions::All);
            assert_eq!(cache.roles(&tenant, &role()).is_ok(), is_followed);
        }
    }
}
