//! Archives as `tar` reads them (POSIX.1-1988 `ustar`), always the same for the same content.
//!
//! ```text
//! offset  0 name[100]  100 mode[8] 108 owner[8] 116 group[8] 124 size[12] 136 time[12]
//!       148 checksum[8] 156 kind[1] 157 link[100] 257 "ustar\0" 263 "00" … to 512
//! then the content, to a multiple of 512; at the end 1024 zeros
//! ```

const BLOCK_BYTES: usize = 512;

/// An archive in the making.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
}

impl Archive {
    /// Adds a file that everybody may read, or also execute, and that belongs to root.
    pub(super) fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.header(name, mode, content.len(), b'0');
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    }

    /// Adds a directory.
    pub(super) fn directory(&mut self, name: &str, mode: u32) {
        self.header(&format!("{name}/"), mode, 0, b'5');
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK_BYTES, 0);
        self.bytes
    }

    fn header(&mut self, name: &str, mode: u32, size: usize, kind: u8) {
        assert!(name.len() <= 100, "the name {name} is longer than an archive can hold");
        let mut header = [0_u8; BLOCK_BYTES];
        let mut put = |offset: usize, bytes: &[u8]| {
            header[offset..offset + bytes.len()].copy_from_slice(bytes);
        };
        put(0, name.as_bytes());
        put(100, format!("{mode:07o}").as_bytes());
        put(108, b"0000000");
        put(116, b"0000000");
        put(124, format!("{size:011o}").as_bytes());
        put(136, b"00000000000");
        // The checksum counts as spaces when it is computed.
        put(148, b"        ");
        put(156, &[kind]);
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend_from_slice(&header);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_is_blocks_with_a_checksum() {
        let mut archive = Archive::default();
        archive.directory("etc", 0o755);
        archive.file("etc/name", 0o644, b"holdfast");
        let bytes = archive.finish();
        assert_eq!(bytes.len(), 5 * BLOCK_BYTES);
        assert_eq!(&bytes[512..520], b"etc/name");
        assert_eq!(&bytes[512 + 124..512 + 136], b"00000000010\0");
        assert_eq!(&bytes[1024..1032], b"holdfast");
        // Computed by hand: the sum of all bytes of the header, with spaces for itself.
        let mut header = bytes[512..1024].to_vec();
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        assert_eq!(&bytes[512 + 148..512 + 156], format!("{sum:06o}\0 ").as_bytes());
    }
}
