//! What the kernel knows of processes, the disk and the machine.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The kernel counts CPU time in hundredths of a second, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// A sector of diskstats, whatever the disk's own are.
const SECTOR_BYTES: u64 = 512;

/// CPU time, user and system, in seconds, that a process has used; that of its threads included.
pub(super) fn cpu_seconds(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    stat_ticks(&text, [14, 15]).with_context(|| format!("cannot understand {path}"))
}

/// CPU time of all children that have ended and were waited for.
pub(super) fn children_cpu_seconds() -> Result<f64> {
    let path = "/proc/self/stat";
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    stat_ticks(&text, [16, 17]).with_context(|| format!("cannot understand {path}"))
}

/// The sum of two fields, counted from one as proc(5) does, in seconds.
fn stat_ticks(text: &str, fields: [usize; 2]) -> Option<f64> {
    // The name of the program, field 2, may contain anything, and ends with the last parenthesis.
    let (_, after_name) = text.rsplit_once(") ")?;
    let words: Vec<&str> = after_name.split(' ').collect();
    let mut ticks = 0;
    for field in fields {
        ticks += words.get(field - 3)?.trim().parse::<u64>().ok()?;
    }
    Some(ticks as f64 / TICKS_PER_SECOND)
}

/// Memory of a process in the physical memory, in megabytes (10^6 bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Memory {
    pub(super) rss: f64,
    pub(super) anonymous: f64,
    pub(super) file: f64,
}

/// What a process has in memory now.
pub(super) fn memory(process: u32) -> Result<Memory> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let megabytes = |name| {
        let value =
            kibibytes(&text, name).with_context(|| format!("cannot find {name} in {path}"))?;
        Ok::<f64, anyhow::Error>(value * 1024.0 / 1e6)
    };
    Ok(Memory {
        rss: megabytes("VmRSS:")?,
        anonymous: megabytes("RssAnon:")?,
        file: megabytes("RssFile:")?,
    })
}

/// The number behind `name` in a file such as `status` or `meminfo`.
fn kibibytes(text: &str, name: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse().ok())
}

/// What was written to a disk since the machine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DiskCounts {
    pub(super) bytes: u64,
    pub(super) flushes: u64,
}

/// Writes everything to the disk on which `directory` lies, and reads its counts. `None` if it lies
/// on no disk, but in memory or on a network.
pub(super) fn disk_counts(directory: &Path) -> Result<Option<DiskCounts>> {
    let status = Command::new("sync").status().context("cannot run `sync`")?;
    ensure!(status.success(), "`sync` failed with {status}");
    let device = fs::metadata(directory)
        .with_context(|| format!("cannot look at {}", directory.display()))?
        .dev();
    let text = fs::read_to_string("/proc/diskstats").context("cannot read /proc/diskstats")?;
    Ok(diskstats(&text, major(device), minor(device)))
}

fn diskstats(text: &str, major: u64, minor: u64) -> Option<DiskCounts> {
    text.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at)?.parse::<u64>().ok();
        if number(0)? != major || number(1)? != minor {
            return None;
        }
        // Flushes are counted since Linux 5.5.
        Some(DiskCounts { bytes: number(9)? * SECTOR_BYTES, flushes: number(18).unwrap_or(0) })
    })
}

/// The major number in the kernel's way to write both in one.
fn major(device: u64) -> u64 {
    (device >> 8) & 0xfff | (device >> 32) & 0xffff_f000
}

fn minor(device: u64) -> u64 {
    device & 0xff | (device >> 12) & 0xffff_ff00
}

/// Time of all CPUs since the machine started, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CpuTicks {
    pub(super) all: u64,
    /// Taken by others on the same host.
    pub(super) steal: u64,
}

impl CpuTicks {
    /// Reads the clock of now.
    pub(super) fn read() -> Result<CpuTicks> {
        let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        cpu_ticks(&text).context("cannot understand /proc/stat")
    }

    /// The part of the time since `before` that was stolen, in percent.
    pub(super) fn steal_percent_since(self, before: CpuTicks) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        self.steal.saturating_sub(before.steal) as f64 * 100.0 / all as f64
    }
}

fn cpu_ticks(text: &str) -> Option<CpuTicks> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // User, nice, system, idle, iowait, irq, softirq, steal; guest time is in user time already.
    Some(CpuTicks { all: ticks.iter().take(8).sum(), steal: *ticks.get(7)? })
}

/// How many processes wanted to run, on average over the last minute.
pub(super) fn load_average() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    first.context("cannot understand /proc/loadavg")
}

/// The size of all files below `directory`, in megabytes, as far as the disk holds them.
pub(super) fn directory_megabytes(directory: &Path) -> Result<f64> {
    let mut bytes = 0;
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", directory.display()))?;
            // A file may go while we look.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                directories.push(entry.path());
            } else {
                bytes += metadata.blocks() * SECTOR_BYTES;
            }
        }
    }
    Ok(bytes as f64 / 1e6)
}

/// The machine in one line each: processor, memory, kernel, and where the data lies.
pub(super) fn machine(directory: &Path) -> Vec<(&'static str, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |rest| rest.trim_start_matches(['\t', ' ', ':']));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = kibibytes(&read("/proc/meminfo"), "MemTotal:").unwrap_or_default();
    vec![
        ("processor", format!("{cores} x {model}")),
        ("memory", format!("{:.0} GiB", memory / 1024.0 / 1024.0)),
        ("kernel", format!("Linux {}", read("/proc/sys/kernel/osrelease").trim())),
        ("file system", file_system(&read("/proc/mounts"), directory)),
    ]
}

/// The kind of the file system on which `directory` lies.
fn file_system(mounts: &str, directory: &Path) -> String {
    let kind = mounts
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let (place, kind) = (words.get(1)?, words.get(2)?);
            directory.starts_with(place).then_some((place.len(), (*kind).to_owned()))
        })
        // What is mounted last hides what was there, and the deepest is nearest.
        .max_by_key(|(length, _)| *length);
    kind.map_or_else(|| "unknown".to_owned(), |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_name_with_blanks() {
        let text = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 120 30 5 6 20 0 9 0 1 2 3";
        assert_eq!(stat_ticks(text, [14, 15]), Some(1.5));
        assert_eq!(stat_ticks(text, [16, 17]), Some(0.11));
    }

    #[test]
    fn disk_is_found_by_its_numbers() {
        let text = " 254 0 vda 1 2 3 4 5 6 70 8 9 10 11 12 13 14 15 90 16\n \
                    254 1 vda1 1 2 3 4 5 6 80 8 9 10 11\n";
        assert_eq!(diskstats(text, 254, 0), Some(DiskCounts { bytes: 70 * 512, flushes: 90 }));
        assert_eq!(diskstats(text, 254, 1), Some(DiskCounts { bytes: 80 * 512, flushes: 0 }));
        assert_eq!(diskstats(text, 8, 0), None);
        assert_eq!((major(0xfe01), minor(0xfe01)), (254, 1));
    }

    #[test]
    fn steal_is_a_part_of_all_time() {
        let before = cpu_ticks("cpu  100 0 0 100 0 0 0 0 0 0\ncpu0 1\n").unwrap();
        let after = cpu_ticks("cpu  150 0 0 140 0 0 0 10 50 0\n").unwrap();
        assert!((after.steal_percent_since(before) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn deepest_mount_says_what_kind_of_file_system_it_is() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/x xfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/tmp/x/y")), "xfs");
        assert_eq!(file_system(mounts, Path::new("/srv")), "ext4");
    }

    #[test]
    fn memory_is_read_in_kibibytes() {
        assert_eq!(kibibytes("VmRSS:\t  2048 kB\nRssAnon: 1 kB\n", "VmRSS:"), Some(2048.0));
        assert_eq!(kibibytes("VmRSS:\t  2048 kB\n", "RssFile:"), None);
    }
}
