//! The segment that is written: its beginning and its end.

use std::path::{Path, PathBuf};

use disk::{Disk, DiskFile, OpenMode};
use raft::EntryId;

use crate::error::WalError;
use crate::outline::{Outline, Step};
use crate::record::{self, Ending, Footer};
use crate::recovery::Contents;
use crate::sector::{self, Position, Salt, offset_of, sectors_for};
use crate::segment::{self, BEGINNING_SECTORS_MAX, Header};
use crate::spare::Spare;

/// The segment that is written.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) path: PathBuf,
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) sectors: u32,
    pub(crate) at: Position,
    pub(crate) contents: Contents,
}

impl Active {
    /// Makes a spare segment the next one. Its name appears when all that it begins with is
    /// durable, and this returns when the name is.
    pub(crate) fn begin(
        disk: &dyn Disk,
        dir: &Path,
        spare: Spare,
        header: Header,
        state: &Outline,
        rewrite: Option<&[u8]>,
    ) -> Result<Active, WalError> {
        let number = header.previous.segment + 1;
        let path = dir.join(segment::name(number));
        let unfinished = path.with_extension("new");
        // A spare that was written to would not be one: what is left of a try must not bear its
        // name, or the same segment number would be written twice to one file.
        disk.rename(&spare.path, &unfinished)?;
        disk.sync_dir(dir)?;
        let file = disk.open(&unfinished, OpenMode::WriteSectors)?;
        let mut at = Position { segment: number, sector: 0, chain: header.previous.chain };
        let mut contents = Contents::default();
        let mut out = Vec::new();
        let salt = Salt::of(header.id);
        sector::frame(&mut out, &mut at, salt, &header.to_payload());
        contents.add(&[]);
        let mut beginning = Vec::new();
        state.put_beginning(&mut beginning);
        let len = sectors_for(beginning.len());
        assert!(len <= BEGINNING_SECTORS_MAX, "a segment begins with {len} sectors of state");
        sector::frame(&mut out, &mut at, salt, &beginning);
        contents.add(&[]);
        if let Some(payload) = rewrite {
            sector::frame(&mut out, &mut at, salt, payload);
            let records = record::read_all(payload).expect("it was read before");
            let steps: Vec<Step> = records.iter().filter_map(Step::of).collect();
            contents.add(&steps);
        }
        file.write_all_at(0, &out)?;
        file.sync_data()?;
        disk.rename(&unfinished, &path)?;
        disk.sync_dir(dir)?;
        Ok(Active { path, file, sectors: header.sectors, at, contents })
    }
}

pub(crate) fn footer(ending: Ending, last: EntryId, contents: Contents) -> Footer {
    let Contents { units, entries, indexes } = contents;
    Footer { ending, last, units, entries, indexes }
}

/// Writes a segment's last unit, for which a sector is always left.
pub(crate) fn write_footer(
    file: &dyn DiskFile,
    mut at: Position,
    salt: Salt,
    footer: &Footer,
) -> Result<(), WalError> {
    let mut payload = Vec::new();
    record::put_footer(&mut payload, footer);
    let mut out = Vec::new();
    let offset = offset_of(at.sector);
    sector::frame(&mut out, &mut at, salt, &payload);
    file.write_all_at(offset, &out)?;
    file.sync_data()?;
    Ok(())
}
