//! The run: requests are sent at their time, or as soon as one has ended, and each is timed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;

use crate::connection::{Bodies, Completion, Connection};
use crate::poller::Poller;
use crate::record::{Record, Summary, Window};
use crate::workload::{self, Request, Workload};

/// More than this many requests that wait to be sent are dropped.
const WAITING_LEN_MAX: usize = 1_000_000;
/// How long answers are waited for after the last request.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// The longest time without a look at the clock.
const WAIT_TIME_MAX: Duration = Duration::from_millis(100);

/// How to run.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    workload: workload::Options,
    /// Where the members serve clients, each HOST:PORT, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    endpoints: Vec<SocketAddr>,
    /// Open loop: so many requests in a second, whatever comes back.
    #[arg(long, conflicts_with = "in_flight")]
    rate: Option<f64>,
    /// Closed loop: so many requests are under way at any time.
    #[arg(long, default_value_t = 100)]
    in_flight: usize,
    /// Ends a closed loop after so many requests, or when the time is over.
    #[arg(long, conflicts_with = "rate")]
    total: Option<u64>,
    /// For how long, after the warm-up.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// For how long nothing counts.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// How many connections in all; they are spread over the endpoints.
    #[arg(long, default_value_t = 10)]
    connections: usize,
    /// How many threads serve the connections.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

/// When the next request is due.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// At fixed times: the first, and nanoseconds from one to the next.
    Open { first: f64, interval: f64 },
    /// When one has ended; so many at the beginning, and in all.
    Closed { in_flight: usize, total: u64 },
}

/// Runs, and sums up what was measured.
pub(crate) fn run(options: &Options) -> Result<Summary> {
    ensure!(options.threads > 0, "--threads wants a number of one or more, and was given 0");
    ensure!(
        options.connections >= options.threads,
        "--connections wants one for each thread or more, and was given {}",
        options.connections
    );
    ensure!(
        options.seconds > 0.0,
        "--seconds wants more than 0, and was given {}",
        options.seconds
    );
    let warm_up = if options.total.is_some() { 0.0 } else { options.warm_up };
    let window = Window { from: nanoseconds(warm_up), to: nanoseconds(warm_up + options.seconds) };
    let mut workers = Vec::new();
    for number in 0..options.threads {
        workers.push((number, share(options.connections, options.threads, number)));
    }
    let start = Instant::now() + Duration::from_millis(50);
    let records = std::thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter()
            .map(|(number, connections_len)| {
                scope
                    .spawn(|| Worker::new(options, *number, *connections_len, start, window)?.run())
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a worker panicked"))
            .collect::<Result<Vec<_>>>()
    })?;
    let mut all = Record::new(window)?;
    let mut ended = 0;
    for (record, record_ended) in &records {
        all.merge(record)?;
        ended = ended.max(*record_ended);
    }
    // In an open loop the window is as long as was asked for.
    let ended = if options.total.is_some() { ended } else { window.to };
    Ok(all.summary(options.workload.op.name(), options.rate, ended))
}

/// The part of thread `number` in `all`.
fn share(all: usize, threads: usize, number: usize) -> usize {
    all / threads + usize::from(number < all % threads)
}

fn nanoseconds(seconds: f64) -> u64 {
    Duration::from_secs_f64(seconds).as_nanos().try_into().expect("a run is shorter than centuries")
}

/// One thread and its connections.
struct Worker {
    connections: Vec<Connection>,
    /// By connection: what the server has not let us send yet.
    waiting: Vec<VecDeque<Request>>,
    waiting_len: usize,
    under_way_len: usize,
    poller: Poller,
    workload: Workload,
    pace: Pace,
    /// How many requests were due until now.
    due: u64,
    start: Instant,
    window: Window,
    record: Record,
    last_answer: u64,
}

impl Worker {
    fn new(
        options: &Options,
        number: usize,
        connections_len: usize,
        start: Instant,
        window: Window,
    ) -> Result<Worker> {
        let poller = Poller::new()?;
        let mut connections = Vec::new();
        for at in 0..connections_len {
            let endpoint = (at * options.threads + number) % options.endpoints.len();
            let connection = Connection::open(options.endpoints[endpoint], Bodies::Drop)?;
            poller.add(connection.socket(), at)?;
            connections.push(connection);
        }
        let threads = options.threads as f64;
        let pace = match options.rate {
            Some(rate) => {
                ensure!(rate > 0.0, "--rate wants more than 0, and was given {rate}");
                Pace::Open { first: number as f64 * 1e9 / rate, interval: threads * 1e9 / rate }
            }
            None => Pace::Closed {
                in_flight: share(options.in_flight, options.threads, number),
                total: options.total.map_or(u64::MAX, |total| {
                    total / options.threads as u64
                        + u64::from((number as u64) < total % options.threads as u64)
                }),
            },
        };
        Ok(Worker {
            waiting: connections.iter().map(|_| VecDeque::new()).collect(),
            connections,
            waiting_len: 0,
            under_way_len: 0,
            poller,
            workload: Workload::new(&options.workload, (number as u64, options.threads as u64))?,
            pace,
            due: 0,
            start,
            window,
            record: Record::new(window)?,
            last_answer: 0,
        })
    }

    /// Runs to the end; returns the record and the time of the last answer.
    fn run(mut self) -> Result<(Record, u64)> {
        let mut ready = Vec::new();
        let mut completions = Vec::new();
        let drain_ends = self.window.to
            + u64::try_from(DRAIN_TIME.as_nanos()).expect("it is a constant of some seconds");
        // All threads are connected by then, and before that there is no time.
        std::thread::sleep(self.start.saturating_duration_since(Instant::now()));
        loop {
            let now = self.now();
            let next = self.send_due(now)?;
            for connection in &mut self.connections {
                connection.flush()?;
            }
            let all_sent = next.is_none();
            if all_sent && (self.under_way_len == 0 || now >= drain_ends) {
                break;
            }
            let until_next = next.map_or(WAIT_TIME_MAX, |next| {
                Duration::from_nanos(next.saturating_sub(self.now()))
            });
            ready.clear();
            self.poller.wait(until_next.min(WAIT_TIME_MAX), &mut ready)?;
            for at in ready.iter().copied() {
                self.connections[at].receive(&mut completions)?;
                let now = self.now();
                for completion in completions.drain(..) {
                    self.on_completion(&completion, now);
                    self.follow(at, now)?;
                }
                self.send_waiting(at)?;
            }
        }
        self.give_up();
        Ok((self.record, self.last_answer))
    }

    fn now(&self) -> u64 {
        let elapsed = Instant::now().saturating_duration_since(self.start);
        elapsed.as_nanos().try_into().expect("a run is shorter than centuries")
    }

    /// Sends what is due by the schedule, and returns when the next is; `None` if there is none.
    fn send_due(&mut self, now: u64) -> Result<Option<u64>> {
        match self.pace {
            Pace::Open { first, interval } => loop {
                let intended = nanoseconds((first + self.due as f64 * interval) / 1e9);
                if intended >= self.window.to {
                    return Ok(None);
                }
                if intended > now {
                    return Ok(Some(intended));
                }
                let at = self.turn();
                self.due += 1;
                self.submit(at, intended)?;
            },
            Pace::Closed { in_flight, total } => {
                while self.due < total.min(in_flight as u64) && now < self.window.to {
                    let at = self.turn();
                    self.due += 1;
                    self.submit(at, now)?;
                }
                let is_over = self.due >= total || now >= self.window.to;
                Ok(if is_over { None } else { Some(self.window.to) })
            }
        }
    }

    /// The connection whose turn it is.
    fn turn(&self) -> usize {
        usize::try_from(self.due % self.connections.len() as u64).expect("it is below the length")
    }

    /// In a closed loop, sends a request in the place of one that has ended.
    fn follow(&mut self, at: usize, now: u64) -> Result<()> {
        match self.pace {
            Pace::Closed { total, .. } if self.due < total && now < self.window.to => {
                self.due += 1;
                self.submit(at, now)
            }
            Pace::Closed { .. } | Pace::Open { .. } => Ok(()),
        }
    }

    fn submit(&mut self, at: usize, intended: u64) -> Result<()> {
        if self.waiting_len >= WAITING_LEN_MAX {
            self.record.on_dropped(intended);
            return Ok(());
        }
        let request = self.workload.next(intended);
        self.under_way_len += 1;
        self.waiting_len += 1;
        self.waiting[at].push_back(request);
        self.send_waiting(at)
    }

    /// Sends as much of what waits as the server lets us.
    fn send_waiting(&mut self, at: usize) -> Result<()> {
        let connection = &mut self.connections[at];
        while let Some(request) = self.waiting[at].front().copied() {
            if !connection.has_room(self.workload.body_bytes(request)) {
                break;
            }
            let (call, body) = self.workload.body(request);
            connection.send(call, body, request.intended)?;
            self.waiting[at].pop_front();
            self.waiting_len -= 1;
        }
        Ok(())
    }

    fn on_completion(&mut self, completion: &Completion, now: u64) {
        self.under_way_len -= 1;
        self.last_answer = now;
        self.record.on_end(completion.tag, now, completion.outcome);
    }

    /// Counts what has no answer.
    fn give_up(&mut self) {
        let now = self.now();
        for connection in &self.connections {
            for intended in connection.tags() {
                self.record.on_unanswered(intended, now);
            }
        }
        for request in self.waiting.iter().flatten() {
            self.record.on_unanswered(request.intended, now);
        }
    }
}
