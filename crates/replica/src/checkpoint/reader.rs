//! Reading a checkpoint for sending it.

use std::path::PathBuf;

use bytes::Bytes;
use disk::{DiskFile, OpenMode};
use raft::Index;

use super::{Damage, Scan, name_of, read_block};
use crate::fault::Fault;
use crate::images::Images;

/// Reads a checkpoint for sending it: an iterator over pieces of its bytes, which are checked as
/// they are read. It stays readable though the file loses its name.
#[derive(Debug)]
pub struct CheckpointReader {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    images: Images,
    index: Index,
    scan: Scan,
    offset: u64,
    bytes: u64,
    is_done: bool,
}

impl CheckpointReader {
    pub(crate) fn open(images: &Images, index: Index) -> Result<CheckpointReader, Fault> {
        let path = images.dir.join(name_of(index));
        let file = images.disk.open(&path, OpenMode::Read)?;
        let bytes = file.size()?;
        let (images, scan) = (images.clone(), Scan::default());
        Ok(CheckpointReader { file, path, images, index, scan, offset: 0, bytes, is_done: false })
    }

    /// How many bytes there are in all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&mut self) -> Result<Option<Bytes>, Fault> {
        let block = read_block(&*self.file, self.offset)?;
        if block.is_empty() {
            self.scan.finish().map_err(|damage| self.damaged(damage))?;
            return Ok(None);
        }
        self.offset += block.len() as u64;
        self.scan.push(&block);
        while let Some(_checked) = self.scan.next().map_err(|damage| self.damaged(damage))? {}
        Ok(Some(block.into()))
    }

    /// Says so, and lets the replica make another: its own state is in memory, and sound.
    fn damaged(&self, damage: Damage) -> Fault {
        self.images.report_damage(self.index);
        let (path, Damage { offset, expected, found }) = (self.path.display(), damage);
        Fault::Image(format!(
            "{path} is damaged at offset {offset}: expected {expected}, found {found}; another \
             checkpoint is made from what is in memory"
        ))
    }
}

impl Iterator for CheckpointReader {
    type Item = Result<Bytes, Fault>;

    fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        if self.is_done {
            return None;
        }
        let read = self.read();
        self.is_done = !matches!(read, Ok(Some(_)));
        read.transpose()
    }
}
