//! A bounded map that only the store's thread writes and everybody may read.
//!
//! With a single writer, that also sees every change of the rows behind it, an old value can never
//! be put back after a newer one.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

/// See the module.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    entries: RwLock<HashMap<K, V>>,
    entries_max: usize,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            entries: RwLock::new(HashMap::new()),
            entries_max,
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    /// For the store's thread only. When full, everything is forgotten: what is in use comes back
    /// with its next read, and there is no order to keep.
    pub(super) fn put(&self, key: K, value: V) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.entries_max && !entries.contains_key(&key) {
            entries.clear();
        }
        entries.insert(key, value);
    }

    /// For the store's thread only.
    pub(super) fn forget(&self, key: &K) {
        self.entries
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_forgets_everything_rather_than_grow() {
        let cache = Cache::new(2);
        cache.put(1, "a");
        cache.put(2, "b");
        cache.put(2, "c");
        assert_eq!(cache.get(&1), Some("a"));
        assert_eq!(cache.get(&2), Some("c"));
        cache.put(3, "d");
        assert_eq!(cache.get(&1), None);
        assert_eq!(cache.get(&3), Some("d"));
        cache.forget(&3);
        assert_eq!(cache.get(&3), None);
    }
}
