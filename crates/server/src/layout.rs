//! Where the files of a member are.
//!
//! ```text
//! --data-dir/member/        checkpoints, and `lives`: who this member is to its peers
//! --data-dir/member/wal/    the log; with --wal-dir, a symbolic link to it
//! ```

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use crate::config::ConfigError;

/// The directory of the member in its data directory.
#[must_use]
pub fn member_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("member")
}

/// Makes the directories that are not there, for nobody else to look into, and returns that of the
/// member.
///
/// # Errors
///
/// If one cannot be made, or if the log is not where `wal_dir` says.
pub fn prepare(data_dir: &Path, wal_dir: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let dir = member_dir(data_dir);
    let unusable = |source| ConfigError::Directory {
        purpose: "--data-dir",
        path: data_dir.to_owned(),
        source,
    };
    create(&dir).map_err(unusable)?;
    if let Some(wal_dir) = wal_dir {
        link(wal_dir, &dir.join("wal")).map_err(|source| ConfigError::Directory {
            purpose: "--wal-dir",
            path: wal_dir.to_owned(),
            source,
        })?;
    }
    File::open(&dir).and_then(|dir| dir.sync_all()).map_err(unusable)?;
    Ok(dir)
}

/// Makes a directory for nobody else to look into, and those that it is in; it may be there.
pub(crate) fn create(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Lets `link` lead to the directory of the log.
fn link(wal_dir: &Path, link: &Path) -> io::Result<()> {
    create(wal_dir)?;
    let wal_dir = fs::canonicalize(wal_dir)?;
    match fs::canonicalize(link) {
        Ok(there) if there == wal_dir => Ok(()),
        Ok(there) => Err(io::Error::other(format!(
            "the log of this member is in {}: say so, or move it while the member does not run",
            there.display()
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if fs::read_dir(&wal_dir)?.next().is_some() {
                return Err(io::Error::other("it is not empty, and this member is new"));
            }
            symlink(wal_dir, link)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of its own for each test, empty.
    fn temporary(name: &str) -> PathBuf {
        let dir =
            std::env::temp_dir().join(format!("holdfast-layout-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        dir
    }

    fn text(result: Result<PathBuf, ConfigError>) -> String {
        let error = result.unwrap_err();
        format!("{error}: {}", std::error::Error::source(&error).unwrap())
    }

    #[test]
    fn directories_are_made_private_and_may_be_there() {
        use std::os::unix::fs::PermissionsExt;
        let dir = temporary("private");
        for _ in 0..2 {
            assert_eq!(prepare(&dir.join("data"), None).unwrap(), dir.join("data/member"));
        }
        let mode = fs::metadata(dir.join("data")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_log_is_where_the_link_leads() {
        let dir = temporary("link");
        let (data, wal) = (dir.join("data"), dir.join("log"));
        for _ in 0..2 {
            let member = prepare(&data, Some(&wal)).unwrap();
            fs::write(member.join("wal/file"), "x").unwrap();
        }
        assert!(wal.join("file").exists());
        assert!(prepare(&data, None).is_ok(), "what was linked is found without the flag");
        assert!(
            text(prepare(&data, Some(&dir.join("other")))).contains("the log of this member is in")
        );
        assert!(
            text(prepare(&dir.join("new"), Some(&wal)))
                .ends_with("it is not empty, and this member is new")
        );
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = temporary("file");
        create(&dir).unwrap();
        fs::write(dir.join("data"), "x").unwrap();
        let text = text(prepare(&dir.join("data"), None));
        assert!(text.starts_with("--data-dir") && text.contains("/data cannot be used"), "{text}");
        fs::remove_dir_all(dir).unwrap();
    }
}
