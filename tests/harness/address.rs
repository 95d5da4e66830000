//! Addresses that nobody else uses.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

/// The port on which a member listens for clients.
pub const CLIENT_PORT: u16 = 25379;
/// The port on which a member listens for peers.
pub const PEER_PORT: u16 = 25380;
/// The port on which a member listens for those who measure.
pub const METRICS_PORT: u16 = 25381;
/// Who holds this port of a network's last address holds the network.
const CLAIM_PORT: u16 = 25000;

/// A network of loopback addresses that belongs to one cluster: as every address of 127.0.0.0/8 is
/// this machine, fixed ports are free there.
#[derive(Debug)]
pub struct Loopback {
    network: [u8; 3],
    _claim: TcpListener,
}

impl Loopback {
    /// Claims a network.
    ///
    /// # Errors
    ///
    /// If none is free.
    pub fn claim() -> Result<Loopback> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..4096 {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            let number = std::process::id().wrapping_mul(61).wrapping_add(next);
            let [low, high, ..] = number.to_le_bytes();
            let network = [127, 1 + high % 250, low];
            if let Ok(claim) = TcpListener::bind((address(network, 254), CLAIM_PORT)) {
                return Ok(Loopback { network, _claim: claim });
            }
        }
        bail!("no network of loopback addresses is free among 4096 that were tried");
    }

    /// Returns the address of a member, the first of which is number zero.
    #[must_use]
    pub fn member(&self, number: usize) -> IpAddr {
        let host = u8::try_from(number + 1).expect("clusters are small");
        IpAddr::V4(address(self.network, host))
    }
}

fn address(network: [u8; 3], host: u8) -> Ipv4Addr {
    let [a, b, c] = network;
    Ipv4Addr::new(a, b, c, host)
}
