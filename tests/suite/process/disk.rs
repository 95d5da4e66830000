//! Disks that are full: small ones in memory, which are filled by a file of ours.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::programs::or_skip;
use tests::{Cluster, Options, wait};

use super::history::{self, Did};
use super::observer::Observer;
use super::workload::Workload;
use super::{CLIENTS, WRITES, run, server};

/// How large the disk is, in MiB.
const DISK_MIB: u32 = 300;
/// How long a member may go on with the space that it has set aside.
const FULL_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// A small disk, mounted at a member's directory. Dropped, it is gone.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    fn check() -> Result<()> {
        ensure!(rustix::process::geteuid().is_root(), "mounting a small disk needs root");
        tests::programs::on_path("mount").map(|_| ())
    }

    fn mount(at: &Path) -> Result<SmallDisk> {
        fs::create_dir_all(at)?;
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={DISK_MIB}m"), "holdfast"])
            .arg(at)
            .status()
            .context("mount cannot be run")?;
        ensure!(status.success(), "mount ended with {status}");
        Ok(SmallDisk { at: at.to_path_buf() })
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }

    /// Leaves no free byte.
    fn fill(&self) -> Result<()> {
        let mut file = File::create(self.ballast())?;
        let block = vec![0; 64 << 10];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&block[..1]).is_ok() {}
        Ok(())
    }

    /// Frees all that `fill` took.
    fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.ballast())?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever holds it is killed first; lazily, in case the kernel is late.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

/// Writes until nothing is acknowledged any more, or the member ends.
async fn until_full(cluster: &mut Cluster, work: &Workload) -> Result<()> {
    let mut last = (work.acknowledged(), std::time::Instant::now());
    wait::until_async("a disk to be full", FULL_MAX, async || {
        let now = work.acknowledged();
        if now != last.0 {
            last = (now, std::time::Instant::now());
        }
        let is_silent = last.1.elapsed() > std::time::Duration::from_secs(3);
        (is_silent || !cluster.is_running(0)).then_some(())
    })
    .await
}

#[test]
fn full_disk_loses_nothing_that_was_acknowledged() {
    let name = "full_disk_loses_nothing_that_was_acknowledged";
    let Some(()) = or_skip(name, SmallDisk::check()) else { return };
    run(async {
        let mut cluster = Cluster::prepare(Options::new(server(), 1))?;
        let disk = SmallDisk::mount(&cluster.data(0))?;
        let result = fill_and_free(&mut cluster, &disk).await;
        cluster.kill(0);
        drop(disk);
        result
    });
}

async fn fill_and_free(cluster: &mut Cluster, disk: &SmallDisk) -> Result<()> {
    cluster.start_all()?;
    let urls = cluster.client_urls();
    let mut work = Workload::start(&urls, CLIENTS)?;
    // Large values, so that the space that was set aside is used up soon.
    work.add_large(CLIENTS, &urls)?;
    work.progress(WRITES).await.context("while there was space")?;
    disk.fill()?;
    until_full(cluster, &work).await?;
    disk.free()?;
    // It may have stopped, and then is started again; or it may go on by itself.
    cluster.kill(0);
    cluster.start_member(0)?;
    work.progress(WRITES).await.context("when there was space again")?;
    let history = work.finish().await;
    let last = cluster.client(0)?.put("end", "").await?;
    let truth = Observer::start(&urls, 0)?.finish(last).await?;
    let writes = history.iter().filter(|done| !matches!(done.did, Did::Read { .. })).count();
    println!("{} of {writes} writes are there", truth.len());
    history::check(&truth, &history)
}
