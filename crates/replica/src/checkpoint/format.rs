//! The bytes of a checkpoint: what is written, and how it is read back piece by piece.
//!
//! ```text
//! file   = head, image frames, end frame          numbers are little-endian
//!
//! head     0          8           12               16            24           32         40
//!          "HOLDFCKP" format (4)  head bytes (4)   cluster (8)   member (8)   index (8)  term (8)
//!          48                        …
//!          membership: four lists    checksum (4): crc32c of all before
//!          of voters, voters before a change, learners, voters to be learners;
//!          each a number of IDs (4), and the IDs (8 each)
//!
//! frame    0                    4                   8              12
//!          kind (4)             payload bytes (4)   checksum (4)   payload
//!          1 image, 2 end
//!
//! end      0                    8
//!          image frames (8)     bytes of their payloads (8)
//! ```
//!
//! The payloads of the image frames are the chunks of `store`'s image, which has checksums of its
//! own. A frame's checksum is the crc32c of its first eight bytes and its payload, begun with the
//! checksum of the frame before; the first is begun with the crc32c of the head from byte 32 on and
//! of the cluster's ID. So a frame that is missing, moved or of another image is found as one that
//! is damaged, and whoever receives an image may write its own member into the head.

use std::collections::BTreeSet;

use raft::{EntryId, Index, MemberId, Membership, SnapshotMeta, Term};

const MAGIC: [u8; 8] = *b"HOLDFCKP";
/// The format that is written, and the only one that is known.
const FORMAT: u32 = 1;
/// Where the part of the head begins that belongs to the image.
pub(crate) const HEAD_IMAGE: usize = 32;
/// Where the membership begins.
const HEAD_MEMBERSHIP: usize = 48;
/// No head is longer: there are not that many members.
const HEAD_BYTES_MAX: usize = 1 << 20;
const FRAME_HEADER: usize = 12;
/// No frame is longer: a chunk is 256 KiB, and at most one version more.
const PAYLOAD_BYTES_MAX: usize = 64 << 20;
const IMAGE: u32 = 1;
const END: u32 = 2;

/// What a checkpoint begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The cluster's ID.
    pub(crate) cluster_id: u64,
    /// The member whose checkpoint it is.
    pub(crate) member_id: u64,
    /// Where the image stands in the log, and the configuration there.
    pub(crate) meta: SnapshotMeta,
}

/// What is wrong with the bytes of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Where, in bytes from the beginning.
    pub(crate) offset: u64,
    /// What should be there.
    pub(crate) expected: String,
    /// What is there.
    pub(crate) found: String,
}

/// Follows the frames that are written.
#[derive(Debug)]
pub(crate) struct Framer {
    chain: u32,
    frames: u64,
    bytes: u64,
}

/// One piece of a checkpoint that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The head.
    Head(Head),
    /// A chunk of the image.
    Chunk(Vec<u8>),
    /// The end: nothing follows.
    End,
}

/// Reads a checkpoint that comes in pieces of any length.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// What has come and is not read, from `at` on.
    buffer: Vec<u8>,
    /// How much of the buffer was read.
    read: usize,
    /// Where the buffer begins in the file.
    at: u64,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    Frames(Framer),
    Done,
}

impl Head {
    /// Encodes the head, and returns what follows the frames.
    pub(crate) fn encode(&self) -> (Vec<u8>, Framer) {
        let Head { cluster_id, member_id, meta } = self;
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for number in [*cluster_id, *member_id, meta.id.index.0, meta.id.term.0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let membership = &meta.membership;
        for ids in [
            membership.incoming(),
            membership.outgoing(),
            membership.learners(),
            membership.demoted(),
        ] {
            out.extend_from_slice(&number_of(ids.len()).to_le_bytes());
            for id in ids {
                out.extend_from_slice(&id.0.to_le_bytes());
            }
        }
        let head_bytes = number_of(out.len() + 4);
        out[12..16].copy_from_slice(&head_bytes.to_le_bytes());
        let checksum = crc32c::crc32c(&out);
        let framer = Framer::after(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        (out, framer)
    }

    /// Decodes a head that is all there, checksum included.
    fn decode(bytes: &[u8]) -> Result<(Head, Framer), Damage> {
        let (body, checksum) = bytes.split_at(bytes.len() - 4);
        let (noted, counted) = (u32_at(checksum, 0), crc32c::crc32c(body));
        if noted != counted {
            return Err(Damage {
                offset: 0,
                expected: format!("a head with the checksum {noted:08x}"),
                found: format!("one with {counted:08x}"),
            });
        }
        let mut from = &body[HEAD_MEMBERSHIP..];
        let lists = [(); 4].map(|()| take_ids(&mut from));
        let [Some(incoming), Some(outgoing), Some(learners), Some(demoted)] = lists else {
            return Err(strange(HEAD_MEMBERSHIP, "a configuration", "too few bytes"));
        };
        let membership = Membership::from_parts(incoming, outgoing, learners, demoted);
        let Some(membership) = membership.filter(|_| from.is_empty()) else {
            return Err(strange(HEAD_MEMBERSHIP, "a configuration", "one that cannot be"));
        };
        let id = EntryId::new(Index(u64_at(body, 32)), Term(u64_at(body, 40)));
        let head = Head {
            cluster_id: u64_at(body, 16),
            member_id: u64_at(body, 24),
            meta: SnapshotMeta { id, membership },
        };
        Ok((head, Framer::after(body)))
    }
}

impl Framer {
    fn after(head: &[u8]) -> Framer {
        let chain = crc32c::crc32c_append(crc32c::crc32c(&head[HEAD_IMAGE..]), &head[16..24]);
        Framer { chain, frames: 0, bytes: 0 }
    }

    /// Appends a chunk of the image as a frame.
    pub(crate) fn put_chunk(&mut self, out: &mut Vec<u8>, chunk: &[u8]) {
        self.frames += 1;
        self.bytes += chunk.len() as u64;
        self.put(out, IMAGE, chunk);
    }

    /// Appends the end frame.
    pub(crate) fn put_end(mut self, out: &mut Vec<u8>) {
        let end = self.end();
        self.put(out, END, &end);
    }

    fn put(&mut self, out: &mut Vec<u8>, kind: u32, payload: &[u8]) {
        assert!(payload.len() <= PAYLOAD_BYTES_MAX, "a chunk of {} bytes", payload.len());
        let begin = out.len();
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&number_of(payload.len()).to_le_bytes());
        self.chain = self.checksum(&out[begin..], payload);
        out.extend_from_slice(&self.chain.to_le_bytes());
        out.extend_from_slice(payload);
    }

    fn checksum(&self, begin: &[u8], payload: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.chain, begin), payload)
    }

    fn end(&self) -> [u8; 16] {
        let mut end = [0; 16];
        end[..8].copy_from_slice(&self.frames.to_le_bytes());
        end[8..].copy_from_slice(&self.bytes.to_le_bytes());
        end
    }
}

impl Scan {
    /// Takes what comes next.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.read);
        self.at += self.read as u64;
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next piece; `None` if more must come first.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Damage> {
        let offset = self.at + self.read as u64;
        let rest = &self.buffer[self.read..];
        match &mut self.state {
            State::Head => {
                let Some(bytes) = head_bytes(rest)?.filter(|bytes| *bytes <= rest.len()) else {
                    return Ok(None);
                };
                let (head, framer) = Head::decode(&rest[..bytes])?;
                self.read += bytes;
                self.state = State::Frames(framer);
                Ok(Some(Piece::Head(head)))
            }
            State::Frames(framer) => {
                let Some((kind, payload)) = frame(rest, framer, offset)? else { return Ok(None) };
                let payload = payload.to_vec();
                self.read += FRAME_HEADER + payload.len();
                if kind == IMAGE {
                    framer.frames += 1;
                    framer.bytes += payload.len() as u64;
                    return Ok(Some(Piece::Chunk(payload)));
                }
                if payload != framer.end() {
                    let expected = format!("{} frames of {} bytes", framer.frames, framer.bytes);
                    return Err(Damage { offset, expected, found: "another number".to_owned() });
                }
                self.state = State::Done;
                Ok(Some(Piece::End))
            }
            State::Done if rest.is_empty() => Ok(None),
            State::Done => Err(Damage {
                offset,
                expected: "nothing behind the end".to_owned(),
                found: format!("{} bytes", rest.len()),
            }),
        }
    }

    /// Says what is missing where the bytes end.
    pub(crate) fn finish(&self) -> Result<(), Damage> {
        let offset = self.at + self.read as u64;
        let found = format!("{} bytes before the file ends", self.buffer.len() - self.read);
        match &self.state {
            State::Head => Err(Damage { offset, expected: "a head".to_owned(), found }),
            State::Frames(_) => Err(Damage { offset, expected: "a frame".to_owned(), found }),
            State::Done => Ok(()),
        }
    }
}

/// Returns how long the head is; `None` if too little has come to tell.
fn head_bytes(rest: &[u8]) -> Result<Option<usize>, Damage> {
    if rest.len() < 16 {
        return Ok(None);
    }
    if rest[..8] != MAGIC {
        return Err(strange(0, "the beginning of a checkpoint", "something else"));
    }
    let format = u32_at(rest, 8);
    if format != FORMAT {
        let (expected, found) = (format!("format {FORMAT}"), format!("format {format}"));
        return Err(Damage { offset: 8, expected, found });
    }
    let bytes = u32_at(rest, 12) as usize;
    if !(HEAD_MEMBERSHIP + 20..=HEAD_BYTES_MAX).contains(&bytes) {
        return Err(strange(12, "the length of a head", &format!("{bytes} bytes")));
    }
    Ok(Some(bytes))
}

/// Returns the kind and the payload of the frame at the beginning of `rest`; `None` if it is not
/// all there.
fn frame<'b>(
    rest: &'b [u8],
    framer: &mut Framer,
    offset: u64,
) -> Result<Option<(u32, &'b [u8])>, Damage> {
    if rest.len() < FRAME_HEADER {
        return Ok(None);
    }
    let (kind, bytes) = (u32_at(rest, 0), u32_at(rest, 4) as usize);
    if !matches!(kind, IMAGE | END) || PAYLOAD_BYTES_MAX < bytes {
        let expected = "the kind and length of a frame".to_owned();
        return Err(Damage { offset, expected, found: format!("kind {kind}, {bytes} bytes") });
    }
    let Some(payload) = rest.get(FRAME_HEADER..FRAME_HEADER + bytes) else { return Ok(None) };
    let (noted, counted) = (u32_at(rest, 8), framer.checksum(&rest[..8], payload));
    if noted != counted {
        let expected = format!("a frame with the checksum {noted:08x}");
        return Err(Damage { offset, expected, found: format!("one with {counted:08x}") });
    }
    framer.chain = counted;
    Ok(Some((kind, payload)))
}

fn strange(offset: usize, expected: &str, found: &str) -> Damage {
    Damage { offset: offset as u64, expected: expected.to_owned(), found: found.to_owned() }
}

/// Takes a list of IDs off the front.
fn take_ids(from: &mut &[u8]) -> Option<BTreeSet<MemberId>> {
    let (len, rest) = from.split_at_checked(4)?;
    let bytes = (u32_at(len, 0) as usize).checked_mul(8)?;
    let (ids, rest) = rest.split_at_checked(bytes)?;
    *from = rest;
    Some(ids.chunks_exact(8).map(|id| MemberId(u64_at(id, 0))).collect())
}

fn number_of(len: usize) -> u32 {
    u32::try_from(len).expect("lists and payloads are shorter than 4 GiB")
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
