//! Reading a checkpoint for sending it.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use disk::{Disk, DiskFile, OpenMode};

use super::{Scan, read_block};
use crate::fault::Fault;

/// Reads a checkpoint for sending it: an iterator over pieces of its bytes, which are checked as
/// they are read. It stays readable though the file loses its name.
#[derive(Debug)]
pub struct CheckpointReader {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    scan: Scan,
    offset: u64,
    bytes: u64,
    is_done: bool,
}

impl CheckpointReader {
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> Result<CheckpointReader, Fault> {
        let file = disk.open(path, OpenMode::Read)?;
        let bytes = file.size()?;
        let (path, scan) = (path.to_owned(), Scan::default());
        Ok(CheckpointReader { file, path, scan, offset: 0, bytes, is_done: false })
    }

    /// How many bytes there are in all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&mut self) -> Result<Option<Bytes>, Fault> {
        let block = read_block(&*self.file, self.offset)?;
        if block.is_empty() {
            self.scan.finish().map_err(|damage| damage.of(&self.path))?;
            return Ok(None);
        }
        self.offset += block.len() as u64;
        self.scan.push(&block);
        while self.scan.next().map_err(|damage| damage.of(&self.path))?.is_some() {}
        Ok(Some(block.into()))
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
