//! How a connection between members begins: who calls whom, and what for.
//!
//! ```text
//! caller   frame   "HOLDPEER", version 4, purpose 1, cluster 8, from 8, to 8, life 8, name, URLs
//! called   frame   verdict 1, and what belongs to it
//! ```
//!
//! The caller then sends, and the called one listens: each pair of members has two connections for
//! messages, one for each direction, and one more while an image is under way.

use bytes::Bytes;
use store::MemberAttributes;

use super::bytes::{Reader, WireError, put_bytes, put_list, put_u8, put_u32, put_u64};

const MAGIC: u64 = u64::from_le_bytes(*b"HOLDPEER");
const VERSION: u32 = 1;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A stream of messages from the caller.
    Messages,
    /// An image from the caller.
    Image,
    /// The caller wants to know the cluster's members. It has no ID yet, and may not know the
    /// cluster's: those are zero.
    Members,
    /// The caller was added under the ID `from`, has never run, and is about to. The cluster writes
    /// down that the ID is held, and under which name and client URLs, before it says yes: an ID
    /// whose data was lost is never held again. `to` is zero: anybody can answer.
    Claim,
    /// The caller is about to found the cluster, as the member `from`, and asks whether the called
    /// one has met that member before. `to` is zero.
    Founding,
}

/// The caller's first words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) purpose: Purpose,
    pub(crate) cluster_id: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The life of the caller, see the module `lives`; zero before it begins.
    pub(crate) life: u64,
    /// In a claim, the caller's name; else empty.
    pub(crate) name: String,
    /// In a claim, where clients reach the caller. Else where members do: one that has no image yet
    /// knows nobody, and could not answer.
    pub(crate) urls: Vec<String>,
}

impl Hello {
    /// The first words to a member that is known.
    pub(crate) fn to_member(purpose: Purpose, cluster_id: u64, from: u64, to: u64) -> Hello {
        Hello { purpose, cluster_id, from, to, life: 0, name: String::new(), urls: Vec::new() }
    }

    /// Asks whoever answers for the cluster's members.
    pub(crate) fn who_is_there() -> Hello {
        Hello::to_member(Purpose::Members, 0, 0, 0)
    }
}

/// The answer to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on.
    Welcome,
    /// This is another cluster.
    OtherCluster {
        /// Its ID.
        cluster_id: u64,
    },
    /// This is another member.
    OtherMember {
        /// Its ID.
        member_id: u64,
    },
    /// The caller was removed from the cluster, for good.
    Removed,
    /// The cluster's members.
    Members(Roster),
    /// This member does not know the cluster itself yet, or cannot find out in time.
    NotReady,
    /// The ID is another's: the one that is claimed is held already or was never given, or who
    /// calls or founds has lived before, with data that it does not have.
    NotYours,
    /// This member has never met the one that founds.
    Stranger,
}

/// Who is in a cluster, as one of its members knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roster {
    pub(crate) cluster_id: u64,
    pub(crate) members: Vec<RosterMember>,
}

/// One member of a roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RosterMember {
    pub(crate) id: u64,
    /// Whether it is a learner and stays one.
    pub(crate) is_learner: bool,
    pub(crate) attributes: MemberAttributes,
}

pub(crate) fn put_hello(out: &mut Vec<u8>, hello: &Hello) {
    put_u64(out, MAGIC);
    put_u32(out, VERSION);
    put_u8(
        out,
        match hello.purpose {
            Purpose::Messages => 1,
            Purpose::Image => 2,
            Purpose::Members => 3,
            Purpose::Claim => 4,
            Purpose::Founding => 5,
        },
    );
    put_u64(out, hello.cluster_id);
    put_u64(out, hello.from);
    put_u64(out, hello.to);
    put_u64(out, hello.life);
    put_bytes(out, hello.name.as_bytes());
    put_texts(out, &hello.urls);
}

pub(crate) fn hello(body: Bytes) -> Result<Hello, WireError> {
    let mut from = Reader::new(body);
    let magic = from.u64()?;
    if magic != MAGIC {
        return Err(WireError::Unknown { what: "a member of Holdfast", found: magic });
    }
    let version = from.u32()?;
    if version != VERSION {
        let found = u64::from(version);
        return Err(WireError::Unknown { what: "version 1 of the protocol of members", found });
    }
    let purpose = match from.u8()? {
        1 => Purpose::Messages,
        2 => Purpose::Image,
        3 => Purpose::Members,
        4 => Purpose::Claim,
        5 => Purpose::Founding,
        found => {
            return Err(WireError::Unknown {
                what: "the purpose of a connection",
                found: u64::from(found),
            });
        }
    };
    let hello = Hello {
        purpose,
        cluster_id: from.u64()?,
        from: from.u64()?,
        to: from.u64()?,
        life: from.u64()?,
        name: from.text()?,
        urls: from.list(Reader::text)?,
    };
    from.finish()?;
    Ok(hello)
}

pub(crate) fn put_verdict(out: &mut Vec<u8>, verdict: &Verdict) {
    match verdict {
        Verdict::Welcome => put_u8(out, 1),
        Verdict::OtherCluster { cluster_id } => {
            put_u8(out, 2);
            put_u64(out, *cluster_id);
        }
        Verdict::OtherMember { member_id } => {
            put_u8(out, 3);
            put_u64(out, *member_id);
        }
        Verdict::Removed => put_u8(out, 4),
        Verdict::Members(roster) => {
            put_u8(out, 5);
            put_u64(out, roster.cluster_id);
            put_list(out, roster.members.iter(), put_member);
        }
        Verdict::NotReady => put_u8(out, 6),
        Verdict::NotYours => put_u8(out, 7),
        Verdict::Stranger => put_u8(out, 8),
    }
}

pub(crate) fn verdict(body: Bytes) -> Result<Verdict, WireError> {
    let mut from = Reader::new(body);
    let verdict = match from.u8()? {
        1 => Verdict::Welcome,
        2 => Verdict::OtherCluster { cluster_id: from.u64()? },
        3 => Verdict::OtherMember { member_id: from.u64()? },
        4 => Verdict::Removed,
        5 => Verdict::Members(Roster { cluster_id: from.u64()?, members: from.list(member)? }),
        6 => Verdict::NotReady,
        7 => Verdict::NotYours,
        8 => Verdict::Stranger,
        found => {
            return Err(WireError::Unknown { what: "a verdict", found: u64::from(found) });
        }
    };
    from.finish()?;
    Ok(verdict)
}

fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    put_list(out, texts.iter(), |out, text| put_bytes(out, text.as_bytes()));
}

fn put_member(out: &mut Vec<u8>, member: &RosterMember) {
    put_u64(out, member.id);
    put_u8(out, u8::from(member.is_learner));
    put_bytes(out, member.attributes.name.as_bytes());
    put_texts(out, &member.attributes.peer_urls);
    put_texts(out, &member.attributes.client_urls);
}

fn member(from: &mut Reader) -> Result<RosterMember, WireError> {
    Ok(RosterMember {
        id: from.u64()?,
        is_learner: from.u8()? != 0,
        attributes: MemberAttributes {
            name: from.text()?,
            peer_urls: from.list(Reader::text)?,
            client_urls: from.list(Reader::text)?,
            ..MemberAttributes::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(put: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let mut out = Vec::new();
        put(&mut out);
        out.into()
    }

    #[test]
    fn first_words_are_understood() {
        for purpose in
            [Purpose::Messages, Purpose::Image, Purpose::Members, Purpose::Claim, Purpose::Founding]
        {
            let mut said = Hello::to_member(purpose, 7, 1, 2);
            said.life = 3;
            said.name = "one".into();
            said.urls = vec!["http://a:2379".into()];
            assert_eq!(hello(bytes(|out| put_hello(out, &said))), Ok(said));
        }
    }

    #[test]
    fn verdicts_are_understood() {
        let attributes = MemberAttributes {
            name: "one".into(),
            peer_urls: vec!["http://a:1".into()],
            ..MemberAttributes::default()
        };
        let member = RosterMember { id: 1, is_learner: true, attributes };
        for said in [
            Verdict::Welcome,
            Verdict::OtherCluster { cluster_id: 3 },
            Verdict::OtherMember { member_id: 4 },
            Verdict::Removed,
            Verdict::Members(Roster { cluster_id: 3, members: vec![member] }),
            Verdict::NotReady,
            Verdict::NotYours,
            Verdict::Stranger,
        ] {
            assert_eq!(verdict(bytes(|out| put_verdict(out, &said))), Ok(said));
        }
    }

    #[test]
    fn stranger_is_told_from_a_member() {
        let request = Bytes::from_static(b"GET /version HTTP/1.1\r\n\r\n");
        assert!(matches!(hello(request), Err(WireError::Unknown { .. })));
    }
}
