//! One connection of HTTP/2, as a client of gRPC sees it, and no more of it than calls need.
//!
//! The headers of answers are not decoded. A call that succeeds is answered by a message, and one
//! that fails by headers alone: that is all that has to be told apart here. Of errors it is known
//! how many there were, not which.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::call::{Call, HeaderTable};
use crate::frame::{self, HEADER_BYTES, Header, PAYLOAD_BYTES_MAX, flag, kind, setting};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_BYTES: usize = 256 * 1024;
/// What we grant to the server, of each stream and of the connection: the most there is.
const WINDOW_BYTES: u32 = 0x7fff_ffff;
/// What is granted before either side has said anything.
const WINDOW_BYTES_AT_FIRST: u32 = 65_535;

/// A connection and the calls under way on it.
pub(crate) struct Connection {
    socket: TcpStream,
    headers: HeaderTable,
    /// What was not written yet; it begins at `written`.
    out: Vec<u8>,
    written: usize,
    /// What was read and is not a complete frame yet: the first `unread` bytes.
    input: Vec<u8>,
    unread: usize,
    /// The calls under way by the order of their streams, the first being stream `first_stream`.
    /// `None` for those that have ended.
    flights: VecDeque<Option<Flight>>,
    first_stream: u32,
    under_way_len: usize,
    /// What the server grants: bytes of the connection, and of a new stream.
    window: i64,
    stream_window: u32,
    streams_max: u32,
    /// Bytes that the server has sent since the connection's window was last filled up.
    received: u32,
    /// Whether messages are kept, or only counted.
    bodies: Bodies,
}

/// What is done with the messages of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// Handed on with the answer.
    Keep,
    /// Thrown away.
    Drop,
}

struct Flight {
    tag: u64,
    body: Vec<u8>,
    body_bytes: usize,
}

/// A call that has ended.
#[derive(Debug)]
pub(crate) struct Completion {
    /// What the caller gave with the call.
    pub(crate) tag: u64,
    pub(crate) outcome: Outcome,
    /// The message, if messages are kept.
    pub(crate) body: Vec<u8>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With a message.
    Answered,
    /// With a status that is not OK.
    Refused,
    /// The stream was broken off.
    Reset,
}

impl Connection {
    /// Connects and says what we want; nothing is waited for.
    pub(crate) fn open(address: SocketAddr, bodies: Bodies) -> Result<Connection> {
        let socket = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)
            .with_context(|| format!("cannot connect to {address}"))?;
        socket.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        socket.set_nonblocking(true).context("cannot make the socket non-blocking")?;
        let mut out = frame::PREFACE.to_vec();
        Header { length: 12, kind: kind::SETTINGS, flags: 0, stream: 0 }.write(&mut out);
        frame::write_setting(setting::ENABLE_PUSH, 0, &mut out);
        frame::write_setting(setting::INITIAL_WINDOW_SIZE, WINDOW_BYTES, &mut out);
        frame::write_window_update(0, WINDOW_BYTES - WINDOW_BYTES_AT_FIRST, &mut out);
        Ok(Connection {
            socket,
            headers: HeaderTable::new(&address.to_string()),
            out,
            written: 0,
            input: vec![0; READ_BYTES],
            unread: 0,
            flights: VecDeque::new(),
            first_stream: 1,
            under_way_len: 0,
            window: i64::from(WINDOW_BYTES_AT_FIRST),
            stream_window: WINDOW_BYTES_AT_FIRST,
            streams_max: u32::MAX,
            received: 0,
            bodies,
        })
    }

    /// The socket, to wait for.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Tells whether the server lets us send another call whose body has `bytes`.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.window >= i64::try_from(bytes).unwrap_or(i64::MAX)
            && self.under_way_len < self.streams_max as usize
    }

    /// What the caller gave with each of the calls that are under way.
    pub(crate) fn tags(&self) -> impl Iterator<Item = u64> {
        self.flights.iter().flatten().map(|flight| flight.tag)
    }

    /// Adds a call to what is sent by the next [`flush`](Self::flush). There must be room.
    pub(crate) fn send(&mut self, call: Call, body: &[u8], tag: u64) -> Result<()> {
        ensure!(
            body.len() <= self.stream_window as usize,
            "a request of {} bytes is more than the server grants to a stream, {} bytes",
            body.len(),
            self.stream_window
        );
        assert!(self.has_room(body.len()), "a call was sent without room for it");
        let position = u32::try_from(self.flights.len()).expect("there are 2^31 streams");
        let stream = self.first_stream + 2 * position;
        ensure!(stream < 0x7fff_fff0, "the connection has used up its streams");
        let frame_at = self.out.len();
        self.out.resize(frame_at + HEADER_BYTES, 0);
        self.headers.write(call, &mut self.out);
        let length = self.out.len() - frame_at - HEADER_BYTES;
        let mut head = Vec::with_capacity(HEADER_BYTES);
        Header { length, kind: kind::HEADERS, flags: flag::END_HEADERS, stream }.write(&mut head);
        self.out[frame_at..frame_at + HEADER_BYTES].copy_from_slice(&head);

        let mut rest = body;
        loop {
            let (payload, later) = rest.split_at(rest.len().min(PAYLOAD_BYTES_MAX));
            rest = later;
            // The stream of a watch stays open.
            let last = rest.is_empty();
            let flags = if last && call != Call::Watch { flag::END_STREAM } else { 0 };
            Header { length: payload.len(), kind: kind::DATA, flags, stream }.write(&mut self.out);
            self.out.extend_from_slice(payload);
            if last {
                break;
            }
        }
        self.window -= i64::try_from(body.len()).expect("it was compared with the window");
        self.flights.push_back(Some(Flight { tag, body: Vec::new(), body_bytes: 0 }));
        self.under_way_len += 1;
        Ok(())
    }

    /// Writes as much as the socket takes. What is left is written when the socket is ready again.
    pub(crate) fn flush(&mut self) -> Result<()> {
        while self.written < self.out.len() {
            match self.socket.write(&self.out[self.written..]) {
                Ok(0) => bail!("the server takes no more bytes"),
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot write to the server"),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads all that has come, and appends the calls that have ended to `completions`.
    pub(crate) fn receive(&mut self, completions: &mut Vec<Completion>) -> Result<()> {
        loop {
            match self.socket.read(&mut self.input[self.unread..]) {
                Ok(0) => bail!("the server has closed the connection"),
                Ok(bytes) => {
                    let filled = self.unread + bytes;
                    // When less came than there was room for, the socket is empty.
                    let is_last = filled < self.input.len();
                    self.consume(filled, completions)?;
                    if is_last {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(read_error(error)),
            }
        }
        if self.received > WINDOW_BYTES / 2 {
            frame::write_window_update(0, self.received, &mut self.out);
            self.received = 0;
        }
        Ok(())
    }

    /// Takes the complete frames out of the first `filled` bytes of the input.
    fn consume(&mut self, filled: usize, completions: &mut Vec<Completion>) -> Result<()> {
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        while let Some(header) = Header::read(&input[at..filled]) {
            ensure!(
                header.length <= PAYLOAD_BYTES_MAX,
                "the server sent a frame of {} bytes, and {PAYLOAD_BYTES_MAX} are allowed",
                header.length
            );
            let end = at + HEADER_BYTES + header.length;
            if end > filled {
                break;
            }
            self.on_frame(header, &input[at + HEADER_BYTES..end], completions)?;
            at = end;
        }
        self.input = input;
        self.input.copy_within(at..filled, 0);
        self.unread = filled - at;
        Ok(())
    }

    fn on_frame(
        &mut self,
        header: Header,
        payload: &[u8],
        completions: &mut Vec<Completion>,
    ) -> Result<()> {
        let ends = header.flags & flag::END_STREAM != 0;
        match header.kind {
            kind::DATA => {
                self.received += u32::try_from(payload.len()).expect("frames are small");
                let bodies = self.bodies;
                if let Some(flight) = self.flight(header.stream) {
                    flight.body_bytes += payload.len();
                    if bodies == Bodies::Keep {
                        flight.body.extend_from_slice(payload);
                    }
                }
                if ends {
                    self.end(header.stream, None, completions);
                }
            }
            kind::HEADERS if ends => self.end(header.stream, None, completions),
            kind::RST_STREAM => self.end(header.stream, Some(Outcome::Reset), completions),
            kind::SETTINGS if header.flags & flag::ACK == 0 => self.on_settings(payload)?,
            kind::PING if header.flags & flag::ACK == 0 => {
                Header { flags: flag::ACK, ..header }.write(&mut self.out);
                self.out.extend_from_slice(payload);
            }
            // What is granted to a stream does not matter: a request fits into the first window.
            kind::WINDOW_UPDATE if header.stream == 0 => {
                self.window += i64::from(frame::number(payload) & 0x7fff_ffff);
            }
            kind::GOAWAY => bail!("the server has sent GOAWAY"),
            // Headers of an answer that goes on, acknowledgements, and what was invented later.
            _ => {}
        }
        Ok(())
    }

    fn on_settings(&mut self, payload: &[u8]) -> Result<()> {
        for (name, value) in frame::settings(payload) {
            match name {
                setting::HEADER_TABLE_SIZE => ensure!(
                    value >= 4096,
                    "the server remembers {value} bytes of headers, and 4096 are needed here"
                ),
                setting::MAX_CONCURRENT_STREAMS => self.streams_max = value,
                setting::INITIAL_WINDOW_SIZE => self.stream_window = value,
                _ => {}
            }
        }
        Header { length: 0, kind: kind::SETTINGS, flags: flag::ACK, stream: 0 }
            .write(&mut self.out);
        Ok(())
    }

    /// The position of a stream among the flights.
    fn position(&self, stream: u32) -> Option<usize> {
        usize::try_from(stream.checked_sub(self.first_stream)? / 2).ok()
    }

    fn flight(&mut self, stream: u32) -> Option<&mut Flight> {
        let position = self.position(stream)?;
        self.flights.get_mut(position)?.as_mut()
    }

    /// A call has ended; without an `outcome` it is told by whether there was a message.
    fn end(&mut self, stream: u32, outcome: Option<Outcome>, completions: &mut Vec<Completion>) {
        let Some(position) = self.position(stream) else { return };
        let Some(flight) = self.flights.get_mut(position).and_then(Option::take) else { return };
        let told = if flight.body_bytes > 0 { Outcome::Answered } else { Outcome::Refused };
        let outcome = outcome.unwrap_or(told);
        completions.push(Completion { tag: flight.tag, outcome, body: flight.body });
        self.under_way_len -= 1;
        while let Some(None) = self.flights.front() {
            self.flights.pop_front();
            self.first_stream += 2;
        }
    }
}

fn read_error(error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context("cannot read from the server")
}
