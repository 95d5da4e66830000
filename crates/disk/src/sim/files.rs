//! The names of files and directories, and the files behind them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::faults::Rng;
use super::medium::{Inode, Survivors};
use crate::OpenMode;
use crate::error::Cause;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct InodeId(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Dir,
    File(InodeId),
}

/// What names stand for.
type Names = BTreeMap<PathBuf, Node>;

/// A change of names that is not durable yet. Its parts survive together or not at all.
#[derive(Clone, Debug)]
struct Change {
    parts: Vec<(PathBuf, Option<Node>)>,
}

/// All files of a disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    /// What is seen.
    names: Names,
    /// What is certain to survive.
    stored: Names,
    /// What is on its way, in the order in which it was made.
    changes: Vec<Change>,
    inodes: BTreeMap<InodeId, Inode>,
    next_inode: u64,
    pub(super) capacity: Option<u64>,
}

impl Files {
    pub(super) fn create_dir(&mut self, path: &Path) -> Result<(), Cause> {
        match self.names.get(path) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(Cause::Exists),
            None => {
                self.require_parent(path)?;
                self.change(vec![(path.to_owned(), Some(Node::Dir))]);
                Ok(())
            }
        }
    }

    pub(super) fn open(&mut self, path: &Path, mode: OpenMode) -> Result<InodeId, Cause> {
        let id = match (self.file(path), mode) {
            (Some(id), OpenMode::Read | OpenMode::Write | OpenMode::WriteSectors) => id,
            (Some(_), OpenMode::CreateNew) => return Err(Cause::Exists),
            (None, OpenMode::Read | OpenMode::Write | OpenMode::WriteSectors) => {
                return Err(Cause::NotFound);
            }
            (None, OpenMode::CreateNew) => {
                self.require_parent(path)?;
                let id = self.add(Inode::default());
                self.change(vec![(path.to_owned(), Some(Node::File(id)))]);
                id
            }
        };
        self.inode(id).open += 1;
        Ok(id)
    }

    pub(super) fn close(&mut self, id: InodeId) {
        self.inode(id).open -= 1;
        self.collect();
    }

    pub(super) fn list(&self, dir: &Path) -> Result<Vec<String>, Cause> {
        self.require_dir(dir)?;
        let names = self.names.keys().filter(|path| is_in(path, dir));
        Ok(names
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Cause> {
        let id = self.file(from).ok_or(Cause::NotFound)?;
        self.require_parent(to)?;
        self.change(vec![(from.to_owned(), None), (to.to_owned(), Some(Node::File(id)))]);
        self.collect();
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> Result<(), Cause> {
        self.file(path).ok_or(Cause::NotFound)?;
        self.change(vec![(path.to_owned(), None)]);
        self.collect();
        Ok(())
    }

    /// Stores the changes that touch a directory.
    pub(super) fn sync_dir(&mut self, dir: &Path) -> Result<(), Cause> {
        self.require_dir(dir)?;
        let (now, later) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition(|change| change.parts.iter().any(|(path, _)| is_in(path, dir)));
        self.changes = later;
        self.store(now);
        self.collect();
        Ok(())
    }

    pub(super) fn crash(&mut self, survivors: Survivors, rng: &mut Rng) {
        let changes = std::mem::take(&mut self.changes);
        let survives = survivors.draw(changes.len(), rng);
        let kept = changes.into_iter().zip(survives).filter(|(_, survives)| *survives);
        self.store(kept.map(|(change, _)| change).collect());
        // What lies in a directory that did not survive is not reached.
        let stored = self.stored.clone();
        self.stored.retain(|path, _| {
            path.ancestors().skip(1).all(|dir| is_root(dir) || stored.get(dir) == Some(&Node::Dir))
        });
        self.names.clone_from(&self.stored);
        for inode in self.inodes.values_mut() {
            inode.crash(survivors, rng);
        }
        self.collect();
    }

    pub(super) fn inode(&mut self, id: InodeId) -> &mut Inode {
        self.inodes.get_mut(&id).expect("an open file is kept")
    }

    /// How many of the bytes to be written fit on the disk.
    pub(super) fn fits(&self, id: InodeId, offset: u64, bytes: usize) -> usize {
        let free = self.free();
        let size = self.inodes.get(&id).map_or(0, Inode::size);
        let end = offset + bytes as u64;
        let missing = end.saturating_sub(size).saturating_sub(free);
        bytes.saturating_sub(usize::try_from(missing).unwrap_or(usize::MAX))
    }

    /// Tells whether a file may become this long.
    pub(super) fn has_room_for(&self, id: InodeId, bytes: u64) -> bool {
        let size = self.inodes.get(&id).map_or(0, Inode::size);
        bytes.saturating_sub(size) <= self.free()
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let is_file = |node: &Node| matches!(node, Node::File(_));
        self.names.iter().filter(|(_, node)| is_file(node)).map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        Some(self.inodes.get(&self.file(path)?)?.cached.clone())
    }

    pub(super) fn put(&mut self, path: &Path, contents: &[u8]) {
        let id = self.add(Inode::of(contents));
        self.names.insert(path.to_owned(), Node::File(id));
        self.stored.insert(path.to_owned(), Node::File(id));
    }

    pub(super) fn take_away(&mut self, path: &Path) {
        self.names.remove(path);
        self.stored.remove(path);
        self.collect();
    }

    pub(super) fn bits(&self, path: &Path) -> u64 {
        self.file(path).and_then(|id| self.inodes.get(&id)).map_or(0, |inode| inode.size() * 8)
    }

    pub(super) fn flip(&mut self, path: &Path, bit: u64) {
        if let Some(id) = self.file(path) {
            self.inode(id).flip(bit);
        }
    }

    fn file(&self, path: &Path) -> Option<InodeId> {
        match self.names.get(path) {
            Some(Node::File(id)) => Some(*id),
            Some(Node::Dir) | None => None,
        }
    }

    fn add(&mut self, inode: Inode) -> InodeId {
        let id = InodeId(self.next_inode);
        self.next_inode += 1;
        self.inodes.insert(id, inode);
        id
    }

    fn free(&self) -> u64 {
        let Some(capacity) = self.capacity else { return u64::MAX };
        let used: u64 = self.inodes.values().map(Inode::size).sum();
        capacity.saturating_sub(used)
    }

    fn change(&mut self, parts: Vec<(PathBuf, Option<Node>)>) {
        apply(&mut self.names, &parts);
        self.changes.push(Change { parts });
    }

    fn store(&mut self, changes: Vec<Change>) {
        for change in changes {
            apply(&mut self.stored, &change.parts);
        }
    }

    /// Drops the files that have no name, on the disk or on the way, and that nobody has open.
    fn collect(&mut self) {
        let pending = self.changes.iter().flat_map(|change| &change.parts);
        let named: Vec<InodeId> = (self.names.values())
            .chain(self.stored.values())
            .chain(pending.filter_map(|(_, node)| node.as_ref()))
            .filter_map(|node| match node {
                Node::File(id) => Some(*id),
                Node::Dir => None,
            })
            .collect();
        self.inodes.retain(|id, inode| 0 < inode.open || named.contains(id));
    }

    fn require_parent(&self, path: &Path) -> Result<(), Cause> {
        path.parent().map_or(Ok(()), |dir| self.require_dir(dir))
    }

    fn require_dir(&self, dir: &Path) -> Result<(), Cause> {
        if is_root(dir) || self.names.get(dir) == Some(&Node::Dir) {
            return Ok(());
        }
        Err(Cause::NotFound)
    }
}

fn apply(names: &mut Names, parts: &[(PathBuf, Option<Node>)]) {
    for (path, node) in parts {
        match node {
            Some(node) => names.insert(path.clone(), *node),
            None => names.remove(path),
        };
    }
}

/// Tells whether a file or directory lies in a directory.
fn is_in(path: &Path, dir: &Path) -> bool {
    let parent = path.parent();
    parent.is_some_and(|parent| parent == dir || is_root(parent) && is_root(dir))
}

/// Tells whether the directory exists on every disk.
fn is_root(dir: &Path) -> bool {
    dir.as_os_str().is_empty() || dir == Path::new("/") || dir == Path::new(".")
}
