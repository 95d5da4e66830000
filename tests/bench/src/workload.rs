//! Which requests are sent, and with which keys.

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::call::Call;
use crate::message::{self, Message, RangeOptions};

/// How keys begin, so that all of them can be asked for.
const KEY_START: &[u8] = b"load/";
/// The number of a key, in decimal digits at its end.
const KEY_DIGITS: usize = 12;

/// What to ask for.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// What each request does.
    #[arg(long, value_enum)]
    pub(crate) op: Operation,
    /// Of `mixed`: how many of a hundred requests read.
    #[arg(long, default_value_t = 50)]
    pub(crate) reads_percent: u64,
    /// How many keys there are.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) keys: u64,
    /// In which order keys are taken.
    #[arg(long, value_enum, default_value_t = Order::Random)]
    pub(crate) order: Order,
    /// Bytes of a key.
    #[arg(long, default_value_t = 32)]
    pub(crate) key_bytes: usize,
    /// Bytes of a value.
    #[arg(long, default_value_t = 256)]
    pub(crate) value_bytes: usize,
    /// Ranges ask for all keys of the store, not for one.
    #[arg(long)]
    pub(crate) all: bool,
    /// Ranges give at most so many keys; 0 for no limit.
    #[arg(long, default_value_t = 0)]
    pub(crate) limit: u64,
    /// Ranges give the number of keys alone.
    #[arg(long)]
    pub(crate) count_only: bool,
    /// Ranges are answered by the member that is asked, from what it knows.
    #[arg(long)]
    pub(crate) serializable: bool,
    /// From which number all random keys follow.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// What requests do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Operation {
    /// Put one key.
    Put,
    /// Read one key, or all.
    Range,
    /// Put one key in a transaction.
    Txn,
    /// Put or read one key.
    Mixed,
}

impl Operation {
    /// The word for it on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Put => "put",
            Operation::Range => "range",
            Operation::Txn => "txn",
            Operation::Mixed => "mixed",
        }
    }
}

/// In which order keys are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// One after the other, and again from the first.
    Sequential,
    /// Each as likely as the others.
    Random,
}

/// A request that is to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// Its place among the templates.
    template: usize,
    key: u64,
    /// When it should be sent, in nanoseconds from the start of the run.
    pub(crate) intended: u64,
}

/// Makes requests, and their bytes.
pub(crate) struct Workload {
    options: Options,
    templates: Vec<Template>,
    random: Random,
    /// How many requests were made.
    made: u64,
    /// Of several threads, the place of this one, and how many there are: a sequence of keys is
    /// dealt out like cards.
    share: (u64, u64),
}

/// A request as bytes, complete but for the digits of the key.
struct Template {
    call: Call,
    body: Vec<u8>,
    /// Where the digits are; `None` if there is nothing to fill in.
    digits_at: Option<usize>,
}

impl Workload {
    /// The workload of the thread number `share.0` of `share.1`.
    pub(crate) fn new(options: &Options, share: (u64, u64)) -> Result<Workload> {
        let key_bytes_min = KEY_START.len() + KEY_DIGITS;
        ensure!(
            options.key_bytes >= key_bytes_min,
            "--key-bytes wants {key_bytes_min} or more, and was given {}",
            options.key_bytes
        );
        ensure!(options.keys > 0, "--keys wants a number of one or more, and was given 0");
        ensure!(
            options.reads_percent <= 100,
            "--reads-percent wants at most 100, and was given {}",
            options.reads_percent
        );
        let key = key(options.key_bytes);
        let value = vec![b'v'; options.value_bytes];
        let put = || Template::of(Call::Put, message::put(&key, &value), &key);
        let range = || Template::of(Call::Range, range(options, &key), &key);
        let templates = match options.op {
            Operation::Put => vec![put()],
            Operation::Range => vec![range()],
            Operation::Txn => vec![Template::of(Call::Txn, message::txn_put(&key, &value), &key)],
            Operation::Mixed => vec![put(), range()],
        };
        let random = Random(options.seed.wrapping_add(share.0 << 32));
        Ok(Workload { options: options.clone(), templates, random, made: 0, share })
    }

    /// The next request, which should be sent at `intended`.
    pub(crate) fn next(&mut self, intended: u64) -> Request {
        let key = match self.options.order {
            Order::Sequential => (self.made * self.share.1 + self.share.0) % self.options.keys,
            Order::Random => self.random.below(self.options.keys),
        };
        self.made += 1;
        let reads = self.templates.len() > 1 && self.random.below(100) < self.options.reads_percent;
        Request { template: usize::from(reads), key, intended }
    }

    /// The method and the body of a request.
    pub(crate) fn body(&mut self, request: Request) -> (Call, &[u8]) {
        let template = &mut self.templates[request.template];
        if let Some(at) = template.digits_at {
            let mut left = request.key;
            for digit in template.body[at..at + KEY_DIGITS].iter_mut().rev() {
                *digit = b'0' + u8::try_from(left % 10).expect("it is a digit");
                left /= 10;
            }
        }
        (template.call, &template.body)
    }

    /// How many bytes the body of a request has.
    pub(crate) fn body_bytes(&self, request: Request) -> usize {
        self.templates[request.template].body.len()
    }
}

impl Template {
    fn of(call: Call, message: Message, key: &[u8]) -> Template {
        let body = message.into_body();
        let key_at = body.windows(key.len()).position(|window| window == key);
        Template { call, digits_at: key_at.map(|at| at + key.len() - KEY_DIGITS), body }
    }
}

/// The key number 0.
fn key(bytes: usize) -> Vec<u8> {
    let mut key = KEY_START.to_vec();
    key.resize(bytes, b'0');
    key
}

fn range(options: &Options, key: &[u8]) -> Message {
    let asked = RangeOptions {
        limit: options.limit,
        count_only: options.count_only,
        serializable: options.serializable,
    };
    if options.all {
        // From the zero byte to the zero byte is everything there is.
        message::range(&[0], &[0], asked)
    } else {
        message::range(key, &[], asked)
    }
}

/// Numbers that look random and follow from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(line: &str) -> Options {
        Line::parse_from(line.split(' ')).options
    }

    #[test]
    fn digits_of_the_key_are_filled_in() {
        let mut workload = Workload::new(&options("load --op put --order sequential"), (1, 2))
            .expect("the options are fine");
        for key in ["load/000000000000000000000000001", "load/000000000000000000000000003"] {
            let request = workload.next(0);
            let (call, body) = workload.body(request);
            assert_eq!(call, Call::Put);
            let text = String::from_utf8_lossy(body).into_owned();
            assert!(text.contains(key), "{text:?}");
            assert_eq!(workload.body_bytes(request), 5 + 2 + 32 + 3 + 256);
        }
    }

    #[test]
    fn range_of_all_keys_has_no_digits() {
        let mut workload = Workload::new(&options("load --op range --all --limit 5"), (0, 1))
            .expect("the options are fine");
        let request = workload.next(0);
        let (call, body) = workload.body(request);
        assert_eq!((call, &body[5..]), (Call::Range, &b"\x0a\x01\0\x12\x01\0\x18\x05"[..]));
    }

    #[test]
    fn mixed_load_reads_as_often_as_asked() {
        let mut workload =
            Workload::new(&options("load --op mixed --reads-percent 80"), (0, 1)).unwrap();
        let mut reads = 0;
        for _ in 0..1000 {
            let request = workload.next(0);
            reads += usize::from(workload.body(request).0 == Call::Range);
        }
        assert!((750..850).contains(&reads), "{reads} of 1000 read");
    }

    #[test]
    fn key_that_is_too_short_is_refused() {
        let error = Workload::new(&options("load --op put --key-bytes 8"), (0, 1))
            .err()
            .expect("twelve digits do not fit");
        assert_eq!(error.to_string(), "--key-bytes wants 17 or more, and was given 8");
    }
}
