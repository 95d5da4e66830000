//! What goes over the network: to clients, and to each other member.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::cell::{Counter, Gauge, Histogram, Unit};
use super::text::{Page, Type};

/// What goes over the network.
#[derive(Debug, Default)]
pub struct NetworkMetrics {
    /// Bytes from clients, in calls and pages.
    pub client_received_bytes: Counter,
    /// Bytes to clients.
    pub client_sent_bytes: Counter,
    /// Connections of clients that are open.
    pub client_connections: Gauge,
    peers: RwLock<BTreeMap<u64, Arc<PeerMetrics>>>,
}

/// What goes between this member and another.
#[derive(Debug)]
pub struct PeerMetrics {
    /// Whether there is a connection: zero or one.
    pub connected: Gauge,
    /// How often a connection was lost.
    pub disconnected: Counter,
    /// Bytes to the other.
    pub sent_bytes: Counter,
    /// Bytes from the other.
    pub received_bytes: Counter,
    /// Messages that could not be sent.
    pub sent_failures: Counter,
    /// Messages that came and could not be understood.
    pub received_failures: Counter,
    /// Between a message and its acknowledgement.
    pub round_trip: Histogram,
    /// Images that were sent whole.
    pub images_sent: Counter,
    /// Images whose sending failed.
    pub images_send_failures: Counter,
    /// Images that are being sent.
    pub images_sending: Gauge,
    /// How long images that were sent took.
    pub image_send_time: Histogram,
    /// Images that were received whole.
    pub images_received: Counter,
    /// Images whose receiving failed.
    pub images_receive_failures: Counter,
    /// Images that are being received.
    pub images_receiving: Gauge,
    /// How long images that were received took.
    pub image_receive_time: Histogram,
}

impl PeerMetrics {
    fn new() -> PeerMetrics {
        PeerMetrics {
            connected: Gauge::default(),
            disconnected: Counter::default(),
            sent_bytes: Counter::default(),
            received_bytes: Counter::default(),
            sent_failures: Counter::default(),
            received_failures: Counter::default(),
            round_trip: Histogram::doubling(Unit::Seconds, 0.0001, 16),
            images_sent: Counter::default(),
            images_send_failures: Counter::default(),
            images_sending: Gauge::default(),
            image_send_time: Histogram::doubling(Unit::Seconds, 0.1, 10),
            images_received: Counter::default(),
            images_receive_failures: Counter::default(),
            images_receiving: Gauge::default(),
            image_receive_time: Histogram::doubling(Unit::Seconds, 0.1, 10),
        }
    }
}

/// How the series of a peer are labelled.
#[derive(Clone, Copy)]
enum Direction {
    To,
    From,
    Between,
}

impl NetworkMetrics {
    /// The numbers of another member, which are shown from now on. To be asked for once per
    /// connection, not for each message.
    #[must_use]
    pub fn peer(&self, id: u64) -> Arc<PeerMetrics> {
        if let Some(peer) = self.peers.read().get(&id) {
            return peer.clone();
        }
        self.peers.write().entry(id).or_insert_with(|| Arc::new(PeerMetrics::new())).clone()
    }

    /// A member was removed: its numbers are not shown any more.
    pub fn forget_peer(&self, id: u64) {
        self.peers.write().remove(&id);
    }

    pub(super) fn describe(&self, page: &mut Page, local: u64) {
        let received = "Bytes from clients.";
        page.counter(
            "etcd_network_client_grpc_received_bytes_total",
            received,
            &self.client_received_bytes,
        );
        let sent = "Bytes to clients.";
        page.counter("etcd_network_client_grpc_sent_bytes_total", sent, &self.client_sent_bytes);
        let connections = "Connections of clients that are open.";
        page.gauge("holdfast_client_connections", connections, &self.client_connections);
        let series = PeerSeries {
            local: format!("{local:x}"),
            peers: self
                .peers
                .read()
                .iter()
                .map(|(id, peer)| (format!("{id:x}"), peer.clone()))
                .collect(),
        };
        series.describe_traffic(page);
        series.describe_images(page);
    }
}

/// The peers at the time of a scrape.
struct PeerSeries {
    local: String,
    peers: Vec<(String, Arc<PeerMetrics>)>,
}

impl PeerSeries {
    fn describe_traffic(&self, page: &mut Page) {
        use Direction::{Between, From, To};
        self.gauges(page, "active_peers", "Members with a connection.", Between, |p| &p.connected);
        let help = "How often the connection to a member was lost.";
        self.counters(page, "disconnected_peers_total", help, Between, |p| &p.disconnected);
        self.counters(page, "peer_sent_bytes_total", "Bytes to members.", To, |p| &p.sent_bytes);
        let help = "Bytes from members.";
        self.counters(page, "peer_received_bytes_total", help, From, |p| &p.received_bytes);
        let help = "Messages that could not be sent.";
        self.counters(page, "peer_sent_failures_total", help, To, |p| &p.sent_failures);
        let help = "Messages that could not be understood.";
        self.counters(page, "peer_received_failures_total", help, From, |p| &p.received_failures);
        let help = "Seconds between a message to a member and its acknowledgement.";
        self.histograms(page, "peer_round_trip_time_seconds", help, To, |p| &p.round_trip);
    }

    fn describe_images(&self, page: &mut Page) {
        use Direction::{From, To};
        let help = "Images sent to members.";
        self.counters(page, "snapshot_send_success", help, To, |p| &p.images_sent);
        let help = "Images that could not be sent.";
        self.counters(page, "snapshot_send_failures", help, To, |p| &p.images_send_failures);
        let help = "Images that are being sent.";
        self.gauges(page, "snapshot_send_inflights_total", help, To, |p| &p.images_sending);
        let (name, help) =
            ("snapshot_send_total_duration_seconds", "How long sending images took.");
        self.histograms(page, name, help, To, |p| &p.image_send_time);
        let help = "Images received from members.";
        self.counters(page, "snapshot_receive_success", help, From, |p| &p.images_received);
        let help = "Images that could not be received.";
        self.counters(page, "snapshot_receive_failures", help, From, |p| {
            &p.images_receive_failures
        });
        let help = "Images that are being received.";
        self.gauges(page, "snapshot_receive_inflights_total", help, From, |p| &p.images_receiving);
        let (name, help) =
            ("snapshot_receive_total_duration_seconds", "How long receiving images took.");
        self.histograms(page, name, help, From, |p| &p.image_receive_time);
    }

    fn counters(
        &self,
        page: &mut Page,
        name: &str,
        help: &str,
        direction: Direction,
        counter: fn(&PeerMetrics) -> &Counter,
    ) {
        self.family(page, Type::Counter, (name, help), direction, |page, name, labels, peer| {
            page.series(name, labels, counter(peer).value());
        });
    }

    fn gauges(
        &self,
        page: &mut Page,
        name: &str,
        help: &str,
        direction: Direction,
        gauge: fn(&PeerMetrics) -> &Gauge,
    ) {
        self.family(page, Type::Gauge, (name, help), direction, |page, name, labels, peer| {
            page.series(name, labels, gauge(peer).value());
        });
    }

    fn histograms(
        &self,
        page: &mut Page,
        name: &str,
        help: &str,
        direction: Direction,
        histogram: fn(&PeerMetrics) -> &Histogram,
    ) {
        self.family(page, Type::Histogram, (name, help), direction, |page, name, labels, peer| {
            page.buckets(name, labels, histogram(peer));
        });
    }

    fn family(
        &self,
        page: &mut Page,
        metric: Type,
        (name, help): (&str, &str),
        direction: Direction,
        write: impl Fn(&mut Page, &str, &[(&str, &str)], &PeerMetrics),
    ) {
        let name = format!("etcd_network_{name}");
        page.family(&name, metric, help);
        for (id, peer) in &self.peers {
            match direction {
                Direction::To => write(page, &name, &[("To", id)], peer),
                Direction::From => write(page, &name, &[("From", id)], peer),
                Direction::Between => {
                    write(page, &name, &[("Local", &self.local), ("Remote", id)], peer);
                }
            }
        }
    }
}
