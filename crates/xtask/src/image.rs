//! `cargo xtask image`: images of nothing but a static binary, as OCI archives.
//!
//! ```text
//! NAME.tar   oci-layout                the version of this layout
//!            index.json                one manifest, with the name of the image
//!            manifest.json             the same for `docker load`
//!            blobs/sha256/…            the layer (a tar), the configuration, the manifest
//! ```
//!
//! `docker load`, `kind load image-archive` and containerd's import take such an archive. The same
//! binary makes the same bytes. Who has Docker can use the `Containerfile` of the crate as well.

mod tar;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::args::Args;
use crate::cluster;
use crate::cluster::layout::PAUSE_IMAGE;
use crate::command::CommandLine;
use crate::image::tar::Archive;
use crate::workspace::Workspace;

const HELP: &str = "\
usage: cargo xtask image [NAME…] [OPTION…]

Builds static binaries and puts each into an image of its own, target/images/NAME.tar, for `docker
load`, `kind load image-archive` and `ctr -n k8s.io images import`. Names: holdfast,
holdfast-operator; without a name, both.

  --fast                without optimising across crates: a third of the time, a little slower
  --load                give them to the nodes of the local cluster
  --state DIRECTORY     where that is (CACHE/cluster)
";
/// Where one can be pulled from, in front of the name of the binary.
const REPOSITORY: &str = "ghcr.io/holdfast";
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// As whom they run.
const USER: &str = "65532:65532";

/// A binary that gets an image.
#[derive(Clone, Copy, Debug)]
struct Binary {
    name: &'static str,
    package: &'static str,
}

const BINARIES: [Binary; 2] = [
    Binary { name: "holdfast", package: "server" },
    Binary { name: "holdfast-operator", package: "operator" },
];

/// Builds what is named.
pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<ExitCode> {
    if args.take_switch("--help") {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let speed = if args.take_switch("--fast") { Speed::Fast } else { Speed::Release };
    let load = args.take_switch("--load");
    let state = cluster::state(args.take_text("--state")?)?;
    let names = args.into_names()?;
    let archives = build(workspace, &names, speed)?;
    for archive in &archives {
        println!("{}", archive.display());
    }
    if load {
        cluster::Cluster::open(&state)?.load(&archives)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How well the binaries are optimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speed {
    /// As they are published.
    Release,
    /// Without optimising across crates.
    Fast,
}

/// Builds the images named, or all, and returns their archives.
pub(crate) fn build(workspace: &Workspace, names: &[String], speed: Speed) -> Result<Vec<PathBuf>> {
    let mut archives = Vec::new();
    for binary in selected(names)? {
        let program = cluster::run::step(&format!("image: building {}", binary.name), || {
            build_binary(workspace, binary, speed)
        })?;
        ensure_static(&program)?;
        let name = format!("{REPOSITORY}/{}:{}", binary.name, env!("CARGO_PKG_VERSION"));
        let archive = place(workspace, binary);
        write(&program, &name, binary.name, &archive)?;
        archives.push(archive);
    }
    Ok(archives)
}

/// The archives of the images named, or of all, as they were built before.
pub(crate) fn archives(workspace: &Workspace, names: &[String]) -> Result<Vec<PathBuf>> {
    Ok(selected(names)?.into_iter().map(|binary| place(workspace, binary)).collect())
}

/// All images, of what was built last, under the name of another version.
pub(crate) fn renamed(workspace: &Workspace, version: &str) -> Result<Vec<PathBuf>> {
    let mut archives = Vec::new();
    for binary in BINARIES {
        let program = workspace.target.join(TARGET).join("release").join(binary.name);
        let archive = place(workspace, binary).with_extension(format!("{version}.tar"));
        write(&program, &format!("{REPOSITORY}/{}:{version}", binary.name), binary.name, &archive)?;
        archives.push(archive);
    }
    Ok(archives)
}

fn place(workspace: &Workspace, binary: Binary) -> PathBuf {
    workspace.target.join("images").join(format!("{}.tar", binary.name))
}

/// Builds the server as it is in its image, quickly, and returns its path.
pub(crate) fn server(workspace: &Workspace) -> Result<PathBuf> {
    let binary = selected(&["holdfast".to_owned()])?.pop().context("there is such an image")?;
    build_binary(workspace, binary, Speed::Fast)
}

/// The image that each pod has beside its own, made from a program that does nothing.
pub(crate) fn pause(program: &Path, directory: &Path) -> Result<PathBuf> {
    let archive = directory.join("pause.tar");
    if !archive.is_file() {
        write(program, PAUSE_IMAGE, "pause", &archive)?;
    }
    Ok(archive)
}

fn selected(names: &[String]) -> Result<Vec<Binary>> {
    if names.is_empty() {
        return Ok(BINARIES.to_vec());
    }
    names
        .iter()
        .map(|name| {
            let found = BINARIES.iter().find(|binary| binary.name == name);
            found.copied().with_context(|| {
                format!("unknown image `{name}`; known are holdfast, holdfast-operator")
            })
        })
        .collect()
}

fn build_binary(workspace: &Workspace, binary: Binary, speed: Speed) -> Result<PathBuf> {
    let mut line = CommandLine::new(["cargo", "build", "--release", "--target", TARGET])
        .with(["--package", binary.package, "--bin", binary.name])
        // Only what goes into the image is linked so: macros of the compiler cannot be static.
        .with_variable(
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
            "-C target-feature=+crt-static",
        );
    if speed == Speed::Fast {
        line = line.with_variable("CARGO_PROFILE_RELEASE_LTO", "false");
    }
    let status = line.status(&workspace.root)?;
    ensure!(status.success(), "`{line}` failed with {status}");
    Ok(workspace.target.join(TARGET).join("release").join(binary.name))
}

/// A binary that wants a loader would not start: there is none in the image.
fn ensure_static(program: &Path) -> Result<()> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    match loader(&bytes) {
        None => Ok(()),
        Some(loader) => {
            bail!("{} is not static: it wants {loader}; an empty image has none", program.display())
        }
    }
}

/// The loader that a program for 64 bits, in the ELF format, wants; `None` if it is static.
fn loader(elf: &[u8]) -> Option<String> {
    let number = |offset: usize, len: usize| -> Option<usize> {
        let bytes = elf.get(offset..offset + len)?;
        bytes
            .iter()
            .rev()
            .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))
    };
    // The table of segments: where it is, how long an entry is, how many there are.
    let (table, entry_bytes, entries) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for entry in 0..entries {
        let at = table + entry * entry_bytes;
        // PT_INTERP, the path of the loader.
        if number(at, 4)? == 3 {
            let (offset, len) = (number(at + 8, 8)?, number(at + 32, 8)?);
            let path = elf.get(offset..offset + len.saturating_sub(1))?;
            return Some(String::from_utf8_lossy(path).into_owned());
        }
    }
    None
}

/// Writes the image `name`, which runs `program` as `/entry`.
fn write(program: &Path, name: &str, entry: &str, archive: &Path) -> Result<()> {
    let binary = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    if let Some(directory) = archive.parent() {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    }
    let bytes = image(&binary, name, entry).context("cannot write as JSON")?;
    fs::write(archive, bytes).with_context(|| format!("cannot write {}", archive.display()))
}

/// The archive of an image.
fn image(binary: &[u8], name: &str, entry: &str) -> serde_json::Result<Vec<u8>> {
    let mut layer = Archive::default();
    layer.file(entry, 0o755, binary);
    // Who starts it without volumes finds a place to write.
    layer.directory("tmp", 0o1777);
    let layer = layer.finish();
    let layer_digest = digest(&layer);
    let config = serde_json::to_vec(&json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": USER,
            "Entrypoint": [format!("/{entry}")],
            "Env": ["PATH=/"],
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": entry,
                "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_digest}")] },
    }))?;
    let config_digest = digest(&config);
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": format!("sha256:{config_digest}"),
            "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": format!("sha256:{layer_digest}"),
            "size": layer.len(),
        }],
    }))?;
    let manifest_digest = digest(&manifest);
    let index = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": format!("sha256:{manifest_digest}"),
            "size": manifest.len(),
            "platform": { "architecture": "amd64", "os": "linux" },
            "annotations": {
                "io.containerd.image.name": name,
                "org.opencontainers.image.ref.name": tag(name),
            },
        }],
    }))?;
    let blob = |digest: &str| format!("blobs/sha256/{digest}");
    let docker = serde_json::to_vec(&json!([{
        "Config": blob(&config_digest),
        "RepoTags": [name],
        "Layers": [blob(&layer_digest)],
    }]))?;
    let mut archive = Archive::default();
    archive.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#);
    archive.file("index.json", 0o644, &index);
    archive.file("manifest.json", 0o644, &docker);
    archive.directory("blobs", 0o755);
    archive.directory("blobs/sha256", 0o755);
    archive.file(&blob(&config_digest), 0o644, &config);
    archive.file(&blob(&manifest_digest), 0o644, &manifest);
    archive.file(&blob(&layer_digest), 0o644, &layer);
    Ok(archive.finish())
}

/// What follows the last colon of an image's name.
fn tag(name: &str) -> &str {
    name.rsplit_once(':').map_or("latest", |(_, tag)| tag)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_has_the_binary_as_its_only_file_and_is_no_root() {
        let bytes = image(b"program", "example.com/a/b:1", "b").unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains(r#""io.containerd.image.name":"example.com/a/b:1""#));
        assert!(text.contains(r#""Entrypoint":["/b"]"#));
        assert!(text.contains(r#""User":"65532:65532""#));
        assert_eq!(bytes, image(b"program", "example.com/a/b:1", "b").unwrap(), "it is the same");
    }

    #[test]
    fn program_that_wants_a_loader_is_recognised() {
        let mut elf = vec![0_u8; 200];
        elf[32] = 64; // the table
        elf[54] = 56; // its entries' length
        elf[56] = 1;
        assert_eq!(loader(&elf), None);
        elf[64] = 3; // PT_INTERP
        elf[64 + 8] = 150;
        elf[64 + 32] = 8;
        elf[150..158].copy_from_slice(b"/lib/ld\0");
        assert_eq!(loader(&elf).as_deref(), Some("/lib/ld"));
    }

    #[test]
    fn unknown_image_is_refused() {
        let error = selected(&["etcd".to_owned()]).expect_err("it is not ours").to_string();
        assert_eq!(error, "unknown image `etcd`; known are holdfast, holdfast-operator");
    }
}
