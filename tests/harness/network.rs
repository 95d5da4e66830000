//! A network of namespaces, one for each member, that can be cut in one direction or in both.
//!
//! ```text
//!  this process ── bridge 10.125.n.254 ─┬─ veth ─ namespace of member 0, 10.125.n.1
//!                                       ├─ veth ─ namespace of member 1, 10.125.n.2
//!                                       └─ …
//! ```
//!
//! A direction is cut by giving the sender a wrong hardware address for the receiver: what it sends
//! is lost in silence, as on a broken link, while everything else goes on.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::programs;

/// Nobody has this hardware address.
const NOWHERE: &str = "02:00:00:00:de:ad";
/// How many networks there may be at once.
const NETWORKS_MAX: u8 = 100;

/// Namespaces joined by a bridge. Dropped, they are gone.
#[derive(Debug)]
pub struct Network {
    number: u8,
    members: usize,
}

impl Network {
    /// Tells whether networks can be made here.
    ///
    /// # Errors
    ///
    /// If not, and why.
    pub fn check() -> Result<()> {
        programs::on_path("ip")?;
        ensure!(
            rustix::process::geteuid().is_root(),
            "network namespaces need root; run this test as root"
        );
        Ok(())
    }

    /// Makes a network for `members` members.
    ///
    /// # Errors
    ///
    /// If that is not allowed here, or fails.
    pub fn new(members: usize) -> Result<Network> {
        Self::check()?;
        let first = u8::try_from(std::process::id() % 90).expect("below 90");
        for next in 0..NETWORKS_MAX {
            let number = (first + next) % NETWORKS_MAX;
            // The name of the bridge is the claim on the number.
            if ip(&format!("link add hfb{number} type bridge")).is_ok() {
                let network = Network { number, members };
                network.set_up()?;
                return Ok(network);
            }
        }
        bail!("{NETWORKS_MAX} networks hfb0 and up exist; delete what earlier runs left behind")
    }

    fn set_up(&self) -> Result<()> {
        let bridge = format!("hfb{}", self.number);
        ip(&format!("addr add {}/24 dev {bridge}", self.host(254)))?;
        ip(&format!("link set {bridge} up"))?;
        for member in 0..self.members {
            let (namespace, veth) = (self.namespace(member), self.veth(member));
            ip(&format!("netns add {namespace}"))?;
            ip(&format!("link add {veth} type veth peer name eth0 netns {namespace}"))?;
            ip(&format!("link set {veth} master {bridge} up"))?;
            let address = self.address(member);
            ip(&format!("-n {namespace} addr add {address}/24 dev eth0"))?;
            ip(&format!("-n {namespace} link set eth0 up"))?;
            ip(&format!("-n {namespace} link set lo up"))?;
        }
        Ok(())
    }

    /// Returns the name of a member's namespace.
    #[must_use]
    pub fn namespace(&self, member: usize) -> String {
        format!("hfn{}-{member}", self.number)
    }

    /// Returns the address of a member.
    #[must_use]
    pub fn address(&self, member: usize) -> IpAddr {
        IpAddr::V4(self.host(u8::try_from(member + 1).expect("clusters are small")))
    }

    /// Loses what `from` sends to `to` from now on.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn cut_one_way(&self, from: usize, to: usize) -> Result<()> {
        let (namespace, address) = (self.namespace(from), self.address(to));
        ip(&format!(
            "-n {namespace} neigh replace {address} lladdr {NOWHERE} dev eth0 nud permanent"
        ))
    }

    /// Loses what the members of one side send to those of the other, in both directions.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn cut(&self, one: &[usize], other: &[usize]) -> Result<()> {
        for a in one {
            for b in other {
                self.cut_one_way(*a, *b)?;
                self.cut_one_way(*b, *a)?;
            }
        }
        Ok(())
    }

    /// Connects everybody with everybody.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn heal(&self) -> Result<()> {
        for member in 0..self.members {
            ip(&format!("-n {} neigh flush dev eth0 nud permanent", self.namespace(member)))?;
        }
        Ok(())
    }

    fn host(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 125, 100 + self.number, host)
    }

    fn veth(&self, member: usize) -> String {
        format!("hfv{}-{member}", self.number)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for member in 0..self.members {
            // What was never made cannot be deleted, and need not be.
            let _ = ip(&format!("netns del {}", self.namespace(member)));
            let _ = ip(&format!("link del {}", self.veth(member)));
        }
        let _ = ip(&format!("link del hfb{}", self.number));
    }
}

/// Runs `ip` with words that contain no blanks.
fn ip(words: &str) -> Result<()> {
    let program = programs::on_path("ip")?;
    let output = Command::new(program)
        .args(words.split(' '))
        .output()
        .with_context(|| format!("ip {words} cannot be run"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {words} failed: {}", said.trim());
    Ok(())
}
