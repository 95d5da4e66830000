//! The frames of HTTP/2 (RFC 9113 §4.1).
//!
//! ```text
//!  0        3      4       5              9
//!  ├────────┼──────┼───────┼──────────────┼─────────
//!  │ length │ kind │ flags │ stream       │ payload     big-endian; the stream has 31 bits
//!  └────────┴──────┴───────┴──────────────┴─────────
//! ```

/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 9;
/// The longest payload that both sides accept without having agreed on more.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 16_384;
/// What a client sends first (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a frame is about.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
}

/// Bits of a frame's flags; what a bit means depends on the kind.
pub(crate) mod flag {
    pub(crate) const END_STREAM: u8 = 1;
    pub(crate) const ACK: u8 = 1;
    pub(crate) const END_HEADERS: u8 = 4;
}

/// Names of settings (RFC 9113 §6.5.2).
pub(crate) mod setting {
    pub(crate) const HEADER_TABLE_SIZE: u16 = 1;
    pub(crate) const ENABLE_PUSH: u16 = 2;
    pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
}

/// The first nine bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// 0 for the connection itself.
    pub(crate) stream: u32,
}

impl Header {
    /// Reads the header at the start of `bytes`, if all of it is there.
    pub(crate) fn read(bytes: &[u8]) -> Option<Header> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        Some(Header {
            length: usize::from(bytes[0]) << 16
                | usize::from(bytes[1]) << 8
                | usize::from(bytes[2]),
            kind: bytes[3],
            flags: bytes[4],
            stream: number(&bytes[5..9]) & 0x7fff_ffff,
        })
    }

    /// Appends the header to `out`.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        assert!(self.length <= PAYLOAD_BYTES_MAX, "a frame of {} bytes", self.length);
        let [_, high, middle, low] = split(u32::try_from(self.length).expect("it was compared"));
        out.extend_from_slice(&[high, middle, low, self.kind, self.flags]);
        out.extend_from_slice(&split(self.stream));
    }
}

/// Appends a frame that grants `bytes` more to `stream`, or to the connection.
pub(crate) fn write_window_update(stream: u32, bytes: u32, out: &mut Vec<u8>) {
    Header { length: 4, kind: kind::WINDOW_UPDATE, flags: 0, stream }.write(out);
    out.extend_from_slice(&split(bytes));
}

/// Appends one setting of a frame of settings.
pub(crate) fn write_setting(name: u16, value: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&split(u32::from(name))[2..]);
    out.extend_from_slice(&split(value));
}

/// The settings in the payload of a frame.
pub(crate) fn settings(payload: &[u8]) -> impl Iterator<Item = (u16, u32)> {
    payload
        .chunks_exact(6)
        .map(|setting| (u16::from(setting[0]) << 8 | u16::from(setting[1]), number(&setting[2..6])))
}

/// The number in four bytes, the most significant first.
pub(crate) fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The four bytes of a number, the most significant first.
#[expect(clippy::big_endian_bytes, reason = "the network's order is not our choice")]
pub(crate) fn split(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_reads_as_it_was_written() {
        let header = Header { length: 0x1234, kind: 1, flags: 5, stream: 0x7fff_fffd };
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        assert_eq!(bytes, [0, 0x12, 0x34, 1, 5, 0x7f, 0xff, 0xff, 0xfd]);
        assert_eq!(Header::read(&bytes), Some(header));
        assert_eq!(Header::read(&bytes[..8]), None, "it is not complete");
    }

    #[test]
    fn settings_are_pairs_of_a_name_and_a_value() {
        let mut payload = Vec::new();
        write_setting(setting::INITIAL_WINDOW_SIZE, 65_536, &mut payload);
        write_setting(setting::ENABLE_PUSH, 0, &mut payload);
        assert_eq!(settings(&payload).collect::<Vec<_>>(), [(4, 65_536), (2, 0)]);
    }
}
