//! `holdfast snapshot save` and `status`, and the reading of snapshots.
//!
//! A snapshot is what `Maintenance.Snapshot` sends: the chunks of an image, as `store` draws them;
//! zeros up to a multiple of 512 bytes; and the SHA-256 of all that.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use etcd_api::etcdserverpb::SnapshotRequest;
use etcd_api::etcdserverpb::maintenance_client::MaintenanceClient;
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{CHUNK_HEADER_BYTES, Machine, MachineLoader, chunk_bytes};
use tokio::time::timeout;

use super::channel::Channel;
use super::options::{CALLING, Options, Output, PRINTING};
use super::{block_on, only_word, table};

const SAVE_USAGE: &str = "snapshot save FILE --endpoints URL\n    Take a snapshot of a cluster \
                          from one of its members.";
const STATUS_USAGE: &str = "snapshot status FILE [-w table|json|simple]\n    Check a snapshot, and \
                            describe it.";

/// The length of a snapshot without its hash is a multiple of this.
const BLOCK_BYTES: u64 = 512;

/// The length of the hash.
const HASH_BYTES: u64 = 32;

/// Whether a snapshot must be what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HashCheck {
    /// It must have the hash at its end.
    Done,
    /// The hash is passed over. Each chunk has a checksum of its own.
    Skipped,
}

/// A snapshot that was read.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// What it holds.
    pub(super) machine: Machine,
    /// The hash at its end, which tells it from every other.
    pub(super) hash: [u8; 32],
    /// The size of the file.
    pub(super) bytes: u64,
}

// === Saving ===

/// Takes a snapshot. The file has its name only when it is whole and on the disk.
pub(super) fn save(
    arguments: &[String],
    environment: &BTreeMap<String, String>,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let Some(options) = Options::read(SAVE_USAGE, CALLING, arguments, environment, out)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let path = PathBuf::from(only_word(&options, "the file to write")?);
    let mut part = path.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let saved = block_on(receive(&options, &part)).and_then(|version| {
        // What was sent is read back before it counts.
        let snapshot = read(&part, HashCheck::Done)?;
        fs::rename(&part, &path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        Ok((version, snapshot))
    });
    let (version, snapshot) = match saved {
        Ok(saved) => saved,
        Err(error) => {
            // It may not be there.
            drop(fs::remove_file(&part));
            return Err(error);
        }
    };
    writeln!(out, "Snapshot saved at {}", path.display())?;
    writeln!(
        out,
        "Server version {version}, revision {}, {} keys, {}",
        snapshot.machine.view().revision(),
        snapshot.machine.view().sizes().keys,
        table::size(snapshot.bytes)
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Writes what a member sends to a file, and returns the member's version.
async fn receive(options: &Options, path: &Path) -> Result<String> {
    let endpoints = options.endpoints()?;
    let [endpoint] = endpoints.as_slice() else {
        bail!("a snapshot is taken from one member, and --endpoints holds {}", endpoints.len());
    };
    let tls = options.tls(&endpoints)?;
    let (dial, wait) = options.timeouts();
    let connected = timeout(dial, Channel::connect(endpoint, tls.as_ref())).await;
    let (channel, origin) = connected.context("there was no connection in time")??;
    let mut client = MaintenanceClient::with_origin(channel, origin);
    let unwritable = || format!("{} cannot be written", path.display());
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(unwritable)?;
    let mut parts = client.snapshot(SnapshotRequest {}).await?.into_inner();
    let mut version = String::new();
    loop {
        let part = timeout(wait, parts.message()).await;
        let Some(part) = part.context("the member sent nothing more in time")?? else { break };
        file.write_all(&part.blob).with_context(unwritable)?;
        version = part.version;
    }
    file.sync_all().with_context(unwritable)?;
    Ok(version)
}

// === Describing ===

/// Describes a snapshot.
pub(super) fn status(
    arguments: &[String],
    environment: &BTreeMap<String, String>,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let Some(options) = Options::read(STATUS_USAGE, PRINTING, arguments, environment, out)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let path = Path::new(only_word(&options, "the file of a snapshot")?);
    let Snapshot { machine, bytes, hash: _ } = read(path, HashCheck::Done)?;
    let revision = machine.view().revision().0;
    let keys = machine.view().sizes().keys;
    let digest = format!("{:016x}", machine.digest());
    let version = machine.cluster_version().map_or("", |version| version).to_owned();
    match options.output(Output::Simple) {
        Output::Json => {
            let described = json!({
                "hash": digest,
                "revision": revision,
                "totalKey": keys,
                "totalSize": bytes,
                "version": version,
            });
            writeln!(out, "{described}")?;
        }
        Output::Table => {
            let row =
                vec![digest, revision.to_string(), keys.to_string(), table::size(bytes), version];
            let headings = ["HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE", "VERSION"];
            table::print(out, &headings, &[row])?;
        }
        Output::Simple => {
            writeln!(out, "{digest}, {revision}, {keys}, {}, {version}", table::size(bytes))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

// === Reading ===

/// Reads a snapshot, and checks all that it holds.
pub(super) fn read(path: &Path, check: HashCheck) -> Result<Snapshot> {
    let unreadable = || format!("the snapshot {} cannot be read", path.display());
    let file = File::open(path).with_context(unreadable)?;
    let bytes = file.metadata().with_context(unreadable)?.len();
    ensure!(
        bytes % BLOCK_BYTES == HASH_BYTES && BLOCK_BYTES < bytes,
        "{} is no whole snapshot: it has {bytes} bytes, and a snapshot has {HASH_BYTES} more than \
         a multiple of {BLOCK_BYTES}",
        path.display()
    );
    let mut content = Hashing {
        reader: BufReader::with_capacity(1 << 20, file),
        hash: Sha256::new(),
        left: bytes - HASH_BYTES,
    };
    let machine = content.machine(path)?;
    let computed: [u8; 32] = content.hash.finalize().into();
    let mut hash = [0; 32];
    content.reader.read_exact(&mut hash).with_context(unreadable)?;
    ensure!(
        check == HashCheck::Skipped || computed == hash,
        "{} is not what was sent: its hash is {}, and {} was expected",
        path.display(),
        hex(&computed),
        hex(&hash)
    );
    Ok(Snapshot { machine, hash, bytes })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The part of a snapshot that is hashed.
struct Hashing<R> {
    reader: R,
    hash: Sha256,
    /// What was not read yet, in bytes.
    left: u64,
}

impl<R: Read> Hashing<R> {
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.reader.read_exact(buffer)?;
        self.hash.update(&*buffer);
        self.left -= buffer.len() as u64;
        Ok(())
    }

    /// Reads the chunks of the image and what fills the last block.
    fn machine(&mut self, path: &Path) -> Result<Machine> {
        let unreadable = || format!("the snapshot {} cannot be read", path.display());
        let mut loader = MachineLoader::new();
        let mut is_begun = false;
        let mut chunk = Vec::new();
        let mut rest = Vec::new();
        while CHUNK_HEADER_BYTES as u64 <= self.left {
            let mut header = [0; CHUNK_HEADER_BYTES];
            self.fill(&mut header).with_context(unreadable)?;
            let Some(len) = chunk_bytes(&header) else {
                ensure!(
                    is_begun,
                    "{} is no snapshot of Holdfast: it begins with {}; the files of etcd are of \
                     another kind, and are copied with `etcdctl make-mirror` from a running etcd",
                    path.display(),
                    hex(&header[..4])
                );
                rest.extend_from_slice(&header);
                break;
            };
            let payload = len - CHUNK_HEADER_BYTES as u64;
            ensure!(payload <= self.left, "{} ends within a chunk", path.display());
            chunk.clear();
            chunk.extend_from_slice(&header);
            chunk.resize(usize::try_from(len)?, 0);
            self.fill(&mut chunk[CHUNK_HEADER_BYTES..]).with_context(unreadable)?;
            loader.push(&chunk).with_context(|| format!("{} is damaged", path.display()))?;
            is_begun = true;
        }
        let begun = rest.len();
        rest.resize(begun + usize::try_from(self.left)?, 0);
        self.fill(&mut rest[begun..]).with_context(unreadable)?;
        ensure!(
            (rest.len() as u64) < BLOCK_BYTES && rest.iter().all(|byte| *byte == 0),
            "{} has {} bytes behind the image, and fewer than {BLOCK_BYTES} zeros were expected",
            path.display(),
            rest.len()
        );
        loader.finish().with_context(|| format!("{} is damaged", path.display()))
    }
}
