//! The answer to a transaction, which holds answers that may be transactions again.

use bytes::BufMut;
use etcd_api::Encode;
use store::{OperationResponse, TxnResponse};

use super::super::header::Header;
use super::super::wire;
use super::{KeyForm, RangeFields, delete_range_len, encode_delete_range, encode_put, put_len};

const RESPONSES: u8 = wire::length_tag(3);

/// The answer to a transaction.
#[derive(Clone, Debug)]
pub struct TxnAnswer {
    header: Header,
    response: TxnResponse,
    /// The lengths of all messages with parts of variable length, each before those inside of it.
    lens: Vec<usize>,
}

/// The revision at each moment of a transaction: one more as soon as something has been written.
#[derive(Clone, Copy)]
struct Moment {
    revision: u64,
    will_change: bool,
}

impl Moment {
    /// Returns the beginning of a transaction that ended at `revision`.
    fn before(revision: u64, response: &TxnResponse) -> Moment {
        let will_change = has_written(response);
        let before = if will_change { revision.saturating_sub(1) } else { revision };
        Moment { revision: before, will_change }
    }

    /// Goes on behind an operation, and returns the header of its answer.
    fn pass(&mut self, operation: &OperationResponse) -> Header {
        let writes = match operation {
            OperationResponse::Range(_) => false,
            OperationResponse::Put(_) => true,
            OperationResponse::DeleteRange(answer) => 0 < answer.deleted,
            // What is inside passes by itself, and its header is empty.
            OperationResponse::Txn(_) => return Header::default(),
        };
        if writes && self.will_change {
            self.will_change = false;
            self.revision += 1;
        }
        Header::inside(self.revision)
    }
}

fn has_written(response: &TxnResponse) -> bool {
    response.responses.iter().any(|operation| match operation {
        OperationResponse::Range(_) => false,
        OperationResponse::Put(_) => true,
        OperationResponse::DeleteRange(answer) => 0 < answer.deleted,
        OperationResponse::Txn(inner) => has_written(inner),
    })
}

impl TxnAnswer {
    /// Prepares the answer; the revision of `header` is that at the end of the transaction.
    #[must_use]
    pub fn new(header: Header, response: TxnResponse) -> TxnAnswer {
        let mut lens = Vec::new();
        let mut moment = Moment::before(header.revision, &response);
        measure(header, &response, &mut moment, &mut lens);
        TxnAnswer { header, response, lens }
    }
}

impl Encode for TxnAnswer {
    fn encoded_len(&self) -> usize {
        self.lens[0]
    }

    fn encode(&self, buffer: &mut dyn BufMut) {
        let mut moment = Moment::before(self.header.revision, &self.response);
        let mut lens = self.lens[1..].iter().copied();
        encode(self.header, &self.response, &mut moment, &mut lens, buffer);
    }
}

/// Appends the lengths of a transaction's answer and of all answers in it.
fn measure(
    header: Header,
    response: &TxnResponse,
    moment: &mut Moment,
    lens: &mut Vec<usize>,
) -> usize {
    let at = lens.len();
    lens.push(0);
    let mut len = header.field_len() + wire::number_len(u64::from(response.succeeded));
    for operation in &response.responses {
        let header = moment.pass(operation);
        let inner = match operation {
            OperationResponse::Txn(inner) => measure(header, inner, moment, lens),
            OperationResponse::Range(answer) => {
                let inner = fields(header, answer).encoded_len();
                lens.push(inner);
                inner
            }
            OperationResponse::Put(previous) => put_len(header, previous.as_ref()),
            OperationResponse::DeleteRange(answer) => {
                let deleted = answer.deleted.cast_unsigned();
                let inner = delete_range_len(header, deleted, &answer.previous);
                lens.push(inner);
                inner
            }
        };
        len += wire::field_len(wire::field_len(inner));
    }
    lens[at] = len;
    len
}

fn encode(
    header: Header,
    response: &TxnResponse,
    moment: &mut Moment,
    lens: &mut impl Iterator<Item = usize>,
    buffer: &mut dyn BufMut,
) {
    header.encode_field(buffer);
    wire::put_flag(buffer, wire::number_tag(2), response.succeeded);
    for operation in &response.responses {
        let header = moment.pass(operation);
        let mut measured = || lens.next().expect("every length was measured");
        match operation {
            OperationResponse::Range(answer) => {
                put_operation(buffer, 1, measured());
                fields(header, answer).encode(buffer);
            }
            OperationResponse::Put(previous) => {
                put_operation(buffer, 2, put_len(header, previous.as_ref()));
                encode_put(header, previous.as_ref(), buffer);
            }
            OperationResponse::DeleteRange(answer) => {
                put_operation(buffer, 3, measured());
                let deleted = answer.deleted.cast_unsigned();
                encode_delete_range(header, deleted, &answer.previous, buffer);
            }
            OperationResponse::Txn(inner) => {
                put_operation(buffer, 4, measured());
                encode(header, inner, moment, lens, buffer);
            }
        }
    }
}

/// Appends the heads of an operation's answer: that of the list's element, and that of the answer.
fn put_operation(buffer: &mut dyn BufMut, field: u8, len: usize) {
    wire::put_field(buffer, RESPONSES, wire::field_len(len));
    wire::put_field(buffer, wire::length_tag(field), len);
}

fn fields(header: Header, answer: &store::RangeAnswer) -> RangeFields<'_> {
    RangeFields {
        header: Some(header),
        versions: &answer.versions,
        form: KeyForm::of(answer.keys_only, answer.target),
        more: answer.more,
        count: answer.count.cast_unsigned(),
    }
}
