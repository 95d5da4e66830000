//! Something that is made from files, and made again when they change.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tracing::{info, warn};

use super::error::TlsError;

/// Files are looked at no more often than this.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_secs(1);

type Make<T> = Box<dyn Fn() -> Result<T, TlsError> + Send + Sync>;

/// A value made from files.
///
/// Looking at them costs a system call for each, so it is done when the value is wanted and some
/// time has passed, and by one thread; others go on with what there is.
pub(super) struct Reloading<T> {
    value: ArcSwap<T>,
    make: Make<T>,
    files: Vec<PathBuf>,
    interval: Duration,
    seen: Mutex<Seen>,
}

/// What the files looked like when the value was made.
struct Seen {
    looked_at: Instant,
    stamps: Vec<Option<Stamp>>,
    /// The complaint that was logged last, so that it is logged once.
    complaint: Option<String>,
}

/// What changes when a file does: by writing into it, by putting another in its place, or by
/// turning a link, as Kubernetes does with secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl<T> Reloading<T> {
    /// Makes the value for the first time.
    pub(super) fn new(
        files: Vec<PathBuf>,
        interval: Duration,
        make: impl Fn() -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Result<Reloading<T>, TlsError> {
        // Before the files are read: what changes in between is seen as a change.
        let stamps = stamps(&files);
        let value = ArcSwap::from_pointee(make()?);
        let seen = Seen { looked_at: Instant::now(), stamps, complaint: None };
        Ok(Reloading { value, make: Box::new(make), files, interval, seen: Mutex::new(seen) })
    }

    /// The value, made of what the files hold now.
    pub(super) fn current(&self) -> Arc<T> {
        if let Ok(mut seen) = self.seen.try_lock() {
            self.look(&mut seen);
        }
        self.value.load_full()
    }

    fn look(&self, seen: &mut Seen) {
        if seen.looked_at.elapsed() < self.interval {
            return;
        }
        seen.looked_at = Instant::now();
        let stamps = stamps(&self.files);
        if stamps == seen.stamps {
            return;
        }
        match (self.make)() {
            Ok(value) => {
                self.value.store(Arc::new(value));
                *seen = Seen { looked_at: seen.looked_at, stamps, complaint: None };
                info!(files = ?self.files, "certificates have changed, and are used from now on");
            }
            // It is tried again at the next look: perhaps only one of two files is there yet.
            Err(error) => {
                let complaint = error.to_string();
                if seen.complaint.as_ref() != Some(&complaint) {
                    warn!(
                        error = complaint,
                        "certificates have changed and cannot be used; those from before still are"
                    );
                    seen.complaint = Some(complaint);
                }
            }
        }
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| std::fs::metadata(file).ok().map(Stamp::from)).collect()
}

impl<T> std::fmt::Debug for Reloading<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloading").field("files", &self.files).finish_non_exhaustive()
    }
}
