//! Whether two lists of addresses name the same places.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use crate::config::{Scheme, Url};

/// Looks up a host: all its addresses, or why there are none.
pub type Resolve<'a> = &'a mut dyn FnMut(&str) -> io::Result<Vec<IpAddr>>;

/// Looks up a host with the system's resolver, which may block for seconds.
///
/// # Errors
///
/// If the host is not known, or nobody answers who knows it.
pub fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

/// Tells whether both lists name the same places, whatever their order: the same texts, or else
/// hosts that have an address in common, at the same port. A name that cannot be looked up equals
/// only itself; `localhost` is not looked up.
pub fn same_urls(left: &[Url], right: &[Url], resolve: Resolve<'_>) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut unmatched: Vec<&Url> = right.iter().collect();
    let mut rest = Vec::new();
    // First by text, so that names that share an address keep to themselves.
    for url in left {
        match unmatched.iter().position(|other| other.normalized() == url.normalized()) {
            Some(at) => {
                unmatched.swap_remove(at);
            }
            None => rest.push(url),
        }
    }
    for url in rest {
        let Some(places) = places(url, resolve) else { return false };
        let found = unmatched.iter().position(|other| {
            self::places(other, resolve)
                .is_some_and(|others| others.iter().any(|other| places.contains(other)))
        });
        match found {
            Some(at) => {
                unmatched.swap_remove(at);
            }
            None => return false,
        }
    }
    true
}

/// Where an address leads; `None` if that cannot be known, or needs no looking up.
fn places(url: &Url, resolve: Resolve<'_>) -> Option<Vec<(Scheme, SocketAddr)>> {
    if url.scheme().is_unix() || url.host() == "localhost" {
        return None;
    }
    let ips = match url.ip() {
        Some(ip) => vec![ip],
        None => resolve(url.host()).ok()?,
    };
    Some(
        ips.into_iter()
            .map(|ip| (url.scheme(), SocketAddr::new(ip.to_canonical(), url.port())))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a` has two addresses, `b` one of them, `c` another, and nobody else has any.
    fn same(left: &str, right: &str) -> bool {
        let urls = |text| Url::parse_list(text).unwrap();
        same_urls(&urls(left), &urls(right), &mut |host| {
            let ips: &[&str] = match host {
                "a" => &["10.0.0.1", "10.0.0.2"],
                "b" => &["10.0.0.2"],
                "c" => &["10.0.0.3"],
                _ => return Err(io::ErrorKind::NotFound.into()),
            };
            Ok(ips.iter().map(|ip| ip.parse().unwrap()).collect())
        })
    }

    #[test]
    fn the_same_places_are_recognised_by_text_by_number_and_by_name() {
        assert!(same("http://x:1", "http://x:1"), "a name that nobody knows equals itself");
        assert!(same("http://[::1]:1", "http://[0::1]:1"));
        assert!(same("http://a:1", "http://10.0.0.2:1"));
        assert!(same("http://a:1", "http://b:1"));
        assert!(same("http://x:1,http://c:2", "http://10.0.0.3:2,http://x:1"));
        assert!(same("http://a:1,http://b:1", "http://b:1,http://a:1"));
    }

    #[test]
    fn other_places_are_told_apart() {
        assert!(!same("http://a:1", "http://a:2"));
        assert!(!same("http://a:1", "https://a:1"));
        assert!(!same("http://a:1", "http://c:1"));
        assert!(!same("http://a:1", "http://x:1"));
        assert!(!same("http://a:1", "http://a:1,http://c:1"));
        assert!(!same("http://localhost:1", "http://127.0.0.1:1"));
        assert!(!same("unix:///a", "unix:///b"));
    }
}
