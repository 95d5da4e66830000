//! What the kernel tells of this process.

use std::fs;

use super::text::{Page, Type};

/// The kernel's unit of time in what it tells of processes: everywhere a hundredth of a second.
const CLOCK_TICKS_PER_SECOND: f64 = 100.0;

/// The size of a page of memory. What the kernel tells is in pages.
const PAGE_BYTES: u64 = 4096;

/// The numbers of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Process {
    /// Processor time, of the program and of the kernel for it.
    pub(crate) cpu_seconds: f64,
    /// When it started, in seconds since 1970.
    pub(crate) start_seconds: f64,
    /// Its address space in bytes.
    pub(crate) virtual_bytes: u64,
    /// Its memory in bytes.
    pub(crate) resident_bytes: u64,
    /// How many files and sockets it has open.
    pub(crate) open_fds: u64,
    /// How many it may have.
    pub(crate) open_fds_max: u64,
    /// How many threads it has.
    pub(crate) threads: u64,
    /// What the network devices that it sees have received, in bytes.
    pub(crate) received_bytes: u64,
    /// What they have sent.
    pub(crate) sent_bytes: u64,
}

impl Process {
    /// Asks the kernel. What it does not tell is zero.
    pub(crate) fn now() -> Process {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let open_fds = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let mut process = Process {
            // One is that of the directory which is being read.
            open_fds: open_fds.saturating_sub(1) as u64,
            open_fds_max: open_fds_max(&read("/proc/self/limits")).unwrap_or(0),
            ..Process::default()
        };
        process.read_stat(&read("/proc/self/stat"), boot_seconds(&read("/proc/stat")));
        (process.received_bytes, process.sent_bytes) = network_bytes(&read("/proc/self/net/dev"));
        process
    }

    /// Reads the line of `proc_pid_stat(5)`, whose second field, in parentheses, may hold anything.
    fn read_stat(&mut self, stat: &str, boot_seconds: f64) {
        let Some((_, rest)) = stat.rsplit_once(") ") else { return };
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The fields are numbered from 1 in the manual; the first two are cut off here.
        let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse().ok());
        let ticks = |number| field(number).unwrap_or(0_u64);
        #[expect(clippy::cast_precision_loss, reason = "ticks of centuries fit")]
        let seconds = |ticks: u64| ticks as f64 / CLOCK_TICKS_PER_SECOND;
        self.cpu_seconds = seconds(ticks(14) + ticks(15));
        self.threads = ticks(20);
        self.start_seconds = boot_seconds + seconds(ticks(22));
        self.virtual_bytes = ticks(23);
        self.resident_bytes = ticks(24) * PAGE_BYTES;
    }

    pub(super) fn describe(&self, page: &mut Page) {
        page.fraction(
            "process_cpu_seconds_total",
            Type::Counter,
            "Processor time of the process and of the kernel for it, in seconds.",
            self.cpu_seconds,
        );
        page.fraction(
            "process_start_time_seconds",
            Type::Gauge,
            "When the process started, in seconds since 1970.",
            self.start_seconds,
        );
        let gauges = [
            ("process_virtual_memory_bytes", "Address space in bytes.", self.virtual_bytes),
            ("process_resident_memory_bytes", "Memory in bytes.", self.resident_bytes),
            ("process_open_fds", "Open files and sockets.", self.open_fds),
            ("process_max_fds", "How many files and sockets may be open.", self.open_fds_max),
            ("os_fd_used", "Open files and sockets.", self.open_fds),
            ("os_fd_limit", "How many files and sockets may be open.", self.open_fds_max),
            ("holdfast_threads", "Threads of the process.", self.threads),
        ];
        for (name, help, value) in gauges {
            page.value(name, help, value);
        }
        let receive = "What network devices have received, in bytes.";
        page.count("process_network_receive_bytes_total", receive, self.received_bytes);
        let transmit = "What network devices have sent, in bytes.";
        page.count("process_network_transmit_bytes_total", transmit, self.sent_bytes);
    }
}

fn boot_seconds(stat: &str) -> f64 {
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0.0)
}

fn open_fds_max(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = line.split_ascii_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

/// Sums what devices have received and sent, without the loopback device.
fn network_bytes(devices: &str) -> (u64, u64) {
    let mut sum = (0, 0);
    for (name, numbers) in devices.lines().filter_map(|line| line.split_once(':')) {
        if name.trim() == "lo" {
            continue;
        }
        let numbers: Vec<u64> =
            numbers.split_ascii_whitespace().filter_map(|text| text.parse().ok()).collect();
        sum.0 += numbers.first().copied().unwrap_or(0);
        sum.1 += numbers.get(8).copied().unwrap_or(0);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_kernel_is_read_by_field_even_if_the_name_is_strange() {
        let mut process = Process::default();
        let stat =
            "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 12 0 500 1000000 42 1";
        process.read_stat(stat, 1_000.0);
        assert_eq!(process.cpu_seconds, 2.0);
        assert_eq!(process.threads, 12);
        assert_eq!(process.start_seconds, 1_005.0);
        assert_eq!((process.virtual_bytes, process.resident_bytes), (1_000_000, 42 * 4096));
    }

    #[test]
    fn limits_and_devices_are_read() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  4096  files\n";
        assert_eq!(open_fds_max(limits), Some(1024));
        let devices = "x|y\n lo: 9 9 9 9 9 9 9 9 9 9\n eth0: 5 1 0 0 0 0 0 0 6 1\n \
                       eth1:1 0 0 0 0 0 0 0 2 0\n";
        assert_eq!(network_bytes(devices), (6, 8));
    }

    #[test]
    fn this_process_has_memory_and_started_in_the_past() {
        let process = Process::now();
        assert!(0 < process.resident_bytes && 0 < process.open_fds && 0 < process.threads);
        assert!(1.6e9 < process.start_seconds, "{process:?}");
    }
}
