//! Requests that are larger than the limit, answered in etcd's words.
//!
//! tonic refuses them with `OutOfRange` and a text of its own. Clients of etcd look for
//! `ResourceExhausted` and the text of Go's gRPC, so the answer is rewritten as it leaves.

use http::HeaderMap;
use tonic::{Code, Status};

/// What tonic says before the two numbers, in the form that goes into a header.
const TONIC_TEXT: &[u8] = b"Error,%20decoded%20message%20length%20too%20large";

/// The answer to a request of `found` bytes where `limit` are allowed.
#[must_use]
pub fn too_large(found: usize, limit: usize) -> Status {
    Status::resource_exhausted(format!(
        "grpc: received message larger than max ({found} vs. {limit})"
    ))
}

/// Rewrites an answer that is an error, if it is tonic's about the size of the request.
pub(super) fn reword(headers: &mut HeaderMap) {
    let Some(status) = headers.get(Status::GRPC_STATUS) else { return };
    if Code::from_bytes(status.as_bytes()) != Code::OutOfRange {
        return;
    }
    let Some(message) = headers.get(Status::GRPC_MESSAGE) else { return };
    let Some(rest) = message.as_bytes().strip_prefix(TONIC_TEXT) else { return };
    let Some((found, limit)) = two_numbers(rest) else { return };
    // It holds only what a header can hold, so nothing is left out.
    let _ = too_large(found, limit).add_header(headers);
}

/// The numbers in a text in which blanks are written as `%20`.
fn two_numbers(text: &[u8]) -> Option<(usize, usize)> {
    let text = String::from_utf8_lossy(text).replace("%20", " ");
    let mut numbers = text.split(' ').filter_map(|word| word.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reworded(status: Status) -> Status {
        let mut response = status.into_http::<()>();
        reword(response.headers_mut());
        Status::from_header_map(response.headers()).unwrap()
    }

    #[test]
    fn refusal_for_size_is_in_the_words_of_etcd() {
        let text = "Error, decoded message length too large: found 2097153 bytes, the limit is: \
                    2097152 bytes";
        let status = reworded(Status::out_of_range(text));
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(
            status.message(),
            "grpc: received message larger than max (2097153 vs. 2097152)"
        );
    }

    #[test]
    fn other_refusals_are_left_alone() {
        let compacted = "etcdserver: mvcc: required revision has been compacted";
        let status = reworded(Status::out_of_range(compacted));
        assert_eq!((status.code(), status.message()), (Code::OutOfRange, compacted));
        let status = reworded(Status::not_found("x"));
        assert_eq!((status.code(), status.message()), (Code::NotFound, "x"));
    }
}
