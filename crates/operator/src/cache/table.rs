//! Rows of one kind, in the order of their keys: all of a cluster stand together.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt as _};
use parking_lot::RwLock;
use tokio::sync::watch;

use super::row::Row;
use crate::names::{Site, ours};

/// Nobody follows any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody follows any more")]
pub struct Stopped;

/// Rows of one kind: those that stood in the last list, and what was told since.
#[derive(Debug)]
pub struct Table<R> {
    rows: RwLock<BTreeMap<Box<str>, R>>,
    is_complete: watch::Receiver<bool>,
}

/// The one that changes a table.
pub(super) struct Writer<R> {
    table: Arc<Table<R>>,
    is_complete: watch::Sender<bool>,
    /// What a list has brought so far, while there is one.
    arriving: BTreeMap<Box<str>, R>,
}

/// `namespace/cluster/name`, of an object that says to which cluster it belongs.
pub(super) fn key<K: Resource>(object: &K) -> Option<Box<str>> {
    let cluster = object.labels().get(&ours("cluster"))?;
    let (namespace, name) = (object.namespace()?, object.meta().name.as_ref()?);
    Some(format!("{namespace}/{cluster}/{name}").into())
}

/// The namespace and the cluster that a key names.
pub(super) fn cluster_of(key: &str) -> Option<(&str, &str)> {
    let (namespace, rest) = key.split_once('/')?;
    let (cluster, _) = rest.split_once('/')?;
    Some((namespace, cluster))
}

impl<R> Table<R> {
    /// Waits until everything was seen once.
    ///
    /// # Errors
    ///
    /// If nobody follows any more.
    pub async fn ready(&self) -> Result<(), Stopped> {
        let mut is_complete = self.is_complete.clone();
        is_complete.wait_for(|is_complete| *is_complete).await.map(drop).map_err(|_| Stopped)
    }

    /// Tells whether nothing was seen, be it that nothing is there, or that it is out of bounds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.read().is_empty()
    }

    /// Tells whether any row is as asked for. Also takes the key, which is the name of an object
    /// that is in no namespace.
    pub fn any(&self, mut is_it: impl FnMut(&str, &R) -> bool) -> bool {
        self.rows.read().iter().any(|(key, row)| is_it(key, row))
    }
}

impl<R: Clone> Table<R> {
    /// The row of an object of a cluster.
    #[must_use]
    pub fn get(&self, site: &Site, name: &str) -> Option<R> {
        let key = format!("{}/{}/{name}", site.namespace, site.name);
        self.rows.read().get(key.as_str()).cloned()
    }

    /// The row of an object that is in no namespace.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<R> {
        self.rows.read().get(name).cloned()
    }

    /// The rows of all objects of a cluster, and their names.
    #[must_use]
    pub fn of_cluster(&self, site: &Site) -> Vec<(String, R)> {
        let prefix = format!("{}/{}/", site.namespace, site.name);
        let rows = self.rows.read();
        let from =
            rows.range::<str, _>((std::ops::Bound::Included(&*prefix), std::ops::Bound::Unbounded));
        let ours = from.map_while(|(key, row)| Some((key.strip_prefix(&prefix)?, row)));
        ours.map(|(name, row)| (name.to_owned(), row.clone())).collect()
    }
}

impl<R> Writer<R> {
    pub(super) fn new() -> (Arc<Table<R>>, Writer<R>) {
        let (sender, is_complete) = watch::channel(false);
        let table = Arc::new(Table { rows: RwLock::default(), is_complete });
        let writer =
            Writer { table: table.clone(), is_complete: sender, arriving: BTreeMap::new() };
        (table, writer)
    }

    /// Takes what was seen, and tells the keys of rows that are not what they were. Of the first
    /// list nothing is told: whoever waited for it looks at everything.
    pub(super) fn take<K>(
        &mut self,
        event: Event<K>,
        key: &impl Fn(&K) -> Option<Box<str>>,
        tell: &impl Fn(&str),
    ) where
        R: Row<K>,
    {
        match event {
            Event::Init => self.arriving.clear(),
            Event::InitApply(object) => {
                if let Some((key, row)) = key(&object).zip(R::of(&object)) {
                    self.arriving.insert(key, row);
                }
            }
            Event::InitDone => self.replace(tell),
            Event::Apply(object) => {
                let Some(key) = key(&object) else { return };
                match R::of(&object) {
                    Some(row) => self.set(key, row, tell),
                    None => self.remove(&key, tell),
                }
            }
            Event::Delete(object) => {
                if let Some(key) = key(&object) {
                    self.remove(&key, tell);
                }
            }
        }
    }

    fn set(&self, key: Box<str>, row: R, tell: &impl Fn(&str))
    where
        R: PartialEq,
    {
        let mut rows = self.table.rows.write();
        if rows.get(&key) != Some(&row) {
            tell(&key);
            rows.insert(key, row);
        }
    }

    fn remove(&self, key: &str, tell: &impl Fn(&str)) {
        if self.table.rows.write().remove(key).is_some() {
            tell(key);
        }
    }

    /// What the list has brought is all that there is.
    fn replace(&mut self, tell: &impl Fn(&str))
    where
        R: PartialEq,
    {
        let arrived = std::mem::take(&mut self.arriving);
        let mut rows = self.table.rows.write();
        if *self.is_complete.borrow() {
            let changed = arrived.iter().filter(|(key, row)| rows.get(*key) != Some(*row));
            changed.for_each(|(key, _)| tell(key));
            rows.keys().filter(|key| !arrived.contains_key(*key)).for_each(|key| tell(key));
        }
        *rows = arrived;
        drop(rows);
        self.is_complete.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use k8s_openapi::api::core::v1::ServiceAccount;
    use kube::core::{ObjectMeta, PartialObjectMeta};

    use super::*;
    use crate::children;
    use crate::plan::observed::ChildSeen;

    type Account = PartialObjectMeta<ServiceAccount>;

    fn account(cluster: &str, name: &str, digest: &str) -> Account {
        let metadata = ObjectMeta {
            name: Some(name.into()),
            namespace: Some("n".into()),
            uid: Some(format!("uid of {name}")),
            labels: Some([(ours("cluster"), cluster.to_owned())].into()),
            annotations: Some([(children::digest_key(), digest.to_owned())].into()),
            ..ObjectMeta::default()
        };
        PartialObjectMeta { metadata, ..PartialObjectMeta::default() }
    }

    fn site(name: &str) -> Site {
        Site { name: name.into(), namespace: "n".into(), uid: "u".into(), domain: "d".into() }
    }

    /// Gives events, and returns whose keys were told.
    fn told(writer: &mut Writer<ChildSeen>, events: Vec<Event<Account>>) -> Vec<String> {
        let told = RefCell::new(Vec::new());
        for event in events {
            writer.take(event, &key, &|key: &str| told.borrow_mut().push(key.to_owned()));
        }
        told.into_inner()
    }

    #[test]
    fn only_what_changed_is_told() {
        let (table, mut writer) = Writer::new();
        let first = vec![Event::Init, Event::InitApply(account("a", "x", "1")), Event::InitDone];
        assert_eq!(told(&mut writer, first), [""; 0], "of the first list, nothing");
        let same = vec![Event::Apply(account("a", "x", "1"))];
        assert_eq!(told(&mut writer, same), [""; 0]);
        let other = vec![Event::Apply(account("a", "x", "2"))];
        assert_eq!(told(&mut writer, other), ["n/a/x"]);
        let found = table.get(&site("a"), "x").map(|row| row.digest);
        assert_eq!(found.as_deref(), Some("2"));
        let again = vec![
            Event::Init,
            Event::InitApply(account("a", "y", "1")),
            Event::InitApply(account("b", "z", "1")),
            Event::InitDone,
        ];
        assert_eq!(told(&mut writer, again), ["n/a/y", "n/b/z", "n/a/x"]);
        let gone = vec![Event::Delete(account("b", "z", "1"))];
        assert_eq!(told(&mut writer, gone), ["n/b/z"]);
        assert!(table.get(&site("b"), "z").is_none());
    }

    #[test]
    fn a_list_that_breaks_off_changes_nothing() {
        let (table, mut writer) = Writer::new();
        let first = vec![Event::Init, Event::InitApply(account("a", "x", "1")), Event::InitDone];
        told(&mut writer, first);
        told(&mut writer, vec![Event::Init, Event::InitApply(account("a", "y", "1")), Event::Init]);
        let names = |site: Site| -> Vec<String> {
            table.of_cluster(&site).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(site("a")), ["x"]);
        told(&mut writer, vec![Event::InitDone]);
        assert_eq!(names(site("a")), [""; 0]);
    }

    #[test]
    fn clusters_whose_names_begin_alike_are_kept_apart() {
        let (table, mut writer) = Writer::new();
        let all = ["a", "a-b", "ab"].map(|name| Event::Apply(account(name, name, "1")));
        told(&mut writer, all.into());
        for name in ["a", "a-b", "ab"] {
            let found = table.of_cluster(&site(name));
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].0, name);
        }
        assert!(table.of_cluster(&site("")).is_empty());
        assert_eq!(cluster_of("n/a-b/x"), Some(("n", "a-b")));
    }
}
