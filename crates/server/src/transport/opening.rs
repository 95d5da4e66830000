//! What a connection is going to be, seen from its first bytes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::socket::{OPENING_BYTES_MAX, Prefixed};

/// The bytes with which every HTTP/2 connection begins (RFC 9113 §3.4).
const HTTP2_PREFACE: &[u8; OPENING_BYTES_MAX] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first byte of a TLS handshake. No method of HTTP begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// A TLS handshake.
    Tls,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// Anything else, which can only be HTTP/1.
    Http1,
}

/// Reads until it is clear what the connection is, and gives it back with nothing taken from it.
/// `None` if the other side went away before.
pub(super) async fn recognize<S: AsyncRead + Unpin>(
    mut stream: S,
) -> io::Result<Option<(Opening, Prefixed<S>)>> {
    let mut bytes = [0; OPENING_BYTES_MAX];
    let mut len = 0;
    let opening = loop {
        let read = stream.read(&mut bytes[len..]).await?;
        if read == 0 {
            return Ok(None);
        }
        len += read;
        if let Some(opening) = opening(&bytes[..len]) {
            break opening;
        }
    };
    Ok(Some((opening, Prefixed::new(&bytes[..len], stream))))
}

/// `None` if more bytes are needed.
fn opening(bytes: &[u8]) -> Option<Opening> {
    if bytes.first() == Some(&TLS_HANDSHAKE) {
        return Some(Opening::Tls);
    }
    if !HTTP2_PREFACE.starts_with(bytes) {
        return Some(Opening::Http1);
    }
    (bytes.len() == HTTP2_PREFACE.len()).then_some(Opening::Http2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_what_follows() {
        for (bytes, expected) in [
            (&b"\x16\x03\x01"[..], Some(Opening::Tls)),
            (b"\x16", Some(Opening::Tls)),
            (b"GET / HTTP/1.1", Some(Opening::Http1)),
            (b"P", None),
            (b"PR", None),
            (b"PO", Some(Opening::Http1)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Opening::Http2)),
            (b"PRI * HTTP/1.1\r\n", Some(Opening::Http1)),
            (b"\0", Some(Opening::Http1)),
        ] {
            assert_eq!(opening(bytes), expected, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn what_was_read_is_read_again() {
        let text = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand more";
        let (opening, mut stream) = recognize(&text[..]).await.unwrap().unwrap();
        assert_eq!(opening, Opening::Http2);
        let mut again = Vec::new();
        stream.read_to_end(&mut again).await.unwrap();
        assert_eq!(again, text);
        assert!(recognize(&b""[..]).await.unwrap().is_none(), "nobody said anything");
        assert!(recognize(&b"PRI"[..]).await.unwrap().is_none(), "left in the middle");
    }
}
