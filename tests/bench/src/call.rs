//! Which methods are called, and the headers of a call.
//!
//! Headers are compressed as a client of the usual libraries does it (RFC 7541): the first call of
//! a connection spells them out and has the server remember them; from then on each is one byte.
//! The server shall do no other work for us than for others.

/// A method of etcd's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `KV.Range`.
    Range,
    /// `KV.Put`.
    Put,
    /// `KV.Txn`.
    Txn,
    /// `KV.Compact`.
    Compact,
    /// `Watch.Watch`, a stream that stays open.
    Watch,
    /// `Maintenance.Status`.
    Status,
    /// `Maintenance.Defragment`.
    Defragment,
}

impl Call {
    fn path(self) -> &'static str {
        match self {
            Call::Range => "/etcdserverpb.KV/Range",
            Call::Put => "/etcdserverpb.KV/Put",
            Call::Txn => "/etcdserverpb.KV/Txn",
            Call::Compact => "/etcdserverpb.KV/Compact",
            Call::Watch => "/etcdserverpb.Watch/Watch",
            Call::Status => "/etcdserverpb.Maintenance/Status",
            Call::Defragment => "/etcdserverpb.Maintenance/Defragment",
        }
    }
}

/// The headers that a server has been told to remember.
pub(crate) struct HeaderTable {
    authority: String,
    /// In the order in which they were told.
    remembered: Vec<Remembered>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remembered {
    Path(Call),
    Authority,
    ContentType,
    Te,
}

/// The dynamic table counts from here, the latest entry first (RFC 7541 §2.3.3).
const DYNAMIC_FIRST: usize = 62;
/// `:method: POST` and `:scheme: http` of the static table (RFC 7541 appendix A), as they are sent.
const METHOD_POST: u8 = 0x83;
const SCHEME_HTTP: u8 = 0x86;
/// The bit that says: this header is entry number … of the tables.
const INDEXED: u8 = 0x80;
/// The bit that says: remember this header, whose name is entry number …, or follows if that is 0.
const REMEMBER: u8 = 0x40;

impl HeaderTable {
    /// The table of a new connection to `authority`.
    pub(crate) fn new(authority: &str) -> HeaderTable {
        HeaderTable { authority: authority.to_owned(), remembered: Vec::new() }
    }

    /// Appends the headers of `call` to `out`.
    pub(crate) fn write(&mut self, call: Call, out: &mut Vec<u8>) {
        out.extend_from_slice(&[METHOD_POST, SCHEME_HTTP]);
        self.write_one(Remembered::Path(call), out);
        self.write_one(Remembered::Authority, out);
        self.write_one(Remembered::ContentType, out);
        self.write_one(Remembered::Te, out);
    }

    fn write_one(&mut self, header: Remembered, out: &mut Vec<u8>) {
        if let Some(at) = self.remembered.iter().position(|known| *known == header) {
            let index = DYNAMIC_FIRST + self.remembered.len() - 1 - at;
            // 127 would not fit into the seven bits.
            assert!(index < 127, "more headers than calls exist: entry {index}");
            out.push(INDEXED | u8::try_from(index).expect("it was compared"));
            return;
        }
        self.remembered.push(header);
        // The numbers of names are those of the static table.
        match header {
            Remembered::Path(call) => write_text(REMEMBER | 4, call.path(), out),
            Remembered::Authority => {
                let authority = self.authority.clone();
                write_text(REMEMBER | 1, &authority, out);
            }
            Remembered::ContentType => write_text(REMEMBER | 31, "application/grpc", out),
            Remembered::Te => {
                write_text(REMEMBER, "te", out);
                write_length(8, out);
                out.extend_from_slice(b"trailers");
            }
        }
    }
}

fn write_text(first: u8, text: &str, out: &mut Vec<u8>) {
    out.push(first);
    write_length(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

/// The length of a text that is not Huffman-coded.
fn write_length(length: usize, out: &mut Vec<u8>) {
    assert!(length < 127, "a header of {length} bytes");
    out.push(u8::try_from(length).expect("it was compared"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_call_sends_numbers_where_the_first_sent_text() {
        let mut table = HeaderTable::new("a:1");
        let mut first = Vec::new();
        table.write(Call::Put, &mut first);
        let mut expected = vec![0x83, 0x86, 0x44, 20];
        expected.extend_from_slice(b"/etcdserverpb.KV/Put\x41\x03a:1\x5f\x10application/grpc");
        expected.extend_from_slice(b"\x40\x02te\x08trailers");
        assert_eq!(first, expected);
        let mut second = Vec::new();
        table.write(Call::Put, &mut second);
        assert_eq!(second, [0x83, 0x86, INDEXED | 65, INDEXED | 64, INDEXED | 63, INDEXED | 62]);
    }

    #[test]
    fn new_path_moves_the_numbers_of_the_others() {
        let mut table = HeaderTable::new("a:1");
        table.write(Call::Put, &mut Vec::new());
        table.write(Call::Range, &mut Vec::new());
        let mut third = Vec::new();
        table.write(Call::Put, &mut third);
        assert_eq!(third, [0x83, 0x86, INDEXED | 66, INDEXED | 65, INDEXED | 64, INDEXED | 63]);
    }
}
